import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'

const library = new URL('../../dist/index.js', import.meta.url).href

/** Runs code in a worker; `ferrograd` is imported there. */
function inWorker(code: string, workerData: unknown = null): Promise<unknown> {
  const source = `import { parentPort, workerData } from 'node:worker_threads'
    const ferrograd = await import(${JSON.stringify(library)})
    ${code}`
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData })
    let message: unknown
    worker.on('message', (value) => { message = value })
    worker.on('error', reject)
    worker.on('exit', () => resolve(message))
  })
}

/** Runs code in a process of its own and gives what it printed. */
function inProcess(code: string, env: Record<string, string> = {}): string {
  const source = `const ferrograd = await import(${JSON.stringify(library)})\n${code}`
  return execFileSync(process.execPath, ['--input-type=module', '-e', source], { env: { ...process.env, ...env }, encoding: 'utf8', cwd: fileURLToPath(new URL('../..', import.meta.url)) })
}

test('workers compute at the same time and end cleanly', async () => {
  const code = `const { tensor, scope } = ferrograd
    let total = 0
    for (let i = 0; i < 50; i++) total += await scope(() => tensor([[1, 2], [3, 4]]).matmul(tensor([[1, 0], [0, 1]])).sum().item())
    parentPort.postMessage(total)`
  expect(await Promise.all(Array.from({ length: 4 }, () => inWorker(code)))).toEqual([500, 500, 500, 500])
})

test('a worker may be terminated in the middle of its work', async () => {
  for (let i = 0; i < 20; i++) {
    const source = `const { rand } = await import(${JSON.stringify(library)})
      for (;;) { const x = rand([256, 256]); await x.matmul(x).sum().item(); x.dispose() }`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    await new Promise((resolve) => setTimeout(resolve, 20 + 7 * i))
    await worker.terminate()
  }
  const { tensor } = await import('../../ts/index.js')
  expect(await tensor([1, 2]).sum().item()).toBe(3)
})

test('the addon lives in workers alone, many times over, and the process exits with 0', () => {
  const out = inProcess(`
    import { Worker } from 'node:worker_threads'
    const source = 'const { tensor } = await import(${JSON.stringify(library)}); await tensor([1]).add(1).item()'
    for (let i = 0; i < 30; i++) await new Promise((resolve, reject) => {
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)))
      worker.on('exit', resolve); worker.on('error', reject)
    })
    console.log('done')`.replace('const ferrograd', '//'))
  expect(out.trim()).toBe('done')
})

test('a handle of another worker is refused; a share token is not', async () => {
  const { fromShared, share, tensor, ValueError } = await import('../../dist/index.js' as string) as typeof import('../../ts/index.js')
  const x = tensor([1, 2, 3])
  const { token, revoke } = share(x)
  const result = await inWorker(`
    const { Tensor, fromShared, tensor } = ferrograd
    const { token, slot, generation } = workerData
    tensor([9, 9, 9])
    const foreign = Object.assign(Object.create(Tensor.prototype), { _slot: slot, _generation: generation })
    let refused = ''
    try { ferrograd.add(tensor([1, 1, 1]), foreign) } catch (error) { refused = error.constructor.name }
    parentPort.postMessage({ refused, sum: await fromShared(token).sum().item() })`,
  { token, slot: (x as any)._slot, generation: (x as any)._generation })
  expect(result).toEqual({ refused: 'DisposedError', sum: 6 })
  revoke()
  expect(() => fromShared(token)).toThrow(ValueError)
})

test('a pending await keeps the process alive, a finished one does not', () => {
  expect(inProcess('console.log(await ferrograd.ones([300, 300]).matmul(ferrograd.ones([300, 300])).sum().item())').trim()).toBe(String(300 ** 3))
})

test('the same seed gives the same bits on 1, 2, 3 and 7 threads, and in two runs', () => {
  const code = `
    const { manualSeed, randn, nn, optim, scope, models } = ferrograd
    const { createHash } = await import('node:crypto')
    const hash = createHash('sha256')
    const take = async (t) => { const d = await t.data(); hash.update(Buffer.from(d.buffer, d.byteOffset, d.byteLength)) }
    manualSeed(11)
    await take(randn([32, 65536]).matmul(randn([65536, 32])))
    await take(randn([200, 300]).transpose(0, 1).matmul(randn([200, 500])))
    const model = models.cnn({ inChannels: 3, classes: 10 })
    const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 })
    for (const batch of [1, 8, 8, 5]) {
      const x = randn([batch, 32, 32, 3]), labels = ferrograd.randint(0, 10, [batch])
      scope(() => { nn.crossEntropy(model.forward(x), labels).backward() })
      if (batch === 1) for (const p of model.parameters()) await take(p.grad)
      optimizer.step(); optimizer.zeroGrad()
    }
    for (const p of model.parameters()) await take(p)
    for (const Layer of [nn.LSTM, nn.GRU, nn.RNN]) for (const mixed of [false, true]) {
      const layer = new Layer(24, 40, { numLayers: 2, bidirectional: true, dropout: 0.1, inputDropout: 0.2, recurrentDropout: 0.2 })
      const x = randn([37, 19, 24]), lengths = ferrograd.randint(0, 20, [37])
      const read = () => layer.forward(x, { lengths }).output.square().mean()
      scope(() => { (mixed ? ferrograd.autocast(read) : read()).backward() })
      for (const p of layer.parameters()) await take(p.grad)
    }
    const tagger = models.biLstmTagger({ inputs: 40, outputs: 5, dropout: 0.2 })
    scope(() => { tagger.forward(randn([9, 30, 40])).square().mean().backward() })
    for (const p of tagger.parameters()) await take(p.grad)
    console.log(hash.digest('hex'))`
  const hashes = ['1', '2', '3', '7', '2'].map((threads) => inProcess(code, { FERROGRAD_NUM_THREADS: threads }).trim())
  expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/)
  expect(new Set(hashes).size).toBe(1)
})
