// Writes test/coverage.md: PyTorch's op names as have / composed / refused. `node scripts/coverage.mjs`. What we have is read from the
// sources, so that a renamed op shows; what is composed or refused stands below, with the way out. A name that is none of the three stops
// the script.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** PyTorch's core names: functions of torch, torch.nn.functional and Tensor that compute. */
const NAMES = {
  Pointwise: `
    abs absolute acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor ceil clamp clip conj copysign cos cosh deg2rad digamma div divide erf erfc erfinv
    exp exp2 expm1 fix float_power floor floor_divide fmod frac frexp gradient heaviside hypot i0 ldexp lerp lgamma log log10
    log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit mul multiply mvlgamma nan_to_num neg
    negative nextafter polygamma positive pow rad2deg real reciprocal remainder round rsqrt rsub sgn sigmoid sign signbit sin sinc
    sinh sqrt square sub subtract tan tanh true_divide trunc xlogy`,
  Comparison: `
    allclose argsort eq equal ge greater greater_equal gt isclose isfinite isin isinf isnan isneginf isposinf kthvalue le less
    less_equal lt max maximum min minimum fmax fmin ne not_equal sort topk msort`,
  Reduction: `
    all amax amin aminmax any argmax argmin count_nonzero cummax cummin cumprod cumsum dist histc logcumsumexp logsumexp max mean
    median min mode nanmean nanmedian nansum norm prod quantile std std_mean sum unique unique_consecutive var var_mean bincount
    trapezoid diff`,
  Creation: `
    arange bernoulli empty empty_like eye full full_like linspace logspace multinomial normal ones ones_like rand rand_like
    randint randn randn_like randperm tensor zeros zeros_like complex`,
  'Shape and movement': `
    atleast_1d atleast_2d broadcast_tensors broadcast_to cat chunk clone concat contiguous column_stack diag diag_embed diagonal
    dsplit dstack expand expand_as flatten flip fliplr flipud hsplit hstack meshgrid movedim moveaxis narrow permute ravel repeat
    repeat_interleave reshape roll rot90 select slice split squeeze stack swapaxes t tensor_split tile transpose tril triu
    tril_indices triu_indices unbind unflatten unfold unsqueeze view view_as vsplit vstack cartesian_prod combinations block_diag`,
  Indexing: `
    gather index_add index_copy index_fill index_put index_select masked_fill masked_scatter masked_select nonzero put scatter
    scatter_add scatter_reduce searchsorted bucketize take take_along_dim where one_hot`,
  'Linear algebra': `
    addbmm addmm addmv addr baddbmm bmm chain_matmul cholesky cross det dot eig einsum inner inverse kron linalg_solve logdet
    lstsq lu matmul matrix_exp matrix_power mm mv outer pinverse qr slogdet svd tensordot trace vander cdist cov corrcoef`,
  Activation: `
    celu elu gelu glu gumbel_softmax hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid log_softmax mish normalize
    prelu relu relu6 rrelu selu silu softmax softmin softplus softshrink softsign tanhshrink threshold`,
  Layers: `
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d alpha_dropout avg_pool1d avg_pool2d avg_pool3d
    batch_norm bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity cross_entropy
    ctc_loss dropout dropout2d embedding embedding_bag fold fractional_max_pool2d grid_sample group_norm instance_norm interpolate
    layer_norm linear local_response_norm lp_pool2d max_pool1d max_pool2d max_pool3d max_unpool2d pad pairwise_distance
    pixel_shuffle rms_norm scaled_dot_product_attention`,
  Conversion: `
    bfloat16 bool double float half int long byte char type_as`,
  'Signal and complex': `
    fft ifft rfft irfft stft istft bartlett_window hann_window view_as_real view_as_complex polar`,
}

/** Here under another name. */
const RENAMED = {
  absolute: 'abs',
  clip: 'clamp',
  fix: 'trunc',
  negative: 'neg',
  greater: 'gt',
  greater_equal: 'ge',
  less: 'lt',
  less_equal: 'le',
  not_equal: 'ne',
  cat: 'cat',
  moveaxis: 'movedim',
  swapaxes: 'transpose',
  interpolate: 'resize',
}

