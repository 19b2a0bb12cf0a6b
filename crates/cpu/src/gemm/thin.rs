//! Products of a few rows: B is read once, so that reading it well is all that counts. Where its columns are contiguous (a Linear's
//! weight), dot products of several columns at a time; where its rows are, sums of rows.
use super::loops::{Gemm, each};
use super::micro::even_cut;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Parallel, SyncPtr};
use std::ops::Range;

/// Rows that count as few.
const ROWS: usize = 4;
/// Columns of a task.
const COLS: usize = 128;

/// Parts that the rows of B are cut into: at least 32 rows each, at most one for each of sixteen nominal threads.
fn parts(k: usize) -> usize {
    (k / 32).clamp(1, 16)
}

/// Elements of scratch that the thin kernels want.
pub(super) fn thin_scratch(m: usize, n: usize, k: usize) -> usize {
    if m <= ROWS { parts(k) * m * n } else { 0 }
}

impl Gemm {
    /// True where the thin kernels take the product; follows from shapes and strides.
    pub(super) fn is_thin(&self) -> bool {
        let dots = self.b.rs == 1 && (self.a.cs == 1 || self.k == 1);
        self.m <= ROWS && self.n >= 64 && self.k >= 32 && (dots || self.b.cs == 1)
    }
    /// # Safety
    /// As for [`Gemm::run`]; `sums` has [`thin_scratch`] elements.
    pub(super) unsafe fn run_thin(&self, pool: &dyn Parallel, sums: SyncPtr<f32>) {
        let columns = |task: usize| task * COLS..self.n.min((task + 1) * COLS);
        let tasks = self.n.div_ceil(COLS);
        if self.b.cs != 1 {
            return each(pool, tasks, |task| vectorize(Dots { g: self, first: columns(task).start, end: columns(task).end }));
        }
        let (parts, len) = (parts(self.k), self.m * self.n);
        each(pool, parts, |part| {
            let (first, rows) = even_cut(self.k, parts, part);
            // SAFETY: each part has sums of its own.
            vectorize(Runs { g: self, ks: first..first + rows, sums: unsafe { sums.get().add(part * len) } });
        });
        // SAFETY: all parts are finished.
        unsafe { self.add_parts(pool, sums, parts) };
    }
    /// # Safety
    /// Row and column lie inside C, which has one owner for this column.
    #[inline(always)]
    unsafe fn put(&self, row: usize, col: usize, mut value: f32) {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.bias.get().is_null() {
                value += *self.bias.get().add(col);
            }
            *self.c.get().add(row * self.ldc + col) = if self.relu && value < 0.0 { 0.0 } else { value };
        }
    }
}

/// Columns contiguous: a dot product for each element.
struct Dots<'a> {
    g: &'a Gemm,
    first: usize,
    end: usize,
}

impl Kernel for Dots<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.g.m {
            1 => self.rows::<S, 1>(s),
            2 => self.rows::<S, 2>(s),
            3 => self.rows::<S, 3>(s),
            _ => self.rows::<S, 4>(s),
        }
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn rows<S: Simd, const M: usize>(&self, s: S) {
        let mut col = self.first;
        while col + 4 <= self.end {
            self.block::<S, M, 4>(s, col);
            col += 4;
        }
        for col in col..self.end {
            self.block::<S, M, 1>(s, col);
        }
    }
    #[inline(always)]
    fn block<S: Simd, const M: usize, const C: usize>(&self, s: S, col: usize) {
        let g = self.g;
        let mut acc = [[s.zero(); C]; M];
        let full = g.k / S::LANES * S::LANES;
        // SAFETY: M rows of A and C columns of B of k elements each; the tail reads what is left of them.
        unsafe {
            let a = |m: usize, k: usize| g.a.ptr.offset(m as isize * g.a.rs).add(k);
            let b = |c: usize, k: usize| g.b.ptr.offset((col + c) as isize * g.b.cs).add(k);
            for k in (0..full).step_by(S::LANES) {
                for c in 0..C {
                    let x = s.load(b(c, k));
                    for m in 0..M {
                        acc[m][c] = s.fma(s.load(a(m, k)), x, acc[m][c]);
                    }
                }
            }
            if full < g.k {
                for c in 0..C {
                    let x = s.load_partial(b(c, full), g.k - full);
                    for m in 0..M {
                        acc[m][c] = s.fma(s.load_partial(a(m, full), g.k - full), x, acc[m][c]);
                    }
                }
            }
            for m in 0..M {
                for c in 0..C {
                    g.put(m, col + c, s.reduce_add(acc[m][c]));
                }
            }
        }
    }
}

/// Rows contiguous: B is read row after row, as it lies in memory, and each part of its rows is summed on its own.
struct Runs<'a> {
    g: &'a Gemm,
    ks: Range<usize>,
    /// The part's sums, m rows of n.
    sums: *mut f32,
}

impl Kernel for Runs<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.g.m {
            1 => self.rows::<S, 1>(s),
            2 => self.rows::<S, 2>(s),
            3 => self.rows::<S, 3>(s),
            _ => self.rows::<S, 4>(s),
        }
    }
}

impl Runs<'_> {
    #[inline(always)]
    fn rows<S: Simd, const M: usize>(&self, s: S) {
        let mut k = self.ks.start;
        while k + 8 <= self.ks.end {
            self.some::<S, M, 8>(s, k);
            k += 8;
        }
        for k in k..self.ks.end {
            self.some::<S, M, 1>(s, k);
        }
    }
    /// R rows of B, added to the sums, or the first of them.
    #[inline(always)]
    fn some<S: Simd, const M: usize, const R: usize>(&self, s: S, k: usize) {
        let (g, first) = (self.g, k == self.ks.start);
        let mut a = [[s.zero(); R]; M];
        // SAFETY: M rows of A, R rows of B from `k` on, and the part's own sums, all of n elements.
        unsafe {
            for m in 0..M {
                for r in 0..R {
                    a[m][r] = s.splat(*g.a.ptr.offset(m as isize * g.a.rs + (k + r) as isize * g.a.cs));
                }
            }
            let b = |r: usize, col: usize| g.b.ptr.offset((k + r) as isize * g.b.rs).add(col);
            let sum = |m: usize, col: usize| self.sums.add(m * g.n + col);
            let whole = g.n / S::LANES * S::LANES;
            for col in (0..whole).step_by(S::LANES) {
                let mut acc = [s.zero(); M];
                if !first {
                    for m in 0..M {
                        acc[m] = s.load(sum(m, col));
                    }
                }
                for r in 0..R {
                    let x = s.load(b(r, col));
                    for m in 0..M {
                        acc[m] = s.fma(a[m][r], x, acc[m]);
                    }
                }
                for m in 0..M {
                    s.store(sum(m, col), acc[m]);
                }
            }
            let left = g.n - whole;
            if left > 0 {
                for m in 0..M {
                    let mut acc = if first { s.zero() } else { s.load_partial(sum(m, whole), left) };
                    for r in 0..R {
                        acc = s.fma(a[m][r], s.load_partial(b(r, whole), left), acc);
                    }
                    s.store_partial(sum(m, whole), left, acc);
                }
            }
        }
    }
}
