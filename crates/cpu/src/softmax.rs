//! Softmax and log-softmax along any dimension, with their gradients.
//!
//! f32 runs over vectors: along a row where the dimension is the last, across 64 neighbouring columns where it is not. The other types run the
//! plain form in float64. A row that holds NaN, +infinity, or -infinity alone gives NaN, as in PyTorch.
use crate::strided::{GRAIN, ReadPtr, around, load, store};
use ferrograd_simd::{Kernel, Simd, math, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Result, SyncPtr, View, ViewMut, rules, with_float};

/// Most columns that are taken side by side where the dimension is not the last.
const COLUMNS: usize = 256;

/// Columns that are taken side by side: as many as let a block stay in the second cache between its passes.
fn columns(n: usize) -> usize {
    ((1 << 16) / n).clamp(64, COLUMNS)
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Softmax,
    LogSoftmax,
    SoftmaxGrad,
    LogSoftmaxGrad,
}

/// y = exp(x - max x) / sum exp(x - max x) along `dim`.
pub fn softmax(cx: &mut Cx, x: &View, dim: i64, y: &mut ViewMut) -> Result {
    apply(cx, Form::Softmax, x, x, dim, y)
}

/// dx = y (dy - sum(y dy)) along `dim`, for y = softmax(x).
pub fn softmax_grad(cx: &mut Cx, y: &View, dy: &View, dim: i64, dx: &mut ViewMut) -> Result {
    apply(cx, Form::SoftmaxGrad, y, dy, dim, dx)
}

/// y = x - max x - log(sum exp(x - max x)) along `dim`.
pub fn log_softmax(cx: &mut Cx, x: &View, dim: i64, y: &mut ViewMut) -> Result {
    apply(cx, Form::LogSoftmax, x, x, dim, y)
}

/// dx = dy - exp(y) sum(dy) along `dim`, for y = log_softmax(x).
pub fn log_softmax_grad(cx: &mut Cx, y: &View, dy: &View, dim: i64, dx: &mut ViewMut) -> Result {
    apply(cx, Form::LogSoftmaxGrad, y, dy, dim, dx)
}

fn apply(cx: &mut Cx, form: Form, x: &View, dy: &View, dim: i64, out: &mut ViewMut) -> Result {
    let (outer, n, inner) = around(x.dims(), rules::axis(dim, x.rank())?);
    if outer * n * inner == 0 {
        return Ok(());
    }
    if x.dtype() == DType::F32 {
        single(cx, form, [x.slice::<f32>(), dy.slice::<f32>()], out.slice_mut(), outer, n, inner);
        return Ok(());
    }
    with_float!(x.dtype(), T => {
        let (x, dy) = (x.slice::<T>(), dy.slice::<T>());
        let to = SyncPtr(out.slice_mut::<T>().as_mut_ptr());
        cx.par_ranges(outer * inner, (GRAIN / n).max(1), |lines| {
            for line in lines {
                let first = line / inner * n * inner + line % inner;
                // SAFETY: a line is `n` elements `inner` apart, its own; `to` has the shape of `x`.
                unsafe { plain(form, n, |i| x[first + i * inner].to_f64(), |i| dy[first + i * inner].to_f64(),
                    |i, v| *to.get().add(first + i * inner) = T::from_f64(v)) };
            }
        });
        Ok(())
    })
}

/// One line of any form in float64: the reference.
fn plain(form: Form, n: usize, x: impl Fn(usize) -> f64, dy: impl Fn(usize) -> f64, mut put: impl FnMut(usize, f64)) {
    match form {
        Form::Softmax | Form::LogSoftmax => {
            let max = (0..n).map(&x).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..n).map(|i| (x(i) - max).exp()).sum();
            let log_sum = sum.ln();
            (0..n).for_each(|i| put(i, if form == Form::Softmax { (x(i) - max).exp() / sum } else { x(i) - max - log_sum }));
        }
        Form::SoftmaxGrad => {
            let dot: f64 = (0..n).map(|i| x(i) * dy(i)).sum();
            (0..n).for_each(|i| put(i, x(i) * (dy(i) - dot)));
        }
        Form::LogSoftmaxGrad => {
            let sum: f64 = (0..n).map(&dy).sum();
            (0..n).for_each(|i| put(i, dy(i) - x(i).exp() * sum));
        }
    }
}

