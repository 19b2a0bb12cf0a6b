// IMDB's archive over HTTP: what comes whole, changed, cut off or not at all.
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fetchImdb } from '../../ts/data/imdb-archive.js'
import { data, FileFormatError, ValueError } from '../../ts/index.js'

/** A tar archive: a header of 512 bytes, then the bytes, filled up to as many. */
function tar(files: Record<string, string>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const [header, body] = [Buffer.alloc(512), Buffer.alloc(512 * Math.ceil(Buffer.byteLength(text) / 512))]
    header.write(name, 0)
    header.write(Buffer.byteLength(text).toString(8).padStart(11, '0'), 124)
    header.write('0', 156)
    body.write(text)
    return [header, body]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

const archive = gzipSync(tar({
  'aclImdb/train/pos/0_9.txt': 'A fine film.<br />',
  'aclImdb/train/neg/0_2.txt': 'Dull.',
  'aclImdb/train/neg/10_1.txt': 'Dreadful.',
  'aclImdb/train/pos/2_7.txt': 'Schön.',
  'aclImdb/train/unsup/5_0.txt': 'no label',
  'aclImdb/test/pos/0_10.txt': 'Lovely.',
  'aclImdb/README': 'not a review',
  '../../evil.txt': 'out of the folder',
  '/aclImdb/train/pos/9_9.txt': 'from the root',
}))
const empty = gzipSync(tar({ 'aclImdb/README': 'nothing' }))

let server: Server
let base: string
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrograd-archive-'))
  server = createServer((request, response) => {
    if (request.url === '/none') return void response.writeHead(404).end()
    const bytes = request.url === '/empty' ? empty : archive
    response.writeHead(200, { 'content-length': bytes.length })
    if (request.url === '/cut') {
      response.write(bytes.subarray(0, 100))
      setTimeout(() => response.destroy(), 50)
    } else response.end(bytes)
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true })
})
const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe('fetchImdb', () => {
  it('writes the labelled reviews by number, and nothing else of the archive', async () => {
    const place = join(folder, 'cache', 'imdb')
    await fetchImdb(place, { url: `${base}/whole`, sha256: sum(archive) })
    expect(await data.imdb({ folder: place })).toEqual({
      train: { texts: ['Dull.', 'A fine film.<br />', 'Schön.', 'Dreadful.'], labels: [0, 1, 1, 0] },
      test: { texts: ['Lovely.'], labels: [1] },
    })
    expect((await readdir(join(folder, 'cache'), { recursive: true })).sort()).toEqual(['imdb', 'imdb/test.jsonl', 'imdb/train.jsonl'])
    expect(await readdir(folder)).toEqual(['cache'])
  })

  it.each<[name: string, sha256: string, type: typeof ValueError | typeof FileFormatError, message: RegExp]>([
    ['whole', sum(empty), ValueError, /came with the SHA-256 [0-9a-f]{64}, expected was [0-9a-f]{64}/],
    ['cut', sum(archive), ValueError, /the transfer was cut off/],
    ['none', sum(archive), ValueError, /the server answered 404/],
    ['empty', sum(empty), FileFormatError, /holds no reviews to train or to test on/],
  ])('refuses what is not what it should be: %s', async (name, sha256, type, message) => {
    const place = join(folder, name, 'imdb')
    const error = await fetchImdb(place, { url: `${base}/${name}`, sha256 }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(type)
    expect((error as Error).message).toMatch(message)
    await expect(readdir(place)).rejects.toThrow()
  })

  it('is not asked unless a user wants it', async () => {
    await expect(data.imdb({ folder })).rejects.toThrow(/Or have them fetched: download: true, in the command line --download/)
  })
})
