use crate::{Kernel, Simd};
use std::arch::aarch64::*;

/// 64-bit ARM: 4 lanes.
#[derive(Clone, Copy)]
pub struct Neon(());

/// # Safety
/// The CPU must have NEON, as every 64-bit ARM has.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon(()))
}

impl Neon {
    /// # Safety
    /// The CPU must have the path ([`crate::Isa::is_available`]), and the caller must be compiled for its features.
    pub unsafe fn new() -> Neon {
        Neon(())
    }
}

impl Simd for Neon {
    const LANES: usize = 4;
    type F = float32x4_t;
    type I = int32x4_t;
    type M = uint32x4_t;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::F {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: Self::F) {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe { vst1q_f32(p, x) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> Self::F {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe {
            let mut lanes = [0f32; 4];
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            vld1q_f32(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, n: usize, x: Self::F) {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe {
            let mut lanes = [0f32; 4];
            vst1q_f32(lanes.as_mut_ptr(), x);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n)
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    fn max_nan(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    fn min_nan(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn fnma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vfmsq_f32(c, a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    fn neg(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vnegq_f32(a) }
    }
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vabsq_f32(a) }
    }
    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vrndnq_f32(a) }
    }
    #[inline(always)]
    fn floor(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vrndmq_f32(a) }
    }
    #[inline(always)]
    fn ceil(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vrndpq_f32(a) }
    }
    #[inline(always)]
    fn trunc(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vrndq_f32(a) }
    }
    #[inline(always)]
    fn lt(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vcltq_f32(a, b) }
    }
    #[inline(always)]
    fn le(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vcleq_f32(a, b) }
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vceqq_f32(a, b) }
    }
    #[inline(always)]
    fn ne(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vmvnq_u32(vceqq_f32(a, b)) }
    }
    #[inline(always)]
    fn select(self, mask: Self::M, yes: Self::F, no: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vbslq_f32(mask, yes, no) }
    }
    #[inline(always)]
    fn and(self, a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vandq_u32(a, b) }
    }
    #[inline(always)]
    fn or(self, a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vorrq_u32(a, b) }
    }
    #[inline(always)]
    fn not(self, a: Self::M) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vmvnq_u32(a) }
    }
    #[inline(always)]
    fn first(self, n: usize) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vcltq_u32(vld1q_u32([0, 1, 2, 3].as_ptr()), vdupq_n_u32(n as u32)) }
    }
    #[inline(always)]
    fn bits(self, mask: Self::M) -> u32 {
        // SAFETY: the features are there (see the token).
        unsafe { vaddvq_u32(vandq_u32(mask, vld1q_u32([1, 2, 4, 8].as_ptr()))) }
    }
    #[inline(always)]
    fn splat_i(self, x: i32) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vdupq_n_s32(x) }
    }
    #[inline(always)]
    fn as_int(self, a: Self::F) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vreinterpretq_s32_f32(a) }
    }
    #[inline(always)]
    fn as_float(self, a: Self::I) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vreinterpretq_f32_s32(a) }
    }
    #[inline(always)]
    fn to_int(self, a: Self::F) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vcvtnq_s32_f32(a) }
    }
    #[inline(always)]
    fn to_float(self, a: Self::I) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vaddq_s32(a, b) }
    }
    #[inline(always)]
    fn sub_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vsubq_s32(a, b) }
    }
    #[inline(always)]
    fn and_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vandq_s32(a, b) }
    }
    #[inline(always)]
    fn or_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vorrq_s32(a, b) }
    }
    #[inline(always)]
    fn xor_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { veorq_s32(a, b) }
    }
    #[inline(always)]
    fn shl<const N: u32>(self, a: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vshlq_s32(a, vdupq_n_s32(N as i32)) }
    }
    #[inline(always)]
    fn shr<const N: u32>(self, a: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-(N as i32)))) }
    }
    #[inline(always)]
    fn sar<const N: u32>(self, a: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { vshlq_s32(a, vdupq_n_s32(-(N as i32))) }
    }
    #[inline(always)]
    fn eq_i(self, a: Self::I, b: Self::I) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { vceqq_s32(a, b) }
    }
    #[inline(always)]
    fn reduce_add(self, a: Self::F) -> f32 {
        // SAFETY: the features are there (see the token).
        unsafe { vaddvq_f32(a) }
    }
    #[inline(always)]
    fn reduce_max(self, a: Self::F) -> f32 {
        // SAFETY: the features are there (see the token).
        unsafe { vmaxvq_f32(a) }
    }
}
