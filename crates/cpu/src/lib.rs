//! Kernels for the CPU, one file an op. A kernel takes views, fills the outputs it is given, allocates nothing on the heap and knows no
//! autograd; the op table (`crates/runtime/src/ops.rs`) names them, so all of them are re-exported flat.
//!
//! Results depend on shapes, dtypes, seed and vector path alone, never on the number of threads: work is cut by constants and by shapes.

#[doc(hidden)]
pub mod testing;

mod affine;
mod append_channels;
mod argmax;
mod augment;
mod batch_norm;
mod channels;
mod concat;
mod conv2d;
mod copy;
mod create;
mod cumulative;
mod embedding_grad_rows;
mod flip;
mod fold;
mod gemm;
mod group_norm;
mod index;
mod layer_norm;
mod linear;
mod matmul;
mod nonzero;
mod norm_relu_conv;
mod norm_relu_conv3x3;
mod norm_relu_pool;
mod orthogonal;
mod pad;
mod pool2d;
mod quantized_linear;
mod recurrent;
mod reduce;
mod resize;
mod scatter;
mod sequence_mask;
mod short_rows;
mod sort;
mod strided;
mod tril;
mod where_;

pub use append_channels::{append_channels, append_channels_grad, append_channels_scratch};
pub use argmax::{argmax, argmin};
pub use augment::augment;
pub use batch_norm::{batch_norm, batch_norm_fixed, batch_norm_grad, batch_norm_scratch, batch_norm_update};
pub use concat::concat;
pub use copy::{assign, cast, contiguous, fill};
pub use create::{arange, eye, full};
pub use cumulative::{cumprod, cumsum};
pub use embedding_grad_rows::{embedding_grad_dense, embedding_grad_rows, embedding_grad_rows_scratch};
pub use flip::{flip, roll};
pub use group_norm::{group_norm, group_norm_grad, group_norm_grad_scratch, group_norm_scratch};
pub use index::{embedding, gather, index_select, one_hot};
pub use layer_norm::{layer_norm, layer_norm_grad, layer_norm_grad_scratch, layer_norm_scratch};
pub use nonzero::{masked_select, nonzero, nonzero_count};
pub use norm_relu_conv::{
    norm_relu_conv, norm_relu_conv_grad, norm_relu_conv_grad_local, norm_relu_conv_grad_scratch, norm_relu_conv_local,
    norm_relu_conv_scratch,
};
pub use norm_relu_conv3x3::{
    norm_relu_conv3x3, norm_relu_conv3x3_grad, norm_relu_conv3x3_grad_local, norm_relu_conv3x3_grad_scratch, norm_relu_conv3x3_local,
    norm_relu_conv3x3_scratch,
};
pub use norm_relu_pool::{
    norm_relu_pool, norm_relu_pool_grad, norm_relu_pool_grad_local, norm_relu_pool_grad_scratch, norm_relu_pool_scratch,
};
pub use orthogonal::{orthogonal, orthogonal_scratch};
pub use pad::pad;
pub use recurrent::{
    gru, gru_grad, lstm, lstm_grad, lstm_variant, lstm_variant_grad, recurrent_grad_local, recurrent_grad_scratch, recurrent_local,
    recurrent_scratch, rnn, rnn_grad,
};
pub use reduce::{all, amax, amin, any, mean, prod, reduce_scratch, sum};
pub use resize::resize;
pub use scatter::{embedding_grad, embedding_grad_scratch, index_select_grad, index_select_grad_scratch, scatter, scatter_add};
pub use sequence_mask::sequence_mask;
pub use sort::{sort, sort_scratch, topk, unique, unique_count, unique_scratch};
pub use tril::{tril, triu};
pub use where_::where_;

mod pointwise;
pub use conv2d::{
    conv2d, conv2d_input_grad, conv2d_input_grad_local, conv2d_input_grad_scratch, conv2d_local, conv2d_pool, conv2d_pool_local,
    conv2d_pool_scratch, conv2d_scratch, conv2d_weight_grad, conv2d_weight_grad_local, conv2d_weight_grad_scratch, pool_pick, pool_spread,
};
pub use linear::{linear, linear_scratch};
pub use matmul::{matmul, matmul_scratch};
pub use pointwise::*;
pub use pool2d::{
    adaptive_avg_pool2d, adaptive_avg_pool2d_grad, adaptive_max_pool2d, avg_pool2d, avg_pool2d_grad, max_pool2d, max_pool2d_grad,
    max_pool2d_grad_scratch,
};
pub use quantized_linear::{quantized_linear, quantized_linear_scratch};
mod softmax;
pub use softmax::*;
mod cross_entropy;
pub use cross_entropy::*;
mod ctc_decode;
pub use ctc_decode::{ctc_decode, ctc_decode_local};
mod ctc_loss;
pub use ctc_loss::{ctc_loss, ctc_loss_local};
mod philox;
mod random;
pub use random::*;
mod dropout;
pub use dropout::*;
mod optimizer;
pub use optimizer::*;
