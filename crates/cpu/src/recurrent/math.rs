//! What a cell's formula is written in: f32 vectors for float32 and the half types, single numbers for float64.
use ferrograd_simd::{Kernel, Simd, math, vectorize};
use ferrograd_tensor::Float;

pub(super) trait Math: Copy {
    type E: Copy;
    type V: Copy;
    const LANES: usize;
    /// # Safety
    /// `n <= LANES` elements can be read.
    unsafe fn load(self, p: *const Self::E, n: usize) -> Self::V;
    /// # Safety
    /// `n <= LANES` elements can be written.
    unsafe fn store(self, p: *mut Self::E, n: usize, v: Self::V);
    fn zero(self) -> Self::V;
    fn one(self) -> Self::V;
    fn splat(self, a: f64) -> Self::V;
    /// The sum of all lanes.
    fn total(self, a: Self::V) -> f64;
    /// Zeros behind the first `n` lanes.
    fn first(self, a: Self::V, n: usize) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn sigmoid(self, a: Self::V) -> Self::V;
    fn tanh(self, a: Self::V) -> Self::V;
    /// `b` where a > 0, 0 where it is not, NaN where it is NaN.
    fn where_positive(self, a: Self::V, b: Self::V) -> Self::V;

    /// d y (1 - y), of a sigmoid's result y.
    #[inline(always)]
    fn through_sigmoid(self, d: Self::V, y: Self::V) -> Self::V {
        self.mul(d, self.mul(y, self.sub(self.one(), y)))
    }
    /// d (1 - y^2), of a hyperbolic tangent y.
    #[inline(always)]
    fn through_tanh(self, d: Self::V, y: Self::V) -> Self::V {
        self.mul(d, self.sub(self.one(), self.mul(y, y)))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Lanes<S>(S);

impl<S: Simd> Math for Lanes<S> {
    type E = f32;
    type V = S::F;
    const LANES: usize = S::LANES;
    #[inline(always)]
    unsafe fn load(self, p: *const f32, n: usize) -> S::F {
        // SAFETY: by the caller's promise.
        unsafe { if n == S::LANES { self.0.load(p) } else { self.0.load_partial(p, n) } }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, n: usize, v: S::F) {
        // SAFETY: by the caller's promise.
        unsafe { if n == S::LANES { self.0.store(p, v) } else { self.0.store_partial(p, n, v) } }
    }
    #[inline(always)]
    fn zero(self) -> S::F {
        self.0.zero()
    }
    #[inline(always)]
    fn one(self) -> S::F {
        self.0.splat(1.0)
    }
    #[inline(always)]
    fn splat(self, a: f64) -> S::F {
        self.0.splat(a as f32)
    }
    #[inline(always)]
    fn total(self, a: S::F) -> f64 {
        f64::from(self.0.reduce_add(a))
    }
    #[inline(always)]
    fn first(self, a: S::F, n: usize) -> S::F {
        self.0.select(self.0.first(n), a, self.0.zero())
    }
    #[inline(always)]
    fn add(self, a: S::F, b: S::F) -> S::F {
        self.0.add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: S::F, b: S::F) -> S::F {
        self.0.sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: S::F, b: S::F) -> S::F {
        self.0.mul(a, b)
    }
    #[inline(always)]
    fn fma(self, a: S::F, b: S::F, c: S::F) -> S::F {
        self.0.fma(a, b, c)
    }
    #[inline(always)]
    fn sigmoid(self, a: S::F) -> S::F {
        math::sigmoid(self.0, a)
    }
    #[inline(always)]
    fn tanh(self, a: S::F) -> S::F {
        math::tanh(self.0, a)
    }
    #[inline(always)]
    fn where_positive(self, a: S::F, b: S::F) -> S::F {
        let s = self.0;
        s.select(s.is_nan(a), a, s.select(s.gt(a, s.zero()), b, s.zero()))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Double;

impl Math for Double {
    type E = f64;
    type V = f64;
    const LANES: usize = 1;
    unsafe fn load(self, p: *const f64, _: usize) -> f64 {
        // SAFETY: by the caller's promise.
        unsafe { *p }
    }
    unsafe fn store(self, p: *mut f64, _: usize, v: f64) {
        // SAFETY: by the caller's promise.
        unsafe { *p = v }
    }
    fn zero(self) -> f64 {
        0.0
    }
    fn one(self) -> f64 {
        1.0
    }
    fn splat(self, a: f64) -> f64 {
        a
    }
    fn total(self, a: f64) -> f64 {
        a
    }
    fn first(self, a: f64, _: usize) -> f64 {
        a
    }
    fn add(self, a: f64, b: f64) -> f64 {
        a + b
    }
    fn sub(self, a: f64, b: f64) -> f64 {
        a - b
    }
    fn mul(self, a: f64, b: f64) -> f64 {
        a * b
    }
    fn fma(self, a: f64, b: f64, c: f64) -> f64 {
        a * b + c
    }
    fn sigmoid(self, a: f64) -> f64 {
        1.0 / (1.0 + (-a).exp())
    }
    fn tanh(self, a: f64) -> f64 {
        a.tanh()
    }
    fn where_positive(self, a: f64, b: f64) -> f64 {
        if a.is_nan() {
            a
        } else if a > 0.0 {
            b
        } else {
            0.0
        }
    }
}

/// Work on numbers of type E, whatever they are computed in.
pub(super) trait Elementwise<E> {
    fn run<M: Math<E = E>>(self, m: M);
}

/// What the computation's own type can do.
pub(super) trait Real: Float<Acc = Self> {
    fn each(work: impl Elementwise<Self>);
}

impl Real for f32 {
    fn each(work: impl Elementwise<f32>) {
        struct Vectors<W>(W);
        impl<W: Elementwise<f32>> Kernel for Vectors<W> {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, s: S) {
                self.0.run(Lanes(s));
            }
        }
        vectorize(Vectors(work));
    }
}

impl Real for f64 {
    fn each(work: impl Elementwise<f64>) {
        work.run(Double);
    }
}
