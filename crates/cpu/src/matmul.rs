//! Matrix products with PyTorch's rules for vectors and batches.
use crate::gemm::bf16::{self as pairs, NR, Pair, PairGemm, pair_scratch_len};
use crate::gemm::{Gemm, Inline, Mat, Next, Plain, Tiles, plain_scratch_len, scratch_len, widen_strided};
use crate::gemm::{Number, narrow};
use ferrograd_simd::isa;
use ferrograd_tensor::{Cx, DType, Element, Error, Layout, MAX_RANK, Meta, PackKey, Result, SyncPtr, View, ViewMut, bf16, promote};

/// A stack of products: `count` matrices [m, k] times [k, n], with the strides of the stack's dimensions.
pub(crate) struct Stack {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    /// Sizes of the stack's dimensions, and strides of both operands along them (0 where one is repeated).
    dims: [usize; MAX_RANK],
    rank: usize,
    a_steps: [isize; MAX_RANK],
    b_steps: [isize; MAX_RANK],
    /// Strides of one matrix of each: rows, columns.
    pub a: (isize, isize),
    pub b: (isize, isize),
}

impl Stack {
    /// `a` and `b` as matmul reads them: a vector is a row on the left and a column on the right.
    pub fn new(a: &Meta, b: &Meta) -> Stack {
        let (ad, bd) = (a.dims(), b.dims());
        let (a_str, b_str) = (a.layout.strides(), b.layout.strides());
        let (ar, br) = (ad.len(), bd.len());
        let (m, a_rs) = if ar > 1 { (ad[ar - 2], a_str[ar - 2]) } else { (1, 0) };
        let (n, b_cs) = if br > 1 { (bd[br - 1], b_str[br - 1]) } else { (1, 1) };
        let (k, a_cs) = (ad[ar - 1], a_str[ar - 1]);
        let b_rs = b_str[br.max(2) - 2];
        let (a_lead, b_lead) = (ar.max(2) - 2, br.max(2) - 2);
        let rank = a_lead.max(b_lead);
        let mut stack =
            Stack { m, n, k, dims: [1; MAX_RANK], rank, a_steps: [0; MAX_RANK], b_steps: [0; MAX_RANK], a: (a_rs, a_cs), b: (b_rs, b_cs) };
        for i in 0..rank {
            let size = |dims: &[usize], strides: &[isize], lead: usize| match (i + lead).checked_sub(rank) {
                Some(at) if dims[at] != 1 => (dims[at], strides[at]),
                _ => (1, 0),
            };
            let ((x, xs), (y, ys)) = (size(ad, a_str, a_lead), size(bd, b_str, b_lead));
            stack.dims[i] = if x == 1 { y } else { x };
            (stack.a_steps[i], stack.b_steps[i]) = (xs, ys);
        }
        stack.fold();
        stack
    }
    /// Takes the stack's innermost dimensions into the rows of `a` where `b` is one matrix and the rows of `a` are evenly spaced.
    fn fold(&mut self) {
        while self.rank > 0 {
            let i = self.rank - 1;
            let even = self.m == 1 || self.a_steps[i] == self.a.0 * self.m as isize || self.dims[i] == 1;
            if self.b_steps[i] != 0 || !even {
                break;
            }
            if self.dims[i] != 1 {
                if self.m == 1 {
                    self.a.0 = self.a_steps[i];
                }
                self.m *= self.dims[i];
            }
            self.rank = i;
        }
    }
    pub fn count(&self) -> usize {
        self.dims[..self.rank].iter().product()
    }
    /// Where product `i` of the stack starts in both operands.
    pub fn at(&self, mut i: usize) -> (isize, isize) {
        let mut at = (0, 0);
        for d in (0..self.rank).rev() {
            let x = (i % self.dims[d]) as isize;
            i /= self.dims[d];
            at = (at.0 + x * self.a_steps[d], at.1 + x * self.b_steps[d]);
        }
        at
    }
    /// Scratch of one product in float32.
    fn scratch_len(&self) -> usize {
        scratch_len(self.m, self.n, self.k, self.a, self.b).next_multiple_of(16)
    }
    /// And of one in bf16.
    fn pair_scratch_len(&self) -> usize {
        pair_scratch_len(self.m, self.n, self.k).next_multiple_of(16)
    }
    /// Products done side by side, each with scratch of its own: all of them in order where each is large enough to share out itself.
    fn slots(&self) -> usize {
        if self.m * self.n * self.k >= 1 << 22 { 1 } else { self.count().clamp(1, 16) }
    }
}

