import { zeros } from '../create.js'
import { byteSize, type DType, type FloatDType } from '../dtype.js'
import { ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { settle } from '../options.js'
import { noGrad, scope } from '../scope.js'
import { buffer, Parameter, Tensor } from '../tensor.js'
import { Module } from './module.js'
import { distinctSlots, namedModules, slots } from './walk.js'

type Shape = readonly number[]

/** One layer's line of a `Summary`. */
export interface SummaryRow {
  /** The property path; '' for the model itself. */
  path: string
  /** The class's name. */
  type: string
  /** The output's shape, of several tensors the first's (a recurrent layer's `output`); null where there is none. */
  outputShape: readonly number[] | null
  /** Numbers in this module's own parameters, those of modules inside it not counted. */
  parameters: number
  /** Floating point operations of the call; a multiply-add counts as two. */
  flops: number
  /** True for modules that hold further ones. */
  container: boolean
}

/** What `summary` gives; `toString()` draws the table. */
export interface Summary {
  /** One a module, in the order in which they run. */
  rows: SummaryRow[]
  /** All parameters' numbers, tied ones once. */
  parameters: number
  /** Those that train. */
  trainable: number
  /** Bytes of parameters and buffers. */
  parameterBytes: number
  /** Bytes of all layers' outputs, about what training keeps for the backward pass. */
  activationBytes: number
  /** Floating point operations of one forward pass; a training step takes about three times as many. */
  flops: number
  toString(): string
}

/**
 * Runs the model on shapes alone (nothing is computed, and no memory taken) and lists its layers: shapes, parameters, memory, operations.
 *
 * @param inputShape the input with its batch dimension, as in [1, 32, 32, 3], or one shape an input of `forward`
 * @param dtype the inputs' dtype ('float32'), or one an input; 'int32' for ids
 * @throws what `forward` throws on such an input, with the layer's shapes. PyTorch: the packages torchsummary and torchinfo.
 */
export function summary(
  model: Module, inputShape: Shape | readonly Shape[], options: { dtype?: DType | readonly DType[] } = {},
): Summary {
  if (!(model instanceof Module)) throw new ValueError(`summary: takes a module, got ${kindOf(model)}. Use an instance: new nn.ReLU(), not nn.ReLU.`, { op: 'summary' })
  if (!Array.isArray(inputShape)) {
    throw new ValueError(
      `summary: the second argument is the input's shape with its batch dimension, as in nn.summary(model, [1, 32, 32, 3]), got ${kindOf(inputShape)}.\n`
        + '  Several inputs take a list of shapes.',
      { op: 'summary' },
    )
  }
  const { dtype } = settle('summary', options, { dtype: 'float32' })
  const several = inputShape.length > 0 && typeof inputShape[0] !== 'number'
  const shapes = several ? (inputShape as readonly Shape[]) : [inputShape as Shape]
  const rows = noGrad(() => scope(() => {
    const dtypes = typeof dtype === 'string' ? shapes.map(() => dtype) : dtype
    const inputs = shapes.map((shape, i) => zeros(shape, { dtype: dtypes[i] ?? 'float32', device: 'meta' }))
    const rows: Traced[] = []
    runOnMeta(model, inputs, (path, module) => trace(path, module, rows))
    return rows
  }))
  const seen = distinctSlots(model)
  const own = new Map<Module, number>()
  for (const { kind, module, tensor } of seen) if (kind === 'parameter') own.set(module, (own.get(module) ?? 0) + tensor.size)
  const listed = rows.map(({ module, bytes, ...row }) => ({ ...row, parameters: own.get(module) ?? 0 }))
  const parameters = seen.filter(({ kind }) => kind === 'parameter')
  const sum = (numbers: number[]): number => numbers.reduce((total, n) => total + n, 0)
  const result = {
    rows: listed,
    parameters: sum(parameters.map(({ tensor }) => tensor.size)),
    trainable: sum(parameters.filter(({ tensor }) => tensor.requiresGrad).map(({ tensor }) => tensor.size)),
    parameterBytes: sum(seen.map(({ tensor }) => tensor.size * byteSize(tensor.dtype))),
    activationBytes: sum(rows.filter((row) => !row.container).map((row) => row.bytes)),
    flops: sum(rows.map((row) => row.flops)),
  }
  return { ...result, toString: () => draw(result) }
}

type Traced = SummaryRow & { module: Module; bytes: number }

/** One call in evaluation, without values: hooks by `watch` on each module, and meta tensors in the parameters' places meanwhile. Gives the result. */
export function runOnMeta(model: Module, inputs: Tensor[], watch: (path: string, module: Module) => () => void): unknown {
  const modes = model.modules().map((module): [Module, boolean] => [module, module.training])
  const held = slots(model, { lazy: true })
  const removals: (() => void)[] = []
  const lent: Tensor[] = []
  try {
    for (const slot of held) {
      const meta = zeros(slot.tensor.shape, { dtype: slot.tensor.dtype, device: 'meta' })
      const standIn = slot.kind === 'parameter' ? new Parameter(meta as Tensor<FloatDType>) : buffer(meta)
      lent.push(standIn)
      slot.set(standIn)
    }
    model.eval()
    for (const [path, module] of namedModules(model)) removals.push(watch(path, module))
    return model.forward(...inputs)
  } finally {
    for (const remove of removals) remove()
    for (const [module, training] of modes) module.training = training
    for (const slot of held) slot.set(slot.tensor)
    for (const standIn of lent) standIn.dispose()
  }
}

function trace(path: string, module: Module, rows: Traced[]): () => void {
  // A container's line stands before its layers': the place is taken on entering.
  const open: Traced[] = []
  const enter = module.registerForwardPreHook(() => {
    const container = namedModules(module).length > 1
    const row: Traced = { path, type: module.constructor.name, outputShape: null, parameters: 0, flops: 0, container, module, bytes: 0 }
    rows.push(row)
    open.push(row)
  })
  const leave = module.registerForwardHook((_, inputs, output) => {
    const row = open.pop() as Traced
    const first = firstTensor(output)
    if (first === undefined) return
    row.outputShape = first.shape
    row.flops = module.flops(inputs.filter((input) => input instanceof Tensor), first)
    row.bytes = first.size * byteSize(first.dtype)
  })
  return () => { enter(); leave() }
}

/** What a layer gives: a tensor, or the first of several, as the `output` of a recurrent layer. */
function firstTensor(output: unknown): Tensor | undefined {
  if (output instanceof Tensor) return output
  return typeof output === 'object' && output !== null ? Object.values(output).find((value): value is Tensor => value instanceof Tensor) : undefined
}

function draw(summary: Omit<Summary, 'toString'>): string {
  const number = (n: number): string => n.toLocaleString('en-US')
  const lines = summary.rows.map((row) => {
    const depth = row.path === '' ? 0 : row.path.split('.').length
    const name = row.path === '' ? row.type : `${'  '.repeat(depth)}${row.path} (${row.type})`
    return [name, row.outputShape === null ? '' : `[${row.outputShape.join(', ')}]`, number(row.parameters), number(row.flops)]
  })
  const table = [['layer', 'output', 'parameters', 'FLOPs'], ...lines]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((line) => (line[column] as string).length)))
  const pad = (cell: string, column: number): string => {
    const width = widths[column] as number
    return column < 2 ? cell.padEnd(width) : cell.padStart(width)
  }
  const text = table.map((line) => line.map(pad).join('  '))
  const rule = '-'.repeat((text[0] as string).length)
  const frozen = summary.parameters - summary.trainable
  const split = frozen > 0 ? ` (${number(summary.trainable)} train, ${number(frozen)} frozen)` : ''
  return [
    text[0], rule, ...text.slice(1), rule,
    `parameters  ${number(summary.parameters)}${split}, ${bytes(summary.parameterBytes)}`,
    `activations ${bytes(summary.activationBytes)}`,
    `forward     ${summary.flops >= 1e9 ? `${(summary.flops / 1e9).toFixed(2)} GFLOP` : `${(summary.flops / 1e6).toFixed(2)} MFLOP`}`,
  ].join('\n')
}

function bytes(n: number): string {
  if (n < 1024) return `${n} B`
  return n < 1024 * 1024 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1024 / 1024).toFixed(1)} MiB`
}
