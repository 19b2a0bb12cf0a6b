//! layer_norm: each row, the last dimensions together, normalised; its gradient.
#[cfg(test)]
mod tests;

use crate::channels::{Param, Size, Sums, chunk_sums, column_blocks, joined, set_stats};
use crate::strided::{GRAIN, load as load_lanes, put, streams};
use ferrograd_simd::{Kernel, Scalar, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Float, Meta, Result, SyncPtr, View, ViewMut, with_float};

/// Rows of `features` each.
fn split(x: &Meta, dims: i64) -> (usize, usize) {
    let lead = x.rank().saturating_sub(dims.max(0) as usize);
    (x.dims()[..lead].iter().product(), x.dims()[lead..].iter().product())
}

fn size(x: &Meta, dims: i64) -> Size {
    let (rows, channels) = split(x, dims);
    Size { outer: 1, rows, channels }
}

/// Scratch of [`layer_norm`] in bytes: weight and bias in the type of the computation.
pub fn layer_norm_scratch(x: &Meta, dims: i64) -> usize {
    2 * (split(x, dims).1 * 8).next_multiple_of(64)
}

/// Scratch of [`layer_norm_grad`] in bytes: the weight, and partial sums of the gradients of weight and bias.
pub fn layer_norm_grad_scratch(x: &Meta, dims: i64) -> usize {
    (split(x, dims).1 * 8).next_multiple_of(64) + size(x, dims).partials() * 8
}

/// y = (x - mean) * rstd * weight + bias, rstd = 1 / sqrt(variance + eps), over the last `dims` dimensions.
pub fn layer_norm(
    cx: &mut Cx,
    x: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    dims: i64,
    eps: f64,
    y: &mut ViewMut,
    mean: &mut ViewMut,
    rstd: &mut ViewMut,
) -> Result {
    let (_, features) = split(x.meta(), dims);
    with_float!(x.dtype(), T => {
        let (w, mut cx) = cx.split_scratch::<<T as Float>::Acc>(features);
        let (b, cx) = cx.split_scratch::<<T as Float>::Acc>(features);
        load(w, &Param::new(weight, 1.0));
        load(b, &Param::new(bias, 0.0));
        let (w, b) = (&*w, &*b);
        if features == 0 {
            set_stats(mean, |_| f64::NAN);
            set_stats(rstd, |_| f64::NAN);
            return Ok(());
        }
        let (mean, rstd) = (Stats::new(mean), Stats::new(rstd));
        let data = x.slice::<T>();
        let stream = streams(size_of_val(data));
        cx.par_chunks_mut(y.slice_mut::<T>(), (GRAIN / features).max(1) * features, |start, y| {
            let rows = Rows { x: &data[start..start + y.len()], w, b, eps, y, first: start / features, mean, rstd, stream };
            if T::DTYPE == DType::F32 { vectorize(rows) } else { rows.run(Scalar) }
        });
        Ok(())
    })
}

fn load<A: Element>(to: &mut [A], p: &Param) {
    to.iter_mut().enumerate().for_each(|(i, to)| *to = A::from_f64(p.at(i)));
}

/// Where tasks leave the statistics of their rows.
#[derive(Clone, Copy)]
enum Stats {
    F32(SyncPtr<f32>),
    F64(SyncPtr<f64>),
}

impl Stats {
    fn new(y: &mut ViewMut) -> Stats {
        match y.dtype() {
            DType::F64 => Stats::F64(SyncPtr(y.ptr_mut())),
            _ => Stats::F32(SyncPtr(y.ptr_mut())),
        }
    }
    /// # Safety
    /// `row` must be below the number of statistics, and the caller's own.
    #[inline(always)]
    unsafe fn set(&self, row: usize, value: f64) {
        // SAFETY: by the caller's promise.
        unsafe {
            match self {
                Stats::F32(p) => *p.get().add(row) = value as f32,
                Stats::F64(p) => *p.get().add(row) = value,
            }
        }
    }
}