fn single(cx: &Cx, form: Form, sources: [&[f32]; 2], out: &mut [f32], outer: usize, n: usize, inner: usize) {
    let (x, dy, out) = (ReadPtr(sources[0].as_ptr()), ReadPtr(sources[1].as_ptr()), SyncPtr(out.as_mut_ptr()));
    if inner == 1 {
        cx.par_ranges(outer, (GRAIN / 2 / n).max(1), |rows| {
            let at = rows.start * n;
            // SAFETY: whole rows inside the tensors; each task writes its own.
            unsafe {
                let (x, dy, out) = (x.get().add(at), dy.get().add(at), out.get().add(at));
                vectorize(Rows { form, x, dy, out, rows: rows.len(), n })
            }
        });
    } else {
        let columns = columns(n).min(inner);
        let blocks = inner.div_ceil(columns);
        cx.par_ranges(outer * blocks, (GRAIN / 2 / (n * columns)).max(1), |range| {
            for block in range {
                let column = block % blocks * columns;
                let at = block / blocks * n * inner + column;
                // SAFETY: the columns of a block inside the tensors; each task writes its own.
                unsafe {
                    let (x, dy, out) = (x.get().add(at), dy.get().add(at), out.get().add(at));
                    vectorize(Columns { form, x, dy, out, columns: columns.min(inner - column), n, inner })
                }
            }
        });
    }
}

/// Rows one after the other.
struct Rows {
    form: Form,
    x: *const f32,
    dy: *const f32,
    out: *mut f32,
    rows: usize,
    n: usize,
}

impl Kernel for Rows {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let line = Line::row(s, self.n);
        for row in 0..self.rows {
            let at = row * self.n;
            // SAFETY: the row lies inside the block.
            unsafe { line.apply(s, self.form, self.x.add(at), self.dy.add(at), self.out.add(at)) };
        }
    }
}

/// Up to `COLUMNS` neighbouring columns of `n` elements `inner` apart: pass after pass over the rows, so that memory is read in the order in
/// which it lies (elements of one column often share a set of the first cache).
struct Columns {
    form: Form,
    x: *const f32,
    dy: *const f32,
    out: *mut f32,
    columns: usize,
    n: usize,
    inner: usize,
}

impl Kernel for Columns {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // A number a column: the maximum, and a sum or what is made of it.
        let (mut max, mut sum) = ([f32::NEG_INFINITY; COLUMNS], [0f32; COLUMNS]);
        let (max, sum) = (max.as_mut_ptr(), sum.as_mut_ptr());
        let Columns { form, x, dy, out, columns, n, inner } = self;
        // Calls `$body` for the vectors of each row: `$at` in the tensors, `$c` among the columns, `$m` lanes.
        macro_rules! pass {
            (|$at:ident, $c:ident, $m:ident| $body:expr) => {
                for row in 0..n {
                    let mut $c = 0;
                    while $c < columns {
                        let ($at, $m) = (row * inner + $c, S::LANES.min(columns - $c));
                        $body;
                        $c += S::LANES;
                    }
                }
            };
        }
        // SAFETY: the columns lie inside the tensors; `max` and `sum` have room for whole vectors, since COLUMNS is a multiple of LANES.
        unsafe {
            match form {
                Form::Softmax | Form::LogSoftmax => {
                    pass!(|at, c, m| {
                        let (v, old) = (load(s, x.add(at), m), s.load(max.add(c)));
                        s.store(max.add(c), s.select(s.gt(v, old), v, old));
                    });
                    pass!(|at, c, m| {
                        let e = math::exp_down(s, s.sub(load(s, x.add(at), m), s.load(max.add(c))));
                        if form == Form::Softmax {
                            store(s, out.add(at), m, e);
                        }
                        s.store(sum.add(c), s.add(s.load(sum.add(c)), e));
                    });
                    for c in (0..columns).step_by(S::LANES) {
                        let total = s.load(sum.add(c));
                        s.store(sum.add(c), if form == Form::Softmax { s.div(s.splat(1.0), total) } else { math::log(s, total) });
                    }
                    pass!(|at, c, m| {
                        let last = s.load(sum.add(c));
                        let y = if form == Form::Softmax {
                            s.mul(load(s, out.add(at), m), last)
                        } else {
                            s.sub(s.sub(load(s, x.add(at), m), s.load(max.add(c))), last)
                        };
                        store(s, out.add(at), m, y);
                    });
                }
                Form::SoftmaxGrad => {
                    pass!(|at, c, m| s.store(sum.add(c), s.fma(load(s, x.add(at), m), load(s, dy.add(at), m), s.load(sum.add(c)))));
                    pass!(|at, c, m| {
                        store(s, out.add(at), m, s.mul(load(s, x.add(at), m), s.sub(load(s, dy.add(at), m), s.load(sum.add(c)))));
                    });
                }
                Form::LogSoftmaxGrad => {
                    pass!(|at, c, m| s.store(sum.add(c), s.add(s.load(sum.add(c)), load(s, dy.add(at), m))));
                    pass!(|at, c, m| {
                        let p = math::exp_down(s, load(s, x.add(at), m));
                        store(s, out.add(at), m, s.fnma(p, s.load(sum.add(c)), load(s, dy.add(at), m)));
                    });
                }
            }
        }
    }
}

