import { expectTypeOf, test } from 'vitest'
import { type Tensor, tensor } from '../../ts/index.js'

test('methods keep the signatures of their ops', () => {
  const x = tensor([[1, 2], [3, 4]])
  expectTypeOf(x.max()).toEqualTypeOf<Tensor>()
  expectTypeOf(x.max(0).values).toEqualTypeOf<Tensor>()
  expectTypeOf(x.reshape(4)).toEqualTypeOf<Tensor>()
  expectTypeOf(x.reshape([2, 2])).toEqualTypeOf<Tensor>()
  expectTypeOf(x.sum().item()).toEqualTypeOf<Promise<number>>()
  expectTypeOf(tensor([1], { dtype: 'int64' }).data()).toEqualTypeOf<Promise<BigInt64Array>>()
})
