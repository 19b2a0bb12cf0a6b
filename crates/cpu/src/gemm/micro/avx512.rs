//! AVX-512: tiles of up to 14 x 32 (28 accumulators of 32 registers). Tails are masked, which costs nothing here.
use super::tile_kernels;
use core::arch::x86_64::*;

type V = __m512;
type Mask = __mmask16;
const W: usize = 16;
/// Steps that `finish` takes.
const LAST: usize = 4;

#[inline]
#[target_feature(enable = "avx512f")]
fn mask(n: usize) -> Mask {
    if n >= W { !0 } else { (1u16 << n) - 1 }
}
#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> V {
    _mm512_setzero_ps()
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(p: *const f32, mask: Mask) -> V {
    // SAFETY: masked lanes do not fault; the others are the caller's promise.
    unsafe { _mm512_maskz_loadu_ps(mask, p) }
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store(p: *mut f32, x: V, mask: Mask) {
    // SAFETY: as in `load`.
    unsafe { _mm512_mask_storeu_ps(p, mask, x) }
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn splat(p: *const f32) -> V {
    // SAFETY: the caller's promise.
    _mm512_set1_ps(unsafe { *p })
}
#[inline]
#[target_feature(enable = "avx512f")]
fn fma(a: V, b: V, c: V) -> V {
    _mm512_fmadd_ps(a, b, c)
}
#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: V, b: V) -> V {
    _mm512_add_ps(a, b)
}
#[inline]
#[target_feature(enable = "avx512f")]
fn relu(x: V) -> V {
    // The second operand comes back where either is NaN.
    _mm512_max_ps(_mm512_setzero_ps(), x)
}

tile_kernels!([enable = "avx512f"]);
tile_kernels!(tables 1 2; [1 2 3 4 5 6 7 8 9 10 11 12 13 14]);
