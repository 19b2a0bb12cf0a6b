//! Products of a long K over a small C whose operands both lie row after row in K: the gradient of a weight over all rows and steps of a batch. K is cut
//! into parts by shape alone. A part goes through its rows a stretch at a time, packs what it reads of both once, as it lies in memory, and keeps its
//! sums, all of C, in a second-level cache; then the parts are added in their order.
use super::loops::{Gemm, each};
use super::micro::{Ahead, Job, Tiles, even_cut};
use super::pack::SideBySide;
use ferrograd_tensor::{Parallel, SyncPtr};

/// Rows that are packed at a time.
const STRETCH: usize = 128;
/// Elements of C up to which a part's sums stay in a second-level cache beside what is packed.
const SMALL: usize = 1 << 17;

/// Parts of K, 0 where the product is not done so: at least 256 rows each, at most one for each of sixteen nominal threads.
fn parts(m: usize, n: usize, k: usize, a: (isize, isize), b: (isize, isize)) -> usize {
    if a.0 == 1 && b.1 == 1 && m >= 64 && n >= 32 && m * n <= SMALL && k >= 1024 { (k / 256).clamp(2, 16) } else { 0 }
}

/// Elements of scratch that a product done so wants; 0 for others.
pub(super) fn long_scratch(m: usize, n: usize, k: usize, a: (isize, isize), b: (isize, isize)) -> usize {
    parts(m, n, k, a, b) * (m * n + STRETCH * (m + n))
}

impl Gemm {
    pub(super) fn is_long(&self) -> bool {
        self.packed_b.is_none() && self.parts_of_k() > 0
    }

    fn parts_of_k(&self) -> usize {
        parts(self.m, self.n, self.k, (self.a.rs, self.a.cs), (self.b.rs, self.b.cs))
    }

    /// # Safety
    /// As for [`Gemm::run`]; `scratch` has [`long_scratch`] elements.
    pub(super) unsafe fn run_long(&self, tiles: &Tiles, pool: &dyn Parallel, scratch: SyncPtr<f32>) {
        let (m, n, parts) = (self.m, self.n, self.parts_of_k());
        let (m_tiles, panels) = (m.div_ceil(tiles.mr()), n.div_ceil(tiles.nr()));
        let row_cuts: Vec<_> = (0..m_tiles).map(|t| even_cut(m, m_tiles, t)).collect();
        let col_cuts: Vec<_> = (0..panels).map(|p| (p * tiles.nr(), tiles.nr().min(n - p * tiles.nr()))).collect();
        each(pool, parts, |part| {
            let (first, len) = even_cut(self.k, parts, part);
            // SAFETY: rows of the operands; each part has sums and copies of its own; the rest is the caller's promise.
            unsafe {
                let sums = scratch.get().add(part * m * n);
                let a = scratch.get().add(parts * m * n + part * STRETCH * (m + n));
                let b = a.add(STRETCH * m);
                for from in (first..first + len).step_by(STRETCH) {
                    let k = STRETCH.min(first + len - from);
                    let rows = |ptr: *const f32, stride: isize, panels, dst| {
                        SideBySide { src: ptr.offset(from as isize * stride), stride, panels, from: 0, len: k, dst, k }.pack();
                    };
                    rows(self.a.ptr, self.a.cs, &row_cuts, a);
                    rows(self.b.ptr, self.b.rs, &col_cuts, b);
                    for &(col, cols) in &col_cuts {
                        for &(row, height) in &row_cuts {
                            let job = Job {
                                taps: &[(0, 0)],
                                k,
                                b: b.add(col * k),
                                ldb: cols as isize,
                                c: sums.add(row * n + col),
                                ldc: n,
                                n: cols,
                                add: from > first,
                                bias: std::ptr::null(),
                                relu: false,
                                ahead: Ahead::NONE,
                            };
                            tiles.cols(height, a.add(row * k), height as isize, &job);
                        }
                    }
                }
            }
        });
        // SAFETY: all parts are finished.
        unsafe { self.add_parts(pool, scratch, parts) };
    }
}
