//! Products of bf16 matrices by `vdpbf16ps`: bf16 operands two at a time, float32 sums, each result rounded once, behind bias and ReLU.
//!
//! Only where the CPU has AVX512-BF16 and the path in force is avx512; everywhere else bf16 is widened to float32 ([`super::half`]).
//! All transposes, strides, sizes and stacks of bf16 go this way, products of a few rows among them.
//!
//! Two neighbours in k are a *pair*, 32 bits: what one lane of the instruction multiplies. Rows of A that run along k hold pairs as they
//! are; anything else is packed into pairs ([`pack`]), an odd k filled up with zeros.
//!
//! How it differs from widening: the instruction takes denormal operands for zero, and flushes denormal sums; of a pair it adds the product of
//! the higher k first, each sum rounded to nearest (seen on Zen4), so that the last bits of a float32 sum differ. NaN and infinity go through
//! as in float32. Bits depend on shapes alone, as everywhere.
mod loops;
mod pack;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub(crate) use loops::{NR, PairGemm, pair_scratch_len};

use ferrograd_tensor::bf16;

/// Two bf16, the one of the lower k in the lower half.
pub(crate) type Pair = i32;

/// True where bf16 is multiplied as it is.
pub(crate) fn available() -> bool {
    table().is_some()
}

fn table() -> Option<&'static Table> {
    #[cfg(target_arch = "x86_64")]
    if ferrograd_simd::has_bf16_dot() {
        return Some(&tiles::TABLE);
    }
    None
}

/// What a tile kernel reads and writes besides A.
struct Job {
    /// Whole pairs of k.
    pairs: usize,
    /// One k more. Packed operands have it as a pair with a zero; in a row of A what follows it is not to be read.
    odd: bool,
    /// Packed, `[pair][n]`.
    b: *const Pair,
    /// Columns, at most [`NR`].
    n: usize,
    to: Target,
}

/// Where a tile goes.
#[derive(Clone, Copy)]
enum Target {
    /// A part of a sum, in float32: first element, and elements from row to row.
    Part(*mut f32, usize),
    /// The result; `n` values to add or null.
    Rounded { c: *mut bf16, ldc: usize, bias: *const bf16, relu: bool },
}

/// `a`: one pointer a row, k contiguous.
type RowsFn = unsafe fn(a: *const *const bf16, job: &Job);
/// `a`: packed, `[pair][rows]`.
type PackedFn = unsafe fn(a: *const Pair, job: &Job);

/// The tile kernels: `[vectors - 1][rows - 1]`.
struct Table {
    rows: [&'static [RowsFn]; 2],
    packed: [&'static [PackedFn]; 2],
}
