// An optimizer's state as plain data and tensors, and what must agree before it is taken over.
import { CheckpointError, type Tensor } from '../index.js'
import { checkTensors } from '../internal.js'
import type { ScheduledRate } from './rates.js'

/** What `optimizer.stateDict()` gives: plain data that JSON carries, and tensors by key. */
export interface OptimizerState {
  /** The class it came from. */
  type: string
  /** One a parameter group, in their order. */
  groups: {
    /** The group's hyper-parameters. */
    options: Record<string, unknown>
    /** The rate that the user gave, beside the one that a schedule made of it; null where no schedule did. */
    rate?: ScheduledRate | null
    /** How many parameters it has. */
    size: number
    /** Which of them count their steps together. */
    cohorts: number[][]
  }[]
  /** `parameters.<index>.<slot>` and `groups.<index>.steps.<cohort>`. */
  tensors: Record<string, Tensor>
}

/** A group's fields without its parameters. */
export function plainFields(group: { params: unknown }): Record<string, unknown> {
  const { params: _, ...fields } = group
  return structuredClone(fields)
}

/**
 * `slots` names the tensors that each parameter of a group with these options has.
 * @throws CheckpointError unless the state is of the same class, complete, with as many groups and parameters of the same shapes
 */
export function checkState(
  state: OptimizerState,
  type: string,
  groups: readonly { params: readonly Tensor[] }[],
  slots: (group: number, options: Record<string, unknown>) => string[],
): void {
  const fail = (what: string): never => {
    throw new CheckpointError(
      `${type}.loadStateDict: ${what}; nothing was changed.\n  Make the optimizer as it was made when the state was saved.`,
    )
  }
  if (typeof state !== 'object' || state === null || !Array.isArray(state.groups) || !state.groups.every((group) => Array.isArray(group?.cohorts)) || typeof state.tensors !== 'object' || state.tensors === null)
    return fail('the state is none that stateDict() gave')
  checkTensors(`${type}.loadStateDict`, state.tensors)
  if (state.type !== type) fail(`the state is one of ${state.type}`)
  if (state.groups.length !== groups.length) fail(`the state has ${state.groups.length} groups, the optimizer ${groups.length}`)
  let first = 0
  state.groups.forEach(({ size, cohorts, options }, g) => {
    const own = groups[g]?.params.length ?? 0
    if (size !== own) fail(`group ${g} has ${size} parameters in the state, ${own} here`)
    const members = cohorts.flat()
    if (new Set(members).size !== members.length || members.some((i) => !Number.isInteger(i) || i < 0 || i >= own))
      fail(`group ${g} lists impossible parameters`)
    cohorts.forEach((list, c) => {
      const step = state.tensors[`groups.${g}.steps.${c}`]
      if (list.length === 0 || step === undefined) fail(`the step count of group ${g} is missing`)
      else if (step.size !== 1 || step.dtype !== 'int64') fail(`the step count of group ${g} is ${step.dtype} [${step.shape.join(', ')}]`)
    })
    for (const key of members.flatMap((i) => slots(g, options).map((slot) => `parameters.${first + i}.${slot}`))) {
      if (state.tensors[key] === undefined) fail(`${key} is missing`)
    }
    first += own
  })
  const params = groups.flatMap((group) => group.params)
  for (const [key, value] of Object.entries(state.tensors)) {
    const match = /^parameters\.(\d+)\.\w+$/.exec(key)
    if (match === null || value === undefined) continue
    const param = params[Number(match[1])]
    if (param === undefined) fail(`${key} belongs to no parameter`)
    else if (param.shape.join() !== value.shape.join() || param.dtype !== value.dtype) {
      fail(`${key} is ${value.dtype} [${value.shape.join(', ')}], the parameter is ${param.dtype} [${param.shape.join(', ')}]`)
    }
  }
}
