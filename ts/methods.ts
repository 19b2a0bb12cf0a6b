import type * as ops from './ops/index.js'
import type { DType } from './dtype.js'

type Ops = typeof ops
type Rest<F> = F extends (...args: any[]) => any ? Parameters<F> extends [any?, ...infer R] ? R : never : never
type Result<F> = F extends (...args: any[]) => infer R ? R : never

/** Every op as a method: its first argument is the tensor it is called on. */
export type Methods<_D extends DType> = { [K in keyof Ops]: (...rest: Rest<Ops[K]>) => Result<Ops[K]> }
