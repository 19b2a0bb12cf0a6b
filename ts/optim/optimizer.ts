import { full, noGrad, Parameter, scope, tensor, Tensor, ValueError, zeros } from '../index.js'
import { captureContext, persistent, RowGradient, run, settle } from '../internal.js'
import { clipGradients, type ClipOptions } from './clip.js'
import {
  type Cohort,
  type CommonOptions,
  type Inner,
  newStep,
  type ParameterGroup,
  type Parameters,
  regroup,
  split,
  type Update,
} from './group.js'
import { restoreRates, scheduledRate, setScheduledRate } from './rates.js'
import { checkState, type OptimizerState, plainFields } from './state.js'

/**
 * The base of all optimizers. `step()` is all or nothing: if any gradient is invalid (a bad label in the batch), no parameter and no state
 * changes. All state, the step counter included, lives in tensors, so that a compiled step replays it.
 */
export abstract class Optimizer<O extends CommonOptions = CommonOptions> {
  /** The groups; set their fields to change hyper-parameters. */
  readonly groups: ParameterGroup<O>[] = []
  #inner: Inner[] = []
  #state = new Map<Tensor, Record<string, Tensor>>()
  #defaults: Required<O>

  constructor(params: Parameters<O>, defaults: Required<O>) {
    this.#defaults = defaults
    const name = this.constructor.name
    const source = params as Partial<Iterable<Tensor> & { parameters: unknown }> | null | undefined
    if (source === null || source === undefined || typeof source[Symbol.iterator] !== 'function') {
      const way = typeof source?.parameters === 'function' ? 'Pass model.parameters().' : 'Pass model.parameters(), or a list of groups.'
      throw new ValueError(`${name}: takes parameters, got ${source === null ? 'null' : typeof source}.\n  ${way}`)
    }
    const given = [...params] as (Tensor | (Partial<O> & { params: Iterable<Tensor> }))[]
    if (given.length === 0)
      throw new ValueError(`${this.constructor.name}: no parameters.\n  Pass model.parameters(), and unfreeze what is to be trained.`)
    const groups = given.some((item) => typeof item === 'object' && item !== null && 'params' in item) ? given : [{ params: given }]
    for (const group of groups) this.addGroup(group as Partial<O> & { params: Iterable<Tensor> })
  }

  /** Names of the state tensors a parameter of this group has, each with its first value. */
  protected abstract slots(group: ParameterGroup<O>): Record<string, number>
  /** The numbers of the kernel's `hyper` vector, in its order. */
  protected abstract hyper(group: ParameterGroup<O>): number[]
  /** Switches that a compiled step cannot follow. */
  protected abstract switches(group: ParameterGroup<O>): boolean[]
  /** Runs the kernel. */
  protected abstract update(group: ParameterGroup<O>, update: Update): void
  /** Throws for options out of range. */
  protected validate(group: ParameterGroup<O>): void {
    for (const name of ['lr', 'weightDecay', 'l1'] as const) this.check(name, group[name] as number, 0, Infinity)
  }

  /** Throws unless `low <= value < high`. */
  protected check(name: string, value: number, low: number, high: number): void {
    if (typeof value === 'number' && value >= low && value < high) return
    throw new ValueError(
      `${this.constructor.name}: ${name} is ${value}; it must be at least ${low} and ${high === Infinity ? 'finite' : `below ${high}`}.`,
    )
  }

  /** Adds parameters that train from now on, with options of their own. @throws ValueError for what is no parameter or no option */
  addGroup(options: Partial<O> & { params: Iterable<Tensor> }): void {
    const params = this.#parametersOf(options)
    const { params: _, ...own } = options
    const group = { ...settle<object, Required<O>>(this.constructor.name, own, this.#defaults), params } as ParameterGroup<O>
    const known = new Set(this.groups.flatMap(({ params }) => params))
    for (const param of group.params) {
      if (!param.isLeaf)
        throw new ValueError(
          `${this.constructor.name}: a parameter is the result of an op (not a leaf).\n` +
            `  Pass the tensors of model.parameters() themselves.`,
        )
      if (known.has(param)) throw new ValueError(`${this.constructor.name}: a parameter [${param.shape.join(', ')}] is given twice.`)
      known.add(param)
    }
    this.validate(group)
    const device = group.params[0]?.device ?? 'cpu'
    const inner = {
      hyper: persistent(() => zeros([this.hyper(group).length], { dtype: 'float64', device })),
      written: [],
      cohorts: [],
      layout: 0,
    }
    this.groups.push(group)
    this.#inner.push(inner)
    this.#ensureState(
      group,
      inner,
      group.params.filter((param) => param.requiresGrad),
    )
    this.syncHyper()
  }

  /** The parameters of a group, as a list. @throws ValueError for what is none */
  #parametersOf(group: { params?: Iterable<Tensor> } | null | undefined): Tensor[] {
    const name = this.constructor.name
    const params = group?.params
    if (params === null || typeof params !== 'object' || typeof params[Symbol.iterator] !== 'function') {
      throw new ValueError(`${name}: a group is { params, ...options }, with a list of parameters as params.\n  Pass model.parameters(), or [{ params: model.parameters(), lr: 0.01 }].`)
    }
    const list = [...params]
    const wrong = list.findIndex((param) => !(param instanceof Tensor))
    if (wrong < 0) return list
    throw new ValueError(`${name}: parameter ${wrong} must be a tensor, got ${list[wrong] === null ? 'null' : typeof list[wrong]}.\n  Pass model.parameters(), or tensors with requiresGrad.`)
  }

