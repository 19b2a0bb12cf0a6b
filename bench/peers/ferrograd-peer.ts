// Ferrograd's own side: a process like the peers', so that nothing is measured differently.
import { autocast, compile, device, grad, keep, nn, noGrad, optim, scope, tensor, Tensor, zeros } from 'ferrograd'
import { networks } from '../networks/index.js'
import type { Reader } from '../networks/readers.js'
import { type Encoded, TextVectorizer } from 'ferrograd/text'
import { checksums, reviews } from './texts.js'
import { type Kinds, type Ready, sample, serve } from './serve.js'
import type { Tensors, Values } from './tensors.js'

const load = ({ data, shape }: Values): Tensor => tensor(data, { shape })

/** 'x.0', 'x.1', ... */
function rotation(tensors: Tensors, name: string, make: (values: Values) => Tensor = load): Tensor[] {
  return Object.entries(tensors).filter(([key]) => key.startsWith(`${name}.`)).map(([, values]) => make(values))
}

const at = <T>(list: readonly T[], i: number): T => list[i % list.length] as T
const wait = (): Promise<void> => device.sync()

/** Calls that leave one result: the one before it is given back, so that memory is used again as in a user's loop. */
function lastOnly(make: (i: number) => Tensor): (i: number) => Tensor {
  let last: Tensor | null = null
  return (i) => {
    last?.dispose()
    return last = scope(() => make(i))
  }
}

const sampled = async (result: Tensor): Promise<number[]> => sample(await result.data() as Float32Array)

const kinds: Kinds = {
  gemm({ dtype, work }, tensors): Ready {
    const [a, b] = ['a', 'b'].map((name) => rotation(tensors, name, (values) => load(values).to(dtype))) as [Tensor[], Tensor[]]
    const left = a.map((x) => (work.transposeA ? x.transpose(0, 1) : x))
    const right = b.map((x) => (work.transposeB ? x.transpose(0, 1) : x))
    const call = lastOnly((i) => noGrad(() => at(left, i).matmul(at(right, i))))
    return { call, wait, values: sampled, release: () => [...a, ...b].forEach((x) => x.dispose()) }
  },

  conv({ work: { pass, padding } }, tensors): Ready {
    const [x, w, dy] = ['x', 'w', 'dy'].map((name) => rotation(tensors, name)) as [Tensor[], Tensor[], Tensor[]]
    const forward = (x: Tensor, w: Tensor): Tensor => x.conv2d(w, null, { padding })
    if (pass === 'forward') return { call: lastOnly((i) => noGrad(() => forward(at(x, i), at(w, i)))), wait, values: sampled }
    // The forward pass is run once a set and its graph kept: what is timed is one gradient.
    const leaves = pass === 'data' ? x : w
    for (const leaf of leaves) leaf.requiresGrad = true
    const outputs = x.map((image, i) => forward(image, w[i] as Tensor))
    const call = lastOnly((i) => grad(at(outputs, i), at(leaves, i), { gradOutputs: [at(dy, i)], retainGraph: true }))
    return { call, wait, values: sampled }
  },

  train({ work, dtype }, tensors): Ready {
    const model = modelOf(work.network, tensors)
    const optimizer = new optim.Adam(model.parameters(), { lr: work.learningRate })
    const [inputs, labels] = [rotation(tensors, 'inputs'), rotation(tensors, 'labels')]
    const lossOf = (x: Tensor, y: Tensor): Tensor => nn.crossEntropy(model.forward(x), y)
    // As `fit` runs a step.
    const step = compile((x: Tensor, y: Tensor): Tensor => {
      const loss = dtype === 'float32' ? lossOf(x, y) : autocast(() => lossOf(x, y))
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    })
    return { call: lastOnly((i) => step(at(inputs, i), at(labels, i))), wait, values: async (loss: Tensor) => [await loss.item()] }
  },

  // From an array in JavaScript to values in JavaScript.
  infer({ work }, tensors): Ready {
    const model = modelOf(work.network, tensors).eval()
    const inputs = Object.entries(tensors).filter(([key]) => key.startsWith('inputs.')).map(([, values]) => values)
    const call = (i: number): Promise<Float32Array> => noGrad(() => scope(() => model.forward(load(at(inputs, i))).data())) as Promise<Float32Array>
    return { call, wait: (result) => result, values: async (result) => result }
  },

  stream({ work }, tensors): Ready {
    const { embedding, recurrent, head } = modelOf(work.network, tensors).eval() as Reader & { recurrent: nn.LSTM }
    const ids = Object.entries(tensors).filter(([key]) => key.startsWith('inputs.')).map(([, values]) => values)
    const step = compile((id: Tensor, h: Tensor, c: Tensor): { scores: Tensor; states: nn.LstmStates } => {
      const { hidden, states } = recurrent.forward(embedding.forward(id), { states: { h, c } })
      return { scores: head.forward(hidden), states }
    })
    let { h, c }: nn.LstmStates = { h: zeros([1, 1, recurrent.hiddenSize]), c: zeros([1, 1, recurrent.hiddenSize]) }
    const call = (i: number): Promise<Float32Array> => noGrad(() => scope(() => {
      const { scores, states } = step(load(at(ids, i)), h, c)
      h.dispose()
      c.dispose()
      ;({ h, c } = keep(states))
      return scores.data()
    })) as Promise<Float32Array>
    return { call, wait: (result) => result, values: async (result) => result }
  },

  // From strings in JavaScript to a vocabulary, or to a tensor of ids.
  async text({ work: { pass, folder, words: maxTokens, length: outputSequenceLength } }): Promise<Ready> {
    const texts = await reviews(folder)
    const learned = (): Promise<TextVectorizer> => new TextVectorizer({ maxTokens, outputSequenceLength }).adapt(texts)
    const result = { wait: (result: unknown) => result }
    if (pass === 'adapt') return { ...result, call: learned, values: async (made: Promise<TextVectorizer>) => checksums((await made).vocabulary.words.map((word) => Buffer.from(`${word}\n`))) }
    const vectorizer = await learned()
    let last: Encoded | null = null
    const encoded = async (): Promise<Encoded> => {
      last?.ids.dispose()
      last?.lengths.dispose()
      return last = await vectorizer.encode(texts)
    }
    return { ...result, call: encoded, values: async (made: Promise<Encoded>) => checksums(rowsOf(await (await made).ids.data() as Int32Array, outputSequenceLength)) }
  },
}

const rowsOf = (ids: Int32Array, length: number): Buffer[] =>
  Array.from({ length: ids.length / length }, (_, row) => Buffer.from(ids.buffer, ids.byteOffset + 4 * length * row, 4 * length))

function modelOf(network: string, tensors: Tensors): nn.Module {
  const model = networks[network]!.build()
  const own = Object.entries(tensors).filter(([key]) => key.startsWith('model.'))
  const parameters = own.map(([key, values]) => [key.slice('model.'.length), load(values)])
  model.loadStateDict(Object.fromEntries(parameters), { strict: false })
  return model
}

serve(() => {
  const { threads, isa } = device.info()
  return { versions: `ferrograd (${isa}), Node ${process.versions.node}`, threads, note: 'channels last; steps compiled' }
}, kinds)
