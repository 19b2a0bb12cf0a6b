// TensorFlow.js in Node on its own backends (wasm, cpu). tfjs-node is no peer here: its install fetches a library that a registry does not hold.
import { join } from 'node:path'
import { folderOf, installed, versionOf } from './installed.js'
import { type Job, type Kinds, type Ready, serve } from './serve.js'
import type { Tensors, Values } from './tensors.js'

const tf = installed('@tensorflow/tfjs')
const [threads, backend] = [Number(process.argv[2]), process.argv[3] as 'wasm' | 'cpu']

async function about(): Promise<{ versions: string; threads: number; note: string }> {
  if (backend === 'wasm') {
    const wasm = installed('@tensorflow/tfjs-backend-wasm')
    wasm.setWasmPaths(join(folderOf('@tensorflow/tfjs-backend-wasm'), 'dist/'))
    wasm.setThreadsCount(threads)
  }
  await tf.setBackend(backend)
  await tf.ready()
  const parallel = backend === 'wasm' && tf.env().getBool('WASM_HAS_MULTITHREAD_SUPPORT')
  return { versions: `tfjs ${versionOf('@tensorflow/tfjs')}, Node ${process.versions.node}`, threads: parallel ? threads : 1, note: backend }
}

const layers: Record<string, () => any[]> = {
  cnn: () => [
    tf.layers.conv2d({ name: '0', filters: 32, kernelSize: 3, activation: 'relu', inputShape: [32, 32, 3] }), tf.layers.maxPooling2d({ poolSize: 2 }),
    tf.layers.conv2d({ name: '3', filters: 64, kernelSize: 3, activation: 'relu' }), tf.layers.maxPooling2d({ poolSize: 2 }),
    tf.layers.conv2d({ name: '6', filters: 64, kernelSize: 3, activation: 'relu' }), tf.layers.flatten(),
    tf.layers.dense({ name: '9', units: 64, activation: 'relu' }), tf.layers.dense({ name: '11', units: 10 }),
  ],
  mlp: () => [
    tf.layers.dense({ name: '0', units: 256, activation: 'relu', inputShape: [784] }),
    tf.layers.dense({ name: '2', units: 128, activation: 'relu' }), tf.layers.dense({ name: '4', units: 10 }),
  ],
}

const rotation = (tensors: Tensors, name: string): Values[] =>
  Object.entries(tensors).filter(([key]) => key.startsWith(`${name}.`)).map(([, values]) => values)

function network({ work }: Job, tensors: Tensors): any {
  const make = layers[work.network]
  if (make === undefined) throw new Error(`${work.network} is not written for tfjs`)
  const model = tf.sequential({ layers: make() })
  for (const layer of model.layers.filter((each: any) => each.weights.length > 0)) {
    const weight = tensors[`model.${layer.name}.weight`]!
    const order = weight.shape.length === 4 ? [1, 2, 3, 0] : [1, 0]
    const bias = tensors[`model.${layer.name}.bias`]!
    layer.setWeights([tf.tensor(weight.data, weight.shape).transpose(order), tf.tensor(bias.data, bias.shape)])
  }
  return model
}

const kinds: Kinds = {
  train(job, tensors): Ready {
    const model = network(job, tensors)
    const optimizer = tf.train.adam(job.work.learningRate, 0.9, 0.999, 1e-8)
    const x = rotation(tensors, 'inputs').map(({ data, shape }) => tf.tensor(data, shape))
    const y = rotation(tensors, 'labels').map(({ data }) => tf.oneHot(tf.tensor1d(data, 'int32'), 10).toFloat())
    let last: any = null
    const call = (i: number): unknown => {
      last?.dispose()
      const loss = (): unknown => tf.losses.softmaxCrossEntropy(y[i % y.length], model.apply(x[i % x.length], { training: true }))
      return last = optimizer.minimize(loss, true)
    }
    return { call, wait: (loss) => loss.data(), values: (loss) => loss.data() }
  },

  infer(job, tensors): Ready {
    const model = network(job, tensors)
    const batches = rotation(tensors, 'inputs')
    const call = async (i: number): Promise<Float32Array> => {
      const { data, shape } = batches[i % batches.length]!
      const y = tf.tidy(() => model.predict(tf.tensor(data, shape)))
      const values = await y.data()
      y.dispose()
      return values
    }
    return { call, wait: (result) => result, values: async (result) => result }
  },
}

serve(about, kinds)
