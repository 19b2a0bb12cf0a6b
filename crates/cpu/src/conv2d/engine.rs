//! What the correlations compute with: the tile kernels of float32, or those of bf16, which take channels two at a time.
use super::pooled::{Row, maxima};
use crate::gemm::bf16::{self as pairs, Pair, Strip, Table, Target};
use crate::gemm::{Ahead, Job, Panel, Tap, Tiles};
use ferrograd_tensor::{Element, Float, bf16};

/// The tile kernels of one element type.
pub(crate) trait Engine: Copy + Sync {
    /// Elements of sources and results.
    type X: Float;
    /// Elements of packed weights.
    type W: Element;
    /// Tiles cross rows of fewer outputs.
    const CROSSED: usize;
    /// Fewest outputs of a task, as long as there are tasks enough: they share the weights of a panel while these are in the cache.
    const PIXELS: usize;
    /// Packed elements that `k` products of one sum take.
    fn steps(k: usize) -> usize;
    /// Rows of the tallest tile.
    fn mr(self) -> usize;
    /// Columns of the widest, which is the width of a packed panel.
    fn nr(self) -> usize;
    /// # Safety
    /// As for [`Tiles::rows`].
    unsafe fn rows(self, a: &[*const Self::X], part: &Part<Self>);
    /// Packs lines as the tiles read them.
    ///
    /// # Safety
    /// Every address named is valid, and nobody else touches the copy.
    unsafe fn pack(self, lines: Lines<Self>);
    /// # Safety
    /// As for [`Row::run`].
    unsafe fn maxima(row: Row<Self::X>);
}

/// `len` elements of each of `width` lines, an element `k_stride` apart from the next and a line `stride`; into `dst`, `[step][nr]`.
pub(crate) struct Lines<E: Engine> {
    pub src: *const E::X,
    pub len: usize,
    pub width: usize,
    pub k_stride: isize,
    pub stride: isize,
    pub dst: *mut E::W,
}

/// A tile over some taps of `k` products each.
pub(crate) struct Part<'a, E: Engine> {
    pub taps: &'a [Tap],
    pub k: usize,
    pub b: *const E::W,
    pub c: *mut E::X,
    pub ldc: usize,
    pub n: usize,
    /// More taps than one call takes: goes on from what C holds.
    pub add: bool,
    pub bias: *const E::X,
    pub relu: bool,
    pub ahead: Ahead,
}

impl Engine for &'static Tiles {
    type X = f32;
    type W = f32;
    const CROSSED: usize = 6;
    // Large kernels go other ways (Winograd's).
    const PIXELS: usize = 1;
    fn steps(k: usize) -> usize {
        k
    }
    fn mr(self) -> usize {
        Tiles::mr(self)
    }
    fn nr(self) -> usize {
        Tiles::nr(self)
    }
    // SAFETY: as the trait has it.
    #[inline]
    unsafe fn rows(self, a: &[*const f32], part: &Part<Self>) {
        let Part { taps, k, b, c, ldc, n, add, bias, relu, ahead } = *part;
        // SAFETY: the caller's promise.
        unsafe { Tiles::rows(self, a, &Job { taps, k, b, ldb: self.nr() as isize, c, ldc, n, add, bias, relu, ahead }) }
    }
    unsafe fn pack(self, Lines { src, len, width, k_stride, stride, dst }: Lines<Self>) {
        // SAFETY: the caller's promise.
        unsafe { Panel { src, len, width, k_stride, stride, dst, ld: self.nr() }.pack() }
    }
    unsafe fn maxima(row: Row<f32>) {
        // SAFETY: the caller's promise.
        unsafe { row.run() }
    }
}

/// Sums stay in registers from the first product to the last, each result is rounded once.
impl Engine for &'static Table {
    type X = bf16;
    type W = Pair;
    const CROSSED: usize = 6;
    const PIXELS: usize = 56;
    fn steps(k: usize) -> usize {
        k.div_ceil(2)
    }
    fn mr(self) -> usize {
        pairs::MR
    }
    fn nr(self) -> usize {
        pairs::NR
    }
    // SAFETY: as the trait has it.
    #[inline]
    unsafe fn rows(self, a: &[*const bf16], part: &Part<Self>) {
        let Part { taps, k, b, c, ldc, n, add, bias, relu, ahead } = *part;
        debug_assert!(!add, "such kernels are not taken here");
        let to = Target::Rounded { c, ldc, bias, relu };
        // SAFETY: the caller's promise.
        unsafe { Table::rows(self, a, &pairs::Job { taps, pairs: k / 2, odd: k % 2 == 1, b, ldb: pairs::NR, n, to, ahead }) }
    }
    unsafe fn pack(self, Lines { src, len, width, k_stride, stride, dst }: Lines<Self>) {
        // SAFETY: the caller's promise.
        unsafe { Strip { src, len, width, k_stride, stride, dst, ld: pairs::NR }.pack() }
    }
    unsafe fn maxima(row: Row<bf16>) {
        // SAFETY: the caller's promise.
        unsafe { maxima(row) }
    }
}
