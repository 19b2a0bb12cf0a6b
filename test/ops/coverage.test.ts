// Every row of the op table that takes or gives floats has a checkOp case set; the rows that are not plain functions of tensors name the
// test that has them.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { native } from '../../ts/native.js'
import { rowName } from '../rows.js'

interface Row {
  name: string
  section: string
}

/** Rows outside checkOp, by the file that tests them against a reference of its own. */
const ELSEWHERE: Record<string, string> = {
  assign: 'test/ops/assign.test.ts',
  fill: 'test/ops/assign.test.ts',
  full: 'test/create.test.ts',
  arange: 'test/create.test.ts',
  eye: 'test/create.test.ts',
  uniform: 'test/create.test.ts',
  normal: 'test/create.test.ts',
  randint: 'test/create.test.ts',
  permutation: 'test/create.test.ts',
  truncated_normal: 'test/nn/init.test.ts',
  orthogonal: 'test/nn/init.test.ts',
  batch_norm_update: 'test/ops/batch-norm.test.ts',
  augment: 'test/ops/image.test.ts',
  quantized_linear: 'test/ops/quantized-linear.test.ts',
  sgd: 'test/optim',
  adam: 'test/optim',
  rmsprop: 'test/optim',
  adagrad: 'test/optim',
  grad_norm: 'test/optim',
  clip_coefficient: 'test/optim',
  guard: 'test/optim',
}
/** Rows with integer or bool results alone, which are counted as tested inside the ops that use them. */
const NO_FLOATS = new Set(['nonzero_count', 'unique_count', 'rng_next'])

/** The rows that the case sets of this folder name; `checkOp` itself fails if one of them was not run. */
function covered(): Set<string> {
  const rows = new Set<string>()
  const declared = /check(?:Op|Unary|Binary|Scalar|Reshape)(?:<[^(]*>)?\(\s*(?:\w+ \? )?'(\w+)'/g
  for (const file of readdirSync('test/ops').filter((name) => name.endsWith('.test.ts') && name !== 'coverage.test.ts')) {
    const text = readFileSync(`test/ops/${file}`, 'utf8')
    for (const [, name] of text.matchAll(declared)) rows.add(rowName(name!))
    for (const [, list] of text.matchAll(/rows(?::| =) \[([^\]]*)\]/g)) for (const [, row] of list!.matchAll(/'(\w+)'/g)) rows.add(row!)
  }
  return rows
}

test('every float row of the op table has its cases', () => {
  const table = JSON.parse(native.opTable()) as Row[]
  const rows = covered()
  const plain = (name: string): boolean => rows.has(name) || rows.has(name.replace(/_$/, ''))
  const floats = table.filter(({ name }) => !NO_FLOATS.has(name))
  const missing = floats.filter(({ name }) => !plain(name) && !(name in ELSEWHERE)).map(({ name }) => name)
  const checked = floats.filter(({ name }) => plain(name)).length
  const elsewhere = floats.length - checked - missing.length
  console.log(`op table: ${table.length} rows, ${checked} float rows with checkOp cases, ${elsewhere} tested elsewhere, ${missing.length} without`)
  expect(missing).toEqual([])
})

test('the tests named for the other rows exist', () => {
  expect(Object.values(ELSEWHERE).filter((path) => !existsSync(path))).toEqual([])
})

test('test/coverage.md is what scripts/coverage.mjs writes', () => {
  // A process of its own: the script is plain JavaScript without types.
  const written = execFileSync(process.execPath, ['--input-type=module', '-e', "console.log((await import('./scripts/coverage.mjs')).coverage())"], { encoding: 'utf8' })
  expect(`${readFileSync('test/coverage.md', 'utf8')}\n`).toBe(written)
})
