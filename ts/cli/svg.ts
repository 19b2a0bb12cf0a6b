// Pieces of an SVG page: text, axes, curves.

/** Text as XML takes it. */
export function escape(text: string): string {
  // Control characters have no place in XML at all.
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
}

/** A line of text. `anchor` says which end stands at x. */
export function label(
  x: number,
  y: number,
  text: string,
  options: { size?: number; anchor?: 'start' | 'middle' | 'end'; fill?: string; weight?: number } = {},
): string {
  const { size = 12, anchor = 'start', fill = ink, weight = 400 } = options
  const look = `font-size="${size}" text-anchor="${anchor}" fill="${fill}" font-weight="${weight}"`
  return `<text x="${round(x)}" y="${round(y)}" ${look}>${escape(text)}</text>`
}

/** Colours of the page. */
export const ink = '#1f2933'
export const faint = '#7b8794'
export const grid = '#e4e7eb'
export const colours: readonly string[] = ['#1f6feb', '#d9480f', '#2b8a3e']

/** One curve of a chart. NaN where a value is missing. */
export interface Curve {
  name: string
  values: readonly number[]
}

/** Where a chart stands. */
export interface Frame {
  x: number
  y: number
  width: number
  height: number
}

/** Curves over epochs 1, 2, ..., or what `first` says, with axes, grid and a legend. Values are shown as shares where `percent` asks for it. */
export function chart(title: string, curves: readonly Curve[], frame: Frame, { percent = false, first = 1 }: { percent?: boolean | undefined; first?: number } = {}): string {
  const shown = curves.filter(({ values }) => values.some(Number.isFinite))
  const finite = shown.flatMap(({ values }) => values.filter(Number.isFinite))
  const epochs = Math.max(1, ...shown.map(({ values }) => values.length))
  const [low, high, step] = ticks(finite.length === 0 ? [0, 1] : [Math.min(...finite), Math.max(...finite)])
  const left = frame.x + 46
  const right = frame.x + frame.width
  const top = frame.y + 34
  const bottom = frame.y + frame.height - 26
  const across = (epoch: number): number => (epochs === 1 ? (left + right) / 2 : left + (epoch / (epochs - 1)) * (right - left))
  const up = (value: number): number => bottom - ((value - low) / (high - low)) * (bottom - top)
  const parts = [label(frame.x, frame.y + 14, title, { size: 14, weight: 600 })]
  for (let i = 0; i <= Math.round((high - low) / step); i++) {
    const value = low + i * step
    parts.push(`<line x1="${round(left)}" x2="${round(right)}" y1="${round(up(value))}" y2="${round(up(value))}" stroke="${grid}"/>`)
    parts.push(
      label(left - 8, up(value) + 4, percent ? `${Number((value * 100).toPrecision(3))} %` : String(Number(value.toPrecision(3))), {
        size: 11,
        anchor: 'end',
        fill: faint,
      }),
    )
  }
  const every = Math.max(1, Math.ceil(epochs / 10))
  for (let epoch = 0; epoch < epochs; epoch += every)
    parts.push(label(across(epoch), bottom + 17, String(epoch + first), { size: 11, anchor: 'middle', fill: faint }))
  shown.forEach(({ name, values }, i) => {
    const colour = colours[i % colours.length] as string
    parts.push(
      ...lines(
        values.map((value, epoch) => (Number.isFinite(value) ? [across(epoch), up(value)] : null)),
        colour,
      ),
    )
    const x = right - (shown.length - i) * 92
    parts.push(
      `<line x1="${x}" x2="${x + 16}" y1="${frame.y + 10}" y2="${frame.y + 10}" stroke="${colour}" stroke-width="2.5"/>`,
      label(x + 21, frame.y + 14, name, { size: 11, fill: faint }),
    )
  })
  return parts.join('\n')
}

/** A curve as lines and dots, interrupted where values are missing. */
function lines(points: readonly ([number, number] | null)[], colour: string): string[] {
  const runs: [number, number][][] = [[]]
  for (const point of points) {
    if (point === null) runs.push([])
    else (runs.at(-1) as [number, number][]).push(point)
  }
  const drawn = runs
    .filter(({ length }) => length > 1)
    .map((run) => {
      const path = run.map(([x, y]) => `${round(x)},${round(y)}`).join(' ')
      return `<polyline fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round" points="${path}"/>`
    })
  if (points.length > 40) return drawn
  return [...drawn, ...runs.flat().map(([x, y]) => `<circle cx="${round(x)}" cy="${round(y)}" r="2.5" fill="${colour}"/>`)]
}

/** The ends of an axis and the distance of its ticks, 1, 2 or 5 times a power of ten. */
export function ticks([min, max]: readonly [number, number], count = 5): [low: number, high: number, step: number] {
  const span = max - min || Math.abs(max) || 1
  const power = 10 ** Math.floor(Math.log10(span / count))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => span / candidate <= count) ?? 10 * power
  const low = Math.floor(min / step + 1e-9) * step
  const high = Math.ceil(max / step - 1e-9) * step
  return [low, high > low ? high : low + step, step]
}

/** Two decimals are finer than any screen. */
export function round(value: number): number {
  return Math.round(value * 100) / 100
}
