//! AVX512-VNNI: tiles of up to 14 rows by 32 columns, as for bf16: 28 accumulators, two vectors of B and a broadcast quad of A in 32 registers.
use super::tile_kernels;
use core::arch::x86_64::*;

type V = __m512i;
type F = __m512;
type Left = V;
type Right = V;
type Mask = __mmask16;
const W: usize = 16;

#[inline]
#[target_feature(enable = "avx512f")]
fn mask(n: usize) -> Mask {
    if n >= W { !0 } else { (1u16 << n) - 1 }
}
#[inline]
#[target_feature(enable = "avx512f")]
fn zeros() -> V {
    _mm512_setzero_si512()
}
#[inline]
#[target_feature(enable = "avx512f")]
fn splat(quad: Quad) -> V {
    _mm512_set1_epi32(quad)
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(p: *const Quad) -> V {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_epi32(p) }
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store_sums(p: *mut Quad, x: V) {
    // SAFETY: the caller's promise.
    unsafe { _mm512_storeu_epi32(p, x) }
}
/// `n` bytes, 64 at most, and zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn bytes(p: *const u8, n: usize) -> V {
    // SAFETY: masked lanes do not fault; the others are the caller's promise.
    unsafe { if n == 4 * W { _mm512_loadu_si512(p.cast()) } else { _mm512_maskz_loadu_epi8((1u64 << n) - 1, p.cast()) } }
}
#[inline(always)]
fn left(x: V) -> Left {
    x
}
#[inline(always)]
fn right(x: V) -> Right {
    x
}
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot(sum: V, a: Left, b: Right) -> V {
    _mm512_dpbusd_epi32(sum, a, b)
}
#[inline]
#[target_feature(enable = "avx512f")]
fn times(x: V, factor: i32) -> V {
    _mm512_mullo_epi32(x, _mm512_set1_epi32(factor))
}
#[inline]
#[target_feature(enable = "avx512f")]
fn minus(a: V, b: V) -> V {
    _mm512_sub_epi32(a, b)
}
/// The sum of the lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn total(x: V) -> i32 {
    _mm512_reduce_add_epi32(x)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn all(x: f32) -> F {
    _mm512_set1_ps(x)
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn floats(p: *const f32, mask: Mask) -> F {
    // SAFETY: as in `bytes`.
    unsafe { _mm512_maskz_loadu_ps(mask, p) }
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store(p: *mut f32, mask: Mask, x: F) {
    // SAFETY: as in `bytes`.
    unsafe { _mm512_mask_storeu_ps(p, mask, x) }
}
#[inline]
#[target_feature(enable = "avx512f")]
fn number(x: V) -> F {
    _mm512_cvtepi32_ps(x)
}
#[inline]
#[target_feature(enable = "avx512f")]
fn multiply(a: F, b: F) -> F {
    _mm512_mul_ps(a, b)
}
#[inline]
#[target_feature(enable = "avx512f")]
fn plus(a: F, b: F) -> F {
    _mm512_add_ps(a, b)
}
#[inline]
#[target_feature(enable = "avx512f")]
fn at_least(x: F, floor: F) -> F {
    // The second operand comes back where either is NaN.
    _mm512_max_ps(floor, x)
}

tile_kernels!([enable = "avx512f,avx512bw,avx512vnni"]);
tile_kernels!(table 1 2; [1 2 3 4 5 6 7 8 9 10 11 12 13 14]; 1 x 4, 2 x 4, 3 x 4, 4 x 4);
