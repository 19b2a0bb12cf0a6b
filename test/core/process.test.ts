import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const library = new URL('../../dist/index.js', import.meta.url).href

function run(code: string, env: Record<string, string> = {}): { stdout: string; stderr: string; status: number | null } {
  const source = `const ferrograd = await import(${JSON.stringify(library)})\nconst { tensor, device } = ferrograd\n${code}`
  return spawnSync(process.execPath, ['--input-type=module', '--expose-gc', '-e', source], { env: { ...process.env, ...env }, encoding: 'utf8' })
}
const bad = "tensor([1, 2]).indexSelect(0, tensor([9], { dtype: 'int32' }))"

test('a late error that nobody read becomes one process warning', () => {
  const { stderr, status } = run(`const x = ${bad}; await tensor([1]).item(); x.dispose()\nawait tensor([1]).item(); await tensor([2]).item()`)
  expect(status).toBe(0)
  expect(stderr.match(/FERROGRAD_LATE/g)).toHaveLength(1)
  expect(stderr).toMatch(/a result that nobody read had failed: index_select/)
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
