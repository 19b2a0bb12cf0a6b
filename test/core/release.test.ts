// What was disposed of is used again, also where no op runs in between: a service may only read in and give away.
import { expect, test } from 'vitest'
import { device, tensor } from '../../ts/index.js'
import { TextVectorizer } from '../../ts/text/index.js'

const MB = 2 ** 20

/** Bytes by which the most in use grew over forty times `make`. */
async function growth(make: () => unknown): Promise<number> {
  await make()
  await device.sync()
  const before = device.memory().peak
  for (let i = 0; i < 40; i++) await make()
  return device.memory().peak - before
}

test('tensors of typed arrays', async () => {
  const values = new Float32Array(MB / 4)
  expect(await growth(() => tensor(values).dispose())).toBeLessThan(4 * MB)
})

test('rows of ids, of arrays and of streams', async () => {
  const texts = Array<string>(2048).fill('a b c')
  async function* stream() { yield* texts }
  const vectorizer = new TextVectorizer({ vocabulary: ['a', 'b'], outputSequenceLength: 128 })
  for (const source of [() => texts, stream]) {
    expect(await growth(async () => {
      const { ids, lengths } = await vectorizer.encode(source())
      ids.dispose()
      lengths.dispose()
    })).toBeLessThan(4 * MB)
  }
})
