// The picture of a training run: one SVG file that any browser shows, without scripts or links.
import { chart, escape, faint, type Frame, label } from './svg.js'

/** A figure of the history that is drawn by epoch, and beside it `val...`, where there is validation. */
export interface ChartSpec {
  title: string
  /** As the history calls it: `accuracy`, beside `valAccuracy`. */
  figure: string
  /** Shown as a share of 100. */
  percent?: boolean
}

/** A chart of something other than the history. */
export type Drawing = (frame: Frame) => string

/** Draws into a square whose upper left corner is at (x, y) and whose sides are `size`. */
export type Panel = (x: number, y: number, size: number) => string

/** What a report shows. */
export interface Report {
  /** One entry an epoch. */
  history: readonly Readonly<Record<string, unknown>>[]
  /** Up to two, side by side. */
  charts: readonly (ChartSpec | Drawing)[]
  /** Up to two, below the charts. */
  panels: readonly Panel[]
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

/** Draws figures over the epochs, and below them what a task has to show. */
export function renderReport({ history, charts, panels, title = 'Training report', subtitle = '' }: Report): string {
  const course = (name: string): number[] => history.map((log) => (typeof log[name] === 'number' ? log[name] : NaN))
  const left = (column: number): number => margin + column * (half + margin)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`,
    ' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    label(margin, 48, title, { size: 22, weight: 600 }),
    label(margin, 72, subtitle, { size: 13, fill: faint }),
    ...charts.map((spec, i) => {
      const frame = { x: left(i), y: chartTop, width: half, height: chartHeight }
      if (typeof spec === 'function') return spec(frame)
      const { title, figure, percent } = spec
      const curves = [
        { name: 'training', values: course(figure) },
        { name: 'validation', values: course(`val${figure[0]?.toUpperCase()}${figure.slice(1)}`) },
      ]
      return chart(title, curves, frame, { percent })
    }),
    ...panels.map((draw, i) => draw(left(i), lowerTop, half)),
    '</svg>',
    '',
  ].join('\n')
}
