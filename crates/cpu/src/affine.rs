//! The passes of the normalisations over every element: each channel has its coefficients. A residual may be added and a ReLU applied on the way
//! out, so that neither costs a pass over memory of its own.
use crate::channels::Size;
use crate::strided::{GRAIN, put, streams};
use ferrograd_simd::{Kernel, Scalar, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Float, SyncPtr};

/// How many coefficients a place has.
const KINDS: usize = 6;

/// Coefficients of [`affine`] and [`affine_grad`] for each place in a period, for each `outer`.
pub(crate) struct Coefficients<'a, A> {
    pub size: Size,
    pub all: &'a mut [A],
}

impl<'a, A: Float> Coefficients<'a, A> {
    pub fn len(size: Size) -> usize {
        KINDS * size.outer * size.period()
    }
    /// Sets the coefficients of a channel of `outer`, at each of its places in the period.
    pub fn set(&mut self, outer: usize, channel: usize, values: [f64; KINDS]) {
        let period = self.size.period();
        for r in 0..self.size.repeat() {
            for (k, v) in values.into_iter().enumerate() {
                self.all[(outer * KINDS + k) * period + r * self.size.channels + channel] = A::from_f64(v);
            }
        }
    }
    pub fn of(&self, outer: usize) -> [&[A]; KINDS] {
        let period = self.size.period();
        std::array::from_fn(|k| &self.all[(outer * KINDS + k) * period..][..period])
    }
}

/// What follows on the normalised value: + residual, then max(0, ·).
#[derive(Clone, Copy)]
pub(crate) struct Then<'a, T> {
    pub residual: Option<&'a [T]>,
    pub relu: bool,
}

impl<T> Then<'_, T> {
    pub const NOTHING: Self = Then { residual: None, relu: false };
}

/// y = (x - c0) * c1 + c2, coefficients by channel, and what follows.
pub(crate) fn affine<T: Float>(cx: &Cx, x: &[T], c: &Coefficients<T::Acc>, then: Then<T>, y: &mut [T]) {
    let stream = streams(size_of_val(y));
    each_run(cx, c, y, |[c0, c1, c2, ..], start, y| {
        let range = start..start + y.len();
        let residual = then.residual.map(|r| &r[range.clone()]);
        let run = Affine { x: &x[range], c: [c0, c1, c2], residual, relu: then.relu, y, stream };
        if T::DTYPE == DType::F32 { vectorize(run) } else { run.run(Scalar) }
    });
}

struct Affine<'a, T: Float> {
    x: &'a [T],
    c: [&'a [T::Acc]; 3],
    residual: Option<&'a [T]>,
    relu: bool,
    y: &'a mut [T],
    stream: bool,
}

impl<T: Float> Kernel for Affine<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [c0, c1, c2] = self.c;
        let period = c0.len();
        for (i, y) in self.y.chunks_mut(period).enumerate() {
            let range = i * period..i * period + y.len();
            let x = &self.x[range.clone()];
            let residual = self.residual.map(|r| &r[range]);
            if T::DTYPE == DType::F32 {
                let c = self.c.map(|c| c.as_ptr().cast::<f32>());
                let (x, r, to) =
                    (x.as_ptr().cast::<f32>(), residual.map_or(x.as_ptr(), |r| r.as_ptr()).cast::<f32>(), y.as_mut_ptr().cast::<f32>());
                // SAFETY: x, y and the residual are float32, all have at least y's length.
                unsafe {
                    match (residual.is_some(), self.relu) {
                        (false, false) => normalise::<S, false, false>(s, x, c, r, to, y.len(), self.stream),
                        (false, true) => normalise::<S, false, true>(s, x, c, r, to, y.len(), self.stream),
                        (true, false) => normalise::<S, true, false>(s, x, c, r, to, y.len(), self.stream),
                        (true, true) => normalise::<S, true, true>(s, x, c, r, to, y.len(), self.stream),
                    }
                }
                continue;
            }
            let zero = T::default().acc();
            for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                let mut v = T::from_acc((x.acc() - c0[i]) * c1[i] + c2[i]);
                if let Some(r) = residual {
                    v = T::from_acc(v.acc() + r[i].acc());
                }
                *y = if self.relu && v.acc() < zero { T::default() } else { v };
            }
        }
        if self.stream {
            s.fence();
        }
    }
}