/// Bytes that [`matmul`] wants.
pub fn matmul_scratch(a: &Meta, b: &Meta) -> usize {
    stack_scratch(a, b, promote(a.dtype, b.dtype))
}

/// An upper bound over all strides, as those seen here need not be those of the run (operands may be cast on the way).
pub(crate) fn stack_scratch(a: &Meta, b: &Meta, dtype: DType) -> usize {
    if a.rank() == 0 || b.rank() == 0 {
        return 0;
    }
    let mut most = 0;
    for (a, b) in [(*a, *b), (packed(a), *b), (*a, packed(b)), (packed(a), packed(b))] {
        let s = Stack::new(&a, &b);
        let bytes = match dtype {
            DType::BF16 if pairs::available() => 4 * s.slots() * s.pair_scratch_len(),
            DType::F32 | DType::BF16 | DType::F16 => 4 * s.slots() * s.scratch_len(),
            other => other.size() * s.slots() * plain_scratch_len(s.n, s.k).next_multiple_of(16),
        };
        let wide = 4 * (a.numel() + 16 + b.numel() + 16 + s.count() * s.m * s.n + 16);
        most = most.max(bytes + if widened(dtype) { wide } else { 0 } + 256);
    }
    most
}

/// True for the half types that are computed in float32.
fn widened(dtype: DType) -> bool {
    dtype == DType::F16 || dtype == DType::BF16 && !pairs::available()
}

fn packed(x: &Meta) -> Meta {
    Meta { dtype: x.dtype, layout: Layout::contiguous(x.shape()) }
}

/// y = a b over the last two dimensions, leading ones broadcast; a 1-D operand is a row on the left and a column on the right
/// (PyTorch's `matmul`). Integers wrap.
pub fn matmul(cx: &mut Cx, a: &View, b: &View, y: &mut ViewMut) -> Result {
    products(cx, a, b, None, false, y)
}

/// The products of a stack, with bias and ReLU.
pub(crate) fn products(cx: &mut Cx, a: &View, b: &View, bias: Option<&View>, relu: bool, y: &mut ViewMut) -> Result {
    if y.numel() == 0 {
        return Ok(());
    }
    match a.dtype() {
        DType::F32 => {
            let bias = bias.map_or(std::ptr::null(), |v| v.ptr::<f32>());
            float(cx, (a.meta(), a.ptr()), (b.meta(), b.ptr()), bias, relu, y.slice_mut::<f32>())
        }
        DType::BF16 if pairs::available() => half(cx, a, b, bias, relu, y),
        DType::BF16 | DType::F16 => wide(cx, a, b, bias, relu, y)?,
        DType::F64 => plain::<f64>(cx, a, b, bias, relu, y),
        DType::I64 => plain::<i64>(cx, a, b, bias, relu, y),
        DType::I32 => plain::<i32>(cx, a, b, bias, relu, y),
        DType::U8 => plain::<u8>(cx, a, b, bias, relu, y),
        DType::I8 => plain::<i8>(cx, a, b, bias, relu, y),
        DType::Bool => return Err(Error::dtype("has no product of bool tensors.\n  Use x.to('int32') or another number type.")),
    }
    Ok(())
}

fn float(cx: &mut Cx, a: (&Meta, *const f32), b: (&Meta, *const f32), bias: *const f32, relu: bool, y: &mut [f32]) {
    let s = Stack::new(a.0, b.0);
    let tiles = Tiles::of(isa());
    let each = s.scratch_len();
    let c = SyncPtr(y.as_mut_ptr());
    let bias = SyncPtr(bias.cast_mut());
    let (a, b) = (SyncPtr(a.1.cast_mut()), SyncPtr(b.1.cast_mut()));
    let product = |i: usize| {
        let (at, bt) = s.at(i);
        // SAFETY: starts of matrices inside the operands.
        unsafe {
            Gemm {
                m: s.m,
                n: s.n,
                k: s.k,
                a: Mat { ptr: a.get().offset(at), rs: s.a.0, cs: s.a.1 },
                b: Mat { ptr: b.get().offset(bt), rs: s.b.0, cs: s.b.1 },
                c: SyncPtr(c.get().add(i * s.m * s.n)),
                ldc: s.n,
                bias,
                relu,
                packed_b: None,
                next: Next::NOTHING,
            }
        }
    };
    // One matrix on the right, a Linear's weight mostly, may stay packed from call to call.
    let mut packed_b = None;
    if s.count() == 1 && s.k > 0 && product(0).packs_b(tiles) {
        let one = product(0);
        let key = PackKey { order: "matmul", sizes: [s.k as isize, s.n as isize, s.b.0, s.b.1, tiles.nr() as isize, 0] };
        packed_b = cx.kept(one.b.ptr, &key, s.k * s.n, |to| one.pack_b(tiles, cx.pool(), to));
    }
    in_slots(cx, &s, each, |i, pool, scratch| {
        // SAFETY: operands and output as the shape rule gave them; each product has its own scratch and output.
        unsafe { Gemm { packed_b, ..product(i) }.run(tiles, pool, scratch) }
    });
}

