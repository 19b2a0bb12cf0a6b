import type { Tensor } from '../ts/index.js'

/** How an operand lies in memory. All but 'expanded' keep its elements. */
export type Layout = 'contiguous' | 'transposed' | 'sliced' | 'offset' | 'expanded'

/** x in another layout, by ops that gradients flow through. */
export function relayout(x: Tensor, layout: Layout): Tensor {
  if (x.ndim === 0) return x
  switch (layout) {
    case 'contiguous':
      return x
    case 'transposed': {
      // Its elements in the reverse order of dimensions.
      const reverse = x.shape.map((_, i) => x.ndim - 1 - i)
      return x.permute(reverse).contiguous().permute(reverse)
    }
    // Every second element of a line.
    case 'sliced':
      return x.repeatInterleave(2, -1).slice(-1, 0, null, 2)
    // Not from the start of its memory.
    case 'offset':
      return x.pad([...Array<number>(2 * (x.ndim - 1)).fill(0), 1, 2]).narrow(0, 1, x.shape[0]!)
    // The first entry, seen again and again: stride 0.
    case 'expanded':
      return x.shape[0] === 0 ? x : x.narrow(0, 0, 1).expand(x.shape)
  }
}
