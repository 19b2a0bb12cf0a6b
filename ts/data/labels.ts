// Labels: class names become class numbers, and what cannot be a label is refused before training.
import { ValueError } from '../index.js'
import { isTensor, type ColumnSource } from './column.js'
import type { Numbers } from './nested.js'

/** Class names as class numbers; the classes are the sorted names unless given. Other labels pass through. */
export function namedLabels(
  labels: ColumnSource | readonly string[],
  classes: readonly string[] | undefined,
): { values: ColumnSource; classes: readonly string[] | undefined } {
  if (isTensor(labels) || !Array.isArray(labels)) return { values: labels as ColumnSource, classes }
  const missing = labels.findIndex((label) => label === undefined || label === null)
  if (missing >= 0) throw new ValueError(`labels: sample ${missing} has no label (${String(labels[missing])}). Give it one, or leave the sample out.`)
  if (typeof labels[0] !== 'string') return { values: labels as ColumnSource, classes }
  const names = labels as readonly string[]
  const known = classes ?? [...new Set(names)].sort()
  const numbers = new Map(known.map((name, i) => [name, i]))
  const values = names.map((name, i) => {
    const number = numbers.get(name)
    if (number === undefined)
      throw new ValueError(`labels: sample ${i} is of the class '${String(name)}', which is not among ${known.join(', ')}.`)
    return number
  })
  return { values, classes: known }
}

/** Throws for labels that no loss can take: NaN, infinities, and, where the number of classes is known, class numbers outside it. */
export function checkLabels(values: Numbers, classes: number | undefined): void {
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i])
    if (!Number.isFinite(value)) throw new ValueError(`labels: number ${i} is ${value}. Leave such samples out.`)
    if (classes === undefined) continue
    if (!Number.isInteger(value))
      throw new ValueError(`labels: sample ${i} has the label ${value}, but with classes given labels are whole class numbers.`)
    if (value < 0 || value >= classes)
      throw new ValueError(`labels: sample ${i} has the label ${value}, but there are ${classes} classes (0 to ${classes - 1}).`)
  }
}
