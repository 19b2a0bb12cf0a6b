// Batch normalisation folded into the convolution before it, for inference.
import { describe, expect, test } from 'vitest'
import { device, manualSeed, models, nn, noGrad, rand, scope, type Tensor, ValueError } from '../../ts/index.js'
import { numbers } from '../check.js'

/** Statistics, factors and summands as training leaves them, none of them 0 or 1. */
function trained<M extends nn.Module>(make: () => M, dtype: 'float32' | 'float64' = 'float64'): M {
  manualSeed(3)
  const model = make().to(dtype)
  noGrad(() => scope(() => {
    for (const module of model.modules()) {
      if (!(module instanceof nn.BatchNorm2d || module instanceof nn.BatchNorm1d)) continue
      module.runningMean!.assign_(rand(module.runningMean!.shape, { dtype }).sub(0.5))
      module.runningVar!.assign_(rand(module.runningVar!.shape, { dtype }).add(0.5))
      module.weight!.assign_(rand(module.weight!.shape, { dtype }).add(0.5))
      module.bias!.assign_(rand(module.bias!.shape, { dtype }).sub(0.5))
    }
  }))
  return model.eval()
}

const cases: [name: string, make: () => nn.Module, shape: number[], folds: number, norms: number][] = [
  ['ResNet-18', () => models.resnet18({ stem: 'cifar', width: 8, classes: 10 }), [2, 16, 16, 3], 20, 20],
  ['ResNet-20', () => models.resnet20({ width: 4 }), [2, 16, 16, 3], 19, 19],
  ['ResNet-50', () => models.resnet50({ stem: 'cifar', width: 8, classes: 10 }), [1, 8, 8, 3], 53, 53],
  ['VGG', () => models.vggSmall({ width: 8, imageSize: 16 }), [2, 16, 16, 3], 6, 6],
  // The convolution in front of a block is read by all of its layers.
  ['DenseNet', () => models.densenet({ blockConfig: [2, 2], growthRate: 4 }), [1, 8, 8, 3], 4, 10],
  ['Linear', () => new nn.Sequential(new nn.Linear(5, 7, { bias: false }), new nn.BatchNorm1d(7), new nn.ReLU(), new nn.Linear(7, 3), new nn.BatchNorm1d(3)), [4, 5], 2, 2],
]

const normsIn = (model: nn.Module): number => model.modules().filter((module) => module instanceof nn.BatchNorm2d || module instanceof nn.BatchNorm1d).length

describe.each(cases)('%s', (_, make, shape, folds, norms) => {
  test.each([['float64', 1e-10], ['float32', 2e-4]] as const)('%s: the same results within rounding, without the normalisations', (dtype, tolerance) => {
    scope(() => {
      const model = trained(make, dtype)
      const x = rand(shape, { dtype })
      const before = numbers(noGrad(() => model.forward(x) as Tensor))
      expect(normsIn(model)).toBe(norms)
      expect(nn.fuseConvBn(model, shape)).toBe(folds)
      expect(normsIn(model)).toBe(norms - folds)
      const after = numbers(noGrad(() => model.forward(x) as Tensor))
      const scale = Math.max(...before.map(Math.abs))
      before.forEach((v, i) => expect(Math.abs(after[i]! - v)).toBeLessThan(tolerance * scale))
      expect(nn.fuseConvBn(model, shape)).toBe(0)
    })
  })
})

test('fewer commands: no normalisation, and the ReLU inside its convolution', async () => {
  const model = trained(cases[0]![1], 'float32')
  const x = rand([1, 16, 16, 3])
  const ops = async (): Promise<Record<string, number>> => {
    const { rows } = await device.profile(() => scope(() => noGrad(() => { model.forward(x) })))
    const found: Record<string, number> = {}
    for (const { op, calls } of rows) found[op] = (found[op] ?? 0) + calls
    return found
  }
  const before = await ops()
  nn.fuseConvBn(model, [1, 16, 16, 3])
  const after = await ops()
  expect([before.batch_norm_fixed, before.conv2d]).toEqual([20, 20])
  // The sums with the shortcut and their ReLUs stand for themselves.
  expect([after.batch_norm_fixed, after.conv2d, after.add, after.relu]).toEqual([undefined, 20, 8, 8])
})

test('leaves alone what others read too, or what runs twice', () => {
  class Twice extends nn.Module {
    conv = new nn.Conv2d(2, 2, 1)
    bn = new nn.BatchNorm2d(2)
    forward(x: Tensor): Tensor { return this.bn.forward(this.conv.forward(this.conv.forward(x))) }
  }
  class Read extends nn.Module {
    conv = new nn.Conv2d(2, 2, 1)
    bn = new nn.BatchNorm2d(2)
    forward(x: Tensor): Tensor {
      const y = this.conv.forward(x)
      return this.bn.forward(y).add(y)
    }
  }
  class Given extends nn.Module {
    conv = new nn.Conv2d(2, 2, 1)
    bn = new nn.BatchNorm2d(2)
    forward(x: Tensor): Tensor[] {
      const y = this.conv.forward(x)
      return [y, this.bn.forward(y)]
    }
  }
  for (const model of [new Twice(), new Read(), new Given()]) expect(nn.fuseConvBn(model, [1, 3, 3, 2])).toBe(0)
  expect(() => nn.fuseConvBn(nn.Linear as never, [1, 2])).toThrow(ValueError)
})

test('a layer that shares its weights with the folded one keeps them', () => {
  class Tied extends nn.Module {
    a = new nn.Conv2d(2, 2, 1)
    b = new nn.Conv2d(2, 2, 1)
    bn = new nn.BatchNorm2d(2)
    constructor() { super(); this.b.weight = this.a.weight; this.b.bias = this.a.bias }
    forward(x: Tensor): Tensor { return this.bn.forward(this.a.forward(x)).add(this.b.forward(x)) }
  }
  scope(() => {
    const model = trained(() => new Tied())
    const x = rand([1, 3, 3, 2], { dtype: 'float64' })
    const before = numbers(noGrad(() => model.forward(x)))
    // Also where no graph is recorded.
    expect(noGrad(() => nn.fuseConvBn(model, [1, 3, 3, 2]))).toBe(1)
    numbers(noGrad(() => model.forward(x))).forEach((v, i) => expect(Math.abs(v - before[i]!)).toBeLessThan(1e-12))
  })
})