  /**
   * Updates every parameter that has a gradient; the others, and their step counts, stay.
   * `clipNorm` scales all gradients so that their joint norm is at most that; `clipValue` bounds each element first. Both leave `.grad` as
   * it is.
   * @throws ValueError for parameters that `model.to(...)` has replaced since the optimizer was made
   */
  step(options: ClipOptions = {}): void {
    noGrad(() =>
      scope(() => {
        this.#refuseReplaced()
        const work = this.#work()
        if (work.length === 0) return
        this.#followHyper()
        const { grads, scale } = clipGradients(
          work.flatMap(({ cohort }) => cohort.members.map(gradientFor(options))),
          options,
          work.length > 1,
        )
        let at = 0
        for (const {
          group,
          inner,
          cohort: { step, members },
        } of work) {
          const own = grads.slice(at, (at += members.length))
          const rows = members.flatMap(({ _gradient: given }) => (given instanceof RowGradient ? [given.indices] : []))
          const state = Object.keys(this.slots(group)).map((slot) => members.map((param) => this.#state.get(param)?.[slot] as Tensor))
          this.update(group, { grads: own, rows, scale, hyper: inner.hyper, params: members, state, step })
        }
      }),
    )
  }

  /** Parameters that `model.to()` replaced get no gradients any more: stepping on would train nothing, in silence. */
  #refuseReplaced(): void {
    const params = this.groups.flatMap((group) => group.params)
    // With a gradient it is still in use: by another model, with which it was shared.
    const replaced = params.filter((param) => param._gradient === null && param instanceof Parameter && param._replaced)
    if (replaced.length === 0) return
    throw new ValueError(
      `${this.constructor.name}: ${replaced.length} of ${params.length} parameters are not the model's any more: model.to(...) made new ones.\n` +
        '  Make the optimizer, or the Trainer, after model.to(...).',
    )
  }

  /** Sets every gradient to null. */
  zeroGrad(): void {
    for (const { params } of this.groups) for (const param of params) param.grad = null
  }

  /** Writes changed hyper-parameters to the tensors the kernels read. `step()` does it; so does a compiled step before each replay. */
  syncHyper(): void {
    for (const [index, group] of this.groups.entries()) {
      const { hyper, written } = this.#inner[index] as Inner
      const values = this.hyper(group)
      if (values.length === written.length && values.every((value, i) => Object.is(value, written[i]))) continue
      this.validate(group)
      noGrad(() => scope(() => run.assign(hyper, tensor(Float64Array.from(values), { device: hyper.device }))))
      ;(this.#inner[index] as Inner).written = values
    }
  }

  /**
   * Gives each group the rate that the user gave it, where a schedule that has ended left another; a rate set by hand since stays. `fit`
   * begins with it. A schedule that goes on by hand (`schedule.step()` between two fits) keeps its rates.
   */
  restoreRates(): void {
    restoreRates(this)
  }

  /** In eager mode writes the hyper-parameters now; under capture has it done before each replay. */
  #followHyper(): void {
    const context = captureContext()
    if (context === null) return this.syncHyper()
    const fixed = (): string => JSON.stringify(this.groups.map((group, i) => [this.switches(group), this.#inner[i]?.layout]))
    const before = fixed()
    context.beforeReplay(() => this.syncHyper())
    // A switch (maximize, nesterov, amsgrad, centered), a momentum of 0, or other parameters with gradients: that is another program.
    context.fitsWhile(() => fixed() === before)
  }

  /** The parameters to update, by group and age. */
  #work(): { group: ParameterGroup<O>; inner: Inner; cohort: Cohort }[] {
    return this.groups.flatMap((group, index) => {
      const inner = this.#inner[index] as Inner
      const active = group.params.filter((param) => param._gradient !== null)
      this.#ensureState(group, inner, active)
      const live = new Set(active)
      return inner.cohorts.slice().flatMap((cohort) => {
        const stepping = cohort.members.filter((param) => live.has(param))
        if (stepping.length === 0) return []
        return [{ group, inner, cohort: stepping.length === cohort.members.length ? cohort : split(inner, cohort, stepping) }]
      })
    })
  }

  #ensureState(group: ParameterGroup<O>, inner: Inner, params: Tensor[]): void {
    const fresh = params.filter((param) => !this.#state.has(param))
    if (fresh.length > 0) inner.cohorts.push({ step: newStep(fresh[0] as Tensor), members: fresh })
    const slots = Object.entries(this.slots(group))
    for (const param of params) {
      const state = this.#state.get(param) ?? {}
      // A momentum that was 0 at first gets its buffer when it is raised.
      for (const [slot, value] of slots)
        state[slot] ??= persistent(() => full([...param.shape], value, { dtype: param.dtype, device: param.device }))
      this.#state.set(param, state)
    }
  }

  /** Everything that a resumed run needs: hyper-parameters as plain data, state as tensors (the live ones) under stable keys. */
  stateDict(): OptimizerState {
    const index = new Map(this.groups.flatMap(({ params }) => params).map((param, i) => [param, i]))
    const tensors: Record<string, Tensor> = {}
    const groups = this.groups.map((group, g) => {
      const { cohorts } = this.#inner[g] as Inner
      cohorts.forEach(({ step }, c) => {
        tensors[`groups.${g}.steps.${c}`] = step
      })
      for (const param of group.params) {
        for (const [slot, value] of Object.entries(this.#state.get(param) ?? {})) tensors[`parameters.${index.get(param)}.${slot}`] = value
      }
      const members = cohorts.map((cohort) => cohort.members.map((param) => group.params.indexOf(param)))
      return { options: plainFields(group), rate: scheduledRate(group), size: group.params.length, cohorts: members }
    })
    return { type: this.constructor.name, groups, tensors }
  }

  /**
   * Takes over a state that `stateDict()` gave. All of it is compared first; a state that does not fit changes nothing.
   * @throws CheckpointError naming what differs
   */
  loadStateDict(state: OptimizerState): void {
    this._checkStateDict(state)
    noGrad(() =>
      scope(() => {
        // Copies of what is this optimizer's own: it is written, or freed, before it is read.
        const own = new Set(Object.values(this.stateDict().tensors).map(({ _base }) => _base))
        const tensors = Object.fromEntries(Object.entries(state.tensors).map(([key, value]) => [key, own.has(value?._base) ? value.clone() : value]))
        const all = this.groups.flatMap(({ params }) => params)
        state.groups.forEach(({ options, rate, cohorts }, g) => {
          const group = this.groups[g] as ParameterGroup<O>
          const inner = this.#inner[g] as Inner
          Object.assign(group, options)
          // States written before rates were kept say nothing of them.
          if (rate !== undefined) setScheduledRate(group, rate)
          const members = cohorts.map((list) => list.map((i) => group.params[i] as Tensor))
          this.#ensureState(group, inner, members.flat())
          const same =
            members.length === inner.cohorts.length &&
            members.every(
              (list, c) =>
                list.every((param, i) => inner.cohorts[c]?.members[i] === param) && list.length === inner.cohorts[c]?.members.length,
            )
          if (!same) regroup(inner, members)
          // What had not begun to train when the state was saved begins anew when it does.
          const begun = new Set(members.flat())
          for (const param of group.params) if (!begun.has(param)) this.#forget(param)
          inner.cohorts.forEach(({ step }, c) => run.assign(step, tensors[`groups.${g}.steps.${c}`] as Tensor))
        })
        for (const [i, param] of all.entries()) {
          for (const [slot, target] of Object.entries(this.#state.get(param) ?? {})) {
            const source = tensors[`parameters.${i}.${slot}`]
            if (source !== undefined) run.assign(target, source)
          }
        }
      }),
    )
    this.syncHyper()
  }

  /** @internal Throws unless `loadStateDict` would take the state. */
  _checkStateDict(state: OptimizerState): void {
    checkState(state, this.constructor.name, this.groups, (g, options) =>
      Object.keys(this.slots({ ...this.groups[g], ...options } as ParameterGroup<O>)),
    )
    state.groups.forEach(({ options }, g) => this.validate({ ...this.groups[g], ...options } as ParameterGroup<O>))
  }

  #forget(param: Tensor): void {
    for (const value of Object.values(this.#state.get(param) ?? {})) value.dispose()
    this.#state.delete(param)
  }

  /** Frees the state tensors; the optimizer cannot step afterwards. */
  dispose(): void {
    for (const param of [...this.#state.keys()]) this.#forget(param)
    for (const { hyper, cohorts } of this.#inner) {
      hyper.dispose()
      for (const { step } of cohorts) step.dispose()
    }
  }
}

/** What the kernels take of a parameter's gradient: the rows it has, or, where all elements are looked at first, the matrix. */
function gradientFor({ clipNorm, clipValue, refuseNonFinite }: ClipOptions): (param: Tensor) => Tensor {
  const whole = clipNorm !== undefined || clipValue !== undefined || refuseNonFinite === true
  return (param) => {
    const given = whole ? param.grad : param._gradient
    return given instanceof RowGradient ? given.values : (given as Tensor)
  }
}
