import { expect, test } from 'vitest'
import { zeros } from '../../ts/index.js'
import { rnn } from '../../ts/ops/rnn.js'
import { checkOp } from '../check.js'
import { type Args, cases, large, optionsOf, reference } from './recurrent.js'

checkOp<Args>('rnn', {
  op: (inputs, args) => {
    const [x, weightIh, weightHh] = inputs
    const { output, hidden } = rnn(x!, weightIh!, weightHh!, { ...optionsOf(inputs, x!.shape[0]!, args), nonlinearity: args.relu ? 'relu' : 'tanh' })
    return [output, hidden]
  },
  rows: ['rnn_grad'],
  second: 'refused',
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
  cases: cases(1).flatMap((c, i) => (i < 6 ? [c, { ...c, args: { ...c.args!, relu: true } }] : [c])),
  large: large(1),
  reference: reference(1, ({ relu }) => ([x], [u]) => ({ h: relu ? Math.max(0, x! + u!) : Math.tanh(x! + u!), c: 0 })),
})

test('messages', () => {
  // @ts-expect-error another name
  expect(() => rnn(zeros([2, 3, 4]), zeros([2, 4]), zeros([2, 2]), { nonlinearity: 'gelu' })).toThrowErrorMatchingInlineSnapshot(`[ValueError: rnn: nonlinearity is 'tanh' or 'relu', got 'gelu'.]`)
})
