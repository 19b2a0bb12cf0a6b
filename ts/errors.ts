/** What an error carries besides its message. */
export interface ErrorDetails {
  /** The op, layer or function that refused. */
  op?: string
  /** The shapes that came. */
  shapes?: readonly (readonly number[])[]
  /** Path of the module that was running, as in "encoder.layers.3". */
  module?: string
  /** The command's number in its stream, for errors that showed when it ran. */
  sequence?: number
  /** Where the op was called, for late errors under FERROGRAD_TRACE=1. */
  callSite?: string | undefined
  /** The error behind this one. */
  cause?: unknown
}

/** The base of all errors of this library. `code` is stable; the message names the fault and the way out. */
export class FerrogradError extends Error {
  /** 'ERR_SHAPE', 'ERR_VALUE' ...: one a class, the same in all versions; that of a `FileError` is the system's. */
  readonly code: string
  /** The op, layer or function that refused. */
  readonly op: string | undefined
  /** The shapes that came. */
  readonly shapes: readonly (readonly number[])[] | undefined
  /** Path of the module that was running, as in "encoder.layers.3". */
  readonly module: string | undefined
  /** The command's number in its stream, for errors that showed when it ran. */
  readonly sequence: number | undefined
  /** Where the op was called, for late errors under FERROGRAD_TRACE=1. */
  readonly callSite: string | undefined
  constructor(message: string, details: ErrorDetails = {}, code: string = 'ERR_FERROGRAD') {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
    this.code = code
    this.op = details.op
    this.shapes = details.shapes
    this.module = details.module
    this.sequence = details.sequence
    this.callSite = details.callSite
  }
}

/** Shapes that do not fit the op or each other. */
export class ShapeError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_SHAPE') }
}
/** An element type that the op does not take. */
export class DTypeError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_DTYPE') }
}
/** Operands on different devices, or a device that cannot do this. */
export class DeviceError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_DEVICE') }
}
/** An index or label outside its range; shows when the op runs. */
export class IndexError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_INDEX') }
}
/** An argument outside its range, or of the wrong kind. */
export class ValueError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_VALUE') }
}
/** A tensor used after `dispose()` or the end of its scope, or in a worker that does not own it. */
export class DisposedError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_DISPOSED') }
}
/** No memory for a result. */
export class OutOfMemoryError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_OUT_OF_MEMORY') }
}
/** NaN or infinity, found in anomaly mode. */
export class NonFiniteError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_NON_FINITE') }
}
/** A gradient that does not exist. */
export class NoGradientError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_NO_GRADIENT') }
}
/** A tensor that the backward pass needs was changed in place, or a tracked tensor was about to be. */
export class VersionError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_VERSION') }
}
/** Something that a compiled function cannot do. */
export class CaptureError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_CAPTURE') }
}
/** A scope left open, left out of order, or given an asynchronous function. */
export class ScopeError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_SCOPE') }
}
/** A file that is truncated, foreign, or not what its name says. */
export class FileFormatError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_FILE_FORMAT') }
}
/**
 * A file that the system would not let be read or written: a full disk, a missing folder, no permission. `code` is the system's (`ENOSPC`,
 * `ENOENT` ...), as on Node's own errors, and `cause` is that error.
 */
export class FileError extends FerrogradError {
  /** The file it is about. */
  readonly path: string
  constructor(message: string, details: ErrorDetails, code: string, path: string) {
    super(message, details, code)
    this.path = path
  }
}
/** A checkpoint or state that belongs to another model. */
export class CheckpointError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_CHECKPOINT') }
}
/** Work given up: by an AbortSignal, or because its environment ended. */
export class CancelledError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_CANCELLED') }
}
/** A fault of the library itself. */
export class InternalError extends FerrogradError {
  constructor(message: string, details?: ErrorDetails) { super(message, details, 'ERR_INTERNAL') }
}

const BY_CODE: Readonly<Record<string, new (message: string, details?: ErrorDetails) => FerrogradError>> = {
  ERR_SHAPE: ShapeError,
  ERR_DTYPE: DTypeError,
  ERR_DEVICE: DeviceError,
  ERR_INDEX: IndexError,
  ERR_VALUE: ValueError,
  ERR_OUT_OF_MEMORY: OutOfMemoryError,
  ERR_DISPOSED: DisposedError,
  ERR_NON_FINITE: NonFiniteError,
  ERR_CANCELLED: CancelledError,
  ERR_CAPTURE: CaptureError,
}

/** An op as users call it: `index_select` of the op table is `indexSelect`, `add_scalar` is an `add` too, `lstm_variant` an `lstm`. */
export function publicName(op: string): string {
  return op.replace(/_(scalar|variant)$/, '').replace(/_+$/, '').replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** What `call` gives; errors that name the op `inner` name `op` instead, which is what was called. */
export function calledAs<T>(op: string, inner: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    if (!(error instanceof FerrogradError) || !/^(:| \()/.test(error.message.slice(inner.length)) || !error.message.startsWith(inner)) throw error
    const Kind = error.constructor as new (message: string, details: ErrorDetails) => FerrogradError
    throw new Kind(op + error.message.slice(inner.length), { ...(error as ErrorDetails), cause: error.cause, op })
  }
}

/** The error that the addon described. */
export function fromNative(code: string, op: string, message: string, details: ErrorDetails = {}): FerrogradError {
  const name = publicName(op)
  const where = details.module ? ` (in ${details.module})` : ''
  const site = details.callSite === undefined ? '' : `\n  called from:\n${details.callSite}`
  return new (BY_CODE[code] ?? InternalError)(`${name}${where}: ${message}${site}`, { ...details, op: name })
}
