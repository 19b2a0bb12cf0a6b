// Reviews to word ids and a classifier on them: clean, learn the words, encode, train, and read the vectorizer from a file's JSON again.
import { data, nn, optim, tensor, Trainer } from 'ferrograd'
import { TextVectorizer } from 'ferrograd/text'
import assert from 'node:assert/strict'

const good = ['great', 'wonderful', 'moving', 'brilliant'], bad = ['dull', 'awful', 'boring', 'weak']
const reviews = Array.from({ length: 200 }, (_, i) => `The film was <br /> ${(i % 2 ? good : bad)[(i >> 1) % 4]}, No. ${i}!`)
const labels = tensor(Int32Array.from(reviews, (_, i) => i % 2))

const vectorizer = await new TextVectorizer({ standardize: { html: true }, minCount: 2, outputSequenceLength: 6 }).adapt(reviews)
console.log(vectorizer.vocabulary.size, 'ids; the most frequent words:', vectorizer.vocabulary.words.slice(0, 4).join(' '))

const { ids } = await vectorizer.encode(reviews)
const model = new nn.Sequential(new nn.Embedding(vectorizer.vocabulary.size, 8, { paddingIdx: 0 }), new nn.Flatten(), new nn.Linear(48, 2))
const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 0.02 }), loss: 'crossEntropy', metrics: ['accuracy'] })
await trainer.fit(data.dataset({ inputs: ids, labels }), { epochs: 10, batchSize: 20 })

const again = TextVectorizer.fromJSON(JSON.parse(JSON.stringify(vectorizer)))
const { ids: unseen } = await again.encode(['the film was brilliant', 'The film was AWFUL.'])
const classes = await trainer.predictClasses(unseen)
console.log('classes of two new reviews:', [...classes])
assert.deepEqual([...classes], [1, 0])
