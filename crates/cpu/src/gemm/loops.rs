//! The loops around the tile kernels: what is packed, how K is split, how C is shared out. All of it follows from shapes and strides,
//! never from the number of threads.
use super::long::long_scratch;
use super::micro::{Ahead, Job, Tiles, even_cut};
use super::next::Next;
use super::pack::{Panel, SideBySide};
use super::thin::thin_scratch;
use super::tune::{DIRECT_ELEMENTS, DIRECT_TILES, FEW_TILES, KC, TASK_MACS, TASKS, split};
use ferrograd_tensor::{Parallel, SyncPtr};
use std::ops::Range;

/// A matrix in memory: first element and strides, in elements.
#[derive(Clone, Copy)]
pub(crate) struct Mat<T = f32> {
    pub ptr: *const T,
    pub rs: isize,
    pub cs: isize,
}

// SAFETY: only read, while the operand it was made of lives.
unsafe impl<T> Send for Mat<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Mat<T> {}

/// C [m, n] = A [m, k] B [k, n] (+ bias [n]) (then ReLU); C row-major with rows `ldc` apart.
#[derive(Clone, Copy)]
pub(crate) struct Gemm {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Mat,
    pub b: Mat,
    pub c: SyncPtr<f32>,
    pub ldc: usize,
    /// Null for none.
    pub bias: SyncPtr<f32>,
    pub relu: bool,
    /// B in the tiles' panels, where the caller has it so.
    pub packed_b: Option<SyncPtr<f32>>,
    pub next: Next,
}

/// Runs tasks one after the other: the pool of a product that is itself one of many tasks.
pub(crate) struct Inline;

impl Parallel for Inline {
    fn run(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        (0..count).for_each(|i| task(i, 0));
    }
    fn threads(&self) -> usize {
        1
    }
}

/// Elements of scratch that [`Gemm::run`] may want on any vector path, for operands with these strides (rows, columns).
pub(crate) fn scratch_len(m: usize, n: usize, k: usize, a: (isize, isize), b: (isize, isize)) -> usize {
    let long = long_scratch(m, n, k, a, b);
    let parts = split(m, n, k);
    let partial = if parts > 1 { parts * m * n } else { 0 };
    // The smallest tiles of any path, 4 by 8, make the most tiles and panels, and so pack the most.
    let a = if a_in_place(m, k, a, n.div_ceil(8)).is_some() { 0 } else { m * k };
    let b = if b_in_place(n, k, b, m.div_ceil(4)) { 0 } else { k * n };
    (a.next_multiple_of(16) + b.next_multiple_of(16) + partial).max(thin_scratch(m, n, k)).max(long)
}

/// K-contiguous rows and m-contiguous columns are read in place where that is kind to the caches, anything else is packed (`None`).
fn a_in_place(m: usize, k: usize, (rs, cs): (isize, isize), panels: usize) -> Option<Source> {
    // Rows a multiple of 2 KiB apart share few L1 sets, so that a tile's rows evict each other: fine once, not panel after panel.
    let aliased = rs % 512 == 0 && m > 1;
    if (cs == 1 || k == 1) && !(aliased && panels > 2 && k >= 64) {
        Some(Source::Rows)
    } else if rs == 1 && (panels <= 4 && cs % 512 != 0 || k < 64) {
        Some(Source::Cols)
    } else {
        None
    }
}

/// Row-major B is read in place where few tiles share it, or where it fits the second-level cache, from which a strided panel streams as well as
/// a packed one.
fn b_in_place(n: usize, k: usize, (_, cs): (isize, isize), m_tiles: usize) -> bool {
    (cs == 1 || n == 1) && (m_tiles <= DIRECT_TILES || k * n <= DIRECT_ELEMENTS)
}

/// How tiles read A.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Rows,
    Cols,
    Packed(SyncPtr<f32>),
}

