// Training without Trainer: a loader, a compiled step, an evaluation by hand.
//   node examples/custom-loop.mjs       EPOCHS=5 by default
import assert from 'node:assert/strict'
import { compile, data, manualSeed, nativeBytes, nn, noGrad, optim, scope } from 'ferrograd'

manualSeed(0)
const { train, test } = await data.digits({ size: 16 })
const model = new nn.Sequential(
  new nn.Conv2d(1, 16, 3), new nn.ReLU(), new nn.MaxPool2d(2),   // [N, 7, 7, 16]
  new nn.Conv2d(16, 32, 3), new nn.ReLU(), new nn.Flatten(),     // [N, 800]
  new nn.Linear(800, 10),
)
const optimizer = new optim.AdamW(model.parameters(), { lr: 2e-3, weightDecay: 1e-4 })
const loader = new data.DataLoader(train, { batchSize: 32, shuffle: true, seed: 0, augment: { pad: 1 } })

// The step runs once as written; from then on its recorded commands are replayed in one call.
const step = compile((inputs, labels) => {
  const loss = nn.crossEntropy(model.forward(inputs), labels)
  loss.backward()
  optimizer.step()
  optimizer.zeroGrad()
  return loss.detach()
})

let bytes = 0
for (let epoch = 0; epoch < Number(process.env.EPOCHS ?? 5); epoch++) {
  let total = 0
  for await (const { inputs, labels } of loader) {
    const loss = step(inputs, labels)
    total += await loss.item()
    loss.dispose()
  }
  console.log(`epoch ${epoch + 1}: mean loss ${(total / loader.length).toFixed(4)}`)
  // Memory stays flat: what a step makes is gone when the next begins.
  if (epoch === 0) bytes = nativeBytes()
  else assert(nativeBytes() <= bytes + 1e6, `native memory grew from ${bytes} to ${nativeBytes()} bytes`)
}

model.eval()
let right = 0
for await (const { inputs, labels } of new data.DataLoader(test, { batchSize: 128 })) {
  // What is made in the scope dies at its end; the promise of its one number is all that leaves.
  right += await scope(() => noGrad(() => model.forward(inputs).argmax(-1).eq(labels).sum().item()))
}
const accuracy = right / test.length
console.log(`test accuracy ${(accuracy * 100).toFixed(1)} %`)
assert(accuracy >= 0.9, `accuracy ${accuracy} is below 0.9`)
