//! Products of many rows that lie a multiple of 2 KiB apart: read in place they would push each other out of the first-level cache. A task packs a tile of
//! rows when its turn comes and multiplies it by all of a B that a second-level cache holds, so that the copy never leaves the task's own cache.
use super::loops::{Gemm, Source, each};
use super::micro::{Ahead, Job, Tiles, even_cut};
use super::pack::Panel;
use ferrograd_tensor::{Parallel, SyncPtr};
use std::mem::MaybeUninit;

/// Steps of K for which a tile's copy fits a task's stack.
const STEPS: usize = 1024;
/// Elements of B.
const LARGEST_B: usize = 1 << 17;
/// Tiles of a task.
const TILES: usize = 4;

impl Gemm {
    /// True for such rows, with a K that one pass takes and a B that stays in a second-level cache.
    pub(super) fn is_aliased(&self) -> bool {
        self.a.cs == 1 && self.k <= STEPS && self.k * self.n <= LARGEST_B
    }

    /// # Safety
    /// As for [`Gemm::run`]; `b` is B's packed copy, or B in place.
    pub(super) unsafe fn run_aliased(&self, tiles: &Tiles, pool: &dyn Parallel, b: Source) {
        let (m, n, k) = (self.m, self.n, self.k);
        let m_tiles = m.div_ceil(tiles.mr());
        each(pool, m_tiles.div_ceil(TILES), |task| {
            let mut copy = [MaybeUninit::<f32>::uninit(); 16 * STEPS];
            let copy = SyncPtr(copy.as_mut_ptr().cast::<f32>());
            for t in task * TILES..m_tiles.min((task + 1) * TILES) {
                let (row, rows) = even_cut(m, m_tiles, t);
                // SAFETY: rows of A, at most 16 of at most STEPS elements; tiles of C of this task alone.
                unsafe {
                    let src = self.a.ptr.offset(row as isize * self.a.rs);
                    Panel { src, len: k, width: rows, k_stride: 1, stride: self.a.rs, dst: copy.get(), ld: rows }.pack();
                    for panel in 0..n.div_ceil(tiles.nr()) {
                        let col = panel * tiles.nr();
                        let cols = tiles.nr().min(n - col);
                        let (b, ldb) = match b {
                            Source::Packed(p) => (p.get().add(col * k).cast_const(), cols as isize),
                            _ => (self.b.ptr.offset(col as isize * self.b.cs), self.b.rs),
                        };
                        let bias = if self.bias.get().is_null() { std::ptr::null() } else { self.bias.get().add(col).cast_const() };
                        let c = self.c.get().add(row * self.ldc + col);
                        let job = Job {
                            taps: &[(0, 0)],
                            k,
                            b,
                            ldb,
                            c,
                            ldc: self.ldc,
                            n: cols,
                            add: false,
                            bias,
                            relu: self.relu,
                            ahead: Ahead::NONE,
                        };
                        tiles.cols(rows, copy.get(), rows as isize, &job);
                    }
                }
            }
        });
    }
}
