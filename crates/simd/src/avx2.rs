use crate::{Kernel, Simd};
use std::arch::x86_64::*;

/// AVX2 with FMA and F16C: 8 lanes. Partial stores go by halves: masked stores cost 42 micro-operations on Zen.
#[derive(Clone, Copy)]
pub struct Avx2(());

/// # Safety
/// The CPU must have every feature named here.
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
pub(crate) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

impl Avx2 {
    /// # Safety
    /// The CPU must have the path ([`crate::Isa::is_available`]), and the caller must be compiled for its features.
    pub unsafe fn new() -> Avx2 {
        Avx2(())
    }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    type F = __m256;
    type I = __m256i;
    type M = __m256;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::F {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: Self::F) {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe { _mm256_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, x: Self::F) {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe { _mm256_stream_ps(p, x) }
    }
    #[inline(always)]
    fn fence(self) {
        // SAFETY: every x86-64 has it.
        unsafe { _mm_sfence() }
    }
    #[inline(always)]
    unsafe fn turn(self, from: *const u32, from_step: isize, to: *mut u32, to_step: isize, streamed: bool) {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe {
            let r: [__m256; 8] = crate::inlined(|k| _mm256_loadu_ps(from.offset(k as isize * from_step).cast()));
            let mut t = r;
            for k in 0..4 {
                t[2 * k] = _mm256_unpacklo_ps(r[2 * k], r[2 * k + 1]);
                t[2 * k + 1] = _mm256_unpackhi_ps(r[2 * k], r[2 * k + 1]);
            }
            let mut u = t;
            for k in 0..2 {
                u[4 * k] = _mm256_shuffle_ps::<0x44>(t[4 * k], t[4 * k + 2]);
                u[4 * k + 1] = _mm256_shuffle_ps::<0xee>(t[4 * k], t[4 * k + 2]);
                u[4 * k + 2] = _mm256_shuffle_ps::<0x44>(t[4 * k + 1], t[4 * k + 3]);
                u[4 * k + 3] = _mm256_shuffle_ps::<0xee>(t[4 * k + 1], t[4 * k + 3]);
            }
            for k in 0..8 {
                let row =
                    if k < 4 { _mm256_permute2f128_ps::<0x20>(u[k], u[k + 4]) } else { _mm256_permute2f128_ps::<0x31>(u[k - 4], u[k]) };
                let to = to.offset(k as isize * to_step).cast();
                if streamed { _mm256_stream_ps(to, row) } else { _mm256_storeu_ps(to, row) }
            }
        }
    }
    #[inline(always)]
    unsafe fn load_partial(self, p: *const f32, n: usize) -> Self::F {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe { _mm256_maskload_ps(p, _mm256_castps_si256(self.first(n))) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, n: usize, x: Self::F) {
        // SAFETY: the features are there (see the token) and memory is as the caller promised.
        unsafe {
            if n >= 8 {
                return self.store(p, x);
            }
            let (mut p, mut low) = (p, _mm256_castps256_ps128(x));
            if n & 4 != 0 {
                _mm_storeu_ps(p, low);
                (p, low) = (p.add(4), _mm256_extractf128_ps::<1>(x));
            }
            if n & 2 != 0 {
                _mm_storel_pd(p.cast(), _mm_castps_pd(low));
                (p, low) = (p.add(2), _mm_movehl_ps(low, low));
            }
            if n & 1 != 0 {
                _mm_store_ss(p, low);
            }
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_min_ps(a, b) }
    }
    // Where either is NaN, the instruction answers its second operand.
    #[inline(always)]
    fn at_least(self, a: Self::F, low: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_max_ps(low, a) }
    }
    #[inline(always)]
    fn at_most(self, a: Self::F, high: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_min_ps(high, a) }
    }
    #[inline(always)]
    fn max_nan(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
    }
    #[inline(always)]
    fn min_nan(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_blendv_ps(_mm256_min_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn fnma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn neg(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_xor_ps(a, _mm256_set1_ps(-0.0)) }
    }
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }
    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn floor(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_floor_ps(a) }
    }
    #[inline(always)]
    fn ceil(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_ceil_ps(a) }
    }
    #[inline(always)]
    fn trunc(self, a: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn lt(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn le(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_cmp_ps::<_CMP_LE_OQ>(a, b) }
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn ne(self, a: Self::F, b: Self::F) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_cmp_ps::<_CMP_NEQ_UQ>(a, b) }
    }
    #[inline(always)]
    fn select(self, mask: Self::M, yes: Self::F, no: Self::F) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_blendv_ps(no, yes, mask) }
    }
    #[inline(always)]
    fn and(self, a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_and_ps(a, b) }
    }
    #[inline(always)]
    fn or(self, a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_or_ps(a, b) }
    }
    #[inline(always)]
    fn not(self, a: Self::M) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))) }
    }
    #[inline(always)]
    fn first(self, n: usize) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))) }
    }
    #[inline(always)]
    fn bits(self, mask: Self::M) -> u32 {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_movemask_ps(mask) as u32 }
    }
    #[inline(always)]
    fn splat_i(self, x: i32) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    fn as_int(self, a: Self::F) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_castps_si256(a) }
    }
    #[inline(always)]
    fn as_float(self, a: Self::I) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_castsi256_ps(a) }
    }
    #[inline(always)]
    fn to_int(self, a: Self::F) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_cvtps_epi32(a) }
    }
    #[inline(always)]
    fn to_float(self, a: Self::I) -> Self::F {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_cvtepi32_ps(a) }
    }
    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    fn sub_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_sub_epi32(a, b) }
    }
    #[inline(always)]
    fn and_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    fn or_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    fn xor_i(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_xor_si256(a, b) }
    }
    #[inline(always)]
    fn shl<const N: u32>(self, a: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn shr<const N: u32>(self, a: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_srl_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn sar<const N: u32>(self, a: Self::I) -> Self::I {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn eq_i(self, a: Self::I, b: Self::I) -> Self::M {
        // SAFETY: the features are there (see the token).
        unsafe { _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)) }
    }
    #[inline(always)]
    fn reduce_add(self, a: Self::F) -> f32 {
        // SAFETY: the features are there (see the token).
        unsafe {
            let x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: Self::F) -> f32 {
        // SAFETY: the features are there (see the token).
        unsafe {
            let x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }
}