impl Gemm {
    /// # Safety
    /// Operands and C are valid for the shapes, C belongs to this call alone, and `scratch` has `scratch_len(m, n, k)` elements.
    pub unsafe fn run(&self, tiles: &Tiles, pool: &dyn Parallel, scratch: &mut [f32]) {
        let (m, n, k) = (self.m, self.n, self.k);
        if m == 0 || n == 0 {
            return;
        }
        if self.is_thin() {
            // SAFETY: the caller's promises.
            return unsafe { self.run_thin(pool, SyncPtr(scratch.as_mut_ptr())) };
        }
        if self.is_long() {
            // SAFETY: the caller's promises.
            return unsafe { self.run_long(tiles, pool, SyncPtr(scratch.as_mut_ptr())) };
        }
        if self.is_swapped(tiles) {
            // SAFETY: the caller's promises; the scratch has room for B, which is packed otherwise and larger than A.
            return unsafe { self.run_swapped(tiles, pool, SyncPtr(scratch.as_mut_ptr())) };
        }
        let (m_tiles, panels) = (m.div_ceil(tiles.mr()), n.div_ceil(tiles.nr()));
        let a_direct = a_in_place(m, k, (self.a.rs, self.a.cs), panels);
        let (a_scratch, rest) = scratch.split_at_mut(if a_direct.is_some() { 0 } else { (m * k).next_multiple_of(16) });
        let b_direct = self.packed_b.is_none() && b_in_place(n, k, (self.b.rs, self.b.cs), m_tiles);
        let b_len = if b_direct || self.packed_b.is_some() { 0 } else { (k * n).next_multiple_of(16) };
        let (b_scratch, partial) = rest.split_at_mut(b_len);
        let parts = split(m, n, k);
        let piecewise = a_direct.is_none() && parts == 1 && self.is_aliased();
        let a = match a_direct {
            Some(a) => a,
            None if piecewise => Source::Rows,
            None => self.pack_a(pool, SyncPtr(a_scratch.as_mut_ptr()), m_tiles),
        };
        let to = SyncPtr(b_scratch.as_mut_ptr());
        let b = match self.packed_b {
            Some(packed) => Source::Packed(packed),
            None if b_direct => Source::Rows,
            None if parts == 1 && !piecewise && m_tiles <= FEW_TILES && panels >= FEW_TILES => {
                // SAFETY: the caller's promises; each panel has its own part of the scratch.
                return each(pool, panels, |panel| unsafe {
                    self.pack_stretch(tiles, panel, 0..k, to);
                    self.tiles_of(tiles, a, Source::Packed(to), 0..k, panel..panel + 1, 0..m_tiles, self.c, self.ldc, true);
                });
            }
            None => {
                self.pack_b(tiles, pool, to);
                Source::Packed(to)
            }
        };
        if piecewise {
            // SAFETY: the caller's promises; B was packed above.
            return unsafe { self.run_aliased(tiles, pool, b) };
        }
        if parts == 1 {
            // SAFETY: the caller's promises; the sources were packed above.
            return unsafe { self.product(tiles, pool, a, b, 0..k, self.c, self.ldc, true) };
        }
        // Each part of K is summed on its own, and the parts in their order.
        let sums = SyncPtr(partial.as_mut_ptr());
        each(pool, parts, |part| {
            let (start, len) = even_cut(k, parts, part);
            // SAFETY: as above; each part has its own m * n elements.
            unsafe { self.product(tiles, pool_of(pool, parts), a, b, start..start + len, SyncPtr(sums.get().add(part * m * n)), n, false) };
        });
        // SAFETY: all parts are finished.
        unsafe { self.add_parts(pool, sums, parts) };
    }

    /// A as `[tile][k][rows of the tile]`.
    fn pack_a(&self, pool: &dyn Parallel, scratch: SyncPtr<f32>, m_tiles: usize) -> Source {
        let (m, k) = (self.m, self.k);
        let tile = |t| even_cut(m, m_tiles, t);
        if self.a.rs == 1 {
            // SAFETY: the copy has m * k elements.
            unsafe { pack_side_by_side(pool, self.a.ptr, self.a.cs, k, m_tiles, tile, scratch) };
            return Source::Packed(scratch);
        }
        each(pool, m_tiles, |t| {
            let (first, rows) = tile(t);
            // SAFETY: inside A and inside the tile's own part of the scratch.
            unsafe {
                let src = self.a.ptr.offset(first as isize * self.a.rs);
                Panel { src, len: k, width: rows, k_stride: self.a.cs, stride: self.a.rs, dst: scratch.get().add(first * k), ld: rows }
                    .pack();
            }
        });
        Source::Packed(scratch)
    }

