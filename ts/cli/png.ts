// Writing PNG files: 8-bit grey or colour, one compressed block, no filter.
import { crc32, deflateSync } from 'node:zlib'

/** A PNG of `pixels` [height, width, channels] (bytes, 1 or 3 channels). */
export function encodePng(pixels: Uint8Array, width: number, height: number, channels: number): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head[8] = 8
  // Colour type 0 is grey, 2 is red, green, blue.
  head[9] = channels === 1 ? 0 : 2
  const stride = width * channels
  const lines = Buffer.alloc(height * (stride + 1))
  for (let y = 0; y < height; y++) lines.set(pixels.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(name: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), content])
  const frame = Buffer.alloc(8 + body.length)
  frame.writeUInt32BE(content.length, 0)
  frame.set(body, 4)
  frame.writeUInt32BE(crc32(body), 4 + body.length)
  return frame
}
