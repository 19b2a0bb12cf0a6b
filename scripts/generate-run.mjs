// Writes ts/native/run.ts, the typed encoder of the op call, from the addon's op table (crates/runtime/src/ops.rs).
import { createRequire } from 'node:module'
import { writeFileSync, readFileSync, existsSync } from 'node:fs'

/** @param {string} addon the .node file  @param {string} target the file to write */
export function generateRun(addon, target) {
  const table = JSON.parse(createRequire(import.meta.url)(addon).opTable())
  const text = render(table)
  // An unchanged file keeps its time, so that nothing is compiled again for it.
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeFileSync(target, text)
}

const camel = (name) => name.replace(/_+$/, '').replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
const TYPES = { In: 'Tensor', Opt: 'Tensor | null', List: 'readonly Tensor[]', Mut: 'Tensor', MutList: 'readonly Tensor[]' }
const ATTRIBUTES = { i64: 'number', f64: 'number', bool: 'boolean', Dims: 'readonly number[]' }
const isDynamic = (row) => row.operands.some(([, kind]) => kind === 'List' || kind === 'MutList') || row.attrs.some(([, kind]) => kind === 'Dims')

function render(table) {
  const rows = table.map(encoder).join('\n')
  return `// Generated from the op table by scripts/generate-run.mjs. Do not edit.
import { callSite, currentModule, TRACE } from '../context.js'
import { ValueError, VersionError } from '../errors.js'
import { kindOf, noTensor } from '../explain.js'
import { commands as c, floats as f, native } from '../native.js'
import { answer, answers, Tensor } from '../tensor.js'

const call = native.run

let op = ''
function noInteger(name: string, value: unknown): ValueError {
  return new ValueError(op + ': ' + name + ' takes 32-bit integers, got ' + kindOf(value) + '.', { op })
}
function noNumber(op: string, value: unknown): ValueError {
  return new ValueError(op + ': takes numbers, got ' + kindOf(value) + '.', { op })
}
function put(at: number, x: Tensor, name: string): number {
  if (!(x instanceof Tensor)) throw noTensor(op, name, x)
  c[at] = x._slot
  c[at + 1] = x._generation
  return at + 2
}
function putList(at: number, list: readonly Tensor[], name: string): number {
  c[at++] = list.length
  for (let i = 0; i < list.length; i++) at = put(at, list[i]!, name)
  return at
}
function putDims(at: number, dims: readonly number[]): number {
  if (typeof dims !== 'object' || dims?.length === undefined) throw noInteger('a list of sizes', dims)
  c[at++] = dims.length
  for (let i = 0; i < dims.length; i++) {
    c[at] = dims[i]!
    // The array holds 32-bit integers; what it changed was none.
    if (c[at++] !== dims[i]!) throw noInteger('a list of sizes', dims)
  }
  return at
}
/** What other workers read is not changed under them. */
function mutable(op: string, list: readonly Tensor[]): void {
  if (list.some((x) => x._base._frozen)) throw new VersionError(op + ': the tensor was shared with other workers and cannot be changed in place any more. Change a copy: x.clone().', { op })
}
/** An in-place change: tensors that share the storage see it. */
function changed(list: readonly Tensor[]): void {
  for (const x of list) x._base._version++
}
function view(x: Tensor): Tensor {
  const y = answer()
  y._base = x._base
  return y
}

/** One function a row of the op table: checks shapes at once, queues the command, records no gradient. */
export const run = {
${rows}
}
`
}

