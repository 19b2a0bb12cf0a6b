import { ShapeError, ValueError } from '../errors.js'
import type { Shape } from './support.js'

/**
 * An einsum's operands and result as lists of names, one a dimension. Dimensions under '...' get the names '.0', '.1', ..., counted from
 * the last.
 */
export interface Equation {
  inputs: string[][]
  output: string[]
}

/** Reads 'ij,jk->ik' for operands of these shapes. */
export function parseEquation(equation: string, shapes: readonly Shape[]): Equation {
  const bad = (why: string): never => {
    throw new ValueError(`einsum: ${why} in '${equation}'. Write letters a dimension, operands apart by commas, as 'ij,jk->ik'.`, {
      op: 'einsum',
    })
  }
  const text = equation.replace(/\s+/g, '')
  const sides = text.split('->')
  if (sides.length > 2) bad("'->' stands more than once")
  const operands = sides[0]!.split(',')
  for (const part of [...operands, sides[1] ?? '']) if (!/^[a-zA-Z]*(\.\.\.)?[a-zA-Z]*$/.test(part)) bad(`'${part}' cannot be read`)
  if (operands.length !== shapes.length) bad(`${operands.length} operands are named and ${shapes.length} given`)
  let widest = 0
  const inputs = operands.map((part, i) => {
    const letters = part.replace('...', '').length
    const rank = shapes[i]!.length
    if (part.includes('...') ? letters > rank : letters !== rank) {
      throw new ShapeError(
        `einsum: operand ${i} ('${part}') has shape [${shapes[i]!.join(', ')}], which is ${rank} dimensions, in '${equation}'.`,
        { op: 'einsum', shapes: [...shapes] },
      )
    }
    widest = Math.max(widest, rank - letters)
    return names(part, rank - letters)
  })
  return { inputs, output: sides.length === 2 ? explicit(sides[1]!, inputs, widest, bad) : implicit(inputs, widest) }
}

function names(part: string, hidden: number): string[] {
  const [before, after] = part.includes('...') ? part.split('...') : [part, '']
  return [...before!, ...dots(hidden), ...after!]
}

/** The last of the hidden dimensions is '.0', so that shorter operands line up at the end. */
function dots(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `.${count - 1 - i}`)
}

function explicit(part: string, inputs: readonly string[][], widest: number, bad: (why: string) => never): string[] {
  const output = names(part, widest)
  if (new Set(output).size !== output.length) bad('the result names a letter twice')
  const known = new Set(inputs.flat())
  const unknown = output.find((letter) => !known.has(letter))
  if (unknown !== undefined) bad(`the result names '${unknown}', which no operand has,`)
  return output
}

function implicit(inputs: readonly string[][], widest: number): string[] {
  const all = inputs.flat().filter((letter) => !letter.startsWith('.'))
  return [...dots(widest), ...[...new Set(all)].filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort()]
}
