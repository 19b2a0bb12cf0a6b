//! Products of uint8 by int8 matrices with exact int32 sums, each brought to float32 once: what quantised layers are made of.
//!
//! Four neighbours in k are a *quad*, 32 bits: what one lane of `vpdpbusd` multiplies and adds. Rows of A that run along k hold quads as they
//! are; anything else is packed into quads ([`pack`]), the last filled up with zeros. Packed B ends with the sums of its columns, which take the
//! zero point of A out of a product: sum of (a - zero) b = sum of a b - zero * (sum of b).
//!
//! A sum that int32 does not hold wraps. It holds every sum of up to [`ferrograd_tensor::rules::MAX_QUANTIZED_FEATURES`] products, more than which
//! the op refuses: 255 * 128 * 65794 > 2^31 - 1. Integers are exact in any order, and what follows them (one conversion, a product with the scales, a
//! sum with the bias) is rounded step by step, so every path and every number of threads gives the same bits.
//!
//! Paths: `vpdpbusd` in 512 bits (AVX512-VNNI) or 256 (AVX-VNNI); without it AVX2 widens to int16 and takes `vpmaddwd`, as `vpmaddubsw`
//! saturates. aarch64 has plain code, compiled for its base NEON instructions: Rust has none of the dot products yet.
mod loops;
mod pack;
#[cfg(test)]
mod tests;
mod thin;
mod tiles;

pub(crate) use loops::{QuadGemm, quad_scratch_len};
pub(crate) use tiles::Table;

use ferrograd_tensor::SyncPtr;

/// Four bytes, the one of the lowest k first.
pub(crate) type Quad = i32;

/// From sums to results: y = (sum - zero_point * column's sum) * (scale * scales[n]) + bias[n], then ReLU, NaN kept.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    pub zero_point: i32,
    pub scale: f32,
    /// One a column.
    pub scales: SyncPtr<f32>,
    /// One a column, or null.
    pub bias: SyncPtr<f32>,
    pub relu: bool,
}

impl Finish {
    /// One element of column `col`, as the tile kernels make it. `sum`: the zero point is taken out of it.
    // SAFETY: the column lies inside `scales` and `bias`.
    #[inline(always)]
    unsafe fn value(&self, sum: i32, col: usize) -> f32 {
        // SAFETY: the caller's promise.
        let (scale, bias) =
            unsafe { (*self.scales.get().add(col), if self.bias.get().is_null() { -0.0 } else { *self.bias.get().add(col) }) };
        let y = sum as f32 * (self.scale * scale) + bias;
        if self.relu && y < 0.0 { 0.0 } else { y }
    }
}
