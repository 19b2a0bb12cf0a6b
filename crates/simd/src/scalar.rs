use crate::Simd;

/// Plain Rust, one lane; the compiler may still vectorise loops over it for the build's baseline.
#[derive(Clone, Copy)]
pub struct Scalar;

impl Simd for Scalar {
    const LANES: usize = 1;
    type F = f32;
    type I = i32;
    type M = bool;

    #[inline(always)]
    fn splat(self, x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> f32 {
        // SAFETY: by the caller's promise.
        unsafe { *p }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: f32) {
        // SAFETY: by the caller's promise.
        unsafe { *p = x }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> f32 {
        // SAFETY: by the caller's promise.
        if n == 0 { 0.0 } else { unsafe { *p } }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, n: usize, x: f32) {
        if n != 0 {
            // SAFETY: by the caller's promise.
            unsafe { *p = x }
        }
    }
    #[inline(always)]
    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    fn sqrt(self, a: f32) -> f32 {
        a.sqrt()
    }
    // The product of two f32 is exact in f64, so only the last rounding differs (rarely) from a fused one: the range reductions need that.
    #[inline(always)]
    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        (a as f64 * b as f64 + c as f64) as f32
    }
    #[inline(always)]
    fn fnma(self, a: f32, b: f32, c: f32) -> f32 {
        (c as f64 - a as f64 * b as f64) as f32
    }
    #[inline(always)]
    fn neg(self, a: f32) -> f32 {
        -a
    }
    #[inline(always)]
    fn abs(self, a: f32) -> f32 {
        a.abs()
    }
    #[inline(always)]
    fn max(self, a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }
    #[inline(always)]
    fn min(self, a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }
    #[inline(always)]
    fn round(self, a: f32) -> f32 {
        a.round_ties_even()
    }
    #[inline(always)]
    fn floor(self, a: f32) -> f32 {
        a.floor()
    }
    #[inline(always)]
    fn ceil(self, a: f32) -> f32 {
        a.ceil()
    }
    #[inline(always)]
    fn trunc(self, a: f32) -> f32 {
        a.trunc()
    }
    #[inline(always)]
    fn lt(self, a: f32, b: f32) -> bool {
        a < b
    }
    #[inline(always)]
    fn le(self, a: f32, b: f32) -> bool {
        a <= b
    }
    #[inline(always)]
    fn eq(self, a: f32, b: f32) -> bool {
        a == b
    }
    #[inline(always)]
    fn ne(self, a: f32, b: f32) -> bool {
        a != b
    }
    #[inline(always)]
    fn select(self, mask: bool, yes: f32, no: f32) -> f32 {
        if mask { yes } else { no }
    }
    #[inline(always)]
    fn and(self, a: bool, b: bool) -> bool {
        a & b
    }
    #[inline(always)]
    fn or(self, a: bool, b: bool) -> bool {
        a | b
    }
    #[inline(always)]
    fn not(self, a: bool) -> bool {
        !a
    }
    #[inline(always)]
    fn first(self, n: usize) -> bool {
        n > 0
    }
    #[inline(always)]
    fn bits(self, mask: bool) -> u32 {
        mask as u32
    }
    #[inline(always)]
    fn splat_i(self, x: i32) -> i32 {
        x
    }
    #[inline(always)]
    fn as_int(self, a: f32) -> i32 {
        a.to_bits() as i32
    }
    #[inline(always)]
    fn as_float(self, a: i32) -> f32 {
        f32::from_bits(a as u32)
    }
    #[inline(always)]
    fn to_int(self, a: f32) -> i32 {
        a as i32
    }
    #[inline(always)]
    fn to_float(self, a: i32) -> f32 {
        a as f32
    }
    #[inline(always)]
    fn add_i(self, a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
    #[inline(always)]
    fn sub_i(self, a: i32, b: i32) -> i32 {
        a.wrapping_sub(b)
    }
    #[inline(always)]
    fn and_i(self, a: i32, b: i32) -> i32 {
        a & b
    }
    #[inline(always)]
    fn or_i(self, a: i32, b: i32) -> i32 {
        a | b
    }
    #[inline(always)]
    fn xor_i(self, a: i32, b: i32) -> i32 {
        a ^ b
    }
    #[inline(always)]
    fn shl<const N: u32>(self, a: i32) -> i32 {
        a << N
    }
    #[inline(always)]
    fn shr<const N: u32>(self, a: i32) -> i32 {
        (a as u32 >> N) as i32
    }
    #[inline(always)]
    fn sar<const N: u32>(self, a: i32) -> i32 {
        a >> N
    }
    #[inline(always)]
    fn eq_i(self, a: i32, b: i32) -> bool {
        a == b
    }
    #[inline(always)]
    fn reduce_add(self, a: f32) -> f32 {
        a
    }
    #[inline(always)]
    fn reduce_max(self, a: f32) -> f32 {
        a
    }
}
