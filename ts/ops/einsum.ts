import { ShapeError } from '../errors.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { parseEquation } from './einsum-parse.js'
import { numel } from './support.js'

/**
 * Sums of products named by letters: each operand's dimensions get a letter each, equal letters run together, and letters that the result
 * does not name are summed over. '...' stands for dimensions that broadcast; a letter twice in one operand takes its diagonal. Without '->'
 * the result has the letters that occur once, in alphabetical order. Written with matmul, so that every order of derivative follows.
 * PyTorch: `torch.einsum`.
 * @throws ValueError for an equation that cannot be read, ShapeError for sizes that do not agree
 * @example einsum('bij,bjk->bik', a, b), einsum('ii->i', x), einsum('...ij->...ji', x)
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const { inputs, output } = parseEquation(
    equation,
    operands.map((x) => x.shape),
  )
  return scope(() => {
    const sizes = new Map<string, number>()
    operands.forEach((x, i) =>
      inputs[i]!.forEach((letter, dim) => {
        const size = x.shape[dim]!
        const known = sizes.get(letter) ?? 1
        if (size !== known && known !== 1 && size !== 1) {
          throw new ShapeError(`einsum: '${letter}' is ${known} and ${size} in '${equation}'.`, {
            op: 'einsum',
            shapes: operands.map((x) => x.shape),
          })
        }
        sizes.set(letter, size === 1 ? known : size)
      }),
    )
    const terms = operands.map((x, i) => diagonals({ x, letters: inputs[i]! }))
    let left = terms.shift()!
    // What no later operand and not the result names is summed as soon as possible.
    const needed = (): Set<string> => new Set([...output, ...terms.flatMap((term) => term.letters)])
    while (terms.length > 0) {
      const right = terms.shift()!
      left = contract(left, right, needed(), sizes)
    }
    left = summed(left, new Set(output))
    const place = output.map((letter) => left.letters.indexOf(letter))
    return left.x.permute(place)
  })
}

interface Term {
  x: Tensor
  letters: string[]
}

/** A letter that stands twice in one operand takes the diagonal of its dimensions. */
function diagonals({ x, letters }: Term): Term {
  const twice = letters.findIndex((letter, i) => letters.indexOf(letter) !== i)
  if (twice === -1) return { x, letters }
  const first = letters.indexOf(letters[twice]!)
  if (x.shape[first] !== x.shape[twice]) {
    throw new ShapeError(`einsum: '${letters[twice]}' is ${x.shape[first]} and ${x.shape[twice]} in one operand.`, {
      op: 'einsum',
      shapes: [x.shape],
    })
  }
  return diagonals({ x: x.diagonal(0, first, twice), letters: [...letters.filter((_, i) => i !== first && i !== twice), letters[twice]!] })
}

/** Sums over the letters that are not wanted. */
function summed({ x, letters }: Term, wanted: Set<string>): Term {
  const dims = letters.flatMap((letter, i) => (wanted.has(letter) ? [] : [i]))
  return dims.length === 0 ? { x, letters } : { x: x.sum(dims), letters: letters.filter((letter) => wanted.has(letter)) }
}

/**
 * Two operands as one batched matrix product: batch letters are in both and stay, inner letters are in both and go, the others are rows and
 * columns.
 */
function contract(a: Term, b: Term, wanted: Set<string>, sizes: Map<string, number>): Term {
  const left = summed(a, new Set([...wanted, ...b.letters]))
  const right = summed(b, new Set([...wanted, ...left.letters]))
  const both = left.letters.filter((letter) => right.letters.includes(letter))
  const batch = both.filter((letter) => wanted.has(letter))
  const inner = both.filter((letter) => !wanted.has(letter))
  const rows = left.letters.filter((letter) => !both.includes(letter))
  const columns = right.letters.filter((letter) => !both.includes(letter))
  const size = (letters: readonly string[]): number[] => letters.map((letter) => sizes.get(letter)!)
  const matrix = (term: Term, first: readonly string[], second: readonly string[]): Tensor => {
    const order = [...batch, ...first, ...second]
    // A size of 1 against another one is repeated, as in broadcasting.
    const x = term.x.permute(order.map((letter) => term.letters.indexOf(letter)))
    const full = x.shape.some((n, i) => n !== sizes.get(order[i]!)) ? x.expand(size(order)) : x
    return full.reshape([numel(size(batch)), numel(size(first)), numel(size(second))])
  }
  const product = matrix(left, rows, inner).matmul(matrix(right, inner, columns))
  return { x: product.reshape([...size(batch), ...size(rows), ...size(columns)]), letters: [...batch, ...rows, ...columns] }
}
