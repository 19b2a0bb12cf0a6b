import { autocasting, forgetCasts, withAutocast } from './autocast.js'
import { type Capture, captureContext, observeModules, setCapture } from './context.js'
import { CaptureError } from './errors.js'
import { debug } from './log.js'
import { check, commands, native } from './native.js'
import { run } from './native/run.js'
import { settle } from './options.js'
import { defaultGenerator, type Generator } from './random.js'
import { RowGradient } from './row-gradient.js'
import { isGradEnabled, isPromise, quiet, refuseAsync, Scope, scope, setGradEnabled, unscoped } from './scope.js'
import { answers, Tensor } from './tensor.js'

/** Options of `compile`. */
export interface CompileOptions {
  /** Runs the plain function beside each replay and throws where a result or a parameter differs by a bit. For tests. */
  check?: boolean
}

/** A compiled function. */
export interface Compiled<A extends unknown[], R> {
  (...args: A): R
  /** Programs recorded so far and still kept. */
  readonly programs: number
  /**
   * The last program used, as text: its commands one a line (what was fused into one op shows by its name and attributes), with shapes and the bytes
   * that each reads and writes; then how many there are, what was left out, and the memory of the temporaries.
   */
  describe(): string
  /** Writes {@link describe} to the console. */
  print(): void
  /** Frees the programs. */
  dispose(): void
}

const KEPT = 8

/** What a module looked like while it was recorded. */
interface ModuleGuard { module: Guarded; hasHooks: boolean; holders: Holder[] }
/** A module, or an array, record or Map in its fields, with all that it holds: tensors, layers, numbers, modes. */
interface Holder { size: () => number; count: number; fields: Field[] }
interface Field { read: () => unknown; value: unknown; requiresGrad: boolean }
interface Guarded { hasHooks?: boolean }
/** A leaf whose gradient the program reads or leaves. */
interface GradientGuard { leaf: Tensor; existed: string; outcome: 'kept' | 'cleared' | 'made' | 'rows' }

interface Entry {
  program: number
  key: string
  modules: ModuleGuard[]
  gradients: GradientGuard[]
  generator: Generator
  prepare: (() => void)[]
  conditions: (() => boolean)[]
  /** The result with each tensor replaced by its place among the outputs. */
  shape: unknown
}

/** Stands in a result's structure for output number `index`. */
class Place {
  constructor(readonly index: number) {}
}

/**
 * Records the ops that `fn` calls, once, and then replays them in one native call, with the same bits as the plain function. A new recording is made for
 * other shapes, dtypes, plain arguments, train/eval modes, `noGrad`, `autocast`, frozen parameters, or gradients that exist or not; the last 8 are kept.
 *
 * The JavaScript body runs only while recording: it must not read values, await, or depend on anything but its arguments, modules and optimizers.
 * What a module's fields hold counts (layers, rates, modes), as long as the body does not change them itself; variables around the function do not.
 * Results have no graph: call `backward` inside.
 * A replay is all or nothing: if it fails (a label out of range), parameters, optimizer state, running statistics and random state are as before.
 *
 * @throws CaptureError for what cannot be recorded: async functions, reads, hooks
 */
export function compile<A extends unknown[], R>(fn: (...args: A) => R, options: CompileOptions = {}): Compiled<A, R> {
  refuseCaptureOfAsync(fn)
  const { check: verify } = settle('compile', options, { check: false })
  let entries: Entry[] = []
  let last: Entry | null = null

  const compiled = (...args: A): R => {
    if (captureContext() !== null) throw new CaptureError('compile: a compiled function was called inside another. Call the plain function there.')
    const tensors: Tensor[] = []
    const key = describeArgument(args, tensors) + (isGradEnabled() ? '' : ' noGrad') + (autocasting ? ' autocast' : '')
    let entry = entries.find((candidate) => candidate.key === key && fits(candidate))
    if (entry === undefined) {
      const begun = performance.now()
      entry = withAutocast(autocasting, () => recordProgram(fn, args, tensors, key), true)
      const { program } = entry
      debug(() => `compile: recorded ${fn.name || 'a function'} for (${key}), ${native.describeProgram(program)?.trim().split('\n').length ?? 0} commands in ${(performance.now() - begun).toFixed(1)} ms`)
    }
    else entries.splice(entries.indexOf(entry), 1)
    entries.unshift(entry)
    for (const dropped of entries.splice(KEPT)) native.dropProgram(dropped.program)
    last = entry
    return (verify ? replayChecked(entry, tensors, () => fn(...args)) : replay(entry, tensors)) as R
  }
  const handle = compiled as unknown as Compiled<A, R>
  const drop = (): void => {
    for (const { program } of entries) native.dropProgram(program)
    entries = []
    last = null
  }
  Object.defineProperty(handle, 'programs', { get: () => entries.length })
  handle.describe = () => (last === null ? '' : native.describeProgram(last.program) ?? '')
  handle.print = () => console.log(handle.describe())
  handle.dispose = drop
  return handle
}

