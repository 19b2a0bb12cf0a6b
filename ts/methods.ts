import type * as ops from './ops/index.js'
import type { DType } from './dtype.js'

type Ops = typeof ops
/** The parameters after the first. By way of `Parameters`, which also serves a rest parameter that is a union of tuples. */
type Rest<F> = F extends (...args: any[]) => any ? Parameters<F> extends [any?, ...infer R] ? R : never : never
type Single<F> = F extends (...args: any[]) => infer R ? (...rest: Rest<F>) => R : never
/** An op without its first argument; where it has two signatures, both. */
type Method<F> = F extends { (x: any, ...a: infer A): infer R; (x: any, ...b: infer B): infer S }
  ? [A] extends [never] ? Single<F> : [B] extends [never] ? Single<F> : unknown extends R ? Single<F> : { (...rest: A): R; (...rest: B): S }
  : Single<F>

/** Every op as a method: its first argument is the tensor it is called on. (No filter on the keys: it would make Tensor's type depend on itself.) */
export type Methods<_D extends DType> = { [K in keyof Ops]: Method<Ops[K]> }