/** Written with the ops there are; how. */
const COMPOSED = {
  acosh: 'x.square().sub(1).sqrt().add(x).log()',
  asinh: 'x.square().add(1).sqrt().add(x).log()',
  atanh: 'x.log1p().sub(x.neg().log1p()).div(2)',
  copysign: 'a.abs().mul(b.lt(0).where(-1, 1))',
  erfc: 'x.erf().rsub(1)',
  float_power: 'x.double().pow(y)',
  fmod: 'a.sub(a.div(b).trunc().mul(b))',
  heaviside: 'x.eq(0).where(v, x.gt(0).float())',
  ldexp: 'a.mul(b.exp2())',
  logaddexp2: 'a.mul(ln2).logaddexp(b.mul(ln2)).div(ln2)',
  positive: 'x',
  real: 'x',
  conj: 'x',
  sgn: 'x.sign()',
  signbit: 'x.lt(0)',
  sinc: 'x.eq(0).where(1, x.mul(pi).sin().div(x.mul(pi)))',
  isin: 'x.unsqueeze(-1).eq(values).any([-1])',
  isneginf: 'x.eq(-Infinity)',
  isposinf: 'x.eq(Infinity)',
  kthvalue: 'x.sort(dim).values.select(dim, k - 1)',
  fmax: 'a.isnan().where(b, b.isnan().where(a, a.maximum(b)))',
  fmin: 'a.isnan().where(b, b.isnan().where(a, a.minimum(b)))',
  msort: 'x.sort(0).values',
  aminmax: '[x.amin(d), x.amax(d)]',
  nanmean: 'x.isnan().where(0, x).sum().div(x.isnan().logicalNot().sum())',
  nansum: 'x.isnan().where(0, x).sum()',
  quantile: 'x.sort(dim).values, then lerp of two entries',
  std_mean: '[x.std(d), x.mean(d)]',
  var_mean: '[x.var(d), x.mean(d)]',
  bincount: 'x.oneHot(n).sum([0])',
  trapezoid: 'y.narrow(...).add(y.narrow(...)).mul(dx / 2).sum()',
  diff: 'x.slice(d, 1).sub(x.slice(d, 0, -1))',
  bernoulli: 'rand(shape).lt(p).float()',
  empty: 'zeros(shape)',
  empty_like: 'zerosLike(x)',
  logspace: 'linspace(a, b, n).rpow(10)',
  multinomial: 'p.log().sub(rand(shape).log().neg().log()).topk(n).indices',
  normal: 'randn(shape).mul(std).add(mean)',
  rand_like: 'rand(x.shape)',
  randn_like: 'randn(x.shape)',
  atleast_1d: 'x.reshape([-1])',
  atleast_2d: 'x.reshape([1, -1])',
  broadcast_tensors: 'x.expand(shape)',
  column_stack: 'concat(xs, 1)',
  dsplit: 'x.split(n, 2)',
  dstack: 'concat(xs, 2)',
  fliplr: 'x.flip(1)',
  flipud: 'x.flip(0)',
  hsplit: 'x.split(n, 1)',
  hstack: 'concat(xs, 1)',
  ravel: 'x.flatten()',
  rot90: 'x.transpose(0, 1).flip(0)',
  tensor_split: 'x.split(sizes, dim)',
  tril_indices: 'ones([n, n]).tril().nonzero()',
  triu_indices: 'ones([n, n]).triu().nonzero()',
  vsplit: 'x.split(n, 0)',
  vstack: 'concat(xs, 0)',
  cartesian_prod: 'stack(meshgrid(xs).map((m) => m.flatten()), 1)',
  combinations: 'x.at(places)',
  block_diag: 'concat of pads',
  index_copy: 'x.scatter(dim, index, source)',
  index_fill: 'x.scatter(dim, index, value)',
  index_put: 'x.flatten().scatter(0, places, values)',
  put: 'x.flatten().scatter(0, places, values)',
  masked_scatter: 'mask.where(source.take(mask.flatten().long().cumsum(0).sub(1)), x)',
  searchsorted: 'sorted.lt(v.unsqueeze(-1)).sum([-1])',
  bucketize: 'boundaries.lt(v.unsqueeze(-1)).sum([-1])',
  take_along_dim: 'x.gather(dim, index)',
  addbmm: 'x.add(a.bmm(b).sum([0]))',
  addmv: 'x.add(a.mv(b))',
  addr: 'x.add(a.outer(b))',
  baddbmm: 'x.add(a.bmm(b))',
  chain_matmul: 'a.matmul(b).matmul(c)',
  cross: 'a.roll(-1, d).mul(b.roll(-2, d)).sub(a.roll(-2, d).mul(b.roll(-1, d)))',
  inner: 'a.matmul(b.t())',
  kron: 'einsum and reshape',
  matrix_power: 'x.matmul(x) ...',
  tensordot: 'einsum(...)',
  vander: 'x.unsqueeze(-1).pow(arange(n))',
  cdist: 'a.unsqueeze(1).sub(b).norm(2, -1)',
  cov: 'centred.t().matmul(centred).div(n - 1)',
  corrcoef: 'cov divided by its diagonal',
  gumbel_softmax: 'x.sub(rand(x.shape).log().neg().log()).softmax()',
  rrelu: 'x.leakyRelu(slope)',
  threshold: 'x.gt(t).where(x, value)',
  bilinear: "einsum('bi,oij,bj->bo', a, w, b)",
  dropout2d: 'x.mul(ones([n, 1, 1, c]).dropout(p))',
  embedding_bag: 'weight.embedding(ids).mean([1])',
  local_response_norm: 'x.div(x.square().avgPool1d(...).mul(a).add(k).pow(b))',
  lp_pool2d: 'x.abs().pow(p).avgPool2d(k).mul(k * k).pow(1 / p)',
  pairwise_distance: 'a.sub(b).norm(2, -1)',
  pixel_shuffle: 'x.reshape(...).permute(...).reshape(...)',
  scaled_dot_product_attention: 'q.matmul(k.t()).div(sqrt(d)).softmax().matmul(v)',
  byte: "x.cast('uint8')",
  char: "x.cast('int8')",
  type_as: 'x.cast(y.dtype)',
  hann_window: 'arange(n).mul(2 * pi / n).cos().rsub(1).mul(0.5)',
  bartlett_window: 'arange(n).sub(m).abs().div(-m).add(1)',
  alpha_dropout: 'a mask and an affine map',
  unfold: 'stack of slices',
  histc: 'x.sub(min).div(width).floor().int().oneHot(n).sum([0])',
  mode: 'unique, counts, argmax',
}

