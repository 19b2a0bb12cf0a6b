// ResNet-18 with the stem for 32x32 images (He et al. 2015): a 3x3 convolution and no pooling before the first stage.
// Names are torchvision's.
import { nn, type Tensor } from 'ferrograd'

const conv = (cin: number, cout: number, size: number, stride = 1): nn.Conv2d =>
  new nn.Conv2d(cin, cout, size, { stride, padding: size >> 1, bias: false })

class BasicBlock extends nn.Module {
  conv1: nn.Conv2d
  bn1: nn.BatchNorm2d
  conv2: nn.Conv2d
  bn2: nn.BatchNorm2d
  downsample: nn.Sequential | null = null

  constructor(cin: number, cout: number, stride: number) {
    super()
    this.conv1 = conv(cin, cout, 3, stride)
    this.bn1 = new nn.BatchNorm2d(cout)
    this.conv2 = conv(cout, cout, 3)
    this.bn2 = new nn.BatchNorm2d(cout)
    if (stride !== 1 || cin !== cout) this.downsample = new nn.Sequential(conv(cin, cout, 1, stride), new nn.BatchNorm2d(cout))
  }

  forward(x: Tensor): Tensor {
    const y = this.bn2.forward(this.conv2.forward(this.bn1.forward(this.conv1.forward(x)).relu()))
    return y.add(this.downsample?.forward(x) ?? x).relu()
  }
}

class ResNet18 extends nn.Module {
  conv1: nn.Conv2d = conv(3, 64, 3)
  bn1: nn.BatchNorm2d = new nn.BatchNorm2d(64)
  layer1: nn.Sequential = new nn.Sequential(new BasicBlock(64, 64, 1), new BasicBlock(64, 64, 1))
  layer2: nn.Sequential = new nn.Sequential(new BasicBlock(64, 128, 2), new BasicBlock(128, 128, 1))
  layer3: nn.Sequential = new nn.Sequential(new BasicBlock(128, 256, 2), new BasicBlock(256, 256, 1))
  layer4: nn.Sequential = new nn.Sequential(new BasicBlock(256, 512, 2), new BasicBlock(512, 512, 1))
  fc: nn.Linear = new nn.Linear(512, 10)

  forward(x: Tensor): Tensor {
    let y = this.bn1.forward(this.conv1.forward(x)).relu()
    for (const layer of [this.layer1, this.layer2, this.layer3, this.layer4]) y = layer.forward(y)
    return this.fc.forward(y.mean([1, 2]))
  }
}

export const resnet18 = (): nn.Module => new ResNet18()
