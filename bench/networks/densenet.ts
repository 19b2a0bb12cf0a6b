// DenseNet-BC-100-12 for 32x32 images (Huang et al. 2016): three blocks of 16 bottlenecks, each adding 12 channels to all those before it.
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

const block = (cin: number): nn.Sequential => new nn.Sequential(...Array.from({ length: LAYERS }, (_, i) => new DenseLayer(cin + i * GROWTH)))

class DenseNet extends nn.Module {
  conv0: nn.Conv2d = new nn.Conv2d(3, 24, 3, { padding: 1, bias: false })
  block1: nn.Sequential = block(24)
  transition1: Transition = new Transition(216)
  block2: nn.Sequential = block(108)
  transition2: Transition = new Transition(300)
  block3: nn.Sequential = block(150)
  norm: nn.BatchNorm2d = new nn.BatchNorm2d(342)
  fc: nn.Linear = new nn.Linear(342, 10)

  forward(x: Tensor): Tensor {
    let y = this.conv0.forward(x)
    for (const part of [this.block1, this.transition1, this.block2, this.transition2, this.block3]) y = part.forward(y)
    return this.fc.forward(this.norm.forward(y).relu().mean([1, 2]))
  }
}

export const densenet = (): nn.Module => new DenseNet()
