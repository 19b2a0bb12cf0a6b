//! Products of a few rows: B is read once, so that reading it well is all that counts. Where its columns are contiguous (a Linear's
//! weight), dot products of several columns at a time; where its rows are, wide runs of a row at a time.
use super::loops::Gemm;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::Parallel;

/// Rows that count as few.
const ROWS: usize = 4;
/// Columns of a task.
const COLS: usize = 128;

impl Gemm {
    /// True where the thin kernels take the product; follows from shapes and strides.
    pub(super) fn is_thin(&self) -> bool {
        let dots = self.b.rs == 1 && (self.a.cs == 1 || self.k == 1);
        self.m <= ROWS && self.n >= 64 && self.k >= 32 && (dots || self.b.cs == 1)
    }
    /// # Safety
    /// As for [`Gemm::run`].
    pub(super) unsafe fn run_thin(&self, pool: &dyn Parallel) {
        let dots = self.b.cs != 1;
        pool.run(self.n.div_ceil(COLS), &|task, _| {
            let (first, end) = (task * COLS, self.n.min((task + 1) * COLS));
            if dots {
                vectorize(Dots { g: self, first, end });
            } else {
                vectorize(Runs { g: self, first, end });
            }
        });
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

/// Rows contiguous: several vectors of a row times one element of A, all rows of B in turn.
struct Runs<'a> {
    g: &'a Gemm,
    first: usize,
    end: usize,
}

impl Kernel for Runs<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.g.m {
            1 => self.rows::<S, 1, 8>(s),
            2 => self.rows::<S, 2, 4>(s),
            3 => self.rows::<S, 3, 4>(s),
            _ => self.rows::<S, 4, 4>(s),
        }
    }
}

impl Runs<'_> {
    #[inline(always)]
    fn rows<S: Simd, const M: usize, const V: usize>(&self, s: S) {
        let mut col = self.first;
        while col + V * S::LANES <= self.end {
            self.block::<S, M, V>(s, col, S::LANES);
            col += V * S::LANES;
        }
        while col < self.end {
            self.block::<S, M, 1>(s, col, S::LANES.min(self.end - col));
            col += S::LANES;
        }
    }
    /// V vectors of which the last (and only, if it is short) has `lanes` elements.
    #[inline(always)]
    fn block<S: Simd, const M: usize, const V: usize>(&self, s: S, col: usize, lanes: usize) {
        let g = self.g;
        let mut acc = [[s.zero(); V]; M];
        // SAFETY: columns `col ..` of B's rows; elements of A.
        unsafe {
            for k in 0..g.k as isize {
                let b = g.b.ptr.offset(k * g.b.rs).add(col);
                let mut x = [s.zero(); V];
                for v in 0..V {
                    x[v] = if lanes == S::LANES { s.load(b.add(v * S::LANES)) } else { s.load_partial(b, lanes) };
                }
                for m in 0..M {
                    let a = s.splat(*g.a.ptr.offset(m as isize * g.a.rs + k * g.a.cs));
                    for v in 0..V {
                        acc[m][v] = s.fma(a, x[v], acc[m][v]);
                    }
                }
            }
            for m in 0..M {
                for v in 0..V {
                    let mut out = [0f32; 16];
                    s.store(out.as_mut_ptr(), acc[m][v]);
                    for i in 0..lanes {
                        g.put(m, col + v * S::LANES + i, out[i]);
                    }
                }
            }
        }
    }
}