/// bf16 as it is, where the CPU multiplies it.
fn half(cx: &mut Cx, a: &View, b: &View, bias: Option<&View>, relu: bool, y: &mut ViewMut) {
    let s = Stack::new(a.meta(), b.meta());
    let (a, b) = (SyncPtr(a.ptr::<bf16>().cast_mut()), SyncPtr(b.ptr::<bf16>().cast_mut()));
    let bias = SyncPtr(bias.map_or(std::ptr::null_mut(), |v| v.ptr::<bf16>().cast_mut()));
    let c = SyncPtr(y.slice_mut::<bf16>().as_mut_ptr());
    let product = |i: usize| {
        let (at, bt) = s.at(i);
        // SAFETY: starts of matrices inside the operands.
        unsafe {
            PairGemm {
                m: s.m,
                n: s.n,
                k: s.k,
                a: Mat { ptr: a.get().offset(at), rs: s.a.0, cs: s.a.1 },
                b: Mat { ptr: b.get().offset(bt), rs: s.b.0, cs: s.b.1 },
                c: SyncPtr(c.get().add(i * s.m * s.n)),
                ldc: s.n,
                bias,
                relu,
                packed_b: None,
            }
        }
    };
    // As in `float`.
    let mut packed_b = None;
    if s.count() == 1 && s.k > 0 {
        let one = product(0);
        let key = PackKey { order: "matmul bf16", sizes: [s.k as isize, s.n as isize, s.b.0, s.b.1, NR as isize, 0] };
        packed_b = cx.kept(one.b.ptr.cast::<Pair>(), &key, one.packed_len(), |to| one.pack_b(cx.pool(), to));
    }
    in_slots::<Pair>(cx, &s, s.pair_scratch_len(), |i, pool, scratch| {
        // SAFETY: operands and output as the shape rule gave them; each product has its own scratch and output; the caller has seen the
        // instruction.
        unsafe { PairGemm { packed_b, ..product(i) }.run(pool, scratch) }
    });
}

fn plain<T: Number>(cx: &mut Cx, a: &View, b: &View, bias: Option<&View>, relu: bool, y: &mut ViewMut) {
    let s = Stack::new(a.meta(), b.meta());
    let each = plain_scratch_len(s.n, s.k).next_multiple_of(16);
    let (a, b) = (SyncPtr(a.ptr::<T>().cast_mut()), SyncPtr(b.ptr::<T>().cast_mut()));
    let bias = SyncPtr(bias.map_or(std::ptr::null_mut(), |v| v.ptr::<T>().cast_mut()));
    let c = SyncPtr(y.slice_mut::<T>().as_mut_ptr());
    in_slots(cx, &s, each, |i, pool, scratch| {
        let (at, bt) = s.at(i);
        // SAFETY: as in `float`.
        unsafe {
            Plain {
                m: s.m,
                n: s.n,
                k: s.k,
                a: Mat { ptr: a.get().offset(at), rs: s.a.0, cs: s.a.1 },
                b: Mat { ptr: b.get().offset(bt), rs: s.b.0, cs: s.b.1 },
                c: SyncPtr(c.get().add(i * s.m * s.n)),
                ldc: s.n,
                bias,
                relu,
            }
            .run(pool, scratch)
        }
    });
}

