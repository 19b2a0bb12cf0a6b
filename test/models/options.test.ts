import { describe, expect, it } from 'vitest'
import { manualSeed, models, nn, randn, type Tensor } from '../../ts/index.js'

const std = (t: Tensor): number => t.var([0, 1, 2, 3].slice(0, t.ndim), { correction: 0 }).sqrt().itemSync() as number

describe('options', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['misspelt', () => models.resnet18({ stam: 'cifar' } as object), /resnet18: there is no option 'stam'. Did you mean 'stem'\?/],
    ['misspelt', () => models.densenet({ growth_rate: 12 } as object), /densenet: there is no option 'growth_rate'. Did you mean 'growthRate'\?/],
    ["another model's", () => models.lenet({ width: 3 } as object), /lenet: there is no option 'width'/],
    ['no size', () => models.lenet({ imageSize: 15 }), /lenet: imageSize must be an integer of at least 16, not 15/],
    ['no size', () => models.vggSmall({ imageSize: 7 }), /vggSmall: imageSize must be an integer of at least 8, not 7/],
    ['no count', () => models.mlp({ hidden: [3, 0] }), /mlp: hidden\[1\] must be a positive integer, not 0/],
    ['no list', () => models.mlp({ hidden: 3 as unknown as number[] }), /mlp: hidden must be a list of widths/],
    ['no share', () => models.mlp({ dropout: 2 }), /mlp: dropout must be a number from 0 to 1, not 2/],
    ['no word', () => models.resnet20({ shortcut: 'B' as 'padding' }), /resnet20: shortcut must be 'projection' or 'padding', not 'B'|"B"/],
    ['no word', () => models.densenet({ stem: 'small' as 'cifar' }), /densenet: stem must be 'cifar' or 'imagenet'/],
    ['no depth', () => new models.ResNet(101 as 50), /ResNet: depth must be 18, 20, 34, 50 or 56, not 101/],
    ['no depth', () => new models.ResNet('toString' as unknown as 50), /ResNet: depth must be 18, 20, 34, 50 or 56, not "toString"/],
    ['no layers', () => models.densenet({ blockConfig: [2, 0] }), /densenet: blockConfig\[1\] must be a positive integer, not 0/],
    ['no switch', () => models.densenet({ memoryEfficient: 1 as unknown as boolean }), /densenet: memoryEfficient must be true or false/],
  ])('%s is refused: %#', (_, make, message) => {
    expect(make).toThrow(message)
  })

  it('stand in config, settled, so that the same model can be made again', () => {
    const model = models.densenet({ growthRate: 4, blockConfig: [2, 1], numInitFeatures: 6, dropRate: 0.1 })
    const again = models.densenet(model.config)
    expect(again.config).toEqual(model.config)
    expect(again.toString()).toBe(model.toString())
    const { depth, config } = models.resnet18({ stem: 'cifar', width: 4 })
    expect(String(new models.ResNet(depth, config))).toBe(String(models.resnet18({ stem: 'cifar', width: 4 })))
  })
})

describe('weights start as in torchvision', () => {
  it("ResNet: He's normal over the outputs; the last factors 0 where asked for", async () => {
    manualSeed(1)
    const model = models.resnet50({ stem: 'cifar', width: 32, classes: 10, zeroInitResidual: true })
    const block = model.layer2[1] as models.Bottleneck
    expect(std(block.conv2.weight)).toBeCloseTo(Math.sqrt(2 / (64 * 9)), 3)
    expect(std(block.conv3.weight)).toBeCloseTo(Math.sqrt(2 / 256), 2)
    expect(await block.bn3.weight!.abs().sum().item()).toBe(0)
    expect(await block.bn2.weight!.mean().item()).toBe(1)
    // Each block is its shortcut then: what enters is positive and passes unchanged.
    const x = randn([2, 4, 4, 256]).abs()
    expect((await block.forward(x).sub(x).abs().max().item())).toBe(0)
    const plain = models.resnet18({ stem: 'cifar', width: 8 }).layer1[0] as models.BasicBlock
    expect(await plain.bn2.weight!.mean().item()).toBe(1)
  })

  it('VGG and DenseNet', async () => {
    manualSeed(1)
    const vgg = models.vggSmall({ width: 32 }).layers
    expect(std((vgg[7] as nn.Conv2d).weight)).toBeCloseTo(Math.sqrt(2 / (64 * 9)), 3)
    expect(std((vgg[22] as nn.Linear).weight)).toBeCloseTo(0.01, 3)
    expect(await (vgg[22] as nn.Linear).bias!.abs().sum().item()).toBe(0)
    const dense = models.densenet({ growthRate: 16, blockConfig: [2, 2], numInitFeatures: 32 })
    expect(std(dense.stateDict()['features.denseblock1.denselayer1.conv2.weight']!)).toBeCloseTo(Math.sqrt(2 / (64 * 9)), 2)
    expect(await dense.classifier.bias!.abs().sum().item()).toBe(0)
  })
})
