import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { data, FileFormatError, ValueError } from '../../ts/index.js'

let folder: string
beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'ferrograd-imdb-')) })
afterEach(() => rm(folder, { recursive: true }))

const put = (name: string, ...lines: string[]): Promise<void> => writeFile(join(folder, name), name.endsWith('.gz') ? gzipSync(lines.join('\n')) : lines.join('\n'))

it('gives texts and labels of both parts, packed or not', async () => {
  await put('train-3.jsonl.gz', '{"text":"Good.<br />","label":1,"rating":8}', '', '{"text":"","label":0}')
  await put('test-1.jsonl', '{"text":"Schön \\u00fc","label":1}')
  expect(await data.imdb({ folder })).toEqual({ train: { texts: ['Good.<br />', ''], labels: [1, 0] }, test: { texts: ['Schön ü'], labels: [1] } })
})

it.each([
  ['is not JSON', '{"text": "cut'],
  ['has no text', '{"label": 1}'],
  ['has no text', 'null'],
  ['has no whole number as its label', '{"text": "fine"}'],
])('names the line that %s', async (what, line) => {
  await put('train.jsonl', '{"text":"fine","label":1}', line)
  await put('test.jsonl')
  const error = await data.imdb({ folder }).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(FileFormatError)
  expect((error as Error).message).toContain(`line 2 of ${join(folder, 'train.jsonl')} ${what}`)
})

it('names the line that is not in UTF-8', async () => {
  await writeFile(join(folder, 'train.jsonl'), Buffer.from('{"text":"fine","label":1}\n{"text":"caf\xe9","label":1}\n', 'latin1'))
  await put('test.jsonl', '{"text":"fine","label":1}')
  await expect(data.imdb({ folder })).rejects.toThrow(`line 2 of ${join(folder, 'train.jsonl')} is not in utf-8`)
})

it('says where it looked', async () => {
  await expect(data.imdb({ folder })).rejects.toThrow(ValueError)
  await expect(data.imdb({ folder })).rejects.toThrow(folder)
})