struct Rows<'a, T: Float> {
    x: &'a [T],
    w: &'a [T::Acc],
    b: &'a [T::Acc],
    eps: f64,
    y: &'a mut [T],
    first: usize,
    mean: Stats,
    rstd: Stats,
    /// y is too large for the caches.
    stream: bool,
}

const LANES: usize = 16;

/// The two sums of `f` over the places below `n`, in float64 lanes.
#[inline(always)]
fn lane_sums(n: usize, f: impl Fn(usize) -> (f64, f64)) -> (f64, f64) {
    let (mut a, mut b) = ([0f64; LANES], [0f64; LANES]);
    for i in 0..n {
        let (p, q) = f(i);
        a[i % LANES] += p;
        b[i % LANES] += q;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            a[l] += a[l + width];
            b[l] += b[l + width];
        }
        width /= 2;
    }
    (a[0], b[0])
}

/// Elements whose sum stays in float32 lanes before it goes to float64.
const SHORT: usize = 1024;

/// Calls `$step` with the places of whole vectors (`$m` is LANES) and of the rest, `SHORT` elements between calls of `$flush`.
macro_rules! short_runs {
    ($s:ident, $S:ident, $n:expr, |$i:ident, $m:ident| $step:expr, $flush:expr) => {
        let mut $i = 0;
        while $i < $n {
            let end = $n.min($i + SHORT);
            while $i < end {
                let $m = $S::LANES.min(end - $i);
                $step;
                $i += $m;
            }
            $flush;
        }
    };
}

/// Mean and variance of a row of float32: two passes over what the first cache holds, from the first element on, which keeps all digits of rows
/// far from 0.
///
/// # Safety
/// `x` must be readable for `n > 0` elements.
#[inline(always)]
unsafe fn moments<S: Simd>(s: S, x: *const f32, n: usize) -> (f64, f64) {
    // SAFETY: by the caller's promise.
    unsafe {
        let shift = s.splat(*x);
        let (mut sum, mut total) = (s.zero(), 0.0);
        short_runs!(s, S, n, |i, m| sum = s.add(sum, s.select(s.first(m), s.sub(load_lanes(s, x.add(i), m), shift), s.zero())), {
            total += s.reduce_add(sum) as f64;
            sum = s.zero();
        });
        let mean = total / n as f64;
        let (near, mut squares) = (s.splat(mean as f32), 0.0);
        short_runs!(
            s,
            S,
            n,
            |i, m| {
                let d = s.select(s.first(m), s.sub(s.sub(load_lanes(s, x.add(i), m), shift), near), s.zero());
                sum = s.fma(d, d, sum);
            },
            {
                squares += s.reduce_add(sum) as f64;
                sum = s.zero();
            }
        );
        (*x as f64 + mean, squares / n as f64)
    }
}

/// The sums of dy w and of dy w (x - mean) over a row of float32.
///
/// # Safety
/// All must be readable for `n` elements.
#[inline(always)]
unsafe fn slopes<S: Simd>(s: S, dy: *const f32, x: *const f32, w: *const f32, mean: f64, n: usize) -> (f64, f64) {
    // SAFETY: by the caller's promise. Lanes past the end have dy 0.
    unsafe {
        let mean = s.splat(mean as f32);
        let (mut a, mut b, mut totals) = (s.zero(), s.zero(), (0.0, 0.0));
        short_runs!(
            s,
            S,
            n,
            |i, m| {
                let g = s.mul(load_lanes(s, dy.add(i), m), load_lanes(s, w.add(i), m));
                a = s.add(a, g);
                b = s.fma(g, s.sub(load_lanes(s, x.add(i), m), mean), b);
            },
            {
                totals = (totals.0 + s.reduce_add(a) as f64, totals.1 + s.reduce_add(b) as f64);
                (a, b) = (s.zero(), s.zero());
            }
        );
        totals
    }
}

