//! Products whose A cannot be read in place (rows a multiple of 2 KiB apart push each other out of the first-level cache; so do columns) by a B that a
//! second-level cache holds. A task packs a tile of rows when its turn comes and multiplies it by many panels, so that the copy never leaves its own cache.
use super::loops::{Gemm, Source, each};
use super::micro::{Ahead, Job, Tiles, even_cut};
use super::pack::Panel;
use super::tune::TASK_MACS;
use ferrograd_tensor::Parallel;
use std::mem::MaybeUninit;

/// Steps of K for which a tile's copy fits a task's stack.
const STEPS: usize = 1024;
/// Elements of B.
const LARGEST_B: usize = 1 << 17;

impl Gemm {
    /// True for a K that one pass takes and a B that stays in a second-level cache.
    pub(super) fn is_aliased(&self) -> bool {
        (self.a.cs == 1 || self.a.rs == 1) && self.k <= STEPS && self.k * self.n <= LARGEST_B
    }

    /// # Safety
    /// As for [`Gemm::run`]; `b` is B's packed copy, or B in place.
    pub(super) unsafe fn run_aliased(&self, tiles: &Tiles, pool: &dyn Parallel, b: Source) {
        let (m, n, k) = (self.m, self.n, self.k);
        let (m_tiles, panels) = (m.div_ceil(tiles.mr()), n.div_ceil(tiles.nr()));
        // Panels of a task, which may be some of a tile's, and tiles, which may be several where panels are few.
        let tile_macs = tiles.mr() * tiles.nr() * k.max(1);
        let groups = (panels * tile_macs / TASK_MACS).clamp(1, panels);
        let some = (TASK_MACS / (panels * tile_macs)).clamp(1, 4);
        each(pool, m_tiles.div_ceil(some) * groups, |task| {
            let (block, (first, count)) = (task / groups, even_cut(panels, groups, task % groups));
            let mut copy = [MaybeUninit::<f32>::uninit(); 16 * STEPS];
            let copy = copy.as_mut_ptr().cast::<f32>();
            for t in block * some..m_tiles.min((block + 1) * some) {
                let (row, rows) = even_cut(m, m_tiles, t);
                // SAFETY: rows of A, at most 16 of at most STEPS elements; tiles of C of this task alone.
                unsafe {
                    let src = self.a.ptr.offset(row as isize * self.a.rs);
                    Panel { src, len: k, width: rows, k_stride: self.a.cs, stride: self.a.rs, dst: copy, ld: rows }.pack();
                    let mut job = Job {
                        taps: &[(0, 0)],
                        k,
                        b: self.b.ptr,
                        ldb: self.b.rs,
                        c: self.c.get(),
                        ldc: self.ldc,
                        n,
                        add: false,
                        bias: std::ptr::null(),
                        relu: self.relu,
                        ahead: Ahead::NONE,
                    };
                    for panel in first..first + count {
                        let col = panel * tiles.nr();
                        job.n = tiles.nr().min(n - col);
                        (job.b, job.ldb) = match b {
                            Source::Packed(p) => (p.get().add(col * k).cast_const(), job.n as isize),
                            _ => (self.b.ptr.offset(col as isize * self.b.cs), self.b.rs),
                        };
                        if !self.bias.get().is_null() {
                            job.bias = self.bias.get().add(col);
                        }
                        job.c = self.c.get().add(row * self.ldc + col);
                        tiles.cols(rows, copy, rows as isize, &job);
                    }
                }
            }
        });
    }
}
