//! The loops around the tile kernels. As in float32 all of it follows from shapes and strides, never from the number of threads.
use super::pack::Strip;
use super::{Job, Pair, Table, Target, table};
use crate::gemm::loops::{Mat, block, each, pool_of, sum_parts};
use crate::gemm::micro::{Ahead, even_cut};
use crate::gemm::tune::split;
use ferrograd_tensor::{Parallel, SyncPtr, bf16};
use std::ops::Range;

/// Rows and columns of the largest tile.
pub(crate) const MR: usize = 14;
pub(crate) const NR: usize = 32;

/// C [m, n] = A [m, k] B [k, n] (+ bias [n]) (then ReLU); C row-major with rows `ldc` apart.
#[derive(Clone, Copy)]
pub(crate) struct PairGemm {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Mat<bf16>,
    pub b: Mat<bf16>,
    pub c: SyncPtr<bf16>,
    pub ldc: usize,
    /// Null for none.
    pub bias: SyncPtr<bf16>,
    pub relu: bool,
    /// B as [`PairGemm::pack_b`] makes it, where the caller has it so.
    pub packed_b: Option<SyncPtr<Pair>>,
}

/// Pairs of scratch that [`PairGemm::run`] may want, for operands of any strides.
pub(crate) fn pair_scratch_len(m: usize, n: usize, k: usize) -> usize {
    let (parts, pairs) = (split(m, n, k), k.div_ceil(2));
    let partial = if parts > 1 { parts * m * n } else { 0 };
    (m * pairs).next_multiple_of(16) + (n * pairs).next_multiple_of(16) + partial
}

/// How tiles read A.
#[derive(Clone, Copy)]
enum Source {
    Rows,
    Packed(SyncPtr<Pair>),
}

impl PairGemm {
    fn pairs(&self) -> usize {
        self.k.div_ceil(2)
    }
    /// Pairs of a packed B.
    pub fn packed_len(&self) -> usize {
        self.n * self.pairs()
    }

    /// # Safety
    /// Operands and C are valid for the shapes, C belongs to this call alone, `scratch` has `pair_scratch_len(m, n, k)` elements, and
    /// [`super::available`] holds.
    pub unsafe fn run(&self, pool: &dyn Parallel, scratch: &mut [Pair]) {
        let (m, n, k) = (self.m, self.n, self.k);
        if m == 0 || n == 0 {
            return;
        }
        let table = table().expect("seen by the caller");
        let panels = n.div_ceil(NR);
        let in_place = self.a_in_place(panels);
        let (a_scratch, rest) = scratch.split_at_mut(if in_place { 0 } else { (m * self.pairs()).next_multiple_of(16) });
        let (b_scratch, partial) = rest.split_at_mut(if self.packed_b.is_some() { 0 } else { self.packed_len().next_multiple_of(16) });
        let a = if in_place { Source::Rows } else { self.pack_a(pool, SyncPtr(a_scratch.as_mut_ptr())) };
        let parts = split(m, n, k);
        let work = Work::new(self, parts);
        // Where each panel is used by one task alone, that task packs it: without a wait, and into a cache that is about to read it.
        let late = self.packed_b.is_none() && work.m_blocks == 1 && parts == 1;
        let b = self.packed_b.unwrap_or_else(|| {
            let to = SyncPtr(b_scratch.as_mut_ptr());
            if !late {
                self.pack_b(pool, to);
            }
            to
        });
        if parts == 1 {
            // SAFETY: the caller's promises; the sources were packed above, or are packed by the tasks.
            return unsafe { self.product(table, pool, &work, a, b, late, 0..k, None) };
        }
        // Each part of K is summed on its own, and the parts in their order.
        let sums = SyncPtr(partial.as_mut_ptr().cast::<f32>());
        each(pool, parts, |part| {
            let (start, len) = even_cut(self.pairs(), parts, part);
            let ks = 2 * start..k.min(2 * (start + len));
            // SAFETY: as above; each part has its own m * n elements.
            unsafe { self.product(table, pool_of(pool, parts), &work, a, b, false, ks, Some(sums.get().add(part * m * n))) };
        });
        // SAFETY: `partial` holds `parts * m * n` finished elements; C has m rows.
        unsafe { self.add_parts(std::slice::from_raw_parts(sums.get(), parts * m * n)) };
    }

    /// Rows along k are read in place where that is kind to the caches, anything else is packed.
    fn a_in_place(&self, panels: usize) -> bool {
        // Rows a multiple of 2 KiB apart share few L1 sets, so that a tile's rows evict each other: fine once, not panel after panel.
        let aliased = self.a.rs % 1024 == 0 && self.m > 1;
        (self.a.cs == 1 || self.k == 1) && !(aliased && panels > 2 && self.k >= 128)
    }

    /// A as `[tile][pair][rows of the tile]`.
    fn pack_a(&self, pool: &dyn Parallel, to: SyncPtr<Pair>) -> Source {
        let m_tiles = self.m.div_ceil(MR);
        each(pool, m_tiles, |t| {
            let (first, rows) = even_cut(self.m, m_tiles, t);
            // SAFETY: inside A and inside the tile's own part of the scratch.
            unsafe {
                let src = self.a.ptr.offset(first as isize * self.a.rs);
                let dst = to.get().add(first * self.pairs());
                Strip { src, len: self.k, width: rows, k_stride: self.a.cs, stride: self.a.rs, dst, ld: rows }.pack();
            }
        });
        Source::Packed(to)
    }

