// What is going on around an op: which modules are running, and whether a step is being captured.

/** The modules whose `forward` is running, outermost first. */
export const moduleStack: object[] = []

interface Entry { parent: number; module: WeakRef<object>; below: WeakMap<object, number> }

/** Each distinct chain of running modules has a number, which travels with every command: a late error names the layer by it. */
const entries: (Entry | null)[] = [null]
const roots = new WeakMap<object, number>()
const freed: number[] = []
const collected = new FinalizationRegistry<number>((id) => {
  entries[id] = null
  freed.push(id)
})

/** The number of the running chain; 0 outside any module. */
export let currentModule = 0
let pathOf: (stack: readonly object[]) => string = () => ''
let observer: ((module: object) => void) | null = null

/** `nn` tells how a stack of modules is named; this file knows no modules. */
export function setModuleNaming(naming: (stack: readonly object[]) => string): void {
  pathOf = naming
}

/** Hears of every module that is entered while a step is being captured. */
export function observeModules(listener: ((module: object) => void) | null): void {
  observer = listener
}

/** Marks `module` as running; answers with what `leaveModule` takes. */
export function enterModule(module: object): number {
  const before = currentModule
  const below = before === 0 ? roots : entries[before]!.below
  let id = below.get(module)
  if (id === undefined) {
    id = freed.pop() ?? entries.length
    entries[id] = { parent: before, module: new WeakRef(module), below: new WeakMap() }
    below.set(module, id)
    collected.register(module, id)
  }
  moduleStack.push(module)
  currentModule = id
  if (observer !== null) observer(module)
  return before
}

export function leaveModule(before: number): void {
  moduleStack.pop()
  currentModule = before
}

/** Under FERROGRAD_TRACE=1 every op notes where it was called from. */
export const TRACE: boolean = process.env['FERROGRAD_TRACE'] === '1'
const FIRST_SITE = 1 << 24
const SITES = 1 << 16
const sites: { module: number; stack: string }[] = []
let nextSite = 0

/** A number for this call: the running modules, and the stack. The last 65,536 are kept. */
export function callSite(): number {
  const index = nextSite++ % SITES
  sites[index] = { module: currentModule, stack: new Error().stack?.split('\n').slice(3).join('\n') ?? '' }
  return FIRST_SITE + index
}

/** The stack of the call that a number stands for; undefined without FERROGRAD_TRACE=1. */
export function callStackOf(id: number): string | undefined {
  return id < FIRST_SITE ? undefined : sites[id - FIRST_SITE]?.stack
}

/** The path that a number stands for, as in "encoder.layers.3"; '' for none, or when the modules are gone. */
export function modulePathOf(id: number): string {
  const stack: object[] = []
  for (let at = id < FIRST_SITE ? id : sites[id - FIRST_SITE]?.module ?? 0; at !== 0;) {
    const entry = entries[at]
    const module = entry?.module.deref()
    if (entry === null || entry === undefined || module === undefined) return ''
    stack.unshift(module)
    at = entry.parent
  }
  return stack.length === 0 ? '' : pathOf(stack)
}

/** What a step that is being captured wants to know of the code it runs. */
export interface Capture {
  /** Has `prepare` run before each replay, the first one included: for what a program reads from JavaScript, such as a learning rate. */
  beforeReplay(prepare: () => void): void
  /** The program is used while `condition` holds; once it does not, the step is recorded anew. */
  fitsWhile(condition: () => boolean): void
  /** @internal A tensor's gradient is about to be replaced, or first of all read. */
  touchGradient(tensor: object, reading: boolean): void
}

let capture: Capture | null = null
/** The capture under way, or null. */
export function captureContext(): Capture | null {
  return capture
}
/** @internal Answers with the one before. */
export function setCapture(next: Capture | null): Capture | null {
  const before = capture
  capture = next
  return before
}