impl<T: Float> Kernel for Rows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.w.len();
        for (r, (x, y)) in self.x.chunks_exact(n).zip(self.y.chunks_exact_mut(n)).enumerate() {
            // Shifted by the first element, the squares stay near the variance: one pass is as good as two.
            let shift = x[0].to_f64();
            let (m, v) = if T::DTYPE == DType::F32 {
                // SAFETY: a row of n float32.
                unsafe { moments(s, x.as_ptr().cast(), n) }
            } else {
                let (a, b) = lane_sums(n, |i| {
                    let d = x[i].to_f64() - shift;
                    (d, d * d)
                });
                (shift + a / n as f64, (b - a * (a / n as f64)) / n as f64)
            };
            let rstd = 1.0 / (if v < 0.0 { 0.0 } else { v } + self.eps).sqrt();
            // SAFETY: one statistic a row; rows belong to one task.
            unsafe {
                self.mean.set(self.first + r, m);
                self.rstd.set(self.first + r, rstd);
            }
            let (m, rstd) = (<T::Acc>::from_f64(m), <T::Acc>::from_f64(rstd));
            if T::DTYPE == DType::F32 {
                let (w, b) = (self.w.as_ptr().cast(), self.b.as_ptr().cast());
                // SAFETY: x and y are float32, and all have n elements.
                unsafe {
                    scaled(s, x.as_ptr().cast(), [m.to_f64() as f32, rstd.to_f64() as f32], [w, b], y.as_mut_ptr().cast(), n, self.stream)
                };
                continue;
            }
            for (((&x, y), &w), &b) in x.iter().zip(y).zip(self.w).zip(self.b) {
                *y = T::from_acc((x.acc() - m) * rstd * w + b);
            }
        }
        if self.stream {
            s.fence();
        }
    }
}

/// y = (x - mean) * rstd * w + b over a row of float32; where `stream`, past the caches if `y` is aligned (the caller fences).
///
/// # Safety
/// `x`, `w` and `b` must be readable, `y` writable for `len` elements.
#[inline(always)]
unsafe fn scaled<S: Simd>(s: S, x: *const f32, stats: [f32; 2], [w, b]: [*const f32; 2], y: *mut f32, len: usize, stream: bool) {
    let whole = len / S::LANES * S::LANES;
    let (mean, rstd) = (s.splat(stats[0]), s.splat(stats[1]));
    // SAFETY: by the caller's promise.
    unsafe {
        macro_rules! run {
            ($stream:literal) => {
                for i in (0..whole).step_by(S::LANES) {
                    let v = s.mul(s.mul(s.sub(s.load(x.add(i)), mean), rstd), s.load(w.add(i)));
                    put::<S, $stream>(s, y.add(i), s.add(v, s.load(b.add(i))));
                }
            };
        }
        if stream && y.addr().is_multiple_of(4 * S::LANES) {
            run!(true)
        } else {
            run!(false)
        }
        let (i, n) = (whole, len - whole);
        if n > 0 {
            let v = s.mul(s.mul(s.sub(s.load_partial(x.add(i), n), mean), rstd), s.load_partial(w.add(i), n));
            s.store_partial(y.add(i), n, s.add(v, s.load_partial(b.add(i), n)));
        }
    }
}

/// With xhat = (x - mean) * rstd: dbias = sum over rows of dy, dweight = of dy * xhat, dx = rstd * (w dy - mean(w dy) - xhat * mean(w
/// dy * xhat)).
pub fn layer_norm_grad(
    cx: &mut Cx,
    dy: &View,
    x: &View,
    mean: &View,
    rstd: &View,
    weight: Option<&View>,
    dims: i64,
    dx: &mut ViewMut,
    dweight: &mut ViewMut,
    dbias: &mut ViewMut,
) -> Result {
    let size = size(x.meta(), dims);
    let features = size.channels;
    if features == 0 {
        return Ok(());
    }
    with_float!(x.dtype(), T => {
        let (w, mut cx) = cx.split_scratch::<<T as Float>::Acc>(features);
        load(w, &Param::new(weight, 1.0));
        let w = &*w;
        let (data, grad) = (x.slice::<T>(), dy.slice::<T>());
        let (mean, rstd) = (Read::new(mean), Read::new(rstd));
        let (partial, cx) = cx.split_scratch::<f64>(size.partials());
        let to = SyncPtr(partial.as_mut_ptr());
        let sums = ParamSums { dy: grad, x: data, features, mean, rstd };
        // A chunk's rows, and while they are in the caches the sums over them.
        cx.par_chunks_mut(dx.slice_mut::<T>(), size.chunk() * features, |start, dx| {
            let end = start + dx.len();
            let rows = GradRows { dy: &grad[start..end], x: &data[start..end], w, dx, first: start / features, mean, rstd };
            if T::DTYPE == DType::F32 { vectorize(rows) } else { rows.run(Scalar) }
            for block in 0..column_blocks(size) {
                // SAFETY: this chunk is one task's.
                unsafe { chunk_sums(size, &sums, 0, start / features / size.chunk(), block, to) };
            }
        });
        set_stats(dbias, |c| joined(partial, size, 0, c).0);
        set_stats(dweight, |c| joined(partial, size, 0, c).1);
        Ok(())
    })
}

