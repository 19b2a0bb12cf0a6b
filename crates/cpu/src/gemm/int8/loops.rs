//! The loops around the tile kernels. All of it follows from shapes, strides and the path in force.
use super::pack::Strip;
use super::tiles::{Job, Table};
use super::{Finish, Quad};
use crate::gemm::loops::{Mat, block, each};
use crate::gemm::micro::even_cut;
use ferrograd_tensor::{Parallel, SyncPtr};

/// C [m, n] = A [m, k] B [k, n], finished as [`Finish`] says; C row-major with rows `ldc` apart.
#[derive(Clone, Copy)]
pub(crate) struct QuadGemm {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Mat<u8>,
    pub b: Mat<i8>,
    pub c: SyncPtr<f32>,
    pub ldc: usize,
    pub finish: Finish,
    /// B as [`QuadGemm::pack_b`] makes it, where the caller has it so.
    pub packed_b: Option<SyncPtr<Quad>>,
}

/// Quads of scratch that [`QuadGemm::run`] may want, for operands of any strides on any path.
pub(crate) fn quad_scratch_len(m: usize, n: usize, k: usize) -> usize {
    // No vector has more than 16 columns.
    (m * k.div_ceil(4)).next_multiple_of(16) + n.next_multiple_of(16) * (k.div_ceil(4) + 1)
}

/// How tiles read A.
#[derive(Clone, Copy)]
enum Source {
    Rows,
    Packed(SyncPtr<Quad>),
}

impl QuadGemm {
    fn quads(&self) -> usize {
        self.k.div_ceil(4)
    }
    /// Quads of a packed B, the sums of its columns among them.
    pub fn packed_len(&self, table: &Table) -> usize {
        self.n.next_multiple_of(table.width) * (self.quads() + 1)
    }
    /// True where [`QuadGemm::run`] packs B.
    pub fn packs_b(&self) -> bool {
        !self.is_thin()
    }

    /// # Safety
    /// Operands and C are valid for the shapes, C belongs to this call alone, `scratch` has `quad_scratch_len(m, n, k)` elements, and the CPU has
    /// the table's instructions.
    pub unsafe fn run(&self, table: &Table, pool: &dyn Parallel, scratch: &mut [Quad]) {
        let (m, n) = (self.m, self.n);
        if m == 0 || n == 0 {
            return;
        }
        if self.is_thin() {
            // SAFETY: the caller's promises.
            return unsafe { self.run_thin(table, pool) };
        }
        let work = Work::new(self, table);
        let in_place = self.a_in_place(work.panels);
        let (a_scratch, b_scratch) = scratch.split_at_mut(if in_place { 0 } else { (m * self.quads()).next_multiple_of(16) });
        let a = if in_place { Source::Rows } else { self.pack_a(pool, &work, SyncPtr(a_scratch.as_mut_ptr())) };
        // Where each panel is used by one task alone, that task packs it: without a wait, and into a cache that is about to read it.
        let late = self.packed_b.is_none() && work.m_blocks == 1;
        let b = self.packed_b.unwrap_or_else(|| {
            let to = SyncPtr(b_scratch.as_mut_ptr());
            if !late {
                self.pack_b(table, pool, to);
            }
            to
        });
        each(pool, work.m_blocks * work.n_blocks, |task| {
            let (mb, nb) = (task % work.m_blocks, task / work.m_blocks);
            for panel in nb * work.np..work.panels.min((nb + 1) * work.np) {
                if late {
                    self.pack_panel(table, panel, b);
                }
                let first = panel * table.nr();
                let cols = table.nr().min(n - first);
                for t in mb * work.mt..work.m_tiles.min((mb + 1) * work.mt) {
                    let (row, rows) = even_cut(m, work.m_tiles, t);
                    // SAFETY: tile and columns lie inside the operands and C; each tile of C has one owner; both operands are packed, or A is
                    // read in place.
                    unsafe {
                        let c = self.c.get().add(row * self.ldc + first);
                        let b = b.get().add(first * (self.quads() + 1));
                        let job =
                            Job { quads: self.k / 4, tail: self.k % 4, b, n: cols, c, ldc: self.ldc, col: first, finish: &self.finish };
                        self.tile(table, a, row, rows, &job);
                    }
                }
            }
        });
    }

