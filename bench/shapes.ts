// The shapes that operations are measured at, by the benches and beside the peers alike.

export interface Product {
  /** 'gemm-1024-nt' */
  name: string
  m: number
  k: number
  n: number
  /** The left operand is stored as [k, m]. */
  transposeA?: boolean
  /** The right operand is stored as [n, k]. */
  transposeB?: boolean
  /** The right operand is the same in every call, as a layer's weights are in prediction. */
  fixedB?: boolean
}

const cube = (side: number): Product => ({ name: `gemm-${side}`, m: side, k: side, n: side })
const product = (m: number, k: number, n: number): Product => ({ name: `gemm-${m}x${k}x${n}`, m, k, n })

/** Cubes, transposed operands, a small dense layer with fixed and with changing weights, one row against a matrix, and BERT's layers. */
export const products: readonly Product[] = [
  cube(256), cube(512),
  { ...cube(1024), name: 'gemm-1024-nn' },
  { ...cube(1024), name: 'gemm-1024-nt', transposeB: true },
  { ...cube(1024), name: 'gemm-1024-tn', transposeA: true },
  cube(2048),
  { ...product(32, 128, 512), name: 'gemm-32x128x512-cached', fixedB: true },
  { ...product(32, 128, 512), name: 'gemm-32x128x512-changing' },
  product(1, 768, 3072),
  { ...product(1, 768, 3072), name: 'gemm-1x768x3072-warm', fixedB: true },
  { ...product(1, 768, 3072), name: 'gemm-1x768x3072-nt', transposeB: true },
  { ...product(1, 768, 3072), name: 'gemm-1x768x3072-nt-warm', transposeB: true, fixedB: true },
  product(512, 768, 768), product(512, 768, 3072), product(512, 3072, 768),
]

export interface Convolution {
  /** 'conv-cnn1' */
  name: string
  batch: number
  /** Height and width of the input. */
  side: number
  cin: number
  cout: number
  /** Zeros on each side; the kernel is 3x3 with stride 1. */
  padding: number
}

const resnet = (side: number, channels: number): Convolution =>
  ({ name: `conv-${side}x${side}x${channels}`, batch: 64, side, cin: channels, cout: channels, padding: 1 })
const cnn = (layer: number, side: number, cin: number, cout: number): Convolution =>
  ({ name: `conv-cnn${layer}`, batch: 32, side, cin, cout, padding: 0 })

/** ResNet-18's on 32x32 images, and the article's CNN's own. */
export const convolutions: readonly Convolution[] = [
  resnet(32, 64), resnet(16, 128), resnet(8, 256), resnet(4, 512),
  cnn(1, 32, 3, 32), cnn(2, 15, 32, 64), cnn(3, 6, 64, 64),
]

export const outSide = ({ side, padding }: Convolution): number => side + 2 * padding - 2
/** Of one pass: forward, gradient of the input, or gradient of the weights. */
export const convolutionFlops = (shape: Convolution): number => 2 * shape.batch * outSide(shape) ** 2 * shape.cout * 9 * shape.cin
