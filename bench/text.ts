// Texts to ids: a vocabulary learned from IMDB's 25,000 training reviews ($FERROGRAD_DATA/imdb), and the reviews in rows of 200 ids.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { data, device } from 'ferrograd'
import { cleanText, TextVectorizer } from 'ferrograd/text'
import { time } from './measure.js'
import type { Bench, Context } from './report.js'

export const text: Bench = {
  name: 'text',
  async run({ report }: Context) {
    const found = await data.imdb().catch((error: Error) => error)
    if (found instanceof Error) return console.log(`text: left out, ${found.message.split('\n')[0]}`)
    const { texts } = found.train
    const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
    const options = { maxTokens: 20_000, outputSequenceLength: 200, standardize: { html: true } }
    const vectorizer = await new TextVectorizer(options).adapt(texts)
    const encode = async (): Promise<void> => {
      const { ids, lengths } = await vectorizer.encode(texts)
      ids.dispose()
      lengths.dispose()
      await device.sync()
    }
    const jobs: [string, number | undefined, () => Promise<unknown>][] = [
      ['a vocabulary of 20,000 words', 260, () => new TextVectorizer(options).adapt(texts)],
      ['rows of 200 ids', 130, encode],
      ['ids of all words', undefined, () => vectorizer.encodeRagged(texts)],
      ['cleaned strings', undefined, () => cleanText(texts, { html: true })],
    ]
    for (const [job, limit, work] of jobs) {
      const name = `text / ${texts.length} reviews / ${job}`
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      const { median, spread } = await time(name, work)
      delay.disable()
      report({ name, value: median * 1e3, unit: 'ms', spread, ...(limit === undefined ? {} : { bound: { limit, kind: 'at most' as const } }) })
      report({ name: `${name} / MB/s`, value: megabytes / median, unit: 'MB/s' })
      report({ name: `${name} / event loop, p99`, value: delay.percentile(99) / 1e6, unit: 'ms', bound: { limit: 20, kind: 'at most' } })
    }
  },
}
