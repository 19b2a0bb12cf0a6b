// What a decoding worker runs. It is sent as text, so that it needs no file of its own beside the sources: nothing from outside the
// function may be used. PNG is read by pngjs and JPEG by jpeg-js: both pure JavaScript without dependencies, native code or install
// scripts.

/** One image to decode. */
export interface DecodeJob {
  id: number
  path: string
  height: number
  width: number
  channels: number
}

/** Its pixels [height, width, channels], or why there are none. */
export interface DecodeResult {
  id: number
  pixels?: Uint8Array
  fault?: string
  /** The system's code, where it refused the file. */
  code?: string
}

/** What the worker is given: where the libraries lie. */
export interface DecodeLibraries {
  png: string
  jpeg: string
}

interface Rgba {
  width: number
  height: number
  data: Uint8Array
}
interface WorkerThreads {
  parentPort: {
    on(event: 'message', listen: (job: DecodeJob) => void): void
    postMessage(result: DecodeResult, transfer: ArrayBuffer[]): void
  }
  workerData: DecodeLibraries
}

/** Reads, decodes and resizes one image after the other. */
export function decodeLoop(require: (name: string) => any): void {
  const { parentPort, workerData } = require('node:worker_threads') as WorkerThreads
  const { readFileSync } = require('node:fs') as typeof import('node:fs')
  const mostPixels = 100e6

  /** What the libraries say of damage is meant for those who know their insides. */
  const attempt = (kind: string, read: () => Rgba): Rgba => {
    try {
      return read()
    } catch (error) {
      const { message } = error as Error
      if (/limit exceeded/.test(message)) throw new Error(`the image is too large to be read (${message})`)
      if (/supported/i.test(message)) throw new Error(`a ${kind} of a kind that cannot be read (${message}): convert it to a plain PNG`)
      throw new Error(`the ${kind} is cut off or damaged. Get it again, or leave it out`)
    }
  }

  const decode = (bytes: Uint8Array): Rgba => {
    const head = Array.from(bytes.subarray(0, 12))
    if (head[0] === 0x89 && head[1] === 0x50 && head[2] === 0x4e && head[3] === 0x47) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      // The size is in the head: a small file must not claim all memory.
      if (bytes.length < 33 || view.getUint32(16) * view.getUint32(20) > mostPixels)
        throw new Error(bytes.length < 33 ? 'the file is cut off' : 'the image has more than 100 million pixels')
      const { PNG } = require(workerData.png) as { PNG: { sync: { read(bytes: Uint8Array): Rgba } } }
      return attempt('PNG', () => PNG.sync.read(bytes))
    }
    if (head[0] === 0xff && head[1] === 0xd8) {
      const jpeg = require(workerData.jpeg) as { decode(bytes: Uint8Array, options: object): Rgba }
      return attempt('JPEG', () =>
        jpeg.decode(bytes, { useTArray: true, tolerantDecoding: false, maxResolutionInMP: 100, maxMemoryUsageInMB: 1024 }),
      )
    }
    const text = String.fromCharCode(...head)
    const kind = text.startsWith('GIF8')
      ? 'a GIF'
      : text.startsWith('BM')
        ? 'a BMP'
        : text.slice(8, 12) === 'WEBP'
          ? 'a WebP'
          : text.slice(4, 8) === 'ftyp'
            ? 'an AVIF or HEIC'
            : null
    throw new Error(
      bytes.length === 0
        ? 'the file is empty'
        : kind === null
          ? 'no image: PNG and JPEG can be read'
          : `${kind} image: convert it to PNG or JPEG`,
    )
  }

  /**
   * For each target pixel the first source pixel and the weights, as a triangle that widens when the image shrinks (as Pillow's BILINEAR:
   * no aliasing).
   */
  const weightsFor = (from: number, to: number): { first: number; weights: Float64Array }[] => {
    const scale = from / to
    const support = Math.max(1, scale)
    return Array.from({ length: to }, (_, i) => {
      const centre = (i + 0.5) * scale
      const first = Math.max(0, Math.floor(centre - support + 0.5))
      const last = Math.min(from, Math.floor(centre + support + 0.5))
      const weights = new Float64Array(Math.max(1, last - first))
      let sum = 0
      for (let j = 0; j < weights.length; j++) sum += weights[j] = Math.max(0, 1 - Math.abs((first + j + 0.5 - centre) / support))
      return { first, weights: sum === 0 ? weights.fill(1 / weights.length) : weights.map((weight) => weight / sum) }
    })
  }

  const convert = ({ width, height, data }: Rgba, job: DecodeJob): Uint8Array => {
    const { channels } = job
    // Transparency is dropped; grey is 0.299 R + 0.587 G + 0.114 B (ITU-R 601).
    const source = new Float32Array(width * height * channels)
    for (let i = 0, p = 0; i < source.length; i += channels, p += 4) {
      const [r, g, b] = [data[p] as number, data[p + 1] as number, data[p + 2] as number]
      if (channels === 1) source[i] = 0.299 * r + 0.587 * g + 0.114 * b
      else [source[i], source[i + 1], source[i + 2]] = [r, g, b]
    }
    const columns = weightsFor(width, job.width)
    const rows = weightsFor(height, job.height)
    const narrow = new Float32Array(height * job.width * channels)
    for (let y = 0; y < height; y++) {
      columns.forEach(({ first, weights }, x) => {
        for (let c = 0; c < channels; c++) {
          let sum = 0
          for (let j = 0; j < weights.length; j++)
            sum += (weights[j] as number) * (source[(y * width + first + j) * channels + c] as number)
          narrow[(y * job.width + x) * channels + c] = sum
        }
      })
    }
    const result = new Uint8Array(job.height * job.width * channels)
    const stride = job.width * channels
    rows.forEach(({ first, weights }, y) => {
      for (let x = 0; x < stride; x++) {
        let sum = 0
        for (let j = 0; j < weights.length; j++) sum += (weights[j] as number) * (narrow[(first + j) * stride + x] as number)
        result[y * stride + x] = Math.min(255, Math.max(0, Math.round(sum)))
      }
    })
    return result
  }

  parentPort.on('message', (job) => {
    try {
      const pixels = convert(decode(readFileSync(job.path)), job)
      parentPort.postMessage({ id: job.id, pixels }, [pixels.buffer as ArrayBuffer])
    } catch (error) {
      const { message = String(error), code } = error as Partial<NodeJS.ErrnoException>
      parentPort.postMessage({ id: job.id, fault: message, ...(code === undefined ? {} : { code }) }, [])
    }
  })
}