    /// True where [`Gemm::run`] packs B.
    pub fn packs_b(&self, tiles: &Tiles) -> bool {
        !self.is_thin() && !b_in_place(self.n, self.k, (self.b.rs, self.b.cs), self.m.div_ceil(tiles.mr()))
    }
    /// B as `[panel][k][columns of the panel]`, k * n elements.
    pub fn pack_b(&self, tiles: &Tiles, pool: &dyn Parallel, to: SyncPtr<f32>) {
        let k = self.k;
        let panels = self.n.div_ceil(tiles.nr());
        if self.b.cs == 1 {
            let panel = |p| (p * tiles.nr(), tiles.nr().min(self.n - p * tiles.nr()));
            // SAFETY: the caller's promises.
            return unsafe { pack_side_by_side(pool, self.b.ptr, self.b.rs, k, panels, panel, to) };
        }
        // A task packs a stretch of one panel.
        let stretch = 512;
        let stretches = k.div_ceil(stretch);
        each(pool, panels * stretches, |task| {
            let (panel, from) = (task / stretches, task % stretches * stretch);
            // SAFETY: the caller's promises; each stretch has its own part of the copy.
            unsafe { self.pack_stretch(tiles, panel, from..k.min(from + stretch), to) };
        });
    }

    /// Some steps of one panel of B.
    ///
    /// # Safety
    /// B is valid, and `to` has k * n elements, of which nobody else touches these.
    unsafe fn pack_stretch(&self, tiles: &Tiles, panel: usize, ks: Range<usize>, to: SyncPtr<f32>) {
        let first = panel * tiles.nr();
        // SAFETY: inside B and inside the stretch's part of the copy.
        unsafe {
            let src = self.b.ptr.offset(first as isize * self.b.cs + ks.start as isize * self.b.rs);
            let cols = tiles.nr().min(self.n - first);
            let dst = to.get().add(first * self.k + ks.start * cols);
            Panel { src, len: ks.len(), width: cols, k_stride: self.b.rs, stride: self.b.cs, dst, ld: cols }.pack();
        }
    }

    /// C over one range of K, tasks being blocks of tiles.
    unsafe fn product(
        &self,
        tiles: &Tiles,
        pool: &dyn Parallel,
        a: Source,
        b: Source,
        ks: Range<usize>,
        c: SyncPtr<f32>,
        ldc: usize,
        last: bool,
    ) {
        let (m_tiles, panels) = (self.m.div_ceil(tiles.mr()), self.n.div_ceil(tiles.nr()));
        let (mt, np) = block(m_tiles, panels, tiles.mr() * tiles.nr() * ks.len().max(1));
        let (m_blocks, n_blocks) = (m_tiles.div_ceil(mt), panels.div_ceil(np));
        each(pool, m_blocks * n_blocks, |task| {
            let (mb, nb) = (task % m_blocks, task / m_blocks);
            let (some_panels, some_tiles) = (nb * np..panels.min((nb + 1) * np), mb * mt..m_tiles.min((mb + 1) * mt));
            // SAFETY: the caller's promises; each tile of C has one owner.
            unsafe { self.tiles_of(tiles, a, b, ks.clone(), some_panels, some_tiles, c, ldc, last) };
        });
    }

    /// Tiles of C over one range of K, in as many passes as L2 wants of it.
    unsafe fn tiles_of(
        &self,
        tiles: &Tiles,
        a: Source,
        b: Source,
        ks: Range<usize>,
        panels: Range<usize>,
        rows_of_tiles: Range<usize>,
        c: SyncPtr<f32>,
        ldc: usize,
        last: bool,
    ) {
        let (m, n, nr) = (self.m, self.n, tiles.nr());
        let m_tiles = m.div_ceil(tiles.mr());
        let all_tiles = m_tiles * n.div_ceil(nr);
        let mut from = ks.start;
        loop {
            let len = KC.min(ks.end - from);
            let end = last && from + len == ks.end;
            for panel in panels.clone() {
                let first = panel * nr;
                let cols = nr.min(n - first);
                // SAFETY: the panel lies inside B or its packed copy; the bias has n elements.
                let (b, ldb, bias) = unsafe {
                    let (b, ldb) = match b {
                        Source::Packed(p) => (p.get().add(first * self.k + from * cols).cast_const(), cols as isize),
                        _ => (self.b.ptr.offset(first as isize * self.b.cs + from as isize * self.b.rs), self.b.rs),
                    };
                    (b, ldb, if end && !self.bias.get().is_null() { self.bias.get().add(first).cast_const() } else { std::ptr::null() })
                };
                let mut job = Job {
                    taps: &[(0, 0)],
                    k: len,
                    b,
                    ldb,
                    c: c.get(),
                    ldc,
                    n: cols,
                    add: from > ks.start,
                    bias,
                    relu: end && self.relu,
                    ahead: Ahead::NONE,
                };
                for t in rows_of_tiles.clone() {
                    let (row, rows) = even_cut(m, m_tiles, t);
                    if !self.next.is_nothing() {
                        job.ahead = self.next.share(panel * m_tiles + t, all_tiles, len);
                    }
                    // SAFETY: tile and columns lie inside the operands and C, whose tile is the caller's.
                    unsafe {
                        job.c = c.get().add(row * ldc + first);
                        self.tile(tiles, a, row, rows, from, &job);
                    }
                }
            }
            from += len;
            if from >= ks.end {
                break;
            }
        }
    }

