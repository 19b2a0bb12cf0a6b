//! What the paths with vectors of 256 bits share: all but the product.
use crate::gemm::int8::Quad;
use core::arch::x86_64::*;

pub(super) type V = __m256i;
pub(super) type F = __m256;
/// All ones in the lanes that count, and how many these are.
pub(super) type Mask = (__m256i, usize);
pub(super) const W: usize = 8;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn mask(n: usize) -> Mask {
    let n = n.min(W);
    (_mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)), n)
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn zeros() -> V {
    _mm256_setzero_si256()
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn splat(quad: Quad) -> V {
    _mm256_set1_epi32(quad)
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn load(p: *const Quad) -> V {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_si256(p.cast()) }
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn store_sums(p: *mut Quad, x: V) {
    // SAFETY: the caller's promise.
    unsafe { _mm256_storeu_si256(p.cast(), x) }
}
/// `n` bytes, 32 at most, and zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn bytes(p: *const u8, n: usize) -> V {
    let mut all = [0u8; 4 * W];
    // SAFETY: `n` bytes are readable by the caller's promise.
    unsafe {
        if n == 4 * W {
            return _mm256_loadu_si256(p.cast());
        }
        core::ptr::copy_nonoverlapping(p, all.as_mut_ptr(), n);
        _mm256_loadu_si256(all.as_ptr().cast())
    }
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn times(x: V, factor: i32) -> V {
    _mm256_mullo_epi32(x, _mm256_set1_epi32(factor))
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn minus(a: V, b: V) -> V {
    _mm256_sub_epi32(a, b)
}
/// The sum of the lanes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn total(x: V) -> i32 {
    let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b01_00_11_10>(x));
    _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<0b10_11_00_01>(x)))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn all(x: f32) -> F {
    _mm256_set1_ps(x)
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn floats(p: *const f32, mask: Mask) -> F {
    // SAFETY: masked lanes do not fault; the others are the caller's promise.
    unsafe { _mm256_maskload_ps(p, mask.0) }
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn store(p: *mut f32, mask: Mask, x: F) {
    // SAFETY: `mask.1` elements at `p` are the caller's promise.
    unsafe {
        if mask.1 == W {
            return _mm256_storeu_ps(p, x);
        }
        // Masked stores take dozens of micro-operations on AMD: go through the stack.
        let mut lanes = [0f32; W];
        _mm256_storeu_ps(lanes.as_mut_ptr(), x);
        for i in 0..mask.1 {
            *p.add(i) = lanes[i];
        }
    }
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn number(x: V) -> F {
    _mm256_cvtepi32_ps(x)
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn multiply(a: F, b: F) -> F {
    _mm256_mul_ps(a, b)
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn plus(a: F, b: F) -> F {
    _mm256_add_ps(a, b)
}
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn at_least(x: F, floor: F) -> F {
    // The second operand comes back where either is NaN.
    _mm256_max_ps(floor, x)
}
