import { describe, expect, it } from 'vitest'
import { encodePng } from '../../ts/cli/png.js'
import { confusionMatrix, imagePredictions, type ReportSample, textPredictions } from '../../ts/cli/panels.js'
import { renderReport } from '../../ts/cli/report.js'
import { chart, ticks } from '../../ts/cli/svg.js'

const history = [
  { epoch: 0, loss: 2.1, accuracy: 0.2, valLoss: 2, valAccuracy: 0.3 },
  { epoch: 1, loss: 1.5, accuracy: 0.5, valLoss: NaN, valAccuracy: 0.4 },
]
const sample: ReportSample = { pixels: new Uint8Array(4), height: 2, width: 2, channels: 1, truth: 0, predicted: 1, probability: 0.75 }

/** Tags that are opened and closed in order, attributes quoted: enough of XML to catch a slip. */
function wellFormed(svg: string): void {
  const open: string[] = []
  for (const [, close, name, attributes, end] of svg.matchAll(/<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/gi)) {
    if (close === '/') expect(open.pop()).toBe(name)
    else if (end !== '/') open.push(name as string)
    expect(attributes).not.toMatch(/NaN|undefined|Infinity/)
  }
  expect(open).toEqual([])
  expect(svg.replaceAll(/<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/gi, '')).not.toMatch(/[<>]|NaN|undefined/)
}

const charts = [{ title: 'Loss', figure: 'loss' }, { title: 'Accuracy', figure: 'accuracy', percent: true }]

describe('renderReport', () => {
  it('draws curves, matrix and images as one well-formed SVG', () => {
    const counts = [
      [3, 1],
      [0, 2],
    ]
    const classes = ['cat & <co>', 'a very long class name']
    const svg = renderReport({ history, charts, panels: [confusionMatrix(counts, classes), imagePredictions([sample, { ...sample, predicted: 0 }], classes)], title: 'A "run"' })
    wellFormed(svg)
    expect(svg).toContain('cat &amp; &lt;c')
    expect(svg).toContain('cat &amp; &lt;co&gt; taken for a very long class name: 1')
    expect(svg.match(/<image /g)).toHaveLength(2)
    expect(svg).not.toMatch(/<script|href="http/)
  })

  it('takes one epoch, no epoch, missing figures, many classes', () => {
    wellFormed(renderReport({ history: history.slice(0, 1), charts, panels: [confusionMatrix([[1]], []), imagePredictions([], [])] }))
    wellFormed(renderReport({ history: [], charts: [], panels: [] }))
    const many = Array.from({ length: 40 }, (_, i) => Array.from({ length: 40 }, (_, j) => (i === j ? 5 : 0)))
    wellFormed(renderReport({ history: [{ loss: NaN }], charts, panels: [confusionMatrix(many, []), imagePredictions(Array<ReportSample>(20).fill(sample), [])] }))
  })

  it('draws texts with their classes, shortened, and what they are where that is another', () => {
    const texts = [
      { text: 'A <br/> "film"\n\u0001', truth: 1, predicted: 1, probability: 0.9 },
      { text: 'so '.repeat(200), truth: 0, predicted: 1, probability: 0.6 },
    ]
    const svg = renderReport({ history, charts, panels: [textPredictions(texts, ['bad', 'good'])] })
    wellFormed(svg)
    expect(svg).toContain('good · 90 %<')
    expect(svg).toContain('good · 60 %, is bad<')
    expect(svg).toContain('A &lt;br/&gt; &quot;film&quot;')
    expect(svg).toContain('…')
  })
})

describe('chart', () => {
  it('puts ticks at round numbers around the data', () => {
    expect(ticks([0.13, 2.31])).toEqual([0, 2.5, 0.5])
    expect(ticks([0.911, 0.967]).map((value) => Number(value.toFixed(6)))).toEqual([0.9, 0.98, 0.02])
    expect(ticks([3, 3])[1]).toBeGreaterThan(3 - 1e-9)
    expect(ticks([0, 0])).toEqual([0, expect.any(Number), expect.any(Number)])
  })

  it('breaks a curve where a value is missing', () => {
    const svg = chart('Loss', [{ name: 'a', values: [1, 2, NaN, 3, 4] }], { x: 0, y: 0, width: 300, height: 200 })
    expect(svg.match(/<polyline/g)).toHaveLength(2)
  })
})

describe('encodePng', () => {
  it('is read back by another decoder', async () => {
    const { PNG } = (await import('pngjs')).default
    const { width, height, data } = PNG.sync.read(encodePng(Uint8Array.of(1, 2, 3, 4, 5, 6), 2, 1, 3))
    expect([width, height, ...data]).toEqual([2, 1, 1, 2, 3, 255, 4, 5, 6, 255])
    expect([...PNG.sync.read(encodePng(Uint8Array.of(9, 8), 1, 2, 1)).data]).toEqual([9, 9, 9, 255, 8, 8, 8, 255])
  })
})
