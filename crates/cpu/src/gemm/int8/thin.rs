//! Products of a few rows with a B whose columns run along k (a Linear's weight): dot products straight from memory, several columns at a time.
//! B is read once, so that packing it would cost more than the product.
use super::loops::QuadGemm;
use super::tiles::Table;
use crate::gemm::loops::each;
use ferrograd_tensor::Parallel;

/// Rows that count as few.
pub(super) const ROWS: usize = 4;
/// Bytes of B that are worth a task.
const TASK_BYTES: usize = 1 << 16;

impl QuadGemm {
    pub(super) fn is_thin(&self) -> bool {
        let along = |stride: isize| stride == 1 || self.k == 1;
        self.m <= ROWS && along(self.a.cs) && along(self.b.rs)
    }

    /// # Safety
    /// As for [`QuadGemm::run`].
    pub(super) unsafe fn run_thin(&self, table: &Table, pool: &dyn Parallel) {
        let cols = (TASK_BYTES / self.k.max(1)).clamp(16, 1024) / 4 * 4;
        each(pool, self.n.div_ceil(cols), |task| {
            // SAFETY: the caller's promises; columns of this task alone.
            unsafe { table.dots[self.m - 1](self, task * cols..self.n.min((task + 1) * cols)) };
        });
    }
}
