//! The cases: a line a kernel, or a line for each way through one. `n` is a number of channels, columns or elements.
use super::{Attrs, Op, Section};
use ferrograd_tensor::DType;
use std::fmt;

/// What an operand holds.
#[derive(Clone, Copy)]
pub enum Values {
    /// Between -1 and 1, or whole numbers between -100 and 100.
    Noise,
    Positive,
    /// Indices below a bound.
    Below(usize),
}

#[derive(Clone)]
pub struct Operand {
    pub dtype: DType,
    pub dims: Vec<usize>,
    /// Contiguous where there are none.
    pub strides: Option<Vec<isize>>,
    pub values: Values,
}

impl Operand {
    pub fn new(dtype: DType, dims: &[usize]) -> Operand {
        Operand { dtype, dims: dims.to_vec(), strides: None, values: Values::Noise }
    }
    fn holding(self, values: Values) -> Operand {
        Operand { values, ..self }
    }
    fn contiguous_strides(&self) -> Vec<isize> {
        let mut strides = vec![1; self.dims.len()];
        for i in (1..strides.len()).rev() {
            strides[i - 1] = strides[i] * self.dims[i].max(1) as isize;
        }
        strides
    }
    /// The same dims with the last two the other way round in memory.
    fn turned(mut self) -> Operand {
        let last = self.dims.len() - 1;
        self.dims.swap(last - 1, last);
        let mut strides = self.contiguous_strides();
        strides.swap(last - 1, last);
        self.dims.swap(last - 1, last);
        Operand { strides: Some(strides), ..self }
    }
    /// Every second element of a row, and a gap of three behind each row.
    fn apart(self) -> Operand {
        let last = self.dims.len() - 1;
        let row = 2 * self.dims[last] as isize + 3;
        let mut strides = self.contiguous_strides();
        strides[last] = 2;
        for i in (0..last).rev() {
            strides[i] = if i + 1 == last { row } else { strides[i + 1] * self.dims[i + 1] as isize };
        }
        Operand { strides: Some(strides), ..self }
    }
}

pub struct Case {
    pub op: Op,
    /// The tensors of each of the row's operands.
    pub operands: Vec<Vec<Operand>>,
    pub attrs: Attrs,
}

impl Case {
    pub fn arity(&self) -> Vec<u16> {
        self.operands.iter().map(|slot| slot.len() as u16).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.spec().name)?;
        for (slot, (name, _)) in self.operands.iter().zip(self.op.spec().operands) {
            for x in slot {
                write!(f, "{name} {:?} {}", x.dims, x.dtype)?;
                x.strides.as_ref().map_or(Ok(()), |strides| write!(f, " strides {strides:?}"))?;
                write!(f, ", ")?;
            }
        }
        write!(f, "integers {:?}, floats {:?})", self.attrs.ints, self.attrs.floats)
    }
}

/// The tensors of one of a row's operands.
struct Slot(Vec<Operand>);

impl From<Operand> for Slot {
    fn from(x: Operand) -> Slot {
        Slot(vec![x])
    }
}
impl From<Vec<Operand>> for Slot {
    fn from(xs: Vec<Operand>) -> Slot {
        Slot(xs)
    }
}
/// An optional operand that is not there, or an empty list.
impl From<()> for Slot {
    fn from((): ()) -> Slot {
        Slot(Vec::new())
    }
}

/// Adds an attribute as the encoder writes it.
trait Attr {
    fn add(self, to: &mut Attrs);
}

impl Attr for i64 {
    fn add(self, to: &mut Attrs) {
        to.ints.push(self);
    }
}
impl Attr for bool {
    fn add(self, to: &mut Attrs) {
        to.ints.push(self.into());
    }
}
impl Attr for f64 {
    fn add(self, to: &mut Attrs) {
        to.floats.push(self);
    }
}
impl<const N: usize> Attr for [i64; N] {
    fn add(self, to: &mut Attrs) {
        to.ints.push(N as i64);
        to.ints.extend(self);
    }
}

