// Weights from PyTorch beyond what torchvision writes today: older files, and Linear layers behind a flattened image.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CheckpointError, manualSeed, models, nn, noGrad, randn, scope, type Tensor } from '../../ts/index.js'
import { saveSafetensors } from '../../ts/train/safetensors.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-torch-'))
afterAll(() => rm(folder, { recursive: true }))

/** The state in PyTorch's names and layouts; `flat` are the channels of the images that Linear layers read flattened. */
function asTorch(model: nn.Module, flat: Record<string, number> = {}): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(model.stateDict()).map(([name, value]) => {
    const channels = flat[name]
    const t = value.detach()
    const torch = t.ndim === 4 ? t.movedim(-1, 1)
      : channels === undefined ? t : t.reshape([t.shape[0]!, -1, channels]).transpose(1, 2).reshape(t.shape)
    return [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), torch.contiguous()]
  }))
}

const logits = (model: nn.Module, x: Tensor): number[] => Array.from(scope(() => noGrad(() => model.eval().forward(x) as Tensor)).dataSync() as Float32Array)

describe("load(file, { from: 'torch' })", () => {
  it.each<[string, () => nn.Module, number[], Record<string, number>]>([
    ['lenet', () => models.lenet(), [2, 32, 32, 1], { 'layers.7.weight': 16 }],
    ['vggSmall', () => models.vggSmall({ width: 4 }), [2, 32, 32, 3], { 'layers.22.weight': 16 }],
    ['mlp', () => models.mlp({ hidden: [5] }), [2, 32, 32, 1], {}],
    ['densenet', () => models.densenet({ growthRate: 4, blockConfig: [2, 2] }), [2, 16, 16, 3], {}],
    ['resnet20', () => models.resnet20({ width: 4, shortcut: 'projection' }), [2, 16, 16, 3], {}],
  ])('%s', async (name, make, shape, flat) => {
    manualSeed(5)
    const from = make()
    scope(() => from.forward(randn(shape)))
    const path = join(folder, `${name}.safetensors`)
    await saveSafetensors(path, asTorch(from, flat), { metadata: { format: 'pt' } })
    const to = make()
    await to.load(path, { from: 'torch' })
    const x = randn(shape)
    expect(logits(to, x)).toEqual(logits(from, x))
  })

  it('takes files older than the counters of running statistics, and leaves the counters alone', async () => {
    manualSeed(5)
    const [from, to] = [models.resnet20({ width: 4 }), models.resnet20({ width: 4 })]
    for (const model of [from, to]) scope(() => model.forward(randn([2, 8, 8, 3])))
    const older = Object.fromEntries(Object.entries(asTorch(from)).filter(([name]) => !name.endsWith('num_batches_tracked')))
    const path = join(folder, 'older.safetensors')
    await saveSafetensors(path, older, { metadata: { format: 'pt' } })
    expect(await to.load(path, { from: 'torch' })).toEqual({ missing: [], unexpected: [] })
    expect(await to.bn1.numBatchesTracked!.item()).toBe(1)
    const x = randn([2, 8, 8, 3])
    expect(logits(to, x)).toEqual(logits(from, x))
    // Whoever lacks the statistics themselves lacks more than a counter.
    delete older['bn1.running_mean']
    await saveSafetensors(path, older, { metadata: { format: 'pt' } })
    await expect(to.load(path, { from: 'torch' })).rejects.toThrow(/missing \(2\): bn1.runningMean, bn1.numBatchesTracked/)
  })

  it("takes the names of torchvision's DenseNet files", async () => {
    const make = (): nn.Module => models.densenet({ growthRate: 4, blockConfig: [2, 11] })
    const [from, to] = [make(), make()]
    const first = Object.fromEntries(Object.entries(asTorch(from)).map(([name, value]) => [name.replace(/(denselayer\d+\.(?:norm|conv))/, '$1.'), value]))
    expect(Object.keys(first)).toContain('features.denseblock2.denselayer11.norm.2.running_mean')
    const path = join(folder, 'first.safetensors')
    await saveSafetensors(path, first, { metadata: { format: 'pt' } })
    await to.load(path, { from: 'torch' })
    const x = randn([2, 8, 8, 3])
    expect(logits(to, x)).toEqual(logits(from, x))
  })

  it('goes by what a module says of a Linear behind a flattened image, seen from the model around it', async () => {
    class Head extends nn.Module {
      convolution = new nn.Conv2d(3, 4, 3)
      linear = new nn.Linear(24, 5)
      override get flattened(): Record<string, number> {
        return { linear: 4 }
      }
      forward(x: Tensor): Tensor {
        return this.linear.forward(this.convolution.forward(x).flatten(1))
      }
    }
    class Net extends nn.Module {
      head = new Head()
      forward(x: Tensor): Tensor {
        return this.head.forward(x)
      }
    }
    const [from, to] = [new Net(), new Net()]
    const path = join(folder, 'head.safetensors')
    await saveSafetensors(path, asTorch(from, { 'head.linear.weight': 4 }), { metadata: { format: 'pt' } })
    await to.load(path, { from: 'torch' })
    const x = randn([2, 4, 5, 3])
    expect(logits(to, x)).toEqual(logits(from, x))
    // The caller's word goes before.
    await to.load(path, { from: 'torch', flatten: { 'head.linear': 0 } })
    expect(logits(to, x)).not.toEqual(logits(from, x))
  })

  it('names what does not fit', async () => {
    const path = join(folder, 'resnet20.safetensors')
    await saveSafetensors(path, asTorch(models.resnet20({ width: 4 })), { metadata: { format: 'pt' } })
    const model = models.resnet20({ width: 8 })
    await expect(model.load(path, { from: 'torch' })).rejects.toThrow(CheckpointError)
    await expect(model.load(path, { from: 'torch' })).rejects.toThrow(/conv1.weight: the model has float32 \[8, 3, 3, 3\], the state has float32 \[4, 3, 3, 3\]/)
  })
})