function refuseCaptureOfAsync(fn: unknown): void {
  try {
    refuseAsync(fn, 'compile')
  } catch (error) {
    throw new CaptureError((error as Error).message)
  }
}

/** A text that is equal for arguments that one program serves; tensors are collected on the way. */
function describeArgument(value: unknown, tensors: Tensor[]): string {
  if (value instanceof Tensor) {
    // The same tensor twice is not two tensors of one shape.
    const earlier = tensors.indexOf(value)
    tensors.push(value)
    return `${value.dtype}[${value.shape.join()}]${value.device}${value.requiresGrad ? 'g' : ''}${(value._hooks?.length ?? 0) > 0 ? 'h' : ''}${earlier < 0 ? '' : `=${earlier}`}`
  }
  const entries = entriesOf(value)
  if (entries !== null) return `${kindOf(value)}{${entries.map(([name, item]) => `${describeArgument(name, tensors)}:${describeArgument(item, tensors)}`).join(' ')}}`
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return `function${identity(value)}`
  if (typeof value !== 'object' || value === null) return `${typeof value} ${Object.is(value, -0) ? '-0' : String(value)}`
  if (ArrayBuffer.isView(value)) {
    throw new CaptureError(`compile: an argument is a ${kindOf(value)}, whose numbers would be those of the first call for ever.\n  Pass a tensor: step(tensor(values)).`)
  }
  return `object${identity(value)}${describeFields(value)}`
}

/** An instance of a class stays what it is, so that its fields are part of the text; modules and the like are guarded where they are used. */
function describeFields(holder: object): string {
  if ('forward' in holder || 'step' in holder) return ''
  const fields = Object.entries(holder).map(([name, value]) => {
    if (value instanceof Tensor || entriesOf(value) !== null || ArrayBuffer.isView(value)) {
      throw new CaptureError(`compile: an argument is a ${kindOf(holder)} whose field '${name}' would be that of the first call for ever.\n  Pass tensors as such, or in arrays, plain objects and Maps.`)
    }
    return `${name}:${describeArgument(value, [])}`
  })
  return `{${fields.join(' ')}}`
}

const kindOf = (value: unknown): string => (value as object).constructor?.name ?? 'object'

/** What arrays, plain records, Maps and Sets hold; null for anything else. */
function entriesOf(value: unknown): [unknown, unknown][] | null {
  if (typeof value !== 'object' || value === null) return null
  if (Array.isArray(value)) return [...value.entries()]
  if (value instanceof Map) return [...value.entries()]
  if (value instanceof Set) return [...value].map((item, i) => [i, item])
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? Object.entries(value) : null
}

/** The same kind of thing holding other items. */
function rebuild(like: unknown, items: [unknown, unknown][]): unknown {
  if (Array.isArray(like)) return items.map(([, item]) => item)
  if (like instanceof Map) return new Map(items)
  if (like instanceof Set) return new Set(items.map(([, item]) => item))
  return Object.fromEntries(items as [string, unknown][])
}

const identities = new WeakMap<object, number>()
let nextIdentity = 0
function identity(value: object): number {
  let id = identities.get(value)
  if (id === undefined) identities.set(value, id = ++nextIdentity)
  return id
}

function fits({ modules, gradients, generator, conditions }: Entry): boolean {
  return generator === defaultGenerator()
    && modules.every(({ module, hasHooks, holders }) => (module.hasHooks ?? false) === hasHooks && holders.every(unchanged))
    && gradients.every(({ leaf, existed }) => existed === kindOfGradient(leaf._gradient, existed === 'unread'))
    && conditions.every((holds) => holds())
}

function unchanged({ size, count, fields }: Holder): boolean {
  return size() === count && fields.every(same)
}
function same({ read, value, requiresGrad }: Field): boolean {
  return Object.is(read(), value) && (!requiresGrad === !(value instanceof Tensor && value.requiresGrad))
}

/** Lists tensors in the command buffer. */
function list(tensors: readonly Tensor[]): void {
  commands[0] = tensors.length
  tensors.forEach((tensor, i) => {
    commands[1 + 2 * i] = tensor._slot
    commands[2 + 2 * i] = tensor._generation
  })
}

function standIns(tensors: readonly Tensor[], begin: () => void): Tensor[] {
  list(tensors)
  begin()
  return answers()
}