/// Statistics to be read by row.
#[derive(Clone, Copy)]
enum Read<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl<'a> Read<'a> {
    fn new(v: &View<'a>) -> Read<'a> {
        match v.dtype() {
            DType::F64 => Read::F64(v.slice()),
            _ => Read::F32(v.slice()),
        }
    }
    #[inline(always)]
    fn at(&self, row: usize) -> f64 {
        match self {
            Read::F32(v) => v[row] as f64,
            Read::F64(v) => v[row],
        }
    }
}

struct GradRows<'a, T: Float> {
    dy: &'a [T],
    x: &'a [T],
    w: &'a [T::Acc],
    dx: &'a mut [T],
    first: usize,
    mean: Read<'a>,
    rstd: Read<'a>,
}

impl<T: Float> Kernel for GradRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.w.len();
        let w = self.w;
        for (r, ((dy, x), dx)) in self.dy.chunks_exact(n).zip(self.x.chunks_exact(n)).zip(self.dx.chunks_exact_mut(n)).enumerate() {
            let (m, rstd) = (self.mean.at(self.first + r), self.rstd.at(self.first + r));
            let (c1, c2) = if T::DTYPE == DType::F32 {
                // SAFETY: rows of n float32.
                unsafe { slopes(s, dy.as_ptr().cast(), x.as_ptr().cast(), w.as_ptr().cast(), m, n) }
            } else {
                lane_sums(n, |i| {
                    let g = dy[i].to_f64() * w[i].to_f64();
                    (g, g * (x[i].to_f64() - m))
                })
            };
            let (c1, c2) = (c1 / n as f64, c2 * rstd / n as f64);
            let a = |v: f64| <T::Acc>::from_f64(v);
            let (m, rstd, c1, c2) = (a(m), a(rstd), a(c1), a(c2 * rstd));
            for (((&dy, &x), dx), &w) in dy.iter().zip(x).zip(dx).zip(w) {
                *dx = T::from_acc(rstd * (dy.acc() * w - c1 - (x.acc() - m) * c2));
            }
        }
    }
}

/// Sums over rows of dy and dy * xhat.
struct ParamSums<'a, T> {
    dy: &'a [T],
    x: &'a [T],
    features: usize,
    mean: Read<'a>,
    rstd: Read<'a>,
}

impl<T: Float> Sums for ParamSums<'_, T> {
    const FAST: bool = matches!(T::DTYPE, DType::F32);
    type Row = (f64, f64);
    #[inline(always)]
    fn coefficient(&self, _: usize, _: usize) -> f64 {
        0.0
    }
    #[inline(always)]
    fn row(&self, at: usize) -> (f64, f64) {
        let row = at / self.features;
        (self.mean.at(row), self.rstd.at(row))
    }
    #[inline(always)]
    fn of(&self, at: usize, _: usize, _: f64, (mean, rstd): (f64, f64)) -> (f64, f64) {
        debug_assert!(at < self.x.len() && at < self.dy.len());
        // SAFETY: `column_sums` passes places below rows * features, the length of dy and x.
        let (dy, x) = unsafe { ((*self.dy.get_unchecked(at)).to_f64(), (*self.x.get_unchecked(at)).to_f64()) };
        (dy, dy * ((x - mean) * rstd))
    }
}
