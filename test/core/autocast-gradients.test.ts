// Gradients under autocast against those computed in float64, within bfloat16's own bounds.
//
// A rounding to bfloat16, which has 8 significant bits, is off by at most u = 2^-8, and by u / √3 in the root mean square. A product takes part in
// about four on the way from the input to the loss and back: its operands, its result, and the gradient that comes back through it. They are
// independent, so that after `depth` products the error of a gradient, relative in the Euclidean norm, is about √(4 depth / 3) u: below depth · u
// from depth 2 on. The bound here is 2 depth u, for a gradient that is a sum, a bias's, loses what cancels in it. The networks are smooth, or their
// kinks exact: beside a kink a rounding may turn a whole gradient on or off, and the error of the norm is then about √u, whatever the arithmetic.
import { expect, test } from 'vitest'
import { autocast, einsum, manualSeed, nn, noGrad, randint, randn, type Tensor } from '../../ts/index.js'

const U = 2 ** -8

/** ‖a - b‖ / ‖b‖ */
function distance(a: Tensor, b: Tensor): number {
  return noGrad(() => a.to('float64').dist(b).div(b.norm()).itemSync())
}

/** Compares loss and gradients, the input's too, with the float64 network of the same weights. */
function check(model: nn.Module, input: Tensor, depth: number, objective: (y: Tensor) => Tensor): void {
  const x = input.detach()
  x.requiresGrad = true
  const loss = autocast(() => objective(model.forward(x) as Tensor))
  loss.backward()
  const named = [['input', x] as const, ...model.namedParameters()]
  for (const [name, { dtype, grad }] of named) expect([name, dtype, grad!.dtype]).toEqual([name, 'float32', 'float32'])
  const gradients = named.map(([name, { grad }]) => [name, grad!.clone()] as const)

  model.to('float64')
  const wide = input.detach().to('float64')
  wide.requiresGrad = true
  const reference = objective(model.forward(wide) as Tensor)
  reference.backward()
  expect(distance(loss, reference)).toBeLessThan(U)
  const references = new Map<string, Tensor>([['input', wide], ...model.namedParameters()])
  const errors = gradients.map(([name, gradient]) => distance(gradient, references.get(name)!.grad!))
  gradients.forEach(([name], i) => expect(errors[i], `${name}, in u: ${(errors[i]! / U).toFixed(2)}`).toBeLessThan(2 * depth * U))
  // Something was rounded: in float32 all would be within 2^-20.
  expect(Math.max(...errors)).toBeGreaterThan(U / 8)
}

for (const seed of [1, 2, 3]) {
  test(`an MLP, seed ${seed}`, () => {
    manualSeed(seed)
    const model = new nn.Sequential(new nn.Linear(64, 128), new nn.Tanh(), new nn.Linear(128, 64), new nn.GELU(), new nn.Linear(64, 10))
    const labels = randint(0, 10, [32])
    check(model, randn([32, 64]), 3, (y) => nn.crossEntropy(y, labels))
  })

  test(`a CNN with convolution, ReLU and pooling in one op, and batch normalisation, seed ${seed}`, () => {
    manualSeed(seed)
    const model = new nn.Sequential(
      new nn.Conv2d(3, 8, 3), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Conv2d(8, 16, 3, { bias: false }), new nn.BatchNorm2d(16), new nn.Tanh(), new nn.Flatten(), new nn.Linear(400, 10),
    )
    // Multiples of 1/4 below 64: the first convolution is exact in bfloat16, and so is what its ReLU and its pooling choose.
    noGrad(() => {
      const [first] = model as unknown as [nn.Conv2d]
      first.weight.assign_(randint(-1, 2, [8, 3, 3, 3]).to('float32').div(2))
      first.bias!.assign_(randint(-4, 4, [8]).to('float32').div(2).add(0.25))
    })
    const labels = randint(0, 10, [32])
    check(model, randint(-1, 2, [32, 16, 16, 3]).to('float32'), 3, (y) => nn.crossEntropy(y, labels))
  })

  test(`attention by matmul and softmax, seed ${seed}`, () => {
    class Attention extends nn.Module {
      // Softmax takes no notice of a number added to all keys: the gradient of their bias would be 0, and any error infinitely larger.
      query: nn.Linear = new nn.Linear(32, 32)
      key: nn.Linear = new nn.Linear(32, 32, { bias: false })
      value: nn.Linear = new nn.Linear(32, 32)
      out: nn.Linear = new nn.Linear(32, 32)
      norm: nn.LayerNorm = new nn.LayerNorm(32)
      forward(x: Tensor): Tensor {
        const h = this.norm.forward(x)
        const [q, k, v] = [this.query, this.key, this.value].map((layer) => layer.forward(h)) as [Tensor, Tensor, Tensor]
        return x.add(this.out.forward(q.matmul(k.t()).div(Math.sqrt(32)).softmax(-1).matmul(v)))
      }
    }
    manualSeed(seed)
    const target = randn([4, 12, 32])
    check(new Attention(), randn([4, 12, 32]), 4, (y) => nn.mse(y, y.dtype === 'float64' ? target.to('float64') : target))
  })

  test(`convolutions of sequences, transposed ones and einsum, seed ${seed}`, () => {
    class Mixer extends nn.Module {
      down: nn.Conv1d = new nn.Conv1d(6, 12, 3, { stride: 2, padding: 1 })
      up: nn.ConvTranspose2d = new nn.ConvTranspose2d(12, 6, 3)
      group: nn.GroupNorm = new nn.GroupNorm(2, 12)
      forward(x: Tensor): Tensor {
        const h = this.group.forward(this.down.forward(x).tanh())                 // [N, T / 2, 12]
        const image = h.unsqueeze(1).expand([h.shape[0]!, 4, h.shape[1]!, 12])     // [N, 4, T / 2, 12]
        const rows = this.up.forward(image).flatten(1, 2)
        return einsum('nic,njc->nij', rows, rows).mul(0.1).tanh()
      }
    }
    manualSeed(seed)
    check(new Mixer(), randn([3, 16, 6]), 3, (y) => y.square().mean())
  })
}
