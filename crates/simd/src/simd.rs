/// A vector path, as a token: `f32` vectors of `LANES` lanes (`F`), their bits as `i32` (`I`), and lane masks (`M`).
///
/// Tokens are made by [`crate::vectorize`] alone, which has checked the CPU; that is what makes the methods safe. Pointers need no alignment.
/// Arithmetic is IEEE with ties to even; `fma` is fused on every path but the plain one.
pub trait Simd: Copy + 'static {
    const LANES: usize;
    type F: Copy;
    type I: Copy;
    type M: Copy;

    fn splat(self, x: f32) -> Self::F;
    #[inline(always)]
    fn zero(self) -> Self::F {
        self.splat(0.0)
    }
    /// # Safety
    /// `p` must be readable for `LANES` elements.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// # Safety
    /// `p` must be writable for `LANES` elements.
    unsafe fn store(self, p: *mut f32, x: Self::F);
    /// As [`Simd::store`], past the caches where the path can: for results that are too large to stay there, whose lines then are not read before
    /// they are written. [`Simd::fence`] must follow before anybody else may read them.
    ///
    /// # Safety
    /// `p` must be writable for `LANES` elements and aligned to as many.
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, x: Self::F) {
        // SAFETY: by the caller's promise.
        unsafe { self.store(p, x) }
    }
    /// Ends a run of [`Simd::stream`].
    #[inline(always)]
    fn fence(self) {}
    /// Transposes a block of `LANES` x `LANES` elements of 4 bytes: rows `from_step` apart at `from` become columns of rows `to_step` apart at `to`.
    ///
    /// # Safety
    /// Both blocks must be in memory that is ours to read and to write. `streamed`: every row of `to` is aligned to its length, and
    /// [`Simd::fence`] follows.
    #[inline(always)]
    unsafe fn turn(self, from: *const u32, from_step: isize, to: *mut u32, to_step: isize, streamed: bool) {
        let _ = streamed;
        for i in 0..Self::LANES as isize {
            for j in 0..Self::LANES as isize {
                // SAFETY: by the caller's promise.
                unsafe { *to.offset(i * to_step + j) = *from.offset(j * from_step + i) }
            }
        }
    }
    /// The first `n` lanes from memory, the others 0. Touches nothing past them.
    ///
    /// # Safety
    /// `n <= LANES`, and `p` must be readable for `n` elements.
    unsafe fn load_partial(self, p: *const f32, n: usize) -> Self::F;
    /// # Safety
    /// `n <= LANES`, and `p` must be writable for `n` elements.
    unsafe fn store_partial(self, p: *mut f32, n: usize, x: Self::F);

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn sqrt(self, a: Self::F) -> Self::F;
    /// a * b + c
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// c - a * b
    fn fnma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    fn neg(self, a: Self::F) -> Self::F;
    fn abs(self, a: Self::F) -> Self::F;
    /// The larger; where one is NaN, which one comes back differs between paths. For finite values.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller, as [`Simd::max`].
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The larger; NaN if either is NaN.
    #[inline(always)]
    fn max_nan(self, a: Self::F, b: Self::F) -> Self::F {
        let larger = self.select(self.gt(a, b), a, b);
        self.select(self.is_nan(a), a, larger)
    }
    /// The smaller; NaN if either is NaN.
    #[inline(always)]
    fn min_nan(self, a: Self::F, b: Self::F) -> Self::F {
        let smaller = self.select(self.lt(a, b), a, b);
        self.select(self.is_nan(a), a, smaller)
    }
    /// `a`, or `low` where it is less; NaN stays NaN, and a bound that is NaN does not bind.
    #[inline(always)]
    fn at_least(self, a: Self::F, low: Self::F) -> Self::F {
        self.select(self.lt(a, low), low, a)
    }
    /// As [`Simd::at_least`], from above.
    #[inline(always)]
    fn at_most(self, a: Self::F, high: Self::F) -> Self::F {
        self.select(self.gt(a, high), high, a)
    }
    /// `a` kept within bounds; NaN stays NaN.
    #[inline(always)]
    fn clamp(self, a: Self::F, low: Self::F, high: Self::F) -> Self::F {
        self.at_most(self.at_least(a, low), high)
    }
    /// To the nearest integer, halves to even.
    fn round(self, a: Self::F) -> Self::F;
    fn floor(self, a: Self::F) -> Self::F;
    fn ceil(self, a: Self::F) -> Self::F;
    fn trunc(self, a: Self::F) -> Self::F;

    fn lt(self, a: Self::F, b: Self::F) -> Self::M;
    fn le(self, a: Self::F, b: Self::F) -> Self::M;
    fn eq(self, a: Self::F, b: Self::F) -> Self::M;
    /// Not equal; true where either is NaN.
    fn ne(self, a: Self::F, b: Self::F) -> Self::M;
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        self.lt(b, a)
    }
    #[inline(always)]
    fn ge(self, a: Self::F, b: Self::F) -> Self::M {
        self.le(b, a)
    }
    #[inline(always)]
    fn is_nan(self, a: Self::F) -> Self::M {
        self.ne(a, a)
    }
    /// `yes` where the mask is set, else `no`.
    fn select(self, mask: Self::M, yes: Self::F, no: Self::F) -> Self::F;
    fn and(self, a: Self::M, b: Self::M) -> Self::M;
    fn or(self, a: Self::M, b: Self::M) -> Self::M;
    fn not(self, a: Self::M) -> Self::M;
    /// The mask of the first `n` lanes.
    fn first(self, n: usize) -> Self::M;
    /// Lane i as bit i.
    fn bits(self, mask: Self::M) -> u32;
    #[inline(always)]
    fn any(self, mask: Self::M) -> bool {
        self.bits(mask) != 0
    }

    fn splat_i(self, x: i32) -> Self::I;
    fn as_int(self, a: Self::F) -> Self::I;
    fn as_float(self, a: Self::I) -> Self::F;
    /// Integral floats to integers; lanes outside of i32 hold anything.
    fn to_int(self, a: Self::F) -> Self::I;
    fn to_float(self, a: Self::I) -> Self::F;
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn sub_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn and_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn or_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn xor_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn shl<const N: u32>(self, a: Self::I) -> Self::I;
    /// Logical.
    fn shr<const N: u32>(self, a: Self::I) -> Self::I;
    /// Arithmetic.
    fn sar<const N: u32>(self, a: Self::I) -> Self::I;
    /// Lanes equal, as a mask.
    fn eq_i(self, a: Self::I, b: Self::I) -> Self::M;

    /// x * 2^n for integral n, also where 2^n or the result is subnormal or overflows.
    #[inline(always)]
    fn scale(self, x: Self::F, n: Self::F) -> Self::F {
        let n = self.to_int(n);
        let half = self.sar::<1>(n);
        let bias = self.splat_i(127);
        let first = self.as_float(self.shl::<23>(self.add_i(half, bias)));
        let second = self.as_float(self.shl::<23>(self.add_i(self.sub_i(n, half), bias)));
        self.mul(self.mul(x, first), second)
    }
    /// The sum of the lanes, in an order that the path fixes.
    fn reduce_add(self, a: Self::F) -> f32;
    /// The largest lane; for finite values.
    fn reduce_max(self, a: Self::F) -> f32;
    /// The lanes through a plain function: for the rare cases that have no vector form.
    #[inline(always)]
    fn each(self, a: Self::F, f: impl Fn(f32) -> f32) -> Self::F {
        let mut lanes = [0f32; 16];
        // SAFETY: no path has more than 16 lanes.
        unsafe {
            self.store(lanes.as_mut_ptr(), a);
            for lane in &mut lanes[..Self::LANES] {
                *lane = f(*lane);
            }
            self.load(lanes.as_ptr())
        }
    }
    /// As [`Simd::each`], of two vectors.
    #[inline(always)]
    fn each2(self, a: Self::F, b: Self::F, f: impl Fn(f32, f32) -> f32) -> Self::F {
        let (mut x, mut y) = ([0f32; 16], [0f32; 16]);
        // SAFETY: no path has more than 16 lanes.
        unsafe {
            self.store(x.as_mut_ptr(), a);
            self.store(y.as_mut_ptr(), b);
            for i in 0..Self::LANES {
                x[i] = f(x[i], y[i]);
            }
            self.load(x.as_ptr())
        }
    }
}

/// Work to be run on a vector path by [`crate::vectorize`].
pub trait Kernel {
    type Output;
    /// Must be `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}
