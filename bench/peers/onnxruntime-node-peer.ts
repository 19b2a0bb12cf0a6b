// onnxruntime's Node package, on the model that onnx_models.py wrote.
import { installed, versionOf } from './installed.js'
import { type Kinds, type Ready, sample, serve } from './serve.js'
import type { Tensors } from './tensors.js'

const ort = installed('onnxruntime-node')
const threads = Number(process.argv[2])

/** [N, H, W, C] -> [N, C, H, W] */
function channelsFirst({ shape, data }: Tensors[string]): { shape: readonly number[]; data: Float32Array } {
  const [n, h, w, c] = shape as [number, number, number, number]
  const moved = new Float32Array(data.length)
  for (let i = 0; i < n; i++) {
    for (let p = 0; p < h * w; p++) for (let k = 0; k < c; k++) moved[(i * c + k) * h * w + p] = data[(i * h * w + p) * c + k] as number
  }
  return { shape: [n, c, h, w], data: moved }
}

const rotation = (tensors: Tensors, name: string): Tensors[string][] =>
  Object.entries(tensors).filter(([key]) => key.startsWith(`${name}.`)).map(([, values]) => values)

const open = ({ onnx }: any): Promise<any> => ort.InferenceSession.create(onnx, { intraOpNumThreads: threads, executionProviders: ['cpu'] })
const feed = ({ data, shape }: Tensors[string]): unknown => new ort.Tensor('float32', data, shape)

const kinds: Kinds = {
  async gemm(job, tensors): Promise<Ready> {
    const session = await open(job)
    const [a, b] = [rotation(tensors, 'a'), rotation(tensors, 'b')]
    const call = async (i: number): Promise<Float32Array> => {
      const operands = { a: feed(a[i % a.length]!), ...(job.work.fixedB ? {} : { b: feed(b[i % b.length]!) }) }
      return (await session.run(operands)).y.data
    }
    return { call, wait: (result) => result, values: async (result) => sample(await result) }
  },

  async infer(job, tensors): Promise<Ready> {
    const session = await open(job)
    const batches = rotation(tensors, 'inputs').map(channelsFirst)
    const call = async (i: number): Promise<Float32Array> => (await session.run({ x: feed(batches[i % batches.length]!) })).y.data
    return { call, wait: (result) => result, values: async (result) => result }
  },

  async stream(job, tensors): Promise<Ready> {
    const session = await open(job)
    const ids = rotation(tensors, 'inputs').map(({ data }) => BigInt64Array.from(data as ArrayLike<number> as number[], BigInt))
    let [h, c] = ['h', 'c'].map(() => feed({ data: new Float32Array(128), shape: [1, 1, 128] }))
    const call = async (i: number): Promise<Float32Array> => {
      const { y, h2, c2 } = await session.run({ id: new ort.Tensor('int64', ids[i % ids.length]!, [1, 1]), h, c })
      h = h2
      c = c2
      return y.data
    }
    return { call, wait: (result) => result, values: async (result) => result }
  },
}

serve(() => ({ versions: `onnxruntime-node ${versionOf('onnxruntime-node')}, Node ${process.versions.node}`, threads, note: 'cpu' }), kinds)