macro_rules! case {
    ($to:ident, $op:expr; $($operand:expr),*; $($attr:expr),*) => {{
        #[allow(unused_mut, reason = "some rows have no attributes")]
        let mut attrs = Attrs::default();
        $(Attr::add($attr, &mut attrs);)*
        $to.push(Case { op: $op, operands: vec![$(Slot::from($operand).0),*], attrs })
    }};
}

/// A row of `all`: the op, its operands, its attributes.
macro_rules! table {
    ($to:ident; $($op:ident ($($operand:expr),*) $({ $($attr:expr),* })?)*) => { $(case!($to, Op::$op; $($operand),*; $($($attr),*)?);)* };
}

/// The kernels whose work grows with `n` alone; `dtype` is that of their data.
pub fn lines(n: usize, dtype: DType) -> Vec<Case> {
    let mut all = Vec::new();
    let len = n as i64;
    let (code, float) = (dtype as i64, if dtype.is_float() { dtype } else { DType::F32 });
    // Units of recurrent layers, whose weights are their square.
    let h = n.min(67);
    let x = |dims: &[usize]| Operand::new(dtype, dims);
    let positive = |dims: &[usize]| x(dims).holding(Values::Positive);
    let stat = |dims: &[usize]| Operand::new(if dtype == DType::F64 { dtype } else { DType::F32 }, dims).holding(Values::Positive);
    let index = |dims: &[usize], bound: usize| Operand::new(DType::I32, dims).holding(Values::Below(bound));
    let truth = |dims: &[usize]| Operand::new(DType::Bool, dims);
    let key = || Operand::new(DType::I64, &[2]);
    let hyper = |len: usize| Operand::new(DType::F64, &[len]).holding(Values::Positive);
    let step = || Operand::new(DType::I64, &[1]).holding(Values::Below(1));
    let scale = || Operand::new(float, &[]).holding(Values::Positive);
    let bytes = |dims: &[usize]| Operand::new(DType::U8, dims);

    table! { all;
        contiguous(x(&[3, n]))
        contiguous(x(&[5, n]).turned())
        contiguous(x(&[2, n, 40]).turned())
        contiguous(x(&[3, n]).apart())
        concat(vec![x(&[3, n]), x(&[2, n])]) { 0 }
        concat(vec![x(&[3, n]), x(&[3, 2]).turned(), x(&[3, 5]).apart()]) { 1 }
        pad(x(&[2, n])) { [1, 2, 0, 1], 0.5 }
        pad(x(&[4, n])) { [0, 3, -1, -1], 0.5 }
        where_(truth(&[3, n]), x(&[3, n]), x(&[n]))
        where_(truth(&[3, n]).turned(), x(&[3, n]).apart(), x(&[]))
        flip(x(&[3, n])) { [1] }
        flip(x(&[3, n, 2])) { [0, 1] }
        roll(x(&[3, n])) { 2, 1 }
        roll(x(&[3, n])) { 1, 0 }
        tril(x(&[n, 5])) { 1 }
        triu(x(&[3, n])) { -1 }
        assign(x(&[3, n]), x(&[n]))
        assign(x(&[3, n]).apart(), x(&[3, n]).turned())
        fill(x(&[3, n])) { 2.0 }
        fill(x(&[3, n]).apart()) { 2.0 }

        index_select(x(&[5, n]), index(&[7], 5)) { 0 }
        index_select(x(&[3, n]), index(&[n], n)) { 1 }
        index_select_grad(x(&[7, n]), index(&[7], 5)) { 0, 5 }
        index_select_grad(x(&[3, 7, n]), index(&[7], 4)) { 1, 4 }
        gather(x(&[5, n]), index(&[3, n], 5)) { 0 }
        gather(x(&[3, n]), index(&[3, n + 2], n.min(2))) { 1 }
        scatter(x(&[5, n]), index(&[3, n], 5), x(&[3, n])) { 0 }
        scatter(x(&[3, n]), index(&[3, n], n), x(&[3, n])) { 1 }
        scatter_add(x(&[5, n]), index(&[3, n], 5), x(&[3, n])) { 0 }
        scatter_add(x(&[3, n]), index(&[3, n], n), x(&[3, n])) { 1 }
        one_hot(index(&[3, n], 7)) { 7, code }
        sequence_mask(index(&[n], 5)) { 5 }
        embedding(x(&[5, n]), index(&[2, 4], 5))
        embedding_grad(x(&[2, 4, n]), index(&[2, 4], 5)) { 5, 1 }
        embedding_grad_rows(x(&[2, 4, n]), index(&[2, 4], 5)) { 5, 1 }
        embedding_grad_dense(index(&[2], 5), x(&[2, n])) { 5 }
        sort(x(&[3, n])) { 1, false }
        sort(x(&[n, 3])) { 0, true }
        topk(x(&[3, n])) { len.min(2), 1, true }
        nonzero_count(x(&[3, n]))
        nonzero(x(&[3, n])) { 2, -1 }
        masked_select(x(&[3, n]), truth(&[3, n])) { len, 0.5 }
        masked_select(x(&[3, n]), truth(&[n])) { len, 0.5 }
        unique_count(x(&[3, n]))
        unique(x(&[3, n])) { len, 0.5 }

        full() { [3, len], code, 2.0 }
        arange() { len, code, 1.0, 1.0 }
        eye() { 3, len, code }
        eye() { len, 3, code }

        rng_next(key())
        uniform(key()) { [3, len], code, 0.0, 1.0 }
        normal(key()) { [3, len], code, 0.0, 1.0 }
        truncated_normal(key()) { [3, len], code, 0.0, 1.0, -2.0, 2.0 }
        randint(key()) { [3, len], DType::I32 as i64, 0.0, 9.0 }
        randint(key()) { [3, len], DType::U8 as i64, 0.0, 9.0 }
        permutation(key()) { len }
        dropout(x(&[3, n]), key()) { 0.4 }
        orthogonal(x(&[n, 5]))
        orthogonal(x(&[3, n]))

        argmax(x(&[3, n])) { 1, false }
        argmax(x(&[5, n])) { 0, false }
        argmin(x(&[5, n]).turned()) { 1, false }
        argmin(x(&[3, n]).apart()) { 1, true }
        cumsum(x(&[3, n])) { 1 }
        cumsum(x(&[3, n])) { 0 }
        cumprod(x(&[3, n])) { 1 }

        pool_spread(x(&[2, 3, 2, n]), bytes(&[2, 3, 2, n]).holding(Values::Below(4))) { [2, 2] }
        pool_pick(x(&[2, 6, 4, n]), bytes(&[2, 3, 2, n]).holding(Values::Below(4))) { [2, 2] }
        max_pool2d(x(&[2, 7, 6, n])) { [3, 2], [2, 2], [1, 1, 1, 0], [1, 1], false }
        max_pool2d(x(&[1, 7, 6, n])) { [2, 2], [1, 2], [0, 0, 0, 0], [2, 1], true }
        max_pool2d_grad(x(&[2, 3, 2, n]), index(&[2, 3, 2, n], 42)) { 7, 6 }
        avg_pool2d(x(&[2, 7, 6, n])) { [3, 2], [2, 2], [1, 1, 1, 0], true, false }
        avg_pool2d_grad(x(&[2, 3, 3, n])) { 6, 6, [2, 2], [2, 2], [0, 0, 0, 0], true }
        adaptive_avg_pool2d(x(&[2, 7, 6, n])) { 3, 4 }
        adaptive_avg_pool2d_grad(x(&[2, 3, 4, n])) { 7, 6 }
        adaptive_max_pool2d(x(&[2, 7, 6, n])) { 3, 4 }

        batch_norm(x(&[5, n]), x(&[n]), x(&[n]), x(&[5, n])) { 1e-5, 1 }
        batch_norm(x(&[2, 3, 4, n]), (), (), ()) { 1e-5, 0 }
        batch_norm_fixed(x(&[5, n]), x(&[n]), stat(&[n]), x(&[n]), x(&[n]), x(&[5, n])) { 1e-5, 1 }
        batch_norm_fixed(x(&[2, 3, 4, n]), x(&[n]), stat(&[n]), (), (), ()) { 1e-5, 0 }
        batch_norm_grad(x(&[5, n]), x(&[5, n]), stat(&[n]), stat(&[n]), x(&[n]), x(&[n])) { 1e-5, 1 }
        batch_norm_grad(x(&[2, 3, 4, n]), x(&[2, 3, 4, n]), stat(&[n]), stat(&[n]), (), ()) { 1e-5, 0 }
        batch_norm_update(stat(&[n]), stat(&[n]), stat(&[n]), stat(&[n]), step()) { 5, 0.1 }
        append_channels(x(&[5, n + 3]), stat(&[n + 3]), stat(&[n + 3]), x(&[5, n])) { 3 }
        append_channels(x(&[2, 3, n]), stat(&[n]), stat(&[n]), x(&[2, 3, n])) { 0 }
        append_channels_grad(x(&[5, n + 3]), x(&[5, n]), stat(&[n + 3]), stat(&[2, n + 3])) { 3 }
        append_channels_grad(x(&[2, 3, n + 1]), x(&[2, 3, 1]), stat(&[n + 1]), stat(&[2, n + 1])) { 0 }
        norm_relu_conv(x(&[5, n]), stat(&[n]), stat(&[n]), x(&[n]), x(&[n]), x(&[3, 1, 1, n])) { 1e-5 }
        norm_relu_conv(x(&[2, 3, 4, n + 2]), stat(&[n + 2]), stat(&[n + 2]), (), (), x(&[h, 1, 1, n])) { 1e-5 }
        norm_relu_conv_grad(x(&[5, 3]), x(&[5, 3]), stat(&[3]), stat(&[2, 3]), x(&[5, n]), stat(&[n]), stat(&[n]), x(&[n]), x(&[n]), x(&[3, 1, 1, n]), x(&[5, n]), stat(&[2, n])) { 1e-5 }
        norm_relu_conv_grad(x(&[2, 9, h]), x(&[2, 9, h]), stat(&[h]), stat(&[2, h]), x(&[2, 9, n + 2]), stat(&[n + 2]), stat(&[n + 2]), (), (), x(&[h, 1, 1, n]), x(&[2, 9, n + 2]), stat(&[2, n + 2])) { 1e-5 }
        norm_relu_conv3x3(x(&[2, 3, 4, n]), stat(&[n]), stat(&[n]), x(&[n]), x(&[n]), x(&[h, 3, 3, n])) { 1e-5 }
        norm_relu_conv3x3(x(&[3, 7, 6, n + 31]), stat(&[n + 31]), stat(&[n + 31]), (), (), x(&[h + 11, 3, 3, n + 31])) { 1e-5 }
        norm_relu_conv3x3_grad(x(&[2, 3, 4, h]), x(&[2, 3, 4, n]), stat(&[n]), stat(&[n]), x(&[n]), x(&[n]), x(&[h, 3, 3, n])) { 1e-5 }
        norm_relu_conv3x3_grad(x(&[3, 7, 6, h + 11]), x(&[3, 7, 6, n + 31]), stat(&[n + 31]), stat(&[n + 31]), (), (), x(&[h + 11, 3, 3, n + 31])) { 1e-5 }
        norm_relu_pool(x(&[2, 3, 4, n]), stat(&[n]), stat(&[n]), x(&[n]), x(&[n])) { 1e-5 }
        norm_relu_pool_grad(x(&[2, 1, 2, n]), x(&[2, 3, 4, n]), stat(&[n]), stat(&[n]), x(&[n]), x(&[n])) { 1e-5 }
        norm_relu_pool_grad(x(&[3, 2, 3, n]), x(&[3, 4, 7, n]), stat(&[n]), stat(&[n]), (), ()) { 1e-5 }
        layer_norm(x(&[5, n]), x(&[n]), x(&[n])) { 1, 1e-5 }
        layer_norm(x(&[2, 3, n]), (), ()) { 2, 1e-5 }
        layer_norm_grad(x(&[5, n]), x(&[5, n]), stat(&[5]), stat(&[5]), x(&[n])) { 1 }
        layer_norm_grad(x(&[2, 3, n]), x(&[2, 3, n]), stat(&[2]), stat(&[2]), ()) { 2 }
        group_norm(x(&[2, 3, 4, 2 * n]), x(&[2 * n]), x(&[2 * n])) { 2, 1e-5 }
        group_norm_grad(x(&[2, 12, 2 * n]), x(&[2, 12, 2 * n]), stat(&[2, 2]), stat(&[2, 2]), x(&[2 * n])) { 2 }

        lstm(x(&[3, 4, n]), x(&[4 * h, n]), x(&[4 * h, h]), x(&[4 * h]), x(&[4 * h]), x(&[3, h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { true, true }
        lstm(x(&[9, 2, h]), x(&[4 * h, h]), x(&[4 * h, h]), (), (), (), (), (), (), (), ()) { false, false }
        lstm_grad(x(&[3, 4, h]), x(&[3, h]), x(&[3, h]), x(&[3, 4, n]), x(&[4 * h, n]), x(&[4 * h, h]), x(&[3, 4, h]), x(&[3, 4, 4 * h]), x(&[3, 4, h]), x(&[3, h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { true, true }
        lstm_grad((), (), (), x(&[9, 2, h]), x(&[4 * h, h]), x(&[4 * h, h]), x(&[9, 2, h]), x(&[9, 2, 4 * h]), x(&[9, 2, h]), (), (), (), (), (), ()) { false, false }
        lstm_variant(x(&[3, 4, n]), x(&[4 * h, n]), x(&[4 * h, 5]), x(&[5, h]), x(&[3 * h]), x(&[4 * h]), x(&[4 * h]), x(&[h]), x(&[h]), x(&[4 * h]), x(&[3, 5]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, 5])) { true, true }
        lstm_variant(x(&[9, 2, h]), x(&[4 * h, h]), x(&[4 * h, h]), (), x(&[3 * h]), (), (), (), (), x(&[4 * h]), (), (), (), (), (), ()) { false, false }
        lstm_variant_grad(x(&[3, 4, 5]), x(&[3, 5]), x(&[3, h]), x(&[3, 4, n]), x(&[4 * h, n]), x(&[4 * h, 5]), x(&[5, h]), x(&[3 * h]), x(&[4 * h]), x(&[4 * h]), x(&[h]), x(&[h]), x(&[3, 4, 5]), x(&[3, 4, 12 * h]), x(&[3, 4, h]), x(&[3, 5]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, 5])) { true, true }
        lstm_variant_grad((), (), (), x(&[9, 2, h]), x(&[4 * h, h]), x(&[4 * h, n]), x(&[n, h]), (), (), (), (), (), x(&[9, 2, n]), x(&[9, 2, 4 * h]), x(&[9, 2, h]), (), (), (), (), (), ()) { false, false }
        gru(x(&[3, 4, n]), x(&[3 * h, n]), x(&[3 * h, h]), x(&[3 * h]), x(&[3 * h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { false, false, true }
        gru(x(&[3, 4, n]), x(&[3 * h, n]), x(&[3 * h, h]), x(&[3 * h]), x(&[3 * h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { true, true, true }
        gru_grad(x(&[3, 4, h]), x(&[3, h]), x(&[3, 4, n]), x(&[3 * h, n]), x(&[3 * h, h]), x(&[3, 4, h]), x(&[3, 4, 4 * h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { false, false, true }
        gru_grad(x(&[3, 4, h]), x(&[3, h]), x(&[3, 4, n]), x(&[3 * h, n]), x(&[3 * h, h]), x(&[3, 4, h]), x(&[3, 4, 4 * h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { true, true, true }
        rnn(x(&[3, 4, n]), x(&[h, n]), x(&[h, h]), x(&[h]), x(&[h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { true, false }
        rnn_grad(x(&[3, 4, h]), x(&[3, h]), x(&[3, 4, n]), x(&[h, n]), x(&[h, h]), x(&[3, 4, h]), x(&[3, h]), index(&[3], 5), truth(&[3, 4]), x(&[3, n]), x(&[3, h])) { true, true, true }
        softmax(x(&[3, n])) { 1 }
        softmax(x(&[3, n])) { 0 }
        softmax_grad(x(&[3, n]), x(&[3, n])) { 1 }
        softmax_grad(x(&[3, n]), x(&[3, n])) { 0 }
        log_softmax(x(&[3, n])) { 1 }
        log_softmax(x(&[2, 3, n])) { 1 }
        log_softmax_grad(x(&[3, n]), x(&[3, n])) { 1 }
        log_softmax_grad(x(&[3, n]), x(&[3, n])) { 0 }
        cross_entropy(x(&[5, n]), index(&[5], n), ()) { -100, 0.0 }
        cross_entropy(x(&[5, n]), index(&[5], n), positive(&[n])) { -100, 0.1 }
        cross_entropy_grad(x(&[5]), x(&[5, n]), index(&[5], n), x(&[5]), ()) { -100, 0.0 }
        cross_entropy_grad(x(&[5]), x(&[5, n]), index(&[5], n), x(&[5]), positive(&[n])) { -100, 0.1 }
        ctc_loss(x(&[3, 6, n + 4]), index(&[3, 4], 3), index(&[3], 7), index(&[3], 5)) { 3, true, true }
        ctc_decode(x(&[3, 6, n + 4]), index(&[3], 7)) { 3, 5 }
        ctc_decode(x(&[3, n, 5]), ()) { 0, 0 }
        ctc_loss(x(&[3, n, 5]), index(&[3, 2], 3), (), ()) { 4, false, false }

        sgd(vec![x(&[n]), x(&[3])], vec![], scale(), hyper(5), vec![x(&[n]), x(&[3])], vec![x(&[n]), x(&[3])], step()) { true, false }
        adam(vec![x(&[n]), x(&[3])], vec![], (), hyper(6), vec![x(&[n]), x(&[3])], vec![x(&[n]), x(&[3])], vec![positive(&[n]), positive(&[3])],
             vec![positive(&[n]), positive(&[3])], step()) { true, true, false }
        rmsprop(vec![x(&[n]), x(&[3])], vec![], scale(), hyper(6), vec![x(&[n]), x(&[3])], vec![positive(&[n]), positive(&[3])], vec![x(&[n]), x(&[3])],
                vec![x(&[n]), x(&[3])], step()) { true, false }
        adagrad(vec![x(&[n]), x(&[3])], vec![], (), hyper(5), vec![x(&[n]), x(&[3])], vec![positive(&[n]), positive(&[3])], step()) { false }
        adagrad(vec![x(&[2, n]), x(&[3])], vec![index(&[2], 5)], (), hyper(5), vec![x(&[5, n]), x(&[3])], vec![positive(&[5, n]), positive(&[3])], step()) { false }
        grad_norm(vec![x(&[n]), x(&[3])]) { 2.0 }
        grad_norm(vec![x(&[n]), x(&[3])]) { f64::INFINITY }
        clip_coefficient(scale()) { 1.0 }
        guard(vec![x(&[n])])

        augment(x(&[2, n, 5, 3]), key()) { true, 2, 3, 0.1, 0.1, 0.1 }
        augment(bytes(&[2, 5, n, 3]), key()) { true, 1, 0, 0.0, 0.0, 0.0 }
        resize(x(&[2, 5, n, 3])) { 7, 9 }
        resize(bytes(&[2, 5, 4, n])) { 2, 9 }
    }
    for to in DType::ALL {
        table! { all; cast(x(&[3, n])) { to as i64 } cast(x(&[5, n]).turned()) { to as i64 } cast(x(&[3, n]).apart()) { to as i64 } }
    }
    for op in [Op::sum, Op::mean, Op::prod, Op::amax, Op::amin, Op::any, Op::all] {
        case!(all, op; x(&[3, n]); [0i64; 0], false);
        case!(all, op; x(&[3, n]); [1], false);
        case!(all, op; x(&[5, n]); [0], true);
        case!(all, op; x(&[3, n, 5]); [0, 2], false);
        case!(all, op; x(&[5, n]).turned(); [1], false);
        case!(all, op; x(&[3, n]).apart(); [1], false);
    }
    all
}

/// Products: every layout of both operands, thin ones, stacks, and those that are split along k.
pub fn products(n: usize, dtype: DType) -> Vec<Case> {
    let mut all = Vec::new();
    let x = |dims: &[usize]| Operand::new(dtype, dims);
    let (bytes, signed) = (|dims: &[usize]| Operand::new(DType::U8, dims), |dims: &[usize]| Operand::new(DType::I8, dims));
    let single = |dims: &[usize]| Operand::new(DType::F32, dims);
    let layouts: [fn(Operand) -> Operand; 3] = [|x| x, Operand::turned, Operand::apart];
    for a in layouts {
        for b in layouts {
            for m in [1, 4, 15] {
                table! { all;
                    matmul(a(x(&[m, n])), b(x(&[n, n + 1])))
                    matmul(a(x(&[m, 130])), b(x(&[130, n])))
                    matmul(a(x(&[m, 33])), b(x(&[33, 67])))
                    linear(a(x(&[m, n])), b(x(&[9, n])), x(&[9])) { 1 }
                    linear(a(x(&[m, 34])), b(x(&[n, 34])), ()) { 0 }
                    linear(a(x(&[m, n])), b(x(&[70, n])), x(&[70]).apart()) { 0 }
                }
            }
        }
    }
    table! { all;
        matmul(x(&[n]), x(&[n]))
        matmul(x(&[n]), x(&[n, 7]))
        matmul(x(&[5, n]), x(&[n]))
        matmul(x(&[3, 1, 5, n]), x(&[2, n, 7]))
        matmul(x(&[n, 1024]), x(&[1024, 65]))
        matmul(x(&[3, 2050]), x(&[2050, n]))
        linear(x(&[2, 3, n]), x(&[7, n]), x(&[7])) { 1 }

        quantized_linear(bytes(&[1, 3 * n]), signed(&[n, 3 * n]), single(&[n]), single(&[n])) { 0.02, 7, 1 }
        quantized_linear(bytes(&[4, n]), signed(&[9, n]), single(&[9]), ()) { 0.02, 7, 0 }
        quantized_linear(bytes(&[4, n]), signed(&[n, n]).turned(), single(&[n]), single(&[n])) { 0.02, 7, 0 }
        quantized_linear(bytes(&[15, 3 * n]), signed(&[n, 3 * n]), single(&[n]), ()) { 0.02, 7, 0 }
        quantized_linear(bytes(&[3, 11, n]).turned(), signed(&[n, n]).apart(), single(&[n]).apart(), single(&[n]).apart()) { 0.02, 0, 1 }
        quantized_linear(bytes(&[n, 2048]), signed(&[100, 2048]), single(&[100]), single(&[100])) { 0.02, 7, 0 }
    }
    all
}

/// Geometries of convolutions, each forward, pooled, and both gradients: x [N, H, W, C], kernels, stride, padding, dilation, groups.
pub fn convolutions(n: usize, dtype: DType) -> Vec<Case> {
    let mut all = Vec::new();
    let x = |dims: &[usize]| Operand::new(dtype, dims);
    let plain = ([1, 1], [0; 4], [1, 1], 1);
    let padded = ([1, 1], [1; 4], [1, 1], 1);
    for ([images, h, w, c], [o, kh, kw], (stride, padding, dilation, groups)) in [
        ([2, 5, 6, n], [n + 2, 3, 3], padded),
        ([1, 9, 8, 3], [n, 3, 3], plain),
        ([2, 5, 7, n], [n + 1, 1, 1], plain),
        ([2, 9, 8, n], [5, 1, 1], ([2, 2], [0; 4], [1, 1], 1)),
        ([1, 13, 11, 3], [n, 7, 7], ([2, 2], [3; 4], [1, 1], 1)),
        ([2, 9, 10, n], [5, 3, 3], ([1, 2], [2, 2, 3, 3], [2, 3], 1)),
        ([2, 6, 7, 2 * n], [4, 3, 3], ([1, 1], [1; 4], [1, 1], 2)),
        // Depthwise.
        ([2, 6, 7, n], [n, 3, 3], ([1, 1], [1; 4], [1, 1], n)),
        ([2, 7, 7, n], [n, 3, 3], ([2, 2], [1, 0, 0, 1], [1, 1], n)),
        // Winograd's, from 32 channels on.
        ([3, 7, 9, n], [40, 3, 3], padded),
        ([5, 7, 6, 64], [n, 3, 3], ([1, 1], [1, 2, 0, 1], [1, 1], 1)),
    ] {
        let out = |size: usize, k: usize, i: usize| {
            let room = size as i64 + padding[2 * i] + padding[2 * i + 1] - dilation[i] * (k as i64 - 1) - 1;
            (room / stride[i] + 1) as usize
        };
        let (input, output) = ([images, h, w, c], [images, out(h, kh, 0), out(w, kw, 1), o]);
        let weight = [o, kh, kw, c / groups.max(1)];
        let (height, width, kernel, groups) = (h as i64, w as i64, [kh as i64, kw as i64], groups as i64);
        table! { all;
            conv2d(x(&input), x(&weight), x(&[o])) { stride, padding, dilation, groups, 1 }
            conv2d(x(&input), x(&weight), ()) { stride, padding, dilation, groups, 0 }
            conv2d_pool(x(&input), x(&weight), x(&[o])) { stride, padding, dilation, groups, 1, [2, 2] }
            conv2d_pool(x(&input), x(&weight), ()) { stride, padding, dilation, groups, 0, [3, 2] }
            conv2d_input_grad(x(&output), x(&weight)) { height, width, stride, padding, dilation, groups, false }
            conv2d_weight_grad(x(&input), x(&output)) { kernel, stride, padding, dilation, groups, false }
        }
    }
    all
}

/// Every pointwise function of one operand, in each layout.
pub fn unary(n: usize, dtype: DType) -> Vec<Case> {
    let mut all = Vec::new();
    let x = |dims: &[usize]| Operand::new(dtype, dims);
    for &op in Op::ALL.iter().filter(|op| op.spec().section == Section::Unary) {
        for x in [x(&[3, n]), x(&[5, n]).turned(), x(&[3, n]).apart()] {
            case!(all, op; x; 0.5, 2.0);
        }
    }
    all
}

/// Every pointwise function of two, in each layout and broadcast.
pub fn binary(n: usize, dtype: DType) -> Vec<Case> {
    let mut all = Vec::new();
    let x = |dims: &[usize]| Operand::new(dtype, dims).holding(Values::Positive);
    for &op in Op::ALL.iter().filter(|op| op.spec().section == Section::Binary) {
        for (x, y) in [
            (x(&[3, n]), x(&[3, n])),
            (x(&[3, n]), x(&[n])),
            (x(&[3, 1]), x(&[3, n])),
            (x(&[]), x(&[3, n])),
            (x(&[5, n]).turned(), x(&[5, n])),
            (x(&[3, n]).apart(), x(&[3, 1])),
        ] {
            case!(all, op; x, y; 0.5, 2.0);
        }
    }
    all
}

/// Results so large that they are written past the caches.
pub fn large() -> Vec<Case> {
    let mut all = Vec::new();
    let x = |dims: &[usize]| Operand::new(DType::F32, dims);
    let n = (8 << 20) + 5;
    table! { all;
        relu(x(&[n])) { 0.0, 0.0 }
        add(x(&[n]), x(&[n])) { 0.0, 0.0 }
        mul(x(&[n / 67, 67]), x(&[67])) { 0.0, 0.0 }
        contiguous(x(&[2897, 2899]).turned())
        layer_norm(x(&[n / 67, 67]), x(&[67]), x(&[67])) { 1, 1e-5 }
        batch_norm(x(&[n / 67, 67]), x(&[67]), x(&[67]), ()) { 1e-5, 0 }
    }
    all
}

/// Results of chains, and operands that broadcast to them in every way.
pub fn chains(n: usize) -> Vec<(Vec<usize>, Vec<Operand>)> {
    let x = |dims: &[usize]| Operand::new(DType::F32, dims);
    vec![
        (vec![3, n], vec![x(&[3, n]), x(&[n]), x(&[3, 1]), x(&[]), x(&[3, n]).turned(), x(&[3, n]).apart()]),
        (vec![n, 3], vec![x(&[n, 3]), x(&[3]), x(&[n, 1]), x(&[1]), x(&[n, 3]).turned()]),
        (vec![2, 5, n], vec![x(&[5, 1]), x(&[2, 1, n]), x(&[2, 1, 1]), x(&[5, n]), x(&[5, n]).turned()]),
    ]
}
