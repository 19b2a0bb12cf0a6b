// DenseNet-BC-100-12 for 32x32 images (Huang et al. 2016): three blocks of 16 bottlenecks, each adding 12 channels to all those before it.
// Names are torchvision's.
import { concat, nn, type Tensor } from 'ferrograd'

const GROWTH = 12
const LAYERS = 16

class DenseLayer extends nn.Module {
  norm1: nn.BatchNorm2d
  conv1: nn.Conv2d
  norm2: nn.BatchNorm2d = new nn.BatchNorm2d(4 * GROWTH)
  conv2: nn.Conv2d = new nn.Conv2d(4 * GROWTH, GROWTH, 3, { padding: 1, bias: false })

  constructor(cin: number) {
    super()
    this.norm1 = new nn.BatchNorm2d(cin)
    this.conv1 = new nn.Conv2d(cin, 4 * GROWTH, 1, { bias: false })
  }

  forward(x: Tensor): Tensor {
    const y = this.conv1.forward(this.norm1.forward(x).relu())
    return concat([x, this.conv2.forward(this.norm2.forward(y).relu())], -1)
  }
}

class Transition extends nn.Module {
  norm: nn.BatchNorm2d
  conv: nn.Conv2d

  constructor(cin: number) {
    super()
    this.norm = new nn.BatchNorm2d(cin)
    this.conv = new nn.Conv2d(cin, cin >> 1, 1, { bias: false })
  }

  forward(x: Tensor): Tensor {
    return this.conv.forward(this.norm.forward(x).relu()).avgPool2d(2)
  }
}

const block = (cin: number): nn.ModuleDict =>
  new nn.ModuleDict(Object.fromEntries(Array.from({ length: LAYERS }, (_, i) => [`denselayer${i + 1}`, new DenseLayer(cin + i * GROWTH)])))

/** The layers of nested dicts, one after another. */
const inOrder = (part: nn.Module): nn.Module[] => (part instanceof nn.ModuleDict ? [...part].flatMap(([, inner]) => inOrder(inner)) : [part])

class DenseNet extends nn.Module {
  features: nn.ModuleDict = new nn.ModuleDict({
    conv0: new nn.Conv2d(3, 24, 3, { padding: 1, bias: false }),
    denseblock1: block(24), transition1: new Transition(216),
    denseblock2: block(108), transition2: new Transition(300),
    denseblock3: block(150), norm5: new nn.BatchNorm2d(342),
  })
  classifier: nn.Linear = new nn.Linear(342, 10)

  forward(x: Tensor): Tensor {
    let y = x
    for (const layer of inOrder(this.features)) y = layer.forward(y)
    return this.classifier.forward(y.relu().mean([1, 2]))
  }
}

export const densenet = (): nn.Module => new DenseNet()
