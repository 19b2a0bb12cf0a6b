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

pub(crate) use loops::{MR, NR, PairGemm, pair_scratch_len};
pub(crate) use pack::{Strip, weave};

use super::micro::{Ahead, Tap};
use ferrograd_tensor::bf16;

/// Two bf16, the one of the lower k in the lower half.
pub(crate) type Pair = i32;

/// True where bf16 is multiplied as it is.
pub(crate) fn available() -> bool {
    table().is_some()
}

pub(crate) fn table() -> Option<&'static Table> {
    #[cfg(target_arch = "x86_64")]
    if ferrograd_simd::has_bf16_dot() {
        return Some(&tiles::TABLE);
    }
    None
}

/// What a tile kernel reads and writes besides A.
pub(crate) struct Job<'a> {
    /// What the reduction runs over, as in float32: displacements in A (elements of rows, pairs of packed ones) and in B (pairs).
    pub taps: &'a [Tap],
    /// Whole pairs of k in each tap.
    pub pairs: usize,
    /// One k more in each. Packed operands have it as a pair with a zero; in a row of A what follows it is not to be read.
    pub odd: bool,
    /// Packed, `[pair][n]`.
    pub b: *const Pair,
    /// From one pair of k to the next.
    pub ldb: usize,
    /// Columns, at most [`NR`].
    pub n: usize,
    pub to: Target,
    /// What rows ask for meanwhile.
    pub ahead: Ahead,
}

/// Where a tile goes.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// A part of a sum, in float32: rows `ld` apart; `add` goes on from what it holds.
    Part { to: *mut f32, ld: usize, add: bool },
    /// The result; `n` values to add or null.
    Rounded { c: *mut bf16, ldc: usize, bias: *const bf16, relu: bool },
}

/// `a`: one pointer a row, k contiguous. A row may start outside of its memory; what the taps reach lies inside.
type RowsFn = unsafe fn(a: *const *const bf16, job: &Job);
/// `a`: pairs, rows contiguous, `lda` from one pair of k to the next.
type PackedFn = unsafe fn(a: *const Pair, lda: isize, job: &Job);

/// The tile kernels: `[vectors - 1][whole][rows - 1]`, `whole` being 1 for columns that fill all vectors, which load without masks
/// (see [`super::micro::Tiles`]).
pub(crate) struct Table {
    rows: [[&'static [RowsFn]; 2]; 2],
    packed: [[&'static [PackedFn]; 2]; 2],
}

/// Columns of a vector.
const WIDTH: usize = NR / 2;

impl Table {
    /// # Safety
    /// At most [`MR`] rows; every address that the job names is valid.
    #[inline]
    pub unsafe fn rows(&self, a: &[*const bf16], job: &Job) {
        // SAFETY: the caller's promise; a table exists only where its features do.
        unsafe { self.rows[job.n.div_ceil(WIDTH) - 1][usize::from(job.n % WIDTH == 0)][a.len() - 1](a.as_ptr(), job) }
    }
    /// # Safety
    /// As for [`Table::rows`].
    #[inline]
    pub unsafe fn packed(&self, rows: usize, a: *const Pair, lda: isize, job: &Job) {
        // SAFETY: as above.
        unsafe { self.packed[job.n.div_ceil(WIDTH) - 1][usize::from(job.n % WIDTH == 0)][rows - 1](a, lda, job) }
    }
}