const LINEAR_ALGEBRA = 'decompositions are no part of training networks; use a linear algebra library on await x.data()'
const COMPLEX = 'no complex dtypes'
/** Not here, and why. */
const REFUSED = {
  angle: COMPLEX,
  complex: COMPLEX,
  polar: COMPLEX,
  view_as_real: COMPLEX,
  view_as_complex: COMPLEX,
  fft: COMPLEX,
  ifft: COMPLEX,
  rfft: COMPLEX,
  irfft: COMPLEX,
  stft: COMPLEX,
  istft: COMPLEX,
  ...Object.fromEntries(
    'cholesky det eig inverse linalg_solve logdet lstsq lu matrix_exp pinverse qr slogdet svd'
      .split(' ')
      .map((name) => [name, LINEAR_ALGEBRA]),
  ),
  ...Object.fromEntries(
    'bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor'
      .split(' ')
      .map((name) => [name, 'no bit operations; logicalAnd, logicalOr, logicalXor, logicalNot for bools']),
  ),
  ...Object.fromEntries(
    'digamma erfinv i0 lgamma mvlgamma polygamma'.split(' ').map((name) => [name, 'special functions beyond erf are not built']),
  ),
  ...Object.fromEntries(
    'avg_pool3d conv3d conv_transpose3d max_pool3d'.split(' ').map((name) => [name, 'no three-dimensional images yet']),
  ),
  frexp: 'exposes bits of a float',
  nextafter: 'exposes bits of a float',
  gradient: 'the name is autograd here; diff is composed',
  cummax: 'no kernel',
  cummin: 'no kernel',
  logcumsumexp: 'no kernel that is exact at small terms',
  nanmedian: 'no kernel',
  unique_consecutive: 'unique sorts',
  fold: 'no kernel; convTranspose2d covers its use',
  fractional_max_pool2d: 'rarely used',
  grid_sample: 'no kernel yet',
  max_unpool2d: 'rarely used; scatter writes what it needs',
  scatter_reduce: 'scatterAdd alone',
}

/** The exported names of the op files and of ts/create.ts. */
function exported() {
  const files = [...readdirSync(join(root, 'ts/ops')).map((name) => join(root, 'ts/ops', name)), join(root, 'ts/create.ts')]
  const names = new Set()
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    for (const [, name] of text.matchAll(/^export (?:async )?(?:function|const) (\w+)/gm)) names.add(name)
    for (const [, name] of text.matchAll(/^export \{ \w+ as (\w+) \}/gm)) names.add(name)
  }
  return names
}

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())

/** The page's text. */
export function coverage() {
  const have = exported()
  const counts = { have: 0, composed: 0, refused: 0 }
  const sections = Object.entries(NAMES).map(([title, list]) => {
    const rows = [...new Set(list.trim().split(/\s+/))].sort().map((name) => {
      const own = RENAMED[name] ?? camel(name)
      if (have.has(own)) return row('have', name, `\`${own}\``)
      if (COMPOSED[name]) return row('composed', name, `\`${COMPOSED[name]}\``)
      if (REFUSED[name]) return row('refused', name, REFUSED[name])
      throw new Error(`coverage: ${name} is neither exported nor listed as composed or refused`)
    })
    return `## ${title}\n\n| PyTorch | | Here |\n|---|---|---|\n${rows.join('\n')}\n`
  })
  function row(kind, name, text) {
    counts[kind]++
    return `| ${name} | ${kind} | ${text.replaceAll('|', '\\|')} |`
  }
  const total = `${counts.have} have, ${counts.composed} composed, ${counts.refused} refused`
  return `# PyTorch's ops\n\nGenerated by \`node scripts/coverage.mjs\`: ${total}.\n\n${sections.join('\n')}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(join(root, 'test/coverage.md'), coverage())