    #[inline]
    unsafe fn tile(&self, tiles: &Tiles, a: Source, row: usize, rows: usize, from: usize, job: &Job) {
        // SAFETY: the caller's promises.
        unsafe {
            match a {
                Source::Rows => {
                    let first = self.a.ptr.offset(row as isize * self.a.rs + from as isize * self.a.cs);
                    let mut table = [first; 16];
                    for (i, p) in table[..rows].iter_mut().enumerate() {
                        *p = first.offset(i as isize * self.a.rs);
                    }
                    tiles.rows(&table[..rows], job);
                }
                Source::Cols => tiles.cols(rows, self.a.ptr.offset(row as isize + from as isize * self.a.cs), self.a.cs, job),
                Source::Packed(p) => tiles.cols(rows, p.get().add(row * self.k + from * rows), rows as isize, job),
            }
        }
    }
}

/// Packs the panels of a matrix whose rows hold them side by side; `cut` gives a panel's first column and width. A task packs some rows of up to 48, which is more than most matrices have: whole rows are read fastest.
///
/// # Safety
/// The matrix is valid, and `to` has an element for each of its.
unsafe fn pack_side_by_side(
    pool: &dyn Parallel,
    src: *const f32,
    stride: isize,
    k: usize,
    panels: usize,
    cut: impl Fn(usize) -> (usize, usize) + Sync,
    to: SyncPtr<f32>,
) {
    const SIDE: usize = 48;
    const ROWS: usize = 64;
    let src = SyncPtr(src.cast_mut());
    let (groups, stretches) = (panels.div_ceil(SIDE), k.div_ceil(ROWS));
    each(pool, groups * stretches, |task| {
        let (some, from) = (task % groups * SIDE, task / groups * ROWS);
        let mut cuts = [(0, 0); SIDE];
        let cuts = &mut cuts[..SIDE.min(panels - some)];
        for (i, to) in cuts.iter_mut().enumerate() {
            *to = cut(some + i);
        }
        // SAFETY: rows and columns lie inside the matrix; each task has its own part of the copy.
        unsafe { SideBySide { src: src.get(), stride, panels: cuts, from, len: ROWS.min(k - from), dst: to.get(), k }.pack() };
    });
}

/// Hands out each of `area` elements with the sum over its parts, added in order.
pub(crate) fn sum_parts(parts: &[f32], area: usize, mut put: impl FnMut(usize, f32)) {
    let (first, rest) = parts.split_at(area);
    for (at, &start) in first.iter().enumerate() {
        put(at, rest.chunks_exact(area).fold(start, |sum, part| sum + part[at]));
    }
}

/// Tiles, and panels, of a task at most.
const BLOCK: usize = 16;

/// Tiles and panels of a task: at least `TASK_MACS` of work each and about `TASKS` of them, as square as can be.
pub(super) fn block(m_tiles: usize, panels: usize, tile_macs: usize) -> (usize, usize) {
    let want = (m_tiles * panels * tile_macs / TASK_MACS).clamp(1, TASKS);
    let (mut mt, mut np) = (m_tiles.min(BLOCK), panels.min(BLOCK));
    while m_tiles.div_ceil(mt) * panels.div_ceil(np) < want && mt * np > 1 {
        // A tile is about 12 by 32.
        if np * 2 >= mt && np > 1 {
            np = np.div_ceil(2);
        } else {
            mt = mt.div_ceil(2);
        }
    }
    (mt, np)
}

pub(super) fn pool_of(pool: &dyn Parallel, parts: usize) -> &dyn Parallel {
    // Parts are tasks already; a pool need not take tasks from tasks.
    if parts > 1 { &Inline } else { pool }
}

pub(super) fn each(pool: &dyn Parallel, count: usize, task: impl Fn(usize) + Sync) {
    match count {
        0 => {}
        1 => task(0),
        _ => pool.run(count, &|i, _| task(i)),
    }
}
