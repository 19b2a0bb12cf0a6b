// The picture of a training run: one SVG file that any browser shows, without scripts or links.
import { encodePng } from './png.js'
import { chart, escape, faint, ink, label, round } from './svg.js'

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

/** What a report shows. */
export interface Report {
  /** One entry an epoch; `loss`, `accuracy`, `valLoss`, `valAccuracy` are drawn where they are. */
  history: readonly Readonly<Record<string, unknown>>[]
  /** Counts: row i, column j says how many of class i were taken for j. */
  confusion: readonly (readonly number[])[]
  /** Class names by class number. */
  classes: readonly string[]
  /** Up to sixteen are drawn. */
  samples: readonly ReportSample[]
  title?: string
  /** A line below the title. */
  subtitle?: string
}

const width = 1080
const margin = 40
const half = (width - 3 * margin) / 2
const chartTop = 100
const chartHeight = 250
const lowerTop = chartTop + chartHeight + 46
const height = lowerTop + half + 60

/** Draws loss and accuracy over the epochs, the confusion matrix, and predictions with their images. */
export function renderReport({ history, confusion, classes, samples, title = 'Training report', subtitle = '' }: Report): string {
  const course = (name: string): number[] => history.map((log) => (typeof log[name] === 'number' ? log[name] : NaN))
  const frame = (column: number): { x: number; y: number; width: number; height: number } => ({
    x: margin + column * (half + margin),
    y: chartTop,
    width: half,
    height: chartHeight,
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`,
    ' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    label(margin, 48, title, { size: 22, weight: 600 }),
    label(margin, 72, subtitle, { size: 13, fill: faint }),
    chart(
      'Loss by epoch',
      [
        { name: 'training', values: course('loss') },
        { name: 'validation', values: course('valLoss') },
      ],
      frame(0),
    ),
    chart(
      'Accuracy by epoch',
      [
        { name: 'training', values: course('accuracy') },
        { name: 'validation', values: course('valAccuracy') },
      ],
      frame(1),
      true,
    ),
    confusionMatrix(confusion, classes),
    predictions(samples.slice(0, 16), classes),
    '</svg>',
    '',
  ].join('\n')
}

/** Rows are the true classes, columns the predicted ones; a cell's darkness is its share of the row. */
function confusionMatrix(counts: readonly (readonly number[])[], classes: readonly string[]): string {
  const names = counts.map((_, i) => shorten(classes[i] ?? String(i), 11))
  // Names need room at the left, and at the bottom where they are turned.
  const turned = names.some((name) => name.length > 3)
  const room = Math.min(92, 16 + 6.5 * Math.max(1, ...names.map(({ length }) => length)))
  const side = half - room
  const cell = side / Math.max(1, counts.length)
  const x0 = margin + room
  const y0 = lowerTop + 26
  const parts = [label(margin, lowerTop + 10, 'Confusion matrix: true class (rows), predicted class (columns)', { size: 14, weight: 600 })]
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
function predictions(samples: readonly ReportSample[], classes: readonly string[]): string {
  const x0 = margin + half + margin
  const y0 = lowerTop + 26
  const pitch = half / 4
  const side = pitch - 44
  const parts = [label(x0, lowerTop + 10, 'Predictions on test images', { size: 14, weight: 600 })]
  samples.forEach(({ pixels, height, width, channels, truth, predicted, probability }, i) => {
    const x = x0 + (i % 4) * pitch + (pitch - side) / 2
    const y = y0 + Math.floor(i / 4) * pitch
    const right = truth === predicted
    const name = (number: number): string => shorten(classes[number] ?? String(number), 10)
    const image = `data:image/png;base64,${encodePng(pixels, width, height, channels).toString('base64')}`
    const place = `x="${round(x)}" y="${round(y)}" width="${round(side)}" height="${round(side)}"`
    parts.push(`<image ${place} image-rendering="pixelated" href="${image}"/>`)
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

function shorten(name: string, length: number): string {
  return name.length <= length ? name : `${name.slice(0, length - 1)}…`
}