    /// Rows along k are read in place where that is kind to the caches, anything else is packed.
    fn a_in_place(&self, panels: usize) -> bool {
        // Rows a multiple of 2 KiB apart share few L1 sets, so that a tile's rows evict each other: fine once, not panel after panel.
        let aliased = self.a.rs % 2048 == 0 && self.m > 1;
        (self.a.cs == 1 || self.k == 1) && !(aliased && panels > 2 && self.k >= 256)
    }

    /// A as `[tile][quad][rows of the tile]`.
    fn pack_a(&self, pool: &dyn Parallel, work: &Work, to: SyncPtr<Quad>) -> Source {
        each(pool, work.m_tiles, |t| {
            let (first, rows) = even_cut(self.m, work.m_tiles, t);
            // SAFETY: inside A and inside the tile's own part of the scratch.
            unsafe {
                let src = self.a.ptr.offset(first as isize * self.a.rs);
                let dst = to.get().add(first * self.quads());
                Strip { src, len: self.k, width: rows, k_stride: self.a.cs, stride: self.a.rs, dst, ld: rows }.pack();
            }
        });
        Source::Packed(to)
    }

    /// B as `[panel][quad][columns of the panel, in whole vectors]`, behind the last quad of a panel the sums of its columns;
    /// [`QuadGemm::packed_len`] quads.
    pub fn pack_b(&self, table: &Table, pool: &dyn Parallel, to: SyncPtr<Quad>) {
        each(pool, self.n.div_ceil(table.nr()), |panel| self.pack_panel(table, panel, to));
    }

    fn pack_panel(&self, table: &Table, panel: usize, to: SyncPtr<Quad>) {
        let first = panel * table.nr();
        let cols = table.nr().min(self.n - first);
        let ld = cols.next_multiple_of(table.width);
        // SAFETY: inside B and inside the panel's own part of the copy; the table is the caller's.
        unsafe {
            let src = self.b.ptr.offset(first as isize * self.b.cs).cast();
            let dst = to.get().add(first * (self.quads() + 1));
            Strip { src, len: self.k, width: cols, k_stride: self.b.rs, stride: self.b.cs, dst, ld }.pack();
            (table.sums)(dst, self.quads(), ld);
        }
    }

    // SAFETY: as for `run`; the tile lies inside A, and the job inside B and C.
    #[inline]
    unsafe fn tile(&self, table: &Table, a: Source, row: usize, rows: usize, job: &Job) {
        let vectors = job.n.div_ceil(table.width) - 1;
        // SAFETY: the caller's promises.
        unsafe {
            match a {
                Source::Rows => {
                    let first = self.a.ptr.offset(row as isize * self.a.rs);
                    let mut lines = [first; 14];
                    for (i, p) in lines[..rows].iter_mut().enumerate() {
                        *p = first.offset(i as isize * self.a.rs);
                    }
                    table.rows[vectors][rows - 1](lines.as_ptr(), job);
                }
                Source::Packed(p) => table.packed[vectors][rows - 1](p.get().add(row * self.quads()), job),
            }
        }
    }
}

/// How tiles and panels are dealt out.
struct Work {
    m_tiles: usize,
    panels: usize,
    /// Tiles and panels of a task.
    mt: usize,
    np: usize,
    m_blocks: usize,
    n_blocks: usize,
}

impl Work {
    fn new(g: &QuadGemm, table: &Table) -> Work {
        let (m_tiles, panels) = (g.m.div_ceil(table.mr()), g.n.div_ceil(table.nr()));
        // A quad takes the time of one float32 multiplication.
        let (mt, np) = block(m_tiles, panels, table.mr() * table.nr() * g.quads().max(1));
        Work { m_tiles, panels, mt, np, m_blocks: m_tiles.div_ceil(mt), n_blocks: panels.div_ceil(np) }
    }
}
