// The article's first example: an image classifier with softmax output, categorical cross-entropy and one-hot labels.
//   node examples/article/cnn.mjs            CIFAR-10 in $FERROGRAD_DATA or the cache, else the digits that come along
//   EPOCHS=3 SAMPLES=2000 node ...           a short run on part of the data
import assert from 'node:assert/strict'
import { data, manualSeed, nn, Trainer } from 'ferrograd'

const epochs = Number(process.env.EPOCHS ?? 10)
const samples = Number(process.env.SAMPLES ?? Infinity)
manualSeed(1)

// Data: values 0 to 1, labels as one-hot rows, a part held out for validation. The test images wait for the end.
const { train: all, test, name } = await load()
const { train, validation } = await data.split(all, { validation: 0.1 })
const [height, width, channels] = train.inputShape
console.log(`${name}: ${train.length} images to train, ${validation.length} to validate, ${test.length} to test`)

// The article writes Conv2D(32, (3, 3), activation='relu', input_shape=(32, 32, 3)) and so on.
const model = new nn.Sequential(
  new nn.Conv2d(channels, 32, 3), new nn.ReLU(),                // [N, 30, 30, 32]
  new nn.MaxPool2d(2),                                          // [N, 15, 15, 32]
  new nn.Conv2d(32, 64, 3), new nn.ReLU(),                      // [N, 13, 13, 64]
  new nn.MaxPool2d(2),                                          // [N, 6, 6, 64]
  new nn.Conv2d(64, 64, 3), new nn.ReLU(),                      // [N, 4, 4, 64]
  new nn.Flatten(),                                             // [N, 1024]
  new nn.Linear(1024, 64), new nn.ReLU(),
  new nn.Linear(64, 10), new nn.Softmax(-1),                    // [N, 10] probabilities
)
console.log(String(nn.summary(model, [1, height, width, channels])))

// model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])
const trainer = new Trainer(model, { optimizer: 'adam', loss: 'categorical_crossentropy', metrics: ['accuracy'] })
// model.fit(x_train, y_train, epochs=10, batch_size=32, validation_data=...)
await trainer.fit(train.oneHot(), { epochs, batch_size: 32, validation_data: validation.oneHot() })

const { loss, accuracy } = await trainer.evaluate(test.oneHot())
console.log(`test: loss ${loss.toFixed(4)}, accuracy ${(accuracy * 100).toFixed(1)} %`)

// Prediction: probabilities of a few test images, and the class each is taken for.
const some = test.subset([0, 1, 2, 3, 4])
const predicted = await trainer.predictClasses(some.inputs)
const probabilities = await (await trainer.predict(some.inputs)).tolist()
const labels = await some.labelValues()
predicted.forEach((guess, i) => {
  console.log(`image ${i}: ${test.classes[guess]} (${(probabilities[i][guess] * 100).toFixed(0)} %), is ${test.classes[labels[i]]}`)
})

const target = name === 'digits' ? 0.9 : samples === Infinity && epochs >= 10 ? 0.5 : 0.2
assert(accuracy >= target, `accuracy ${accuracy} is below ${target}`)

async function load() {
  const part = (set) => (set.length <= samples ? set : set.subset(Array.from({ length: samples }, (_, i) => i)))
  try {
    const { train, test } = await data.cifar10()
    return { name: 'CIFAR-10', train: part(train), test: part(test) }
  } catch {
    return { name: 'digits', ...await data.digits() }
  }
}
