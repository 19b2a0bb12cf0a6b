//! 2-D convolution, NHWC, and its two gradients (PyTorch's `conv2d`): weight [O, KH, KW, I / groups].
//!
//! float32 runs on the tile kernels of [`crate::gemm`], and so does bf16 where the CPU multiplies it, two channels or pixels at a time;
//! convolutions with one channel a group run on vectors of channels. Elsewhere the half types are widened. float64 takes plain loops, which are
//! also the reference.
mod correlate;
mod depthwise;
mod engine;
mod forward;
pub(crate) mod geometry;
mod input_grad;
mod plain;
mod pooled;
mod spread;
#[cfg(test)]
mod tests;
mod weight_grad;
pub(crate) mod winograd;
mod woven;

pub use forward::{conv2d, conv2d_local, conv2d_scratch};
pub use input_grad::{conv2d_input_grad, conv2d_input_grad_local, conv2d_input_grad_scratch};
pub use pooled::{conv2d_pool, conv2d_pool_local, conv2d_pool_scratch, pool_pick, pool_spread};
pub use weight_grad::{conv2d_weight_grad, conv2d_weight_grad_local, conv2d_weight_grad_scratch};

/// True where bf16 is multiplied as it is: the CPU can, the convolution is none of one channel a group, and no sum has more taps than a tile
/// takes at once.
fn paired(g: &geometry::Geometry) -> bool {
    crate::gemm::bf16::available() && !depthwise::fits(g) && g.kh * g.kw <= correlate::TAPS
}
