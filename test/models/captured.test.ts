// Every model, trained by the same script once eagerly and once captured: the weights and buffers end with the same bits.
import { expect, test } from 'vitest'
import { checkpoint, compile, crossEntropy, manualSeed, models, nn, noGrad, optim, type Parameter, randn, scope, tensor, type Tensor, zeros } from '../../ts/index.js'

/** Recomputes what stands before the last layer. */
class Checkpointed extends nn.Module {
  body: nn.Sequential = new nn.Sequential(new nn.Conv2d(1, 4, 3), new nn.ReLU(), new nn.Dropout(0.3), new nn.Flatten())
  head: nn.Linear = new nn.Linear(30 * 30 * 4, 10)
  forward(x: Tensor): Tensor {
    return this.head.forward(checkpoint((x) => this.body.forward(x), x))
  }
}

const MODELS: Record<string, () => nn.Module> = {
  mlp: () => models.mlp({ inFeatures: 1024, hidden: [32], dropout: 0.2 }),
  lenet: () => models.lenet(),
  cnn: () => models.cnn({ inChannels: 1 }),
  vggSmall: () => models.vggSmall({ inChannels: 1 }),
  resnet18: () => models.resnet18({ inChannels: 1, classes: 10, stem: 'cifar', width: 8 }),
  resnet34: () => models.resnet34({ inChannels: 1, classes: 10, stem: 'cifar', width: 4 }),
  resnet50: () => models.resnet50({ inChannels: 1, classes: 10, width: 8 }),
  resnet20: () => models.resnet20({ inChannels: 1, width: 4 }),
  resnet56: () => models.resnet56({ inChannels: 1, width: 4, shortcut: 'projection' }),
  densenet: () => models.densenet({ inChannels: 1, blockConfig: [2, 2], dropRate: 0.2 }),
  densenetMemoryEfficient: () => models.densenet({ inChannels: 1, blockConfig: [2, 2], memoryEfficient: true }),
  densenet121: () => models.densenet121({ inChannels: 1, classes: 10, growthRate: 4, blockConfig: [1, 2], numInitFeatures: 8 }),
  checkpointed: () => new Checkpointed(),
}

type Wrap = <A extends unknown[], R>(fn: (...args: A) => R) => (...args: A) => R

/** What the weights are after: steps, another rate, evaluation, a frozen layer, two batches accumulated, a ragged batch, and a throw. */
async function script(make: () => nn.Module, captured: boolean): Promise<string[]> {
  const wrap: Wrap = captured ? (fn) => compile(fn) : (fn) => fn
  manualSeed(5)
  const model = make()
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3 })
  const batch = (n: number): [Tensor, Tensor] => [randn([n, 32, 32, 1]), tensor(Array.from({ length: n }, (_, i) => (7 * i) % 10), { dtype: 'int32' })]
  let faulty = false
  const backward = wrap((x: Tensor, y: Tensor) => {
    const loss = crossEntropy(model.forward(x) as Tensor, y)
    if (faulty) throw new RangeError('thrown while recording')
    loss.backward()
    return loss.detach()
  })
  const update = wrap(() => {
    optimizer.step({ clipNorm: 1 })
    optimizer.zeroGrad()
  })
  const evaluate = wrap((x: Tensor) => noGrad(() => model.forward(x) as Tensor))
  const losses: number[] = []
  const step = (n: number): void => scope(() => {
    losses.push(backward(...batch(n)).itemSync())
    update()
  })

  step(4)
  step(4)
  optimizer.groups[0]!.lr = 3e-3
  step(4)
  model.eval()
  losses.push(scope(() => evaluate(batch(4)[0]).sum().itemSync()))
  model.train()
  const frozen = [...model.parameters()].at(-2) as Parameter
  frozen.requiresGrad = false
  step(4)
  frozen.requiresGrad = true
  scope(() => { for (const n of [4, 4]) backward(...batch(n)) })
  update()
  step(3)
  if (captured) {
    // Of a shape that was not seen yet. What was recorded up to the throw has not run: it leaves nothing behind, neither statistics nor random state.
    faulty = true
    const [x, y] = [zeros([2, 32, 32, 1]), zeros([2], { dtype: 'int32' })]
    expect(() => scope(() => backward(x, y))).toThrow('thrown while recording')
    faulty = false
  }
  step(2)
  const bits = [...model.parameters(), ...model.buffers()].map((t) => { const d = t.dataSync(); return Buffer.from(d.buffer, d.byteOffset, d.byteLength).toString('base64') })
  return [...losses.map(String), ...bits]
}

test.each(Object.keys(MODELS))('%s', async (name) => {
  const eager = await script(MODELS[name]!, false)
  const captured = await script(MODELS[name]!, true)
  expect(captured).toEqual(eager)
})
