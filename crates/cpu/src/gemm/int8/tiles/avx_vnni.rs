//! AVX-VNNI, on CPUs without AVX-512: tiles of up to 6 x 16 (12 accumulators of 16 registers).
use super::tile_kernels;
use super::ymm::*;
use core::arch::x86_64::*;

type Left = V;
type Right = V;

#[inline(always)]
fn left(x: V) -> Left {
    x
}
#[inline(always)]
fn right(x: V) -> Right {
    x
}
#[inline]
#[target_feature(enable = "avxvnni")]
fn dot(sum: V, a: Left, b: Right) -> V {
    _mm256_dpbusd_avx_epi32(sum, a, b)
}

tile_kernels!([enable = "avx2,avxvnni"]);
tile_kernels!(table 1 2; [1 2 3 4 5 6]; 1 x 4, 2 x 4, 3 x 2, 4 x 2);
