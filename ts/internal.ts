// The one internal entry: what optim, data, train, interpret and serve may use beside the public surface. No stable API.
import { native } from './native.js'

export { record } from './autograd.js'
export { captureContext, modulePathOf } from './context.js'
export { anomaly, nativeBytes } from './device.js'
export { dtypeCode } from './dtype.js'
export { kindOf } from './explain.js'
export { debug, logLevel, says, warn } from './log.js'
export { modeOf } from './figure.js'
export { fileError, makeFolder, withFileErrors } from './files.js'
export { check, deviceFault, type EncodedTexts, native, type PackedTexts, type TextPipeline, type TextRows, type TextSteps } from './native.js'
export { run } from './native/run.js'
export { checkOptions, nearest, settle, type Settled, unknownOption } from './options.js'
export { checkTensors, overwrite } from './overwrite.js'
export { checkPlain, checkStrings } from './plain.js'
export { persistent } from './persistent.js'
export { withGenerator } from './random.js'
export { RowGradient } from './row-gradient.js'
export { unscoped } from './scope.js'
export { answer } from './tensor.js'

/** A queue of commands of its own, so that a prediction does not wait for a training step. */
export class Stream {
  readonly id: number = native.openStream()
  #open = true
  /** Makes this stream current for the synchronous part of `fn`. */
  run<T>(fn: () => T): T {
    const before = native.useStream(this.id)
    try {
      return fn()
    } finally {
      native.useStream(before)
    }
  }
  /** Waits for what it has begun, drops the rest. */
  close(): void {
    if (this.#open) native.closeStream(this.id)
    this.#open = false
  }
}
