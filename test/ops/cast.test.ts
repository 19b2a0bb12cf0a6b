import { expect, test } from 'vitest'
import { type DType, tensor } from '../../ts/index.js'
import * as ops from '../../ts/ops/cast.js'
import { checkOp, numbers } from '../check.js'
import { checkUnary, INTEGERS, unaryCases } from './cases.js'

const same = { reference: ([x]: { shape: readonly number[]; data: number[] }[]) => x!, cases: unaryCases() }
checkOp('cast', {
  op: ([x]) => ops.cast(ops.cast(x!, 'float32'), 'float64'),
  ...same,
  tolerance: { float64: 1e-6 },
  second: false,
  gradient: false,
})
checkOp('castWide', { op: ([x]) => ops.cast(x!, 'float64'), ...same, rows: [], integers: [...INTEGERS, 'bool'] })
checkUnary('dense', ops.contiguous, (x) => x, { integers: [...INTEGERS, 'bool'] })
checkUnary('clone', ops.clone, (x) => x, { rows: ['contiguous'] })

test('contiguous shares memory that lies in order, and copies what does not', () => {
  const x = tensor([[1, 2], [3, 4]])
  const [same, turned, copy] = [x.contiguous(), x.t().contiguous(), x.clone()]
  x.fill_(9)
  expect([same, turned, copy].map(numbers)).toEqual([[9, 9, 9, 9], [1, 3, 2, 4], [1, 2, 3, 4]])
})

test('gradients come back in the dtype that was cast', () => {
  for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
    const x = tensor([1, 2, 3], { dtype, requiresGrad: true })
    x.double().square().sum().backward()
    expect([x.grad!.dtype, numbers(x.grad!)]).toEqual([dtype, [2, 4, 6]])
  }
})

test('every dtype into every other: truncation, saturation, truth', () => {
  const values = [-300.7, -1.5, 0, 0.5, 1, 300.7, 70000, NaN]
  const want: Record<DType, number[]> = {
    float64: values,
    float32: values.map(Math.fround),
    bfloat16: [-300, -1.5, 0, 0.5, 1, 300, 70144, NaN],
    float16: [-300.75, -1.5, 0, 0.5, 1, 300.75, Infinity, NaN],
    int64: [-300, -1, 0, 0, 1, 300, 70000, 0],
    int32: [-300, -1, 0, 0, 1, 300, 70000, 0],
    uint8: [0, 0, 0, 0, 1, 255, 255, 0],
    int8: [-128, -1, 0, 0, 1, 127, 127, 0],
    bool: [1, 1, 0, 1, 1, 1, 1, 1],
  }
  for (const [dtype, expected] of Object.entries(want)) {
    expect([dtype, numbers(tensor(values, { dtype: 'float64' }).cast(dtype as DType)).map((v) => v + 0)]).toEqual([
      dtype,
      expected.map((v) => v + 0),
    ])
  }
  expect([
    tensor([1]).half().dtype,
    tensor([1]).bfloat16().dtype,
    tensor([1]).int().dtype,
    tensor([1]).long().dtype,
    tensor([1]).bool().dtype,
    tensor([1], { dtype: 'float64' }).float().dtype,
  ]).toEqual(['float16', 'bfloat16', 'int32', 'int64', 'bool', 'float32'])
})

test('messages', () => {
  expect(() => ops.cast(tensor([1]), 'float' as 'float32')).toThrowErrorMatchingInlineSnapshot(
    `[DTypeError: no dtype is called float. Did you mean 'float32'? The dtypes are float32, float64, bfloat16, float16, int64, int32, uint8, int8, bool.]`,
  )
})
