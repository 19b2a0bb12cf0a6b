//! 2-D pooling, NHWC, with PyTorch's rules: padding counts as minus infinity for the maximum; a maximum's position is that of the first of
//! equals, and NaN wins.
mod average;
mod max;
#[cfg(test)]
mod tests;
mod window;

pub use average::{adaptive_avg_pool2d, adaptive_avg_pool2d_grad, avg_pool2d, avg_pool2d_grad};
pub use max::{adaptive_max_pool2d, max_pool2d, max_pool2d_grad, max_pool2d_grad_scratch};

/// Elements of input worth a task.
const TASK: usize = 1 << 15;
/// Channels held in registers.
const BLOCK: usize = 32;

/// Rows of a plane that make a task, when one is read from `row` elements.
fn rows_of_task(row: usize) -> usize {
    (TASK / row.max(1)).max(1)
}
