// The reviews as all sides read them, and what is compared of their words and ids.
import { crc32 } from 'node:zlib'
import { data } from 'ferrograd'

/** IMDB's training reviews, letters beyond ASCII as spaces. */
export async function reviews(folder: string): Promise<string[]> {
  const { train } = await data.imdb({ folder })
  return train.texts.map((text) => text.replace(/[^\0-\x7f]/g, ' '))
}

/** Sixty-one checksums that every row goes into, each exact in float32. */
export function checksums(rows: readonly Buffer[]): number[] {
  const parts = Array.from({ length: 61 }, (_, i) => Buffer.concat(rows.filter((_, row) => row % 61 === i)))
  return parts.map((part) => crc32(part) & 0xffffff)
}
