import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const library = new URL('../../dist/index.js', import.meta.url).href
const natives = fileURLToPath(new URL('../../dist/native/', import.meta.url))
const addon = natives + readdirSync(natives).find((name) => name.endsWith('.node'))

function run(code: string, env: Record<string, string> = {}): { stdout: string; stderr: string; status: number | null } {
  const source = `const ferrograd = await import(${JSON.stringify(library)})\nconst { tensor, device } = ferrograd\n${code}`
  return spawnSync(process.execPath, ['--input-type=module', '--expose-gc', '-e', source], { env: { ...process.env, ...env }, encoding: 'utf8' })
}
const bad = "tensor([1, 2]).indexSelect(0, tensor([9], { dtype: 'int32' }))"

test('a late error that nobody read becomes one process warning', () => {
  const { stderr, status } = run(`const x = ${bad}; await tensor([1]).item(); x.dispose()\nawait tensor([1]).item(); await tensor([2]).item()`)
  expect(status).toBe(0)
  expect(stderr.match(/FERROGRAD_LATE/g)).toHaveLength(1)
  expect(stderr).toMatch(/a result that nobody read had failed: indexSelect: /)
})

test('a late error that was read is not warned of', () => {
  const { stderr, stdout } = run(`const x = ${bad}; await x.item().catch((error) => console.log(error.name)); x.dispose(); await tensor([1]).item()`)
  expect(stdout.trim()).toBe('IndexError')
  expect(stderr).not.toMatch(/FERROGRAD_LATE/)
})

test('under FERROGRAD_TRACE=1 a late error tells where its op was called', () => {
  const code = `function culprit() { return ${bad} }\nawait culprit().item().catch((error) => console.log(error.message))`
  expect(run(code, { FERROGRAD_TRACE: '1' }).stdout).toMatch(/called from:[\s\S]*culprit/)
  expect(run(code, { FERROGRAD_TRACE: '' }).stdout).not.toMatch(/culprit/)
})

test('each vector path can be forced, and gives close results', () => {
  const code = `const x = ferrograd.arange(0, 64).reshape(8, 8).to('float32').div(10)
    const y = x.matmul(x).tanh().add(x.softmax()).sum()
    console.log(device.info().isa, await y.item())`
  const found = ['', 'avx2', 'scalar'].map((isa) => run(code, { FERROGRAD_ISA: isa }).stdout.trim().split(' '))
  for (const [, value] of found) expect(Number(value)).toBeCloseTo(Number(found[0]![1]), 3)
  expect(found[2]![0]).toBe('scalar')
})

test('import starts no thread; the first op does', () => {
  if (process.platform !== 'linux') return
  const { stdout } = run(`
    const { readdirSync, readFileSync } = await import('node:fs')
    const ours = () => readdirSync('/proc/self/task').filter((id) => readFileSync('/proc/self/task/' + id + '/comm', 'utf8').startsWith('ferrograd')).length
    const before = ours(); device.info(); const looked = ours(); await tensor([1]).add(1).item(); console.log(before, looked, ours() > 0)`)
  expect(stdout.trim()).toBe('0 0 true')
})

test('no processor time is used while nothing runs', () => {
  // Threads that go to sleep leave a tenth of a second unused sooner or later, however busy the machine is; one that looks for work never does.
  const { stdout } = run(`
    await ferrograd.ones([256, 256]).matmul(ferrograd.ones([256, 256])).sum().item()
    let used = Infinity
    for (let i = 0; i < 100 && used > 5; i++) {
      const before = process.cpuUsage()
      await new Promise((resolve) => setTimeout(resolve, 100))
      const { user, system } = process.cpuUsage(before)
      used = (user + system) / 1000
    }
    console.log(used)`)
  expect(Number(stdout.trim() || NaN)).toBeLessThanOrEqual(5)
})

