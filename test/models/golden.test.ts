// Each model against PyTorch: the same weights and images, one pass forward and back (models.safetensors, written by test/golden/make_models.py).
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { models, nn, noGrad, scope, tensor, type Tensor } from '../../ts/index.js'
import { fromTorch } from '../../ts/nn/torch-layout.js'
import { saveSafetensors } from '../../ts/train/safetensors.js'
import { hashes, uniform } from '../golden/formula.js'
import { readGolden } from '../nn/golden.js'

type Float = 'float32' | 'float64'
type Make = 'lenet' | 'mlp' | 'vggSmall' | 'resnet18' | 'resnet20' | 'resnet34' | 'resnet50' | 'resnet56' | 'densenet' | 'densenet121'
interface Train { kind: 'train'; name: string; model: Make; options: { classes?: number }; shape: number[]; rounding: number }
interface File { kind: 'file'; name: string; model: Make; options: { classes?: number }; shape: number[]; state: string[] }

const golden = readGolden<Train | File>('models')
const folder = await mkdtemp(join(tmpdir(), 'ferrograd-models-'))
afterAll(() => rm(folder, { recursive: true }))

const make = ({ model, options }: Train | File): nn.Module => models[model](options as object)
const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)
const images = (shape: readonly number[], dtype: Float): Tensor => tensor(uniform(1000, product(shape)), { shape, dtype })

/** make_models.py's `drawn`: the values of one tensor of the state, its last dimension the channels. */
function drawn(name: string, shape: readonly number[], stream: number): Float64Array {
  const u = (scale: number): Float64Array => uniform(stream, product(shape), scale)
  if (shape.length > 1) return u(Math.sqrt(6 / product(shape.slice(1))))
  if (/running_?var$/i.test(name)) return u(0.5).map((v) => 1 + v)
  return name.endsWith('weight') ? u(0.2).map((v) => 1 + v) : u(0.1)
}

const counters = /num_?batches_?tracked$/i

function build(c: Train, dtype: Float): nn.Module {
  const model = make(c).to(dtype)
  const state = Object.entries(model.stateDict()).filter(([name]) => !counters.test(name))
  const values = state.map(([name, { shape }], k) => [name, tensor(drawn(name, shape, k + 1), { shape, dtype })])
  model.loadStateDict(Object.fromEntries(values), { strict: false })
  return model
}

/** The state whose names and shapes PyTorch wrote, with the values of make_models.py, in PyTorch's layout. */
function torchState(lines: readonly string[]): Record<string, Tensor> {
  let stream = 0
  return Object.fromEntries(lines.map((line) => {
    const [name, ...sizes] = line.split(' ') as [string, ...string[]]
    const [out, channels, ...window] = sizes.map(Number)
    if (counters.test(name)) return [name, tensor([7], { shape: [], dtype: 'int64' })]
    const shape = [out, ...window, channels].filter((size) => size !== undefined)
    return [name, scope(() => {
      const value = tensor(drawn(name, shape, ++stream), { shape, dtype: 'float32' })
      return window.length === 0 ? value : value.movedim(-1, 1).contiguous()
    })]
  }))
}

const numbersOf = async (t: Tensor): Promise<number[]> => Array.from((await t.data()) as Float64Array)

/** Apart by how much of the mean magnitude, at worst. Sums are compared by the sum of magnitudes. */
async function apart(t: Tensor, [sum, magnitude, third, second]: Float64Array): Promise<number> {
  const flat = await numbersOf(t)
  const n = flat.length
  const ours = flat.reduce((a, b) => [a[0]! + b, a[1]! + Math.abs(b)], [0, 0])
  const mean = magnitude! / n
  return Math.max(
    Math.abs(ours[0]! - sum!) / magnitude!, Math.abs(ours[1]! - magnitude!) / magnitude!,
    Math.abs(flat[Math.floor(n / 3)]! - third!) / (mean + Math.abs(third!)),
    Math.abs(flat[Math.floor((2 * n) / 3)]! - second!) / (mean + Math.abs(second!)),
  )
}

describe.each([['float64', 1e-9], ['float32', 1e-4]] as const)("%s: logits, gradients and running statistics are PyTorch's", (dtype, close) => {
  it.each(golden.cases.filter((c): c is Train => c.kind === 'train').map((c) => [c.name, c] as const))('%s', async (name, c) => {
    // A deep network multiplies rounding, PyTorch's as ours: float32 may be a few times as far from float64 as PyTorch's float32 is.
    const closeGradients = Math.max(close, dtype === 'float32' ? 4 * c.rounding : 0)
    const model = build(c, dtype)
    const x = images(c.shape, dtype)
    x.requiresGrad = true
    const labels = tensor(Int32Array.from(hashes(2000, c.shape[0]!), (h) => h % (c.options.classes ?? 10)))
    const logits = model.forward(x) as Tensor
    nn.crossEntropy(logits, labels).backward()

    const expected = golden.expected(`${name}.logits`)!
    const scale = Math.max(...expected.data.map(Math.abs))
    expect(logits.shape).toEqual(expected.shape)
    const worst: [string, number, number][] = (await numbersOf(logits)).map((value, i) => ['logits', Math.abs(value - expected.data[i]!) / scale, close])
    const rows = golden.expected(`${name}.gradients`)!.data
    const gradients: [string, Tensor][] = [['images', x.grad!], ...model.namedParameters().map(([key, p]): [string, Tensor] => [key, p.grad!])]
    expect(rows.length).toBe(4 * gradients.length)
    for (const [i, [key, gradient]] of gradients.entries()) worst.push([`gradient ${key}`, await apart(gradient, rows.subarray(4 * i)), closeGradients])
    const statistics = model.namedBuffers().filter(([key]) => !counters.test(key))
    const moved = golden.expected(`${name}.statistics`)?.data ?? new Float64Array()
    expect(moved.length).toBe(4 * statistics.length)
    for (const [i, [key, buffer]] of statistics.entries()) worst.push([key, await apart(buffer, moved.subarray(4 * i)), close])
    expect(worst.filter(([, off, tolerance]) => !(off <= tolerance)).map(([key, off]) => `${key}: ${off}`)).toEqual([])
  })
})

describe("torchvision's weights load by name and layout, and give its logits", () => {
  it.each(golden.cases.filter((c): c is File => c.kind === 'file').map((c) => [c.name, c] as const))('%s', async (name, c) => {
    const model = make(c)
    const torch = torchState(c.state)
    if (c.model === 'resnet34' || c.model === 'resnet50') {
      // What `load` does with a file's tensors, without the 87 and 102 MB of it.
      scope(() => model.loadStateDict(fromTorch(model, torch, {})))
    } else {
      const path = join(folder, `${c.model}.safetensors`)
      await saveSafetensors(path, torch, { metadata: { format: 'pt' } })
      expect(await model.load(path, { from: 'torch' })).toEqual({ missing: [], unexpected: [] })
    }
    for (const value of Object.values(torch)) value.dispose()
    for (const [key, counter] of model.namedBuffers()) if (counters.test(key)) expect(await counter.item()).toBe(7)

    const expected = golden.expected(`${name}.logits`)!.data
    const logits = await numbersOf(scope(() => noGrad(() => model.eval().forward(images(c.shape, 'float32')) as Tensor)))
    const scale = Math.max(...expected.map(Math.abs))
    expect(logits.length).toBe(expected.length)
    expect(Math.max(...logits.map((value, i) => Math.abs(value - expected[i]!))) / scale).toBeLessThan(1e-4)
  })
})
