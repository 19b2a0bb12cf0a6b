// Parameter groups, and which of their parameters count steps together.
import { type Tensor, zeros } from '../index.js'
import { persistent, run } from '../internal.js'

/**
 * What every parameter group has. All numbers may be changed between steps (`group.lr = 1e-4`); a compiled step reads them at each replay.
 */
export interface CommonOptions {
  /** Learning rate. */
  lr?: number
  /** L2 penalty: adds `weightDecay * p` to each gradient (AdamW: shrinks the weights directly instead). Default 0. */
  weightDecay?: number
  /** L1 penalty: adds `l1 * sign(p)` to each gradient. Default 0. */
  l1?: number
  /** Climbs instead of descending. Fixed once a step was compiled. Default false. */
  maximize?: boolean
}

/** A set of parameters with its own hyper-parameters. */
export type ParameterGroup<O> = Required<O> & { params: Tensor[] }

/**
 * Parameters, or groups of them, each with the options that differ:
 * `[{ params: head.parameters(), lr: 1e-2 }, { params: body.parameters() }]`.
 */
export type Parameters<O> = Iterable<Tensor> | Iterable<Partial<O> & { params: Iterable<Tensor> }>

/** What one update command works on: tensors of equal age, and their state, slot by slot. */
export interface Update {
  /** The gradients, one a parameter: matrices, or the rows of an embedding's. */
  grads: Tensor[]
  /** Of each gradient given as rows, in order, their numbers. */
  rows: Tensor[]
  /** A factor of all gradients (clipping), a scalar; null for none. */
  scale: Tensor | null
  /** The group's numbers in the kernel's order, float64. */
  hyper: Tensor
  /** The parameters to change in place. */
  params: Tensor[]
  /** For each name of `slots`, in order, one tensor a parameter. */
  state: Tensor[][]
  /** How many steps they have made, int64 [1]. */
  step: Tensor
}

/**
 * Parameters whose steps are counted together. It splits when some of them get no gradient, so that each counts its own steps, as in
 * PyTorch.
 */
export interface Cohort {
  step: Tensor
  members: Tensor[]
}
/** What belongs to a group beside its visible fields. */
export interface Inner {
  /** The numbers as the kernels read them, and as they were written last. */
  hyper: Tensor
  written: number[]
  cohorts: Cohort[]
  /** Raised when the cohorts change, which a compiled step cannot follow. */
  layout: number
}

/** A step counter at 0. */
export const newStep = (like: Tensor): Tensor => persistent(() => zeros([1], { dtype: 'int64', device: like.device }))

/** Counts the steps of each list of parameters by itself from now on. */
export function regroup(inner: Inner, members: Tensor[][]): void {
  for (const { step } of inner.cohorts) step.dispose()
  inner.cohorts = members.map((list) => ({ step: newStep(list[0] as Tensor), members: list }))
  inner.layout++
}

/** Takes `stepping` out of `cohort` into one of its own, with the same count so far. */
export function split(inner: Inner, cohort: Cohort, stepping: Tensor[]): Cohort {
  const fresh = { step: newStep(stepping[0] as Tensor), members: stepping }
  persistent(() => run.assign(fresh.step, cohort.step))
  cohort.members = cohort.members.filter((param) => !stepping.includes(param))
  inner.cohorts.push(fresh)
  inner.layout++
  return fresh
}