describe('FERROGRAD_DEVICE', () => {
  const use = "const before = device.info().threads > 0\nfor (const make of [() => tensor([1]), () => ferrograd.zeros([2]), () => ferrograd.rand([1])]) try { make(); console.log('made') } catch (error) { console.log(error.name, error.code, error.message) }\nconsole.log(before)"

  test.each(['', 'cpu', ' CPU '])('%j is the CPU', (value) => {
    expect(run(use, { FERROGRAD_DEVICE: value }).stdout).toBe('made\nmade\nmade\ntrue\n')
  })

  test.each(['cuda', 'cuda:1', 'CUDA'])('%s is refused at every use, with the reason; the import and doctor are not', (value) => {
    const { stdout, status } = run(`${use}\nconsole.log(device.cuda.reason())`, { FERROGRAD_DEVICE: value })
    const [first, ...rest] = stdout.split('\n')
    const reason = rest.at(-2)!.replace(/\.$/, '')
    expect(first).toBe(`DeviceError ERR_DEVICE FERROGRAD_DEVICE=${value}: cuda is not available: ${reason}.`)
    expect(stdout.match(/DeviceError ERR_DEVICE/g)).toHaveLength(3)
    expect(stdout).toContain('  Unset it, or set it to cpu.')
    expect(status).toBe(0)
  })

  test('names what there is for what there is not', () => {
    expect(run(use, { FERROGRAD_DEVICE: 'tpu' }).stdout).toContain('FERROGRAD_DEVICE=tpu: there is no device "tpu"; it takes cpu or cuda.')
    expect(run(use, { FERROGRAD_DEVICE: 'meta' }).stdout).toContain("FERROGRAD_DEVICE=meta: the meta device has shapes only; ask for it where a tensor is made: zeros([2, 3], { device: 'meta' }).")
  })
})

describe('FERROGRAD_LOG', () => {
  // A failure nobody reads, tensors outside scopes, a loss that is no number, a remark of a callback, progress, a recording.
  const talk = `const x = ${bad}; await tensor([1]).item(); x.dispose(); await tensor([1]).item()
    const held = Array.from({ length: 48 }, () => ferrograd.zeros([256, 1024]))
    const { nn, Trainer, train } = ferrograd
    const trainer = new Trainer(new nn.Linear(1, 1), { loss: 'mse' })
    const remark = { onEpochEnd: (context) => context.note('a remark') }
    await trainer.fit({ inputs: [[1], [NaN]], labels: [[1], [2]] }, { callbacks: [remark], epochs: 2, ...globalThis.options })
    console.log(held.length)`
  const parts = { late: /FERROGRAD_LATE/, unscoped: /FERROGRAD_UNSCOPED/, nan: /FERROGRAD_NAN/, remark: /^a remark$/m, progress: /^Epoch 1\/2/m, recording: /^ferrograd: compile: recorded .* \d+ commands in /m }
  const said = (level: string | undefined, before = ''): string[] => {
    const { stderr, stdout, status } = run(`${before}\n${talk}`, level === undefined ? {} : { FERROGRAD_LOG: level })
    expect([status, stdout.trim()], stderr).toEqual([0, '48'])
    return Object.entries(parts).filter(([, pattern]) => pattern.test(stderr)).map(([name]) => name)
  }

  test.each([
    ['silent', []],
    ['error', ['late']],
    ['warn', ['late', 'unscoped', 'nan', 'remark']],
    ['info', ['late', 'unscoped', 'nan', 'remark', 'progress']],
    ['', ['late', 'unscoped', 'nan', 'remark', 'progress']],
    ['DEBUG', ['late', 'unscoped', 'nan', 'remark', 'progress', 'recording']],
  ])('%j', (level, expected) => expect(said(level)).toEqual(expected))

  test('verbose: false silences progress and remarks alone; a stream of one\'s own gets both at any level', () => {
    expect(said('info', 'globalThis.options = { verbose: false }')).toEqual(['late', 'unscoped', 'nan'])
    expect(said('error', "globalThis.options = { stream: process.stderr }")).toEqual(['late', 'remark', 'progress'])
  })

  test('a level that there is not is named once', () => {
    const { stderr } = run(talk, { FERROGRAD_LOG: 'verbose' })
    expect(stderr.match(/FERROGRAD_LOG=verbose is none of silent, error, warn, info, debug; info is used/g)).toHaveLength(1)
    expect(stderr).toMatch(parts.progress)
  })
})

test('a second copy in one thread is refused, and the first goes on', () => {
  const { stdout, status } = run(`const { createRequire } = await import('node:module')
    const { init } = createRequire(process.cwd() + '/x.js')(${JSON.stringify(addon)})
    try { init(new Int32Array(64), new Float64Array(64), new Int32Array(64), () => {}) } catch (error) { console.log(error.message) }
    console.log(await tensor([1, 2]).sum().item())`)
  expect(stdout).toMatch(/loaded twice in this thread[\s\S]*\n3\n/)
  expect(status).toBe(0)
})
