// ONNX's own node tests of RNN, LSTM and GRU, which test/golden/make_onnx_recurrent.py wrote.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { concat, gru, lstm, type LstmOptions, rnn, scope, type Tensor, tensor } from '../../ts/index.js'
import { read } from '../check.js'
import { expectClose } from '../close.js'
import type { Nd } from '../reference.js'

interface NodeTest {
  op: 'RNN' | 'LSTM' | 'GRU'
  /** layout 1: batch first; 0, ONNX' default, time first. */
  attributes: { hidden_size: number; layout?: number }
  inputs: Record<'X' | 'W' | 'R', Nd> & { B?: Nd; sequence_lens?: Nd; initial_h?: Nd; initial_c?: Nd; P?: Nd }
  outputs: { Y?: Nd; Y_h?: Nd }
}
const tests = JSON.parse(readFileSync(new URL('../golden/onnx-recurrent.json', import.meta.url), 'utf8')) as Record<string, NodeTest>

/** For each of our gates, which of ONNX' it is: i o f c, and z r h. */
const GATES = { RNN: [0], LSTM: [0, 2, 3, 1], GRU: [1, 0, 2] }
/** The same of its peepholes, i o f. */
const PEEPHOLES = [0, 2, 1]
const RUN: Record<NodeTest['op'], (x: Tensor, w: Tensor, r: Tensor, options: LstmOptions) => { output: Tensor; hidden: Tensor }> = {
  RNN: rnn,
  LSTM: lstm,
  // ONNX' default is linear_before_reset=0.
  GRU: (x, w, r, options) => gru(x, w, r, { ...options, resetAfter: false }),
}

const given = ({ data, shape }: Nd): Tensor => tensor(Float32Array.from(data), { shape })

describe.each(Object.entries(tests))('%s', (_, { op, attributes, inputs, outputs }) => {
  const batchFirst = attributes.layout === 1

  /** Of a tensor with one direction in front and the gates' rows behind it: the direction's rows, in our order. */
  function rows(x: Nd, from = 0, gates = GATES[op]): Tensor {
    const h = attributes.hidden_size
    return concat(gates.map((gate) => given(x).select(0, 0).slice(0, (from + gate) * h, (from + gate + 1) * h)))
  }

  function options(): LstmOptions {
    const { B, P, sequence_lens: lengths, initial_h: h, initial_c: c } = inputs
    return {
      ...(B && { biasIh: rows(B), biasHh: rows(B, GATES[op].length) }),
      ...(P && { peephole: rows(P, 0, PEEPHOLES) }),
      ...(lengths && { lengths: tensor(Int32Array.from(lengths.data)) }),
      ...(h && { h0: given(h).select(0, 0) }),
      ...(c && { c0: given(c).select(0, 0) }),
    }
  }

  function results(): { Y: Tensor; Y_h: Tensor } {
    const { X, W, R } = inputs
    const x = batchFirst ? given(X) : given(X).transpose(0, 1)
    const { output, hidden } = RUN[op](x, rows(W), rows(R), options())
    return { Y: batchFirst ? output.unsqueeze(2) : output.transpose(0, 1).unsqueeze(1), Y_h: hidden.unsqueeze(batchFirst ? 1 : 0) }
  }

  test.each(Object.keys(outputs) as ('Y' | 'Y_h')[])('%s', (name) => {
    scope(() => {
      const y = results()[name]
      expect(y.shape).toEqual(outputs[name]!.shape)
      expectClose(read(y), outputs[name]!, 1e-5, 1e-5, name)
    })
  })
})
