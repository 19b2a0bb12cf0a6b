import { expect, test } from 'vitest'
import { zeros } from '../../ts/index.js'
import { einsum } from '../../ts/ops/einsum.js'
import { type Case, checkOp } from '../check.js'
import { build, get, type Nd, sum } from '../reference.js'

/**
 * By the definition: for each assignment of the result's letters, the sum over all assignments of the others. Letters only; '...' is spelt
 * out by `as`.
 */
function reference(inputs: Nd[], { equation, as = equation }: Args): Nd {
  const [left, right] = as.split('->') as [string, string]
  const terms = left.split(',')
  const size = (letter: string): number =>
    Math.max(...terms.flatMap((term, i) => [...term].flatMap((l, d) => (l === letter ? [inputs[i]!.shape[d]!] : []))).map((n) => n), 0)
  const sizeOf = (letter: string): number => {
    const all = terms.flatMap((term, i) => [...term].flatMap((l, d) => (l === letter ? [inputs[i]!.shape[d]!] : [])))
    return all.includes(0) ? 0 : size(letter)
  }
  const inner = [...new Set(terms.join(''))].filter((letter) => !right.includes(letter))
  return build([...right].map(sizeOf), (outer) =>
    sum(
      build(inner.map(sizeOf), (place) => {
        const value = (letter: string): number => (right.includes(letter) ? outer[right.indexOf(letter)]! : place[inner.indexOf(letter)]!)
        return terms.reduce(
          (product, term, i) =>
            product *
            get(
              inputs[i]!,
              [...term].map((l, d) => (inputs[i]!.shape[d] === 1 ? 0 : value(l))),
            ),
          1,
        )
      }).data,
    ),
  )
}
interface Args {
  equation: string
  as?: string
}
const of = (equation: string, inputs: number[][], as?: string, layout?: Case['layout']): Case<Args> => ({
  inputs,
  args: { equation, ...(as && { as }) },
  ...(layout && { layout }),
})

checkOp<Args>('einsum', {
  op: (inputs, { equation }) => einsum(equation, ...inputs),
  reference,
  rows: ['matmul'],
  cases: [
    of('ij,jk->ik', [
      [2, 3],
      [3, 4],
    ]),
    of(
      'ij,jk',
      [
        [2, 3],
        [3, 2],
      ],
      'ij,jk->ik',
    ),
    of('bij,bjk->bik', [
      [2, 2, 3],
      [2, 3, 2],
    ]),
    of('ij->ji', [[2, 3]]),
    of('ij->', [[2, 3]]),
    of('ij->j', [[2, 3]]),
    of('ii->i', [[3, 3]]),
    of('ii', [[3, 3]], 'ii->'),
    of('i,i->', [[4], [4]]),
    of('i,j->ij', [[2], [3]]),
    of('ij,ij->ij', [
      [2, 3],
      [2, 3],
    ]),
    of('bhqd,bhkd->bhqk', [
      [2, 2, 3, 2],
      [2, 2, 2, 2],
    ]),
    of('ij,jk,kl->il', [
      [2, 3],
      [3, 2],
      [2, 4],
    ]),
    of('i,ij,j->', [[2], [2, 3], [3]]),
    of(
      '...ij,...jk->...ik',
      [
        [2, 2, 3],
        [2, 3, 2],
      ],
      'aij,ajk->aik',
    ),
    of('...i,i->...', [[2, 2, 3], [3]], 'abi,i->ab'),
    of('...ij->...ji', [[2, 2, 3]], 'aij->aji'),
    of('bn,anm,bm->ba', [
      [2, 3],
      [2, 3, 2],
      [2, 2],
    ]),
    of('iij->ij', [[2, 2, 3]]),
    of(
      'ij,jk->ik',
      [
        [4, 6],
        [6, 2],
      ],
      undefined,
      'transposed',
    ),
    of(
      'ij,jk->ki',
      [
        [2, 4],
        [4, 2],
      ],
      undefined,
      'sliced',
    ),
    of('ij,jk->ik', [
      [0, 3],
      [3, 2],
    ]),
    of('ij,jk->ik', [
      [2, 0],
      [0, 2],
    ]),
    of('ij,jk->ik', [
      [2, 1],
      [3, 2],
    ]),
    of('i,j,k->kji', [[2], [3], [2]]),
  ],
  large: [
    of('bqhd,bkhd->bhqk', [
      [2, 17, 3, 16],
      [2, 19, 3, 16],
    ]),
  ],
})

test('messages', () => {
  const [x, y] = [zeros([2, 3]), zeros([4, 2])]
  expect(() => einsum('ij,jk->ik', x, y)).toThrowErrorMatchingInlineSnapshot(`[ShapeError: einsum: 'j' is 3 and 4 in 'ij,jk->ik'.]`)
  expect(() => einsum('ij->ik', x)).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: einsum: the result names 'k', which no operand has, in 'ij->ik'. Write letters a dimension, operands apart by commas, as 'ij,jk->ik'.]`,
  )
  expect(() => einsum('ijk->i', x)).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: einsum: operand 0 ('ijk') has shape [2, 3], which is 2 dimensions, in 'ijk->i'.]`,
  )
  expect(() => einsum('ij,jk->ik', x)).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: einsum: 2 operands are named and 1 given in 'ij,jk->ik'. Write letters a dimension, operands apart by commas, as 'ij,jk->ik'.]`,
  )
  expect(() => einsum('i-j', x)).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: einsum: 'i-j' cannot be read in 'i-j'. Write letters a dimension, operands apart by commas, as 'ij,jk->ik'.]`,
  )
  expect(() => einsum('ii->i', x)).toThrowErrorMatchingInlineSnapshot(`[ShapeError: einsum: 'i' is 2 and 3 in 'ii->i'.]`)
  expect(() => einsum('ij->ii', x)).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: einsum: the result names a letter twice in 'ij->ii'. Write letters a dimension, operands apart by commas, as 'ij,jk->ik'.]`,
  )
})
