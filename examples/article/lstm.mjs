// The article's second example: an LSTM that tells positive from negative film reviews, sigmoid output and binary cross-entropy, with the data steps that
// the article leaves out: cleaning, a vocabulary of the training texts, rows of word numbers, a validation part.
//   node examples/article/lstm.mjs      IMDB in $FERROGRAD_DATA/imdb, else reviews made up on the spot; SAMPLES (all), EPOCHS (4)
import assert from 'node:assert/strict'
import { data, manualSeed, models, nn, Trainer } from 'ferrograd'
import { TextVectorizer } from 'ferrograd/text'

const EPOCHS = Number(process.env.EPOCHS ?? 4)
const SAMPLES = Number(process.env.SAMPLES ?? Infinity)

manualSeed(7)
const reviews = await data.imdb().catch(() => madeUp())
const part = ({ texts, labels }) => ({ texts: texts.slice(0, SAMPLES), labels: labels.slice(0, SAMPLES) })
const [train, test] = [part(reviews.train), part(reviews.test)]

// Preparation: the vocabulary knows the training texts alone; of a long review the last 200 words are kept, where its verdict stands.
const vectorizer = await new TextVectorizer({ maxTokens: 20_000, outputSequenceLength: 200, truncation: 'left', standardize: { html: true } }).adapt(train.texts)
const rows = async ({ texts, labels }) => data.dataset({ inputs: { ...await vectorizer.encode(texts) }, labels: labels.map((label) => [label]) })

// Embedding, LSTM with dropout, Dense(1, sigmoid), as the article writes it.
class Reviews extends nn.Module {
  classifier = models.lstmClassifier({ vocabulary: vectorizer.vocabulary.size })
  forward(inputs) {
    return this.classifier.forward(inputs).sigmoid()
  }
}

const trainer = new Trainer(new Reviews(), { optimizer: 'adam', loss: new nn.BCELoss(), metrics: ['accuracy'], vectorizer })
await trainer.fit(await rows(train), { epochs: EPOCHS, batchSize: 32, validation: 0.2 })
const { accuracy } = await trainer.evaluate(await rows(test))
console.log(`${train.texts.length} reviews, ${vectorizer.vocabulary.size} words: test accuracy ${accuracy.toFixed(3)}`)

const opinions = ['A wonderful film, I loved every minute of it.', 'Boring and awful. What a waste of time.']
const chances = await (await trainer.predict(opinions)).data()   // the sigmoid's [N, 1]
opinions.forEach((text, i) => console.log(`${chances[i].toFixed(2)}  ${text}`))
const [target, enough] = train.texts.length >= 20_000 ? [0.83, 'all of IMDB'] : train.texts.length > 400 ? [0.6, 'a part of IMDB'] : [0.9, 'the made-up reviews']
assert(accuracy >= target, `accuracy ${accuracy} on ${enough} is below ${target}`)

/** 400 reviews of a few words, half of them positive: enough to see the steps without a data set. */
function madeUp() {
  const parts = {
    opening: ['The film was', 'I found it', 'A story that is', 'Honestly,', 'My whole family thought it was'],
    1: ['wonderful', 'moving', 'a great joy', 'brilliant', 'well acted', 'one of the best'],
    0: ['awful', 'boring', 'a waste of time', 'badly written', 'dull', 'one of the worst'],
    ending: ['from start to end.', 'in every scene.<br />', 'and that is all.', 'as I told everybody!'],
  }
  let state = 1
  const pick = (list) => list[(state = (state * 48271) % 2147483647) % list.length]
  const make = (count) => {
    const labels = Array.from({ length: count }, () => pick([0, 1]))
    const texts = labels.map((label) => `${pick(parts.opening)} ${pick(parts[label])} and ${pick(parts[label])} ${pick(parts.ending)}`)
    return { texts, labels }
  }
  return { train: make(400), test: make(100) }
}