/// Calls `product` for each of the stack, with `each` elements of scratch of its own.
fn in_slots<T: Element>(cx: &mut Cx, s: &Stack, each: usize, product: impl Fn(usize, &dyn ferrograd_tensor::Parallel, &mut [T]) + Sync) {
    let (count, slots) = (s.count(), s.slots());
    let (scratch, cx) = cx.split_scratch::<T>(each * slots);
    if slots == 1 {
        return (0..count).for_each(|i| product(i, cx.pool(), scratch));
    }
    let base = SyncPtr(scratch.as_mut_ptr());
    cx.par(slots, |slot| {
        // SAFETY: each slot has its own part of the scratch.
        let scratch = unsafe { std::slice::from_raw_parts_mut(base.get().add(slot * each), each) };
        for i in (slot..count).step_by(slots) {
            product(i, &Inline, scratch);
        }
    });
}

/// An operand in float32, and how its elements then lie: in their own order where they leave no gaps, as those of a transposed matrix do.
fn widen_operand(cx: &Cx, x: &View, dst: &mut [f32]) -> Result<Meta> {
    if let [.., rows, columns] = *x.dims() {
        let (mut shape, mut strides) = (x.meta().shape(), [0; MAX_RANK]);
        let rank = shape.rank();
        strides[..rank].copy_from_slice(x.strides());
        shape.dims_mut()[rank - 2..].copy_from_slice(&[columns, rows]);
        strides.swap(rank - 2, rank - 1);
        let turned = Layout::strided(shape, &strides[..rank], 0);
        if turned.is_contiguous() {
            // SAFETY: the same elements under exchanged axes.
            widen_strided(cx, &unsafe { x.with_layout(turned) }, dst);
            return Ok(Meta { dtype: DType::F32, layout: Layout::strided(x.meta().shape(), x.strides(), 0) });
        }
    }
    widen_strided(cx, x, dst);
    Meta::new(DType::F32, x.dims())
}