    /// B as `[panel][pair][columns of the panel]`, [`PairGemm::packed_len`] pairs.
    pub fn pack_b(&self, pool: &dyn Parallel, to: SyncPtr<Pair>) {
        // A task packs a stretch of one panel.
        let stretch = 1024;
        let stretches = self.k.div_ceil(stretch);
        each(pool, self.n.div_ceil(NR) * stretches, |task| {
            let from = task % stretches * stretch;
            self.pack_panel(task / stretches, from..self.k.min(from + stretch), to);
        });
    }

    /// A stretch of one panel; it starts at an even k.
    fn pack_panel(&self, panel: usize, ks: Range<usize>, to: SyncPtr<Pair>) {
        let first = panel * NR;
        let cols = NR.min(self.n - first);
        // SAFETY: inside B and inside the stretch's own part of the copy.
        unsafe {
            let src = self.b.ptr.offset(first as isize * self.b.cs + ks.start as isize * self.b.rs);
            let dst = to.get().add(first * self.pairs() + ks.start / 2 * cols);
            Strip { src, len: ks.len(), width: cols, k_stride: self.b.rs, stride: self.b.cs, dst, ld: cols }.pack();
        }
    }

    /// C, or the sums over one range of K (`part`); tasks are blocks of tiles. A range starts at an even k.
    // SAFETY: as for `run`; `a` and `b` are packed, or `late` has the tasks pack `b`.
    unsafe fn product(
        &self,
        table: &Table,
        pool: &dyn Parallel,
        work: &Work,
        a: Source,
        b: SyncPtr<Pair>,
        late: bool,
        ks: Range<usize>,
        part: Option<*mut f32>,
    ) {
        let part = part.map(SyncPtr);
        each(pool, work.m_blocks * work.n_blocks, |task| {
            let (mb, nb) = (task % work.m_blocks, task / work.m_blocks);
            for panel in nb * work.np..work.panels.min((nb + 1) * work.np) {
                let first = panel * NR;
                let cols = NR.min(self.n - first);
                if late {
                    self.pack_panel(panel, 0..self.k, b);
                }
                for t in mb * work.mt..work.m_tiles.min((mb + 1) * work.mt) {
                    let (row, rows) = even_cut(self.m, work.m_tiles, t);
                    // SAFETY: tile and columns lie inside the operands and C; each tile of C has one owner.
                    unsafe {
                        let to = match &part {
                            Some(sums) => Target::Part { to: sums.get().add(row * self.n + first), ld: self.n, add: false },
                            None => Target::Rounded {
                                c: self.c.get().add(row * self.ldc + first),
                                ldc: self.ldc,
                                bias: if self.bias.get().is_null() { std::ptr::null() } else { self.bias.get().add(first) },
                                relu: self.relu,
                            },
                        };
                        let b = b.get().add(first * self.pairs() + ks.start / 2 * cols);
                        let (pairs, odd) = (ks.len() / 2, ks.len() % 2 == 1);
                        let job = Job { taps: &[(0, 0)], pairs, odd, b, ldb: cols, n: cols, to, ahead: Ahead::NONE };
                        self.tile(table, a, row, rows, ks.start, &job);
                    }
                }
            }
        });
    }

    // SAFETY: as for `run`; the tile lies inside A, and the job inside B and C.
    #[inline]
    unsafe fn tile(&self, table: &Table, a: Source, row: usize, rows: usize, from: usize, job: &Job) {
        // SAFETY: the caller's promises.
        unsafe {
            match a {
                Source::Rows => {
                    let first = self.a.ptr.offset(row as isize * self.a.rs + from as isize * self.a.cs);
                    let mut lines = [first; MR];
                    for (i, p) in lines[..rows].iter_mut().enumerate() {
                        *p = first.offset(i as isize * self.a.rs);
                    }
                    table.rows(&lines[..rows], job);
                }
                Source::Packed(p) => table.packed(rows, p.get().add(row * self.pairs() + from / 2 * rows), rows as isize, job),
            }
        }
    }

    // SAFETY: C is valid and finished with.
    unsafe fn add_parts(&self, parts: &[f32]) {
        sum_parts(parts, self.m * self.n, |at, mut sum| {
            let (i, j) = (at / self.n, at % self.n);
            // SAFETY: inside C; the bias has n elements.
            unsafe {
                if !self.bias.get().is_null() {
                    sum += (*self.bias.get().add(j)).to_f32();
                }
                *self.c.get().add(i * self.ldc + j) = bf16::from_f32(if self.relu && sum < 0.0 { 0.0 } else { sum });
            }
        });
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
    fn new(g: &PairGemm, parts: usize) -> Work {
        let (m_tiles, panels) = (g.m.div_ceil(MR), g.n.div_ceil(NR));
        // A pair takes the time of one float32 multiplication.
        let (mt, np) = block(m_tiles, panels, MR * NR * g.pairs().div_ceil(parts).max(1));
        Work { m_tiles, panels, mt, np, m_blocks: m_tiles.div_ceil(mt), n_blocks: panels.div_ceil(np) }
    }
}