/// The vectors that make up one row.
pub(crate) struct Line {
    steps: usize,
    /// Steps of which all lanes are used; the last may use only `tail`.
    full: usize,
    tail: usize,
}

impl Line {
    #[inline(always)]
    pub(crate) fn row<S: Simd>(_: S, n: usize) -> Line {
        Line { steps: n.div_ceil(S::LANES), full: n / S::LANES, tail: n % S::LANES }
    }
    /// # Safety
    /// The line must be readable at `p`.
    #[inline(always)]
    pub(crate) unsafe fn load<S: Simd>(&self, s: S, p: *const f32, i: usize, fill: f32) -> S::F {
        // SAFETY: by the caller's promise.
        unsafe {
            if i < self.full {
                return s.load(p.add(i * S::LANES));
            }
            s.select(s.first(self.tail), s.load_partial(p.add(i * S::LANES), self.tail), s.splat(fill))
        }
    }
    /// # Safety
    /// The line must be writable at `p`.
    #[inline(always)]
    pub(crate) unsafe fn store<S: Simd>(&self, s: S, p: *mut f32, i: usize, v: S::F) {
        // SAFETY: by the caller's promise.
        unsafe { if i < self.full { s.store(p.add(i * S::LANES), v) } else { s.store_partial(p.add(i * S::LANES), self.tail, v) } }
    }
    #[inline(always)]
    pub(crate) fn steps(&self) -> std::ops::Range<usize> {
        0..self.steps
    }
    /// The maximum, NaN left out.
    ///
    /// # Safety
    /// As for [`Line::load`].
    #[inline(always)]
    pub(crate) unsafe fn max<S: Simd>(&self, s: S, x: *const f32) -> S::F {
        // Four at a time: each waits for its own last comparison alone.
        let mut max = [s.splat(f32::NEG_INFINITY); 4];
        let mut i = 0;
        while i < self.steps {
            for (k, max) in max.iter_mut().enumerate() {
                if i + k < self.steps {
                    // SAFETY: by the caller's promise.
                    let v = unsafe { self.load(s, x, i + k, f32::NEG_INFINITY) };
                    *max = s.select(s.gt(v, *max), v, *max);
                }
            }
            i += 4;
        }
        for k in 1..4 {
            max[0] = s.select(s.gt(max[k], max[0]), max[k], max[0]);
        }
        s.splat(s.reduce_max(max[0]))
    }
    /// The sum of exp(x - max), and the terms stored in `out` unless it is null.
    ///
    /// # Safety
    /// As for [`Line::load`] and [`Line::store`].
    #[inline(always)]
    pub(crate) unsafe fn exp_sum<S: Simd>(&self, s: S, x: *const f32, max: S::F, out: *mut f32) -> S::F {
        let mut sum = s.zero();
        for i in self.steps() {
            // SAFETY: by the caller's promise. Lanes past the end are exp(-infinity) = 0.
            unsafe {
                let e = math::exp_down(s, s.sub(self.load(s, x, i, f32::NEG_INFINITY), max));
                if !out.is_null() {
                    self.store(s, out, i, e);
                }
                sum = s.add(sum, e);
            }
        }
        s.splat(s.reduce_add(sum))
    }
    /// # Safety
    /// The line must be readable at `x` and `dy`, writable at `out`.
    #[inline(always)]
    unsafe fn apply<S: Simd>(&self, s: S, form: Form, x: *const f32, dy: *const f32, out: *mut f32) {
        // SAFETY: by the caller's promise.
        unsafe {
            match form {
                Form::Softmax => {
                    let max = self.max(s, x);
                    let scale = s.div(s.splat(1.0), self.exp_sum(s, x, max, out));
                    for i in self.steps() {
                        self.store(s, out, i, s.mul(self.load(s, out, i, 0.0), scale));
                    }
                }
                Form::LogSoftmax => {
                    let max = self.max(s, x);
                    let log_sum = math::log(s, self.exp_sum(s, x, max, std::ptr::null_mut()));
                    for i in self.steps() {
                        self.store(s, out, i, s.sub(s.sub(self.load(s, x, i, 0.0), max), log_sum));
                    }
                }
                Form::SoftmaxGrad => {
                    let mut dot = s.zero();
                    for i in self.steps() {
                        dot = s.fma(self.load(s, x, i, 0.0), self.load(s, dy, i, 0.0), dot);
                    }
                    let dot = s.splat(s.reduce_add(dot));
                    for i in self.steps() {
                        let (y, dy) = (self.load(s, x, i, 0.0), self.load(s, dy, i, 0.0));
                        self.store(s, out, i, s.mul(y, s.sub(dy, dot)));
                    }
                }
                Form::LogSoftmaxGrad => {
                    let mut sum = s.zero();
                    for i in self.steps() {
                        sum = s.add(sum, self.load(s, dy, i, 0.0));
                    }
                    let sum = s.splat(s.reduce_add(sum));
                    for i in self.steps() {
                        let (y, dy) = (self.load(s, x, i, 0.0), self.load(s, dy, i, 0.0));
                        self.store(s, out, i, s.fnma(math::exp_down(s, y), sum, dy));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, each_isa, noise, run};
    use ferrograd_tensor::{bf16, f16};

    type Op = fn(&mut Cx, &View, &View, i64, &mut ViewMut) -> Result;
    const FORMS: [(Form, Op); 4] = [
        (Form::Softmax, |cx, x, _, dim, y| softmax(cx, x, dim, y)),
        (Form::LogSoftmax, |cx, x, _, dim, y| log_softmax(cx, x, dim, y)),
        (Form::SoftmaxGrad, softmax_grad),
        (Form::LogSoftmaxGrad, log_softmax_grad),
    ];

    fn check<T: Element>(x: &[f64], dy: &[f64], dims: &[usize], dim: i64, tolerance: f64) {
        let (x, dy): (Vec<T>, Vec<T>) = (x.iter().map(|&v| T::from_f64(v)).collect(), dy.iter().map(|&v| T::from_f64(v)).collect());
        let (outer, n, inner) = around(dims, rules::axis(dim, dims.len()).unwrap());
        for (which, (form, op)) in FORMS.into_iter().enumerate() {
            let mut want = vec![0.0; x.len()];
            for line in 0..outer * inner {
                let at = line / inner * n * inner + line % inner;
                plain(form, n, |i| x[at + i * inner].to_f64(), |i| dy[at + i * inner].to_f64(), |i, v| want[at + i * inner] = v);
            }
            let mut got = vec![T::default(); x.len()];
            run(0, |cx| op(cx, &View::of(&x, dims), &View::of(&dy, dims), dim, &mut ViewMut::of(&mut got, dims))).unwrap();
            let got: Vec<f64> = got.iter().map(|v| v.to_f64()).collect();
            assert_close(&got, &want, tolerance, tolerance, &format!("form {which} of {} {dims:?} along {dim}", T::DTYPE));
        }
    }

    #[test]
    fn every_dimension_shape_and_path_agrees_with_float64() {
        each_isa(|_| {
            let shapes: [&[usize]; 12] =
                [&[], &[1], &[7], &[16], &[3, 33], &[40, 10], &[2, 5, 70], &[3, 0], &[0, 3], &[2, 3, 2, 17], &[1, 1000], &[70000, 3]];
            for dims in shapes {
                let len = dims.iter().product();
                let (x, dy): (Vec<f64>, Vec<f64>) = (noise(1, len).iter().map(|v| v * 6.0).collect(), noise(2, len));
                for dim in -(dims.len().max(1) as i64)..0 {
                    check::<f32>(&x, &dy, dims, dim, 3e-6 * (1.0 + (len as f64).sqrt() / 30.0));
                    check::<f64>(&x, &dy, dims, dim, 1e-12);
                    if len < 1000 {
                        check::<f16>(&x, &dy, dims, dim, 2e-3);
                        check::<bf16>(&x, &dy, dims, dim, 2e-2);
                    }
                }
            }
        });
    }

    #[test]
    fn extremes_are_pytorchs() {
        const MINUS: f32 = f32::NEG_INFINITY;
        each_isa(|_| {
            let x = [MINUS, MINUS, MINUS, 1e4, 1e4, MINUS, f32::NAN, 0.0, 0.0, 1e38, -1e38, f32::INFINITY];
            for (dims, dim) in [([4usize, 3], 1i64), ([3, 4], 0)] {
                let place = |r: usize, c: usize| if dim == 1 { r * 3 + c } else { c * 4 + r };
                let mut data = [0f32; 12];
                (0..12).for_each(|i| data[place(i / 3, i % 3)] = x[i]);
                let mut y = [0f32; 12];
                run(0, |cx| softmax(cx, &View::of(&data, &dims), dim, &mut ViewMut::of(&mut y, &dims))).unwrap();
                let row = |r: usize| [y[place(r, 0)], y[place(r, 1)], y[place(r, 2)]];
                assert!(row(0).iter().all(|v| v.is_nan()));
                assert_eq!(row(1), [0.5, 0.5, 0.0]);
                assert!(row(2).iter().chain(&row(3)).all(|v| v.is_nan()));
            }
        });
    }
}
