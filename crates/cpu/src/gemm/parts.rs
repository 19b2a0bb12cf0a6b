//! What finishes a product whose K was cut: the parts' sums are added in their order, then bias and ReLU.
use super::loops::{Gemm, each};
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Parallel, SyncPtr};
use std::ops::Range;

/// Elements of C that are worth a task.
const TASK: usize = 1 << 12;

impl Gemm {
    /// # Safety
    /// C is valid and this call's alone; `sums` holds `parts` finished products of m rows of n.
    pub(super) unsafe fn add_parts(&self, pool: &dyn Parallel, sums: SyncPtr<f32>, parts: usize) {
        let columns = TASK.min(self.n);
        let rows = (TASK / columns.max(1)).max(1);
        let across = self.n.div_ceil(columns);
        each(pool, self.m.div_ceil(rows) * across, |task| {
            let (row, col) = (task / across * rows, task % across * columns);
            let (rows, columns) = (row..self.m.min(row + rows), col..self.n.min(col + columns));
            // Each element of C is one task's.
            vectorize(Total { g: self, parts, rows, columns, sums: sums.get() });
        });
    }
}

struct Total<'a> {
    g: &'a Gemm,
    parts: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    sums: *const f32,
}

impl Kernel for Total<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let g = self.g;
        for row in self.rows {
            for col in self.columns.clone().step_by(S::LANES) {
                let lanes = S::LANES.min(self.columns.end - col);
                // SAFETY: every part has m rows of n elements, the bias n; the elements of C are this task's.
                unsafe {
                    let part = |part: usize| s.load_partial(self.sums.add((part * g.m + row) * g.n + col), lanes);
                    let mut total = (1..self.parts).fold(part(0), |total, next| s.add(total, part(next)));
                    if !g.bias.get().is_null() {
                        total = s.add(total, s.load_partial(g.bias.get().add(col), lanes));
                    }
                    if g.relu {
                        total = s.select(s.lt(total, s.zero()), s.zero(), total);
                    }
                    s.store_partial(g.c.get().add(row * g.ldc + col), lanes, total);
                }
            }
        }
    }
}
