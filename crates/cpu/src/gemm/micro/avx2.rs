//! AVX2 with FMA: tiles of up to 6 x 16 (12 accumulators of 16 registers).
use super::tile_kernels;
use core::arch::x86_64::*;

type V = __m256;
/// All ones in the lanes that count, and how many these are.
type Mask = (__m256i, usize);
const W: usize = 8;
/// Steps that `finish` takes.
const LAST: usize = 0;

#[inline]
#[target_feature(enable = "avx2,fma")]
fn mask(n: usize) -> Mask {
    let n = n.min(W);
    (_mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)), n)
}
#[inline]
#[target_feature(enable = "avx2,fma")]
fn zero() -> V {
    _mm256_setzero_ps()
}
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn load(p: *const f32, mask: Mask) -> V {
    // SAFETY: masked lanes do not fault; the others are the caller's promise.
    unsafe { _mm256_maskload_ps(p, mask.0) }
}
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn store(p: *mut f32, x: V, mask: Mask) {
    // SAFETY: `mask.1` elements at `p` are the caller's promise.
    unsafe {
        if mask.1 == W {
            _mm256_storeu_ps(p, x);
        } else {
            // Masked stores take dozens of micro-operations on AMD: go through the stack.
            let mut lanes = [0f32; W];
            _mm256_storeu_ps(lanes.as_mut_ptr(), x);
            for i in 0..mask.1 {
                *p.add(i) = lanes[i];
            }
        }
    }
}
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn splat(p: *const f32) -> V {
    // SAFETY: the caller's promise.
    _mm256_set1_ps(unsafe { *p })
}
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fma(a: V, b: V, c: V) -> V {
    _mm256_fmadd_ps(a, b, c)
}
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add(a: V, b: V) -> V {
    _mm256_add_ps(a, b)
}
#[inline]
#[target_feature(enable = "avx2,fma")]
fn relu(x: V) -> V {
    // The second operand comes back where either is NaN.
    _mm256_max_ps(_mm256_setzero_ps(), x)
}

tile_kernels!([enable = "avx2,fma"]);
tile_kernels!(tables 1 2; [1 2 3 4 5 6]);
