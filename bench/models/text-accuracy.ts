// What models.textCnn learns of the sentences in $FERROGRAD_DATA/sentences: films praised or not (MR), feeling or fact (Subj), what a question asks for (TREC).
// The epoch is chosen on a tenth of the training sentences that is held out; the test sentences are looked at once. MR and Subj are split by hash (Kim 2014 has
// ten folds), TREC officially. The bounds are Kim's CNN-rand (76.1, 89.6, 91.2) less some tenths.
import { data, manualSeed, models, optim, tensor, Trainer } from 'ferrograd'
import { TextVectorizer } from 'ferrograd/text'
import { EarlyStopping } from 'ferrograd/train'
import type { Bench } from '../report.js'

interface Setting {
  name: string
  file: data.SentenceSet
  epochs: number
  /** Words of a sentence that are read. */
  most: number
  limit: number
}

const SETTINGS: Setting[] = [
  { name: 'mr accuracy', file: 'mr', epochs: 4, most: 40, limit: 75.5 },
  { name: 'subj accuracy', file: 'subj', epochs: 4, most: 40, limit: 89 },
  { name: 'trec accuracy', file: 'trec6', epochs: 8, most: 24, limit: 91 },
]
const SEEDS = 5

async function accuracies({ file, epochs, most }: Setting): Promise<number[]> {
  const { train, test, classes } = await data.sentences(file)
  // Words that came once are read as unknown, so that the unknown has a vector, too, when a new sentence has one.
  const vectorizer = await new TextVectorizer({ standardize: { lower: true, punctuation: false }, minCount: 2, outputSequenceLength: most }).adapt(train.texts)
  const set = async ({ texts, labels }: typeof train) => {
    const { ids, lengths } = await vectorizer.encode(texts)
    return data.dataset({ inputs: { ids, lengths }, labels: tensor(Int32Array.from(labels)) })
  }
  const found: number[] = []
  for (let seed = 0; seed < SEEDS; seed++) {
    manualSeed(seed)
    const model = models.textCnn({ vocabulary: vectorizer.vocabulary.size, outputs: classes.length })
    const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 1e-3 }), loss: 'crossEntropy', metrics: ['accuracy'] })
    const best = new EarlyStopping({ monitor: 'valAccuracy', patience: epochs })
    await trainer.fit(await set(train), { epochs, batchSize: 50, validation: 0.1, seed, callbacks: [best], verbose: false })
    found.push((await trainer.evaluate(await set(test))).accuracy as number)
    console.error(`  seed ${seed}: ${found.at(-1)} after epoch ${best.bestEpoch + 1}`)
  }
  return found
}

export const textAccuracies: Bench[] = SETTINGS.map((setting) => ({
  name: setting.name,
  long: true,
  async run({ report }) {
    const found = await accuracies(setting)
    const mean = found.reduce((a, b) => a + b, 0) / found.length
    report({
      name: `${setting.name} / mean of ${SEEDS} seeds`, value: 100 * mean, unit: '%', spread: (Math.max(...found) - Math.min(...found)) / 2 / mean,
      bound: { limit: setting.limit, kind: 'at least' },
    })
  },
}))