function encoder(row) {
  const name = camel(row.name)
  const operands = row.operands.map(([operand, kind]) => ({ name: camel(operand), kind }))
  const attrs = row.attrs.map(([attr, kind]) => ({ name: camel(attr), kind }))
  const pointwise = row.section === 'unary' || row.section === 'binary'
  const creates = operands.length === 0
  const parameters = [
    ...operands.map((o) => `${o.name}: ${TYPES[o.kind]}`),
    ...attrs.map((a) => (pointwise ? `${a.name} = 0` : `${a.name}: ${ATTRIBUTES[a.kind]}`)),
    ...(creates ? ['device = 0'] : []),
  ]
  const outputs = row.outputs.length
  const result = outputs === 0 ? 'void' : outputs === 1 ? 'Tensor' : `[${row.outputs.map(() => 'Tensor').join(', ')}]`
  const written = operands.filter((o) => o.kind === 'Mut' || o.kind === 'MutList')
  const lines = [...written.map((o) => `mutable('${name}', ${o.kind === 'Mut' ? `[${o.name}]` : o.name})`), `op = '${name}'`, `c[0] = ${row.code}`, 'c[1] = TRACE ? callSite() : currentModule', `c[2] = ${creates ? 'device' : '0'}`]
  lines.push(...(isDynamic(row) ? dynamicLines(row, operands, attrs) : fixedLines(row, operands, attrs)))
  lines.push('call()')
  if (outputs === 0) lines.push('answers()')
  else if (outputs > 1) lines.push(`const out = answers() as ${result}`)
  else if (written.length > 0) lines.push('const out = answer()')
  for (const o of written) lines.push(`changed(${o.kind === 'Mut' ? `[${o.name}]` : o.name})`)
  if (outputs > 0) {
    if (row.section === 'view') lines.push('return view(x)')
    else lines.push(outputs > 1 || written.length > 0 ? 'return out' : 'return answer()')
  }
  return `  ${name}(${parameters.join(', ')}): ${result} {\n${lines.map((line) => `    ${line}`).join('\n')}\n  },`
}

/** A number for the kernel. Stored unseen, a string would be NaN. */
function number(op, { name }, index) {
  return [`if (typeof ${name} !== 'number') throw noNumber('${op}', ${name})`, `f[${index}] = ${name}`]
}

/** Every position is known: plain stores. */
function fixedLines(row, operands, attrs) {
  // A row for numbers is part of an op of two operands, which users know as a and b.
  const name = camel(row.name.replace(/_scalar$/, ''))
  const known = { x: row.section === 'binary' || row.name.endsWith('_scalar') ? 'a' : 'x', y: row.section === 'binary' ? 'b' : 'y' }
  let at = 3
  const lines = []
  for (const o of operands) {
    const or = o.kind === 'Opt'
    lines.push(`if (${or ? `${o.name} !== null && ` : ''}!(${o.name} instanceof Tensor)) throw noTensor('${name}', '${known[o.name] ?? o.name}', ${o.name})`)
    lines.push(or ? `c[${at}] = ${o.name} === null ? -1 : ${o.name}._slot` : `c[${at}] = ${o.name}._slot`)
    lines.push(or ? `c[${at + 1}] = ${o.name} === null ? 0 : ${o.name}._generation` : `c[${at + 1}] = ${o.name}._generation`)
    // An absent operand is -1; a disposed one must not look absent.
    if (or) lines.push(`if (${o.name} !== null && c[${at}]! < 0) c[${at}] = 0x7fffffff`)
    at += 2
  }
  let float = 0
  for (const a of attrs) {
    if (a.kind === 'f64') lines.push(...number(name, a, float++))
    else if (a.kind === 'bool') lines.push(`c[${at++}] = ${a.name} ? 1 : 0`)
    else lines.push(`if ((c[${at}] = ${a.name}, c[${at++}]) !== ${a.name}) throw noInteger('${a.name}', ${a.name})`)
  }
  return lines
}

function dynamicLines(row, operands, attrs) {
  const lines = ['let at = 3']
  for (const o of operands) {
    if (o.kind === 'List' || o.kind === 'MutList') lines.push(`at = putList(at, ${o.name}, '${o.name}')`)
    else if (o.kind === 'Opt') lines.push(`if (${o.name} === null) { c[at] = -1; at += 2 } else { at = put(at, ${o.name}, '${o.name}'); if (${o.name}._slot < 0) c[at - 2] = 0x7fffffff }`)
    else lines.push(`at = put(at, ${o.name}, '${o.name}')`)
  }
  let float = 0
  for (const a of attrs) {
    if (a.kind === 'f64') lines.push(...number(camel(row.name), a, float++))
    else if (a.kind === 'Dims') lines.push(`at = putDims(at, ${a.name})`)
    else if (a.kind === 'bool') lines.push(`c[at++] = ${a.name} ? 1 : 0`)
    else lines.push(`if ((c[at] = ${a.name}, c[at++]) !== ${a.name}) throw noInteger('${a.name}', ${a.name})`)
  }
  return lines
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) generateRun(process.argv[2], process.argv[3])
