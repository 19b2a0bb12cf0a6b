// Plain float64 arrays: what the references of `checkOp` are written with. Clear before fast.

/** A row-major array of numbers. */
export interface Nd {
  shape: readonly number[]
  data: number[]
}

export function numel(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** The array whose element at `index` is f(index). */
export function build(shape: readonly number[], f: (index: number[]) => number): Nd {
  return { shape, data: Array.from({ length: numel(shape) }, (_, flat) => f(unravel(flat, shape))) }
}

/** The index of the `flat`-th element. */
export function unravel(flat: number, shape: readonly number[]): number[] {
  const index: number[] = []
  for (let i = shape.length - 1; i >= 0; i--) {
    index[i] = flat % shape[i]!
    flat = Math.floor(flat / shape[i]!)
  }
  return index
}

/** The element at `index`, in which dimensions of size 1 repeat and missing ones in front are ignored. */
export function get(x: Nd, index: readonly number[]): number {
  const lead = index.length - x.shape.length
  let flat = 0
  x.shape.forEach((size, i) => {
    flat = flat * size + (size === 1 ? 0 : index[lead + i]!)
  })
  return x.data[flat]!
}

export function broadcast(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, i) =>
    shapes.map((shape) => shape[i - rank + shape.length] ?? 1).reduce((a, b) => (a === 1 ? b : a)),
  )
}

/** f over the elements of broadcast arrays. */
export function map(f: (...values: number[]) => number, ...xs: Nd[]): Nd {
  return build(broadcast(...xs.map((x) => x.shape)), (index) => f(...xs.map((x) => get(x, index))))
}

/** Dims from the front; none given means all. */
export function axes(dims: readonly number[] | undefined, rank: number): number[] {
  return dims === undefined || dims.length === 0
    ? Array.from({ length: rank }, (_, i) => i)
    : dims.map((dim) => (dim < 0 ? dim + rank : dim))
}

/** f over the elements along `dims`, in row-major order. */
export function fold(x: Nd, dims: readonly number[] | undefined, keepdim: boolean, f: (values: number[]) => number): Nd {
  const gone = axes(dims, x.shape.length)
  const kept = x.shape.map((size, i) => (gone.includes(i) ? 1 : size))
  const inner = x.shape.map((size, i) => (gone.includes(i) ? size : 1))
  const y = build(kept, (index) =>
    f(
      build(inner, (place) =>
        get(
          x,
          index.map((at, i) => (gone.includes(i) ? place[i]! : at)),
        ),
      ).data,
    ),
  )
  return keepdim ? y : { shape: x.shape.filter((_, i) => !gone.includes(i)), data: y.data }
}

/** f over each line along `dim`; it answers with a line, perhaps of another length. */
export function lines(x: Nd, dim: number, f: (values: number[]) => number[]): Nd {
  const d = dim < 0 ? dim + x.shape.length : dim
  if (x.shape.length === 0) return { shape: [], data: f(x.data) }
  const length =
    numel(x.shape) === 0
      ? x.shape[d]!
      : f(
          Array.from({ length: x.shape[d]! }, (_, i) =>
            get(
              x,
              x.shape.map((_, j) => (j === d ? i : 0)),
            ),
          ),
        ).length
  const shape = x.shape.map((size, i) => (i === d ? length : size))
  return build(
    shape,
    (index) =>
      f(
        Array.from({ length: x.shape[d]! }, (_, i) =>
          get(
            x,
            index.map((at, j) => (j === d ? i : at)),
          ),
        ),
      )[index[d]!]!,
  )
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}

export function reshape(x: Nd, shape: readonly number[]): Nd {
  return { shape, data: x.data }
}

/** [..., n, k] by [..., k, m] with broadcasting. */
export function matmul(a: Nd, b: Nd): Nd {
  const [n, k, m] = [a.shape.at(-2)!, a.shape.at(-1)!, b.shape.at(-1)!]
  const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2))
  return build([...lead, n, m], (index) => {
    const at = index.slice(0, -2)
    const [i, j] = index.slice(-2) as [number, number]
    return sum(Array.from({ length: k }, (_, l) => get(a, [...at, i, l]) * get(b, [...at, l, j])))
  })
}

export function permute(x: Nd, order: readonly number[]): Nd {
  return build(
    order.map((from) => x.shape[from]!),
    (index) => {
      const at: number[] = []
      order.forEach((from, to) => {
        at[from] = index[to]!
      })
      return get(x, at)
    },
  )
}

/** The error function to full float64 precision: a series near 0, a continued fraction beyond. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN
  const t = Math.abs(x)
  if (t < 2.5) {
    let term = t
    let total = t
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(total) && n < 200; n++) {
      term *= (-t * t) / n
      total += term / (2 * n + 1)
    }
    return (Math.sign(x) * 2 * total) / Math.sqrt(Math.PI)
  }
  if (t > 6) return Math.sign(x)
  let fraction = 0
  for (let n = 120; n > 0; n--) fraction = n / 2 / (t + fraction)
  return Math.sign(x) * (1 - Math.exp(-t * t) / (Math.sqrt(Math.PI) * (t + fraction)))
}
