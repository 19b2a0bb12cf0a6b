//! AVX2 without a product of bytes (`vpmaddubsw` saturates): bytes are widened to int16, those of even k and those of odd k apart, and `vpmaddwd`
//! multiplies and adds two pairs of them. Tiles of up to 4 x 16: 8 accumulators, and both halves of A and B, in 16 registers.
use super::tile_kernels;
use super::ymm::*;
use core::arch::x86_64::*;

/// int16 of even k, and of odd k.
type Left = (V, V);
type Right = (V, V);

#[inline]
#[target_feature(enable = "avx2")]
fn left(x: V) -> Left {
    (_mm256_and_si256(x, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(x))
}
#[inline]
#[target_feature(enable = "avx2")]
fn right(x: V) -> Right {
    (_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x)), _mm256_srai_epi16::<8>(x))
}
#[inline]
#[target_feature(enable = "avx2")]
fn dot(sum: V, a: Left, b: Right) -> V {
    _mm256_add_epi32(_mm256_add_epi32(sum, _mm256_madd_epi16(a.0, b.0)), _mm256_madd_epi16(a.1, b.1))
}

tile_kernels!([enable = "avx2"]);
tile_kernels!(table 1 2; [1 2 3 4]; 1 x 4, 2 x 2, 3 x 1, 4 x 1);