/** Notes what the recorded code touches. */
class Recording implements Capture {
  readonly modules = new Map<object, ModuleGuard>()
  readonly gradients = new Map<Tensor, { before: Gradient; standIn: Gradient; existed: string }>()
  readonly prepare: (() => void)[] = []
  readonly conditions: (() => boolean)[] = []
  #busy = false

  beforeReplay(prepare: () => void): void {
    this.prepare.push(prepare)
  }
  fitsWhile(condition: () => boolean): void {
    this.conditions.push(condition)
  }
  touchModule(module: Guarded): void {
    if (this.modules.has(module)) return
    this.modules.set(module, { module, hasHooks: module.hasHooks ?? false, holders: holdersIn(module) })
  }
  /** A gradient that exists becomes an argument: at each replay it is another tensor. */
  touchGradient(tensor: object, reading: boolean): void {
    const leaf = tensor as Tensor
    if (this.#busy || this.gradients.has(leaf) || leaf._node !== null) return
    this.#busy = true
    const before = leaf._swapGrad(null)
    const existed = kindOfGradient(before, !reading)
    const parts = existed === 'unread' ? [] : partsOf(before)
    const stands = parts.length === 0 ? [] : unscoped(() => standIns(parts, () => native.captureArguments()))
    const standIn = stands.length === 0 ? null : before instanceof RowGradient ? new RowGradient(stands[0]!, stands[1]!, before.rows) : stands[0]!
    leaf._swapGrad(standIn)
    this.gradients.set(leaf, { before, standIn, existed })
    this.#busy = false
  }
}

type Gradient = Tensor | RowGradient | null

/**
 * What a program takes for granted of a gradient: that it exists, and, where it is rows, how many. Rows that are replaced unread may be any: their
 * number is that of the last batch's ids.
 */
function kindOfGradient(gradient: Gradient, replaced: boolean): string {
  if (!(gradient instanceof RowGradient)) return gradient === null ? 'none' : 'dense'
  return replaced ? 'unread' : `rows ${gradient.indices.size}`
}

/** The tensors of a gradient. */
function partsOf(gradient: Gradient): Tensor[] {
  if (gradient === null) return []
  return gradient instanceof RowGradient ? [gradient.indices, gradient.values] : [gradient]
}

function copied(gradient: Gradient): Gradient {
  const [first, second] = unscoped(() => partsOf(gradient).map((part) => run.contiguous(part)))
  return gradient instanceof RowGradient ? new RowGradient(first!, second!, gradient.rows) : first ?? null
}

/** Gives `leaf` the gradient in the place of the one before, which is freed. */
function put(leaf: Tensor, gradient: Gradient): void {
  leaf.grad = null
  leaf._swapGrad(gradient)
}

/** All that a module holds itself; modules inside it are guarded when they run. */
function holdersIn(holder: object, seen: Set<object> = new Set()): Holder[] {
  seen.add(holder)
  const isMap = holder instanceof Map
  const keys = isMap ? [...holder.keys()] : Object.keys(holder)
  const read = (key: unknown) => (isMap ? () => holder.get(key) as unknown : () => (holder as Record<string, unknown>)[key as string])
  const fields = keys.map((key): Field => {
    const value = read(key)()
    return { read: read(key), value, requiresGrad: value instanceof Tensor && value.requiresGrad }
  })
  const inner = fields.flatMap(({ value }) => {
    const plain = typeof value === 'object' && value !== null && !seen.has(value) && entriesOf(value) !== null && !(value instanceof Set)
    return plain ? holdersIn(value, seen) : []
  })
  return [{ size: isMap ? () => holder.size : () => Object.keys(holder).length, count: keys.length, fields }, ...inner]
}

/** What the recorded code changes itself, a counter for instance, says nothing about whether its program fits. */
function withoutOwnChanges({ module, hasHooks, holders }: ModuleGuard): ModuleGuard {
  return { module, hasHooks, holders: holders.map((holder) => ({ ...holder, count: holder.size(), fields: holder.fields.filter(same) })) }
}

function recordProgram(fn: (...args: any[]) => unknown, args: unknown[], tensors: Tensor[], key: string): Entry {
  const recording = new Recording()
  const outer = new Scope()
  let finished = false
  const generator = defaultGenerator()
  const before = isGradEnabled()
  try {
    const stands = standIns(tensors, () => native.captureBegin())
    stands.forEach((stand, i) => {
      if (!tensors[i]!.requiresGrad) return
      stand.requiresGrad = true
      for (const hook of tensors[i]!._hooks ?? []) stand.registerHook(hook)
    })
    setCapture(recording)
    observeModules((module) => recording.touchModule(module))
    let next = 0
    const result = fn(...(substitute(args, () => stands[next++]!) as unknown[]))
    if (isPromise(result)) {
      quiet(result)
      throw new CaptureError('compile: the function returned a promise. Return the tensors and await outside: `await step(x).item()`.')
    }
    setCapture(null)
    const outputs: Tensor[] = []
    const shape = structure(result, outputs)
    const gradients: GradientGuard[] = []
    for (const [leaf, { standIn, existed }] of recording.gradients) {
      const after = leaf._gradient
      if (after !== standIn && stands.includes(leaf)) {
        throw new CaptureError('compile: backward reaches an argument that requires a gradient, whose .grad a replay does not set.\n  Return grad(loss, [x]) from the function, or pass x.detach().')
      }
      const outcome = after === null ? 'cleared' : after === standIn ? 'kept' : after instanceof RowGradient ? 'rows' : 'made'
      if (outcome !== 'kept') outputs.push(...partsOf(after))
      gradients.push({ leaf, existed, outcome })
    }
    list(outputs)
    native.captureEnd()
    check()
    finished = true
    return { program: commands[1]!, key, modules: [...recording.modules.values()].map(withoutOwnChanges), gradients, generator, prepare: recording.prepare, conditions: recording.conditions, shape }
  } finally {
    setCapture(null)
    observeModules(null)
    setGradEnabled(before)
    if (!finished) native.captureAbort()
    for (const [leaf, { before: existing, standIn }] of recording.gradients) {
      const after = leaf._swapGrad(existing)
      if (after !== null && after !== existing) after.dispose()
      standIn?.dispose()
    }
    outer.abandon()
  }
}

/** The arguments with each tensor replaced, in the order in which `describeArgument` met them. */
function substitute(value: unknown, next: (tensor: Tensor) => unknown): unknown {
  if (value instanceof Tensor) return next(value)
  const entries = entriesOf(value)
  return entries === null ? value : rebuild(value, entries.map(([name, item]) => [substitute(name, next), substitute(item, next)]))
}

/** The result with places for its tensors, which go to `outputs`. */
function structure(result: unknown, outputs: Tensor[]): unknown {
  return substitute(result, (tensor) => new Place(outputs.push(tensor) - 1))
}

function fill(shape: unknown, outputs: readonly Tensor[]): unknown {
  if (shape instanceof Place) return outputs[shape.index]
  const entries = entriesOf(shape)
  return entries === null ? shape : rebuild(shape, entries.map(([name, item]) => [name, fill(item, outputs)]))
}

function replay(entry: Entry, tensors: readonly Tensor[]): unknown {
  // It may write parameters, and raises no versions.
  forgetCasts()
  for (const prepare of entry.prepare) prepare()
  list([...tensors, ...entry.gradients.flatMap(({ leaf, existed }) => (existed === 'unread' ? [] : partsOf(leaf._gradient)))])
  native.replay(entry.program)
  const outputs = answers()
  const made = { cleared: 0, kept: 0, made: 1, rows: 2 }
  let position = outputs.length - entry.gradients.reduce((sum, { outcome }) => sum + made[outcome], 0)
  const next = (): Tensor => unscoped(() => outputs[position++]!._leaveScope())
  for (const { leaf, outcome } of entry.gradients) {
    if (outcome === 'cleared') leaf.grad = null
    else if (outcome === 'made') leaf.grad = next()
    else if (outcome === 'rows') put(leaf, new RowGradient(next(), next(), leaf.shape[0]!))
  }
  return fill(entry.shape, outputs)
}

/** Replays, puts everything back, runs the plain function, and compares. */
function replayChecked(entry: Entry, tensors: readonly Tensor[], plain: () => unknown): unknown {
  return scope(() => {
    for (const prepare of entry.prepare) prepare()
    native.programState(entry.program)
    const state = answers()
    const before = state.map((tensor) => run.contiguous(tensor))
    const gradients = entry.gradients.map(({ leaf }) => copied(leaf._gradient))
    const captured: Tensor[] = []
    structure(replay(entry, tensors), captured)
    const after = state.map((tensor) => run.contiguous(tensor))
    state.forEach((tensor, i) => run.assign(tensor, before[i]!))
    entry.gradients.forEach(({ leaf }, i) => put(leaf, gradients[i] as Gradient))
    const result = plain()
    const eager: Tensor[] = []
    structure(result, eager)
    ;[...captured, ...after].forEach((tensor, i) => {
      const other = [...eager, ...state][i]!
      const [a, b] = [tensor, other].map((t) => { const d = t.detach().dataSync(); return Buffer.from(d.buffer, d.byteOffset, d.byteLength) })
      if (!a!.equals(b!)) throw new CaptureError(`compile: with check, ${i < captured.length ? `output ${i}` : `state ${i - captured.length}`} differs between the captured and the plain run.\n  The function depends on what a recording cannot see, such as a counter or a variable around it: pass it as an argument, or hold it in a module's field.`)
    })
    return result
  })
}
