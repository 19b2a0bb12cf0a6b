// What stands below the curves of a report: counts of mistakes, and examples.
import { encodePng } from './png.js'
import type { Panel } from './report.js'
import { escape, faint, ink, label, round } from './svg.js'

/** One predicted image. */
export interface ReportSample {
  /** Bytes [height, width, channels], 1 or 3 channels. */
  pixels: Uint8Array
  height: number
  width: number
  channels: number
  /** Class numbers. */
  truth: number
  predicted: number
  /** Of the predicted class. */
  probability: number
}

/** Rows are the true classes, columns the predicted ones; a cell's darkness is its share of the row. */
export const confusionMatrix = (counts: readonly (readonly number[])[], classes: readonly string[]): Panel => (left, top, size) => {
  const names = counts.map((_, i) => shorten(classes[i] ?? String(i), 11))
  // Names need room at the left, and at the bottom where they are turned.
  const turned = names.some((name) => name.length > 3)
  const room = Math.min(92, 16 + 6.5 * Math.max(1, ...names.map(({ length }) => length)))
  const side = size - room
  const cell = side / Math.max(1, counts.length)
  const x0 = left + room
  const y0 = top + 26
  const parts = [label(left, top + 10, 'Confusion matrix: true class (rows), predicted class (columns)', { size: 14, weight: 600 })]
  counts.forEach((row, i) => {
    const total = row.reduce((sum, count) => sum + count, 0)
    parts.push(label(x0 - 8, y0 + (i + 0.5) * cell + 4, names[i] as string, { size: 11, anchor: 'end' }))
    row.forEach((count, j) => {
      const share = total === 0 ? 0 : count / total
      const [x, y] = [x0 + j * cell, y0 + i * cell]
      const hue = i === j ? '31, 111, 235' : '217, 72, 15'
      // Rare mistakes would be invisible on a linear scale.
      const depth = share === 0 ? 0 : 0.08 + 0.85 * Math.sqrt(share)
      const fill = share === 0 ? '#f5f7fa' : `rgba(${hue}, ${round(depth)})`
      const tip = `${classes[i] ?? i} taken for ${classes[j] ?? j}: ${count}`
      parts.push(
        `<rect x="${round(x)}" y="${round(y)}" width="${round(cell - 1)}" height="${round(cell - 1)}" fill="${fill}">`,
        `<title>${escape(tip)}</title></rect>`,
      )
      if (count > 0 && counts.length <= 20) {
        parts.push(
          label(x + cell / 2, y + cell / 2 + 4, String(count), {
            size: counts.length > 12 ? 9 : 11,
            anchor: 'middle',
            fill: depth > 0.55 ? '#ffffff' : ink,
          }),
        )
      }
    })
    const [x, y] = [x0 + (i + 0.5) * cell, y0 + side + 14]
    if (!turned) parts.push(label(x, y, names[i] as string, { size: 11, anchor: 'middle' }))
    else
      parts.push(
        `<g transform="rotate(-50 ${round(x + 4)} ${round(y - 4)})">`,
        label(x + 4, y - 4, names[i] as string, { size: 11, anchor: 'end' }),
        '</g>',
      )
  })
  return parts.join('\n')
}

/** Images in four rows of four, each with the predicted class, its probability, and the true class where it is another. */
export const imagePredictions = (all: readonly ReportSample[], classes: readonly string[], title = 'Predictions on test images'): Panel => (x0, top, size) => {
  const samples = all.slice(0, 16)
  const y0 = top + 26
  const pitch = size / 4
  const side = pitch - 44
  const parts = [label(x0, top + 10, title, { size: 14, weight: 600 })]
  samples.forEach(({ pixels, height, width, channels, truth, predicted, probability }, i) => {
    const x = x0 + (i % 4) * pitch + (pitch - side) / 2
    const y = y0 + Math.floor(i / 4) * pitch
    const right = truth === predicted
    const name = (number: number): string => shorten(classes[number] ?? String(number), 10)
    const image = `data:image/png;base64,${encodePng(pixels, width, height, channels).toString('base64')}`
    const place = `x="${round(x)}" y="${round(y)}" width="${round(side)}" height="${round(side)}"`
    parts.push(`<image ${place} preserveAspectRatio="none" image-rendering="pixelated" href="${image}"/>`)
    parts.push(`<rect ${place} fill="none" stroke="${right ? '#cbd2d9' : '#d9480f'}" stroke-width="${right ? 1 : 2.5}"/>`)
    parts.push(
      label(x + side / 2, y + side + 15, `${name(predicted)} · ${Math.round(probability * 100)} %`, {
        size: 11,
        anchor: 'middle',
        weight: 600,
        fill: right ? ink : '#d9480f',
      }),
    )
    if (!right) parts.push(label(x + side / 2, y + side + 29, `is ${name(truth)}`, { size: 11, anchor: 'middle', fill: faint }))
  })
  return parts.join('\n')
}

/** At most so many letters. */
export function shorten(name: string, length: number): string {
  return name.length <= length ? name : `${name.slice(0, length - 1)}…`
}

/** One predicted text. */
export interface TextSample {
  text: string
  /** Class numbers. */
  truth: number
  predicted: number
  /** Of the predicted class. */
  probability: number
}

/** Texts one below the other, each with the predicted class, its probability, and the true class where it is another. */
export const textPredictions = (samples: readonly TextSample[], classes: readonly string[]): Panel => (x, top, size) => {
  const pitch = (size - 26) / 16
  const parts = [label(x, top + 10, 'Predictions on test texts', { size: 14, weight: 600 })]
  samples.slice(0, 16).forEach(({ text, truth, predicted, probability }, i) => {
    const right = truth === predicted
    const name = (number: number): string => shorten(classes[number] ?? String(number), 14)
    const y = top + 26 + (i + 0.4) * pitch
    const verdict = `${name(predicted)} · ${Math.round(probability * 100)} %${right ? '' : `, is ${name(truth)}`}`
    parts.push(label(x, y, verdict, { size: 11, weight: 600, fill: right ? ink : '#d9480f' }))
    parts.push(label(x, y + 13, shorten(text.replace(/\s+/g, ' ').trim(), Math.floor(size / 5.8)), { size: 10, fill: faint }))
  })
  return parts.join('\n')
}

/** What a model has written, by the line; the prompt in front is fainter. */
export const writtenText = (title: string, prompt: string, text: string): Panel => (x, top, size) => {
  const columns = Math.floor(size / 6.7)
  const lines = (part: string): string[] => part.split('\n').flatMap((line) => line.match(new RegExp(`.{1,${columns}}`, 'gsu')) ?? [''])
  const written = [...lines(prompt.replace(/\n$/, '')).map((line) => [line, faint] as const), ...lines(text.replace(/^\n/, '')).map((line) => [line, ink] as const)]
  return [
    label(x, top + 10, title, { size: 14, weight: 600 }),
    '<g font-family="ui-monospace, Menlo, Consolas, monospace" xml:space="preserve">',
    ...written.slice(0, Math.floor((size - 26) / 15)).map(([line, fill], i) => label(x, top + 36 + i * 15, line, { size: 11, fill })),
    '</g>',
  ].join('\n')
}