/// `Affine` on `len` float32; where `stream`, past the caches as far as `y` is aligned (the caller fences).
///
/// # Safety
/// `x`, `c` and, where `ADD`, `r` must be readable, `y` writable for `len` elements.
#[inline(always)]
unsafe fn normalise<S: Simd, const ADD: bool, const RELU: bool>(
    s: S,
    x: *const f32,
    c: [*const f32; 3],
    r: *const f32,
    y: *mut f32,
    len: usize,
    stream: bool,
) {
    let whole = len / S::LANES * S::LANES;
    // SAFETY: by the caller's promise.
    unsafe {
        macro_rules! run {
            ($stream:literal) => {
                for i in (0..whole).step_by(S::LANES) {
                    let c = [s.load(c[0].add(i)), s.load(c[1].add(i)), s.load(c[2].add(i))];
                    let r = if ADD { s.load(r.add(i)) } else { s.zero() };
                    put::<S, $stream>(s, y.add(i), value::<S, ADD, RELU>(s, s.load(x.add(i)), c, r));
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
            let c = [s.load_partial(c[0].add(i), n), s.load_partial(c[1].add(i), n), s.load_partial(c[2].add(i), n)];
            let r = if ADD { s.load_partial(r.add(i), n) } else { s.zero() };
            s.store_partial(y.add(i), n, value::<S, ADD, RELU>(s, s.load_partial(x.add(i), n), c, r));
        }
    }
}

/// Written as the separate ops round, so that the bits are theirs.
#[inline(always)]
fn value<S: Simd, const ADD: bool, const RELU: bool>(s: S, x: S::F, [c0, c1, c2]: [S::F; 3], r: S::F) -> S::F {
    let mut v = s.add(s.mul(s.sub(x, c0), c1), c2);
    if ADD {
        v = s.add(v, r);
    }
    if RELU { s.max_nan(v, s.zero()) } else { v }
}

/// Where a ReLU behind (x - c0) * c1 + c2 let the value pass, computed again from x: what it gave need not be read.
#[derive(Clone, Copy)]
pub(crate) struct Relu<'a, T: Float> {
    c: [&'a [T::Acc]; 3],
}

impl<'a, T: Float> Relu<'a, T> {
    /// From the coefficients as `affine_grad` takes them.
    pub fn new(c: [&'a [T::Acc]; KINDS]) -> Self {
        Relu { c: [c[0], c[4], c[5]] }
    }
    /// Whether x was cut off.
    ///
    /// # Safety
    /// `place` must be below the length of the coefficients.
    #[inline(always)]
    pub unsafe fn cuts(&self, place: usize, x: T) -> bool {
        debug_assert!(place < self.c[0].len());
        // SAFETY: by the caller's promise.
        let [c0, c1, c2] = unsafe { self.c.map(|c| *c.get_unchecked(place)) };
        cut(x, c0, c1, c2)
    }
}

/// Whether a ReLU gave 0 for what it got. NaN passes, as it does in `relu_grad`.
#[inline(always)]
fn cut<T: Float>(x: T, c0: T::Acc, c1: T::Acc, c2: T::Acc) -> bool {
    T::from_acc((x.acc() - c0) * c1 + c2).acc() <= T::default().acc()
}

/// dx = c4 * (c1 * dy - c2 * (x - c0) - c3), coefficients by channel: the large factor last, so that what cancels does so exactly. With `relu`, dy
/// counts where (x - c0) * c4 + c5 is not cut off.
pub(crate) fn affine_grad<T: Float>(cx: &Cx, dy: &[T], x: &[T], c: &Coefficients<T::Acc>, relu: bool, dx: &mut [T]) {
    each_run(cx, c, dx, |c, start, dx| {
        let run = AffineGrad { dy: &dy[start..start + dx.len()], x: &x[start..start + dx.len()], c, relu, dx };
        if T::DTYPE == DType::F32 { vectorize(run) } else { run.run(Scalar) }
    });
}

struct AffineGrad<'a, T: Float> {
    dy: &'a [T],
    x: &'a [T],
    c: [&'a [T::Acc]; KINDS],
    relu: bool,
    dx: &'a mut [T],
}

impl<T: Float> Kernel for AffineGrad<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        if self.relu { gradients::<T, true>(self) } else { gradients::<T, false>(self) }
    }
}

#[inline(always)]
fn gradients<T: Float, const RELU: bool>(AffineGrad { dy, x, c: [c0, c1, c2, c3, c4, c5], dx, .. }: AffineGrad<T>) {
    let period = c0.len();
    for ((dy, x), dx) in dy.chunks(period).zip(x.chunks(period)).zip(dx.chunks_mut(period)) {
        let n = dx.len();
        let (dy, x, c0, c1, c2, c3, c4, c5) = (&dy[..n], &x[..n], &c0[..n], &c1[..n], &c2[..n], &c3[..n], &c4[..n], &c5[..n]);
        for i in 0..n {
            let zero = T::default().acc();
            let x_hat = c2[i] * (x[i].acc() - c0[i]);
            let mut d = c1[i] * dy[i].acc() - x_hat;
            // Chosen here: a choice between dy and 0 becomes a load under a mask, which waits for x.
            if RELU && cut(x[i], c0[i], c4[i], c5[i]) {
                d = c1[i] * zero - x_hat;
            }
            dx[i] = T::from_acc(c4[i] * (d - c3[i]));
        }
    }
}

/// Hands runs of `y`, starting at whole periods, to `f(coefficients, first place, run)`.
fn each_run<T: Float>(cx: &Cx, c: &Coefficients<T::Acc>, y: &mut [T], f: impl Fn([&[T::Acc]; KINDS], usize, &mut [T]) + Sync) {
    let plane = c.size.rows * c.size.channels;
    if y.is_empty() {
        return;
    }
    let period = c.size.period();
    let run = (GRAIN / period).max(1) * period;
    let runs = plane.div_ceil(run);
    let to = SyncPtr(y.as_mut_ptr());
    // Short planes go several to a task.
    cx.par_ranges(c.size.outer * runs, (GRAIN / plane).max(1), |range| {
        for unit in range {
            let (o, start) = (unit / runs, unit % runs * run);
            let len = run.min(plane - start);
            // SAFETY: runs of planes are disjoint parts of y.
            let part = unsafe { std::slice::from_raw_parts_mut(to.get().add(o * plane + start), len) };
            f(c.of(o), o * plane + start, part);
        }
    });
}