/// A half type without instructions of its own: widened, multiplied in float32, rounded once.
fn wide(cx: &mut Cx, a: &View, b: &View, bias: Option<&View>, relu: bool, y: &mut ViewMut) -> Result {
    let (wa, mut cx) = cx.split_scratch::<f32>(a.numel());
    let am = widen_operand(&cx, a, wa)?;
    let (wb, mut cx) = cx.split_scratch::<f32>(b.numel());
    let bm = widen_operand(&cx, b, wb)?;
    let (wc, mut cx) = cx.split_scratch::<f32>(y.numel());
    let bias_len = bias.map_or(0, |v| v.numel());
    let (wbias, mut cx) = cx.split_scratch::<f32>(bias_len);
    if let Some(bias) = bias {
        widen_strided(&cx, bias, wbias);
    }
    let bias = if bias.is_some() { wbias.as_ptr() } else { std::ptr::null() };
    float(&mut cx, (&am, wa.as_ptr()), (&bm, wb.as_ptr()), bias, relu, wc);
    narrow(&cx, wc, y);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::shuffled::{on_threads, same_bits};
    use crate::testing::{assert_close, each_isa, noise};
    use ferrograd_tensor::{Shape, f16, rules};

    fn floats(seed: u64, len: usize) -> Vec<f32> {
        noise(seed, len).into_iter().map(|v| v as f32).collect()
    }

    /// Plain float64 product of row-major matrices.
    fn reference(m: usize, n: usize, k: usize, a: impl Fn(usize, usize) -> f64, b: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let mut c = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                c[i * n + j] = (0..k).map(|p| a(i, p) * b(p, j)).sum();
            }
        }
        c
    }

    /// A view of `data` as a matrix [rows, cols] stored by columns where `turned`, with `gap` elements between lines.
    fn view<T: Element>(data: &[T], rows: usize, cols: usize, turned: bool, gap: usize) -> View<'_> {
        let (lines, len) = if turned { (cols, rows) } else { (rows, cols) };
        assert!(data.len() >= lines * (len + gap));
        let strides = if turned { [1, (rows + gap) as isize] } else { [(cols + gap) as isize, 1] };
        let layout = Layout::strided(Shape::new(&[rows, cols]).unwrap(), &strides, 0);
        // SAFETY: inside `data`, checked above.
        unsafe { View::of(data, &[data.len()]).with_layout(layout) }
    }

    #[test]
    fn every_transposition_and_size_on_every_path() {
        let sizes = [
            (1, 1, 1),
            (1, 5, 3),
            (5, 1, 7),
            (3, 4, 0),
            (12, 32, 16),
            (13, 33, 17),
            (37, 70, 65),
            (100, 130, 70),
            (7, 200, 300),
            (64, 10, 1024),
            (130, 64, 512),
            (3, 2, 5000),
            (1, 300, 129),
            (2, 65, 64),
            (3, 600, 33),
            (4, 130, 70),
            // A's tiles packed task by task.
            (20, 600, 70),
            // A packed in place of a larger B.
            (16, 130, 129),
            (48, 400, 200),
        ];
        each_isa(|isa| {
            for (m, n, k) in sizes {
                for case in 0..8 {
                    let (ta, tb, gap) = (case & 1 > 0, case & 2 > 0, if case & 4 > 0 { 3 } else { 0 });
                    let (a, b) = (floats(1, (m + gap) * (k + gap)), floats(2, (k + gap) * (n + gap)));
                    let (a, b) = (view(&a, m, k, ta, gap), view(&b, k, n, tb, gap));
                    // SAFETY: i and j lie inside the view.
                    let at = |v: &View, i: usize, j: usize| unsafe {
                        *v.ptr::<f32>().offset(i as isize * v.strides()[0] + j as isize * v.strides()[1])
                    } as f64;
                    let want = reference(m, n, k, |i, j| at(&a, i, j), |i, j| at(&b, i, j));
                    let what = format!("{} {m} {n} {k} case {case}", isa.name());
                    let got = same_bits(matmul_scratch(a.meta(), b.meta()), &what, |cx| {
                        let mut y = vec![f32::NAN; m * n];
                        matmul(cx, &a, &b, &mut ViewMut::of(&mut y, &[m, n])).unwrap();
                        y
                    });
                    let got: Vec<f64> = got.iter().map(|&v| v as f64).collect();
                    assert_close(&got, &want, 1e-5, 1e-6 * (k as f64).sqrt().max(1.0), &what);
                }
            }
        });
    }

    #[test]
    fn a_long_sum_is_split_by_shape_alone() {
        let (m, n, k) = (32, 32, 65536);
        let (a, b) = (floats(3, m * k), floats(4, k * n));
        each_isa(|isa| {
            let (av, bv) = (View::of(&a, &[m, k]), View::of(&b, &[k, n]));
            let got = same_bits(matmul_scratch(av.meta(), bv.meta()), isa.name(), |cx| {
                let mut y = vec![0f32; m * n];
                matmul(cx, &av, &bv, &mut ViewMut::of(&mut y, &[m, n])).unwrap();
                y
            });
            let want = reference(m, n, k, |i, j| a[i * k + j] as f64, |i, j| b[i * n + j] as f64);
            assert_close(&got.iter().map(|&v| v as f64).collect::<Vec<_>>(), &want, 1e-4, 1e-2, isa.name());
        });
    }

    #[test]
    fn stacks_vectors_and_repeated_operands() {
        let cases: [(&[usize], &[usize]); 10] = [
            (&[3], &[3]),
            (&[2, 3], &[3]),
            (&[3], &[3, 4]),
            (&[5, 1, 2, 3], &[7, 3, 4]),
            (&[3], &[7, 3, 4]),
            (&[6, 2, 3], &[3]),
            (&[0, 3], &[3, 4]),
            (&[2, 0], &[0, 4]),
            (&[4, 5, 6], &[6, 7]),
            (&[20, 5, 6], &[20, 6, 33]),
        ];
        each_isa(|isa| {
            for (ad, bd) in cases {
                let (a, b) = (noise(5, ad.iter().product()), noise(6, bd.iter().product()));
                let (av, bv) = (View::of(&a, ad), View::of(&b, bd));
                let meta = rules::matmul(av.meta(), bv.meta()).unwrap();
                let mut want = vec![0f64; meta.numel()];
                on_threads(2, matmul_scratch(av.meta(), bv.meta()), |cx| matmul(cx, &av, &bv, &mut ViewMut::of(&mut want, meta.dims())))
                    .unwrap();
                // The stack by the definition: one product for each index.
                let s = Stack::new(av.meta(), bv.meta());
                for i in 0..s.count() {
                    let (at, bt) = s.at(i);
                    let plain = reference(
                        s.m,
                        s.n,
                        s.k,
                        |r, c| a[(at + r as isize * s.a.0 + c as isize * s.a.1) as usize],
                        |r, c| b[(bt + r as isize * s.b.0 + c as isize * s.b.1) as usize],
                    );
                    assert_close(&want[i * s.m * s.n..][..s.m * s.n], &plain, 1e-12, 1e-13, &format!("{ad:?} {bd:?}"));
                }
                let (af, bf): (Vec<f32>, Vec<f32>) = (a.iter().map(|&v| v as f32).collect(), b.iter().map(|&v| v as f32).collect());
                let (av, bv) = (View::of(&af, ad), View::of(&bf, bd));
                let got = same_bits(matmul_scratch(av.meta(), bv.meta()), isa.name(), |cx| {
                    let mut y = vec![0f32; meta.numel()];
                    matmul(cx, &av, &bv, &mut ViewMut::of(&mut y, meta.dims())).unwrap();
                    y
                });
                assert_close(
                    &got.iter().map(|&v| v as f64).collect::<Vec<_>>(),
                    &want,
                    1e-5,
                    1e-6,
                    &format!("{} {ad:?} {bd:?}", isa.name()),
                );
            }
        });
    }

    #[test]
    fn a_stack_follows_the_definition_of_broadcasting() {
        let (a, b) = (noise(7, 2 * 3 * 4), noise(8, 5 * 4 * 2));
        let mut y = vec![0f64; 2 * 5 * 3 * 2];
        let (av, bv) = (View::of(&a, &[2, 1, 3, 4]), View::of(&b, &[5, 4, 2]));
        on_threads(1, matmul_scratch(av.meta(), bv.meta()), |cx| matmul(cx, &av, &bv, &mut ViewMut::of(&mut y, &[2, 5, 3, 2]))).unwrap();
        for (i, &got) in y.iter().enumerate() {
            let (x, s, r, c) = (i / 30, i / 6 % 5, i / 2 % 3, i % 2);
            let want: f64 = (0..4).map(|k| a[(x * 3 + r) * 4 + k] * b[(s * 4 + k) * 2 + c]).sum();
            assert!((got - want).abs() < 1e-13);
        }
    }

    #[test]
    fn integers_wrap_and_half_types_round_once() {
        let a: Vec<u8> = vec![200, 100, 3, 4];
        let mut y = vec![0u8; 4];
        let v = View::of(&a, &[2, 2]);
        on_threads(1, matmul_scratch(v.meta(), v.meta()), |cx| matmul(cx, &v, &v, &mut ViewMut::of(&mut y, &[2, 2]))).unwrap();
        assert_eq!(y, [(200 * 200 + 300) as u8, (200 * 100 + 400) as u8, (600 + 12) as u8, (300 + 16) as u8]);

        let (m, n, k) = (9, 21, 130);
        let (a, b) = (noise(9, m * k), noise(10, k * n));
        each_isa(|isa| {
            let (ab, bb): (Vec<bf16>, Vec<bf16>) =
                (a.iter().map(|&v| bf16::from_f64(v)).collect(), b.iter().map(|&v| bf16::from_f64(v)).collect());
            let mut y = vec![bf16::ZERO; m * n];
            let (av, bv) = (View::of(&ab, &[m, k]), view(&bb, k, n, true, 0));
            on_threads(2, matmul_scratch(av.meta(), bv.meta()), |cx| matmul(cx, &av, &bv, &mut ViewMut::of(&mut y, &[m, n]))).unwrap();
            let want = reference(m, n, k, |i, j| ab[i * k + j].to_f64(), |i, j| bb[j * k + i].to_f64());
            assert_close(&y.iter().map(|v| v.to_f64()).collect::<Vec<_>>(), &want, 0.004, 1e-4, isa.name());
            let ah: Vec<f16> = a.iter().map(|&v| f16::from_f64(v)).collect();
            let bh: Vec<f16> = noise(10, (k + 3) * (n + 3)).iter().map(|&v| f16::from_f64(v)).collect();
            for (turned, gap) in [(false, 0), (true, 0), (true, 3)] {
                let mut y = vec![f16::ZERO; m * n];
                let (av, bv) = (View::of(&ah, &[m, k]), view(&bh, k, n, turned, gap));
                on_threads(2, matmul_scratch(av.meta(), bv.meta()), |cx| matmul(cx, &av, &bv, &mut ViewMut::of(&mut y, &[m, n]))).unwrap();
                let at = |i: usize, j: usize| bh[if turned { j * (k + gap) + i } else { i * n + j }].to_f64();
                let want = reference(m, n, k, |i, j| ah[i * k + j].to_f64(), at);
                assert_close(&y.iter().map(|v| v.to_f64()).collect::<Vec<_>>(), &want, 0.0006, 1e-4, isa.name());
            }
        });
    }
}
