//! THE op table: each op stands here once. `dispatch.rs` expands it as the `Op` enum, as the shape rules, as device dispatch and as
//! the encoder's table, from which the build writes the TypeScript declarations of `run`.
//!
//! A row of `kernels` reads
//!
//! ```text
//! [flags] name (operand: Kind, ...) { attribute: type, ... } -> (output: shape rule, ...) scratch(bytes) local(bytes a thread) check(shape rule without outputs);
//! ```
//!
//! and calls `ferrograd_cpu::name(cx, operands ..., attributes ..., outputs ...) -> Result`.
//!
//! Kinds: `In` (`&View`), `Opt` (`Option<&View>`), `List` (`&[View]`), `Mut` (`&mut ViewMut`, written in place), `MutList` (`&mut [ViewMut]`).
//! In the shape rules the same names are `&Meta`, `Option<&Meta>` and `&[Meta]`.
//! Attributes: `i64`, `f64`, `bool`, `Dims` (`&[i64]`).
//! Flags: `strided`, the kernel takes any strides in its `In`, `Opt` and `List` operands (the others get counted contiguous copies);
//! `promote(a, b)`, the named operands are cast to their common dtype first; `fallible`, the kernel may fail on values it reads.
//! Outputs are contiguous, with undefined contents. `Mut` targets may have any strides only where the row is `strided`.

macro_rules! op_table {
    ($expand:ident) => {
        $expand! {
            // y = f(x), element by element; `a` and `b` are the function's constants (a scalar operand, a slope, bounds).
            // `float`: integers become float32. `same`: the dtype stays. `number`: a scalar operand, weak: a float scalar turns integers to float32.
            // `logic`: the result is bool.
            unary {
                float: exp expm1 log log1p log2 sin cos tan tanh atan sqrt rsqrt reciprocal sigmoid erf softplus gelu gelu_tanh silu mish
                       log_sigmoid selu elu leaky_relu hardswish hardsigmoid softsign
                       div_scalar rdiv_scalar;
                same: neg abs sign square relu floor ceil round trunc clamp;
                number: add_scalar sub_scalar rsub_scalar mul_scalar pow_scalar rpow_scalar maximum_scalar minimum_scalar
                        remainder_scalar;
                logic: isnan isinf isfinite logical_not eq_scalar ne_scalar lt_scalar le_scalar gt_scalar ge_scalar;
            }
            // y = f(a, b) with broadcasting, after promotion. `*_grad(x or y, dy)` are the fused gradients of the functions above.
            binary {
                float: div atan2 pow hypot;
                same: add sub mul maximum minimum remainder floor_divide;
                logic: eq ne lt le gt ge logical_and logical_or logical_xor;
                grad: relu_grad sigmoid_grad tanh_grad gelu_grad gelu_tanh_grad silu_grad softplus_grad mish_grad elu_grad leaky_relu_grad
                      hardswish_grad hardsigmoid_grad clamp_grad;
            }
            // Another layout of the same storage; no command runs.
            views {
                dense (x) {} -> rules::dense(x)?;
                reshape (x) { dims: Dims } -> rules::reshape(x, dims)?;
                expand (x) { dims: Dims } -> rules::expand(x, dims)?;
                permute (x) { dims: Dims } -> rules::permute(x, dims)?;
                slice (x) { dim: i64, start: i64, len: i64, step: i64 } -> rules::slice(x, dim, start, len, step)?;
                select (x) { dim: i64, index: i64 } -> rules::select(x, dim, index)?;
                diagonal (x) { offset: i64, dim1: i64, dim2: i64 } -> rules::diagonal(x, offset, dim1, dim2)?;
            }
            kernels {
                // -- movement
                [strided] contiguous (x: In) {} -> (y: rules::like(x));
                [strided] cast (x: In) { dtype: i64 } -> (y: rules::with_dtype(x, dtype)?);
                [strided] concat (xs: List) { dim: i64 } -> (y: rules::concat(xs, dim)?);
                [] pad (x: In) { pads: Dims, value: f64 } -> (y: rules::pad(x, pads)?);
                [strided, promote(a, b)] where_ (condition: In, a: In, b: In) {} -> (y: rules::where_(condition, a, b)?);
                [] flip (x: In) { dims: Dims } -> (y: rules::flip(x, dims)?);
                [] roll (x: In) { shift: i64, dim: i64 } -> (y: rules::along(x, dim)?);
                [] tril (x: In) { diagonal: i64 } -> (y: rules::matrix(x)?);
                [] triu (x: In) { diagonal: i64 } -> (y: rules::matrix(x)?);
                [strided] assign (target: Mut, source: In) {} -> () check(rules::assign(target, source)?);
                [strided] fill (target: Mut) { value: f64 } -> ();

                // -- indexing: indices are int32 (or int64); negative ones and those past the end are late `Index` errors
                [fallible] index_select (x: In, index: In) { dim: i64 } -> (y: rules::index_select(x, index, dim)?);
                [fallible] index_select_grad (dy: In, index: In) { dim: i64, size: i64 } -> (dx: rules::index_select_grad(dy, index, dim, size)?)
                    scratch(cpu::index_select_grad_scratch(dy, dim, size));
                [fallible] gather (x: In, index: In) { dim: i64 } -> (y: rules::gather(x, index, dim)?);
                [fallible] scatter (x: In, index: In, source: In) { dim: i64 } -> (y: rules::scatter(x, index, source, dim)?);
                [fallible] scatter_add (x: In, index: In, source: In) { dim: i64 } -> (y: rules::scatter(x, index, source, dim)?);
                [fallible] one_hot (index: In) { classes: i64, dtype: i64 } -> (y: rules::one_hot(index, classes, dtype)?);
                // true at each row's first steps; a length outside of 0..=steps is a late `Index` error
                [fallible] sequence_mask (lengths: In) { steps: i64 } -> (y: rules::sequence_mask(lengths, steps)?);
                [fallible] embedding (weight: In, ids: In) {} -> (y: rules::embedding(weight, ids)?);
                [fallible] embedding_grad (dy: In, ids: In) { rows: i64, padding_idx: i64 } -> (dw: rules::embedding_grad(dy, ids, rows)?)
                    scratch(cpu::embedding_grad_scratch(dy, rows));
                // the same as the rows there are, at most as many as ids: row numbers ascending, then `rows`; and those rows of the gradient, then zeros
                [fallible] embedding_grad_rows (dy: In, ids: In) { rows: i64, padding_idx: i64 }
                    -> (indices: rules::embedding_grad_indices(ids, rows)?, values: rules::embedding_grad_values(dy, ids, rows)?)
                    scratch(cpu::embedding_grad_rows_scratch(ids));
                [] embedding_grad_dense (indices: In, values: In) { rows: i64 } -> (dw: rules::embedding_grad_dense(indices, values, rows)?);
                [] sort (x: In) { dim: i64, descending: bool } -> (values: rules::along(x, dim)?, indices: rules::indices_along(x, dim)?) scratch(cpu::sort_scratch(x, dim));
                [] topk (x: In) { k: i64, dim: i64, largest: bool } -> (values: rules::topk(x, k, dim)?, indices: rules::topk_indices(x, k, dim)?) scratch(cpu::sort_scratch(x, dim));
                [] nonzero_count (x: In) {} -> (count: rules::scalar(DType::I32));
                [] nonzero (x: In) { size: i64, fill: i64 } -> (indices: rules::nonzero(x, size)?);
                [] masked_select (x: In, mask: In) { size: i64, fill: f64 } -> (y: rules::masked_select(x, mask, size)?);
                [] unique_count (x: In) {} -> (count: rules::scalar(DType::I32)) scratch(cpu::unique_scratch(x));
                [] unique (x: In) { size: i64, fill: f64 } -> (values: rules::unique(x, size)?) scratch(cpu::unique_scratch(x));

                // -- creation
                [] full () { dims: Dims, dtype: i64, value: f64 } -> (y: rules::new(dims, dtype)?);
                [] arange () { len: i64, dtype: i64, start: f64, step: f64 } -> (y: rules::new(&[len], dtype)?);
                [] eye () { rows: i64, cols: i64, dtype: i64 } -> (y: rules::new(&[rows, cols], dtype)?);

                // -- random numbers: a generator is an int64 tensor [seed, counter]; `rng_next` hands out a key and raises the counter,
                //    and everything random is a pure function of its key (Philox: seed, counter, element)
                [] rng_next (state: Mut) {} -> (key: rules::rng_key(state)?);
                [fallible] uniform (key: In) { dims: Dims, dtype: i64, low: f64, high: f64 } -> (y: rules::random(key, dims, dtype)?);
                [] normal (key: In) { dims: Dims, dtype: i64, mean: f64, std: f64 } -> (y: rules::random(key, dims, dtype)?);
                [fallible] truncated_normal (key: In) { dims: Dims, dtype: i64, mean: f64, std: f64, low: f64, high: f64 } -> (y: rules::random(key, dims, dtype)?);
                [fallible] randint (key: In) { dims: Dims, dtype: i64, low: f64, high: f64 } -> (y: rules::random_integer(key, dims, dtype)?);
                [] permutation (key: In) { len: i64 } -> (y: rules::random_integer(key, &[len], DType::I32 as i64)?);
                [] dropout (x: In, key: In) { p: f64 } -> (y: rules::dropout(x, key, p)?);
                [] orthogonal (x: In) {} -> (y: rules::orthogonal(x)?) scratch(cpu::orthogonal_scratch(x));

                // -- reductions: `dims` empty means all
                [strided] sum (x: In) { dims: Dims, keepdim: bool } -> (y: rules::sum(x, dims, keepdim)?) scratch(cpu::reduce_scratch(x, dims));
                [strided] mean (x: In) { dims: Dims, keepdim: bool } -> (y: rules::mean(x, dims, keepdim)?) scratch(cpu::reduce_scratch(x, dims));
                [strided] prod (x: In) { dims: Dims, keepdim: bool } -> (y: rules::sum(x, dims, keepdim)?) scratch(cpu::reduce_scratch(x, dims));
                [strided] amax (x: In) { dims: Dims, keepdim: bool } -> (y: rules::extremum(x, dims, keepdim)?) scratch(cpu::reduce_scratch(x, dims));
                [strided] amin (x: In) { dims: Dims, keepdim: bool } -> (y: rules::extremum(x, dims, keepdim)?) scratch(cpu::reduce_scratch(x, dims));
                [strided] any (x: In) { dims: Dims, keepdim: bool } -> (y: rules::predicate(x, dims, keepdim)?) scratch(cpu::reduce_scratch(x, dims));
                [strided] all (x: In) { dims: Dims, keepdim: bool } -> (y: rules::predicate(x, dims, keepdim)?) scratch(cpu::reduce_scratch(x, dims));
                [strided] argmax (x: In) { dim: i64, keepdim: bool } -> (y: rules::arg_extremum(x, dim, keepdim)?);
                [strided] argmin (x: In) { dim: i64, keepdim: bool } -> (y: rules::arg_extremum(x, dim, keepdim)?);
                [] cumsum (x: In) { dim: i64 } -> (y: rules::cumulative(x, dim)?);
                [] cumprod (x: In) { dim: i64 } -> (y: rules::cumulative(x, dim)?);

                // -- products. `activation`: 0 none, 1 ReLU
                [strided, promote(a, b)] matmul (a: In, b: In) {} -> (y: rules::matmul(a, b)?) scratch(cpu::matmul_scratch(a, b));
                [strided] linear (x: In, weight: In, bias: Opt) { activation: i64 } -> (y: rules::linear(x, weight, bias)?) scratch(cpu::linear_scratch(x, weight));
                // x uint8, weight int8 [out, in], weight_scale and bias float32 [out]:
                // y = (sum of (x - x_zero_point) weight) * (x_scale * weight_scale) + bias
                [strided] quantized_linear (x: In, weight: In, weight_scale: In, bias: Opt) { x_scale: f64, x_zero_point: i64, activation: i64 }
                    -> (y: rules::quantized_linear(x, weight, weight_scale, bias, x_scale, x_zero_point)?)
                    scratch(cpu::quantized_linear_scratch(x, weight));

                // -- convolution, NHWC; weight [O, KH, KW, I / groups]; stride, dilation: [h, w]; padding: [top, bottom, left, right]
                [] conv2d (x: In, weight: In, bias: Opt) { stride: Dims, padding: Dims, dilation: Dims, groups: i64, activation: i64 }
                    -> (y: rules::conv2d(x, weight, bias, stride, padding, dilation, groups)?)
                    scratch(cpu::conv2d_scratch(x, weight, stride, padding, dilation, groups))
                    local(cpu::conv2d_local(x, weight, stride, padding, dilation, groups));
                // `partial`: dy may lack rows at the bottom and columns to the right, which count as zeros
                [] conv2d_input_grad (dy: In, weight: In) { height: i64, width: i64, stride: Dims, padding: Dims, dilation: Dims, groups: i64, partial: bool }
                    -> (dx: rules::conv2d_input_grad(dy, weight, height, width, stride, padding, dilation, groups, partial)?)
                    scratch(cpu::conv2d_input_grad_scratch(dy, weight, height, width, stride, padding, dilation, groups))
                    local(cpu::conv2d_input_grad_local(dy, weight, height, width, stride, padding, dilation, groups));
                [] conv2d_weight_grad (x: In, dy: In) { kernel: Dims, stride: Dims, padding: Dims, dilation: Dims, groups: i64, partial: bool }
                    -> (dw: rules::conv2d_weight_grad(x, dy, kernel, stride, padding, dilation, groups, partial)?)
                    scratch(cpu::conv2d_weight_grad_scratch(x, dy, kernel, stride, padding, dilation, groups))
                    local(cpu::conv2d_weight_grad_local(x, dy, kernel, stride, padding, dilation, groups));
                // followed by the maximum over windows side by side; `code` uint8: the maximum's place in its window, 255 where ReLU cut it off
                [] conv2d_pool (x: In, weight: In, bias: Opt) { stride: Dims, padding: Dims, dilation: Dims, groups: i64, activation: i64, pool: Dims }
                    -> (y: rules::conv2d_pool(x, weight, bias, stride, padding, dilation, groups, pool)?,
                        code: rules::pool_code(rules::conv2d_pool(x, weight, bias, stride, padding, dilation, groups, pool))?)
                    scratch(cpu::conv2d_pool_scratch(x, weight, stride, padding, dilation, groups, pool))
                    local(cpu::conv2d_pool_local(x, weight, stride, padding, dilation, groups, pool));
                [] pool_spread (dy: In, code: In) { pool: Dims } -> (dx: rules::pool_spread(dy, code, pool)?);
                [] pool_pick (x: In, code: In) { pool: Dims } -> (y: rules::pool_pick(x, code, pool)?);
                // -- pooling, NHWC; `index` is the flat position row * W + column in the input plane
                [] max_pool2d (x: In) { kernel: Dims, stride: Dims, padding: Dims, dilation: Dims, ceil: bool }
                    -> (y: rules::pool2d(x, kernel, stride, padding, dilation, ceil)?, index: rules::pool2d_index(x, kernel, stride, padding, dilation, ceil)?);
                [] max_pool2d_grad (dy: In, index: In) { height: i64, width: i64 } -> (dx: rules::max_pool2d_grad(dy, index, height, width)?)
                    scratch(cpu::max_pool2d_grad_scratch(dy, height, width));
                [] avg_pool2d (x: In) { kernel: Dims, stride: Dims, padding: Dims, ceil: bool, count_include_pad: bool }
                    -> (y: rules::pool2d(x, kernel, stride, padding, &[1, 1], ceil)?);
                [] avg_pool2d_grad (dy: In) { height: i64, width: i64, kernel: Dims, stride: Dims, padding: Dims, count_include_pad: bool }
                    -> (dx: rules::avg_pool2d_grad(dy, height, width)?);
                [] adaptive_avg_pool2d (x: In) { height: i64, width: i64 } -> (y: rules::adaptive_pool2d(x, height, width)?);
                [] adaptive_avg_pool2d_grad (dy: In) { height: i64, width: i64 } -> (dx: rules::avg_pool2d_grad(dy, height, width)?);
                [] adaptive_max_pool2d (x: In) { height: i64, width: i64 }
                    -> (y: rules::adaptive_pool2d(x, height, width)?, index: rules::adaptive_pool2d_index(x, height, width)?);

                // -- normalisation: statistics in float32 (float64 for float64); variance is the biased one
                // `activation`: 0 none, 1 ReLU, after the residual is added
                [] batch_norm (x: In, weight: Opt, bias: Opt, residual: Opt) { eps: f64, activation: i64 }
                    -> (y: rules::batch_norm(x, weight, bias, residual)?, mean: rules::channel_stats(x), variance: rules::channel_stats(x))
                    scratch(cpu::batch_norm_scratch(x));
                // by statistics that are given
                [] batch_norm_fixed (x: In, mean: In, variance: In, weight: Opt, bias: Opt, residual: Opt) { eps: f64, activation: i64 }
                    -> (y: rules::batch_norm_fixed(x, mean, variance, weight, bias, residual)?)
                    scratch(cpu::batch_norm_scratch(x));
                [] batch_norm_grad (dy: In, x: In, mean: In, variance: In, weight: Opt, bias: Opt) { eps: f64, activation: i64 }
                    -> (dx: rules::like(x), dweight: rules::channel_stats(x), dbias: rules::channel_stats(x))
                    scratch(cpu::batch_norm_scratch(x));
                // running += momentum * (batch - running), with the unbiased variance; momentum < 0: cumulative average; count += 1
                [] batch_norm_update (mean: In, variance: In, running_mean: Mut, running_variance: Mut, count: Mut) { samples: i64, momentum: f64 } -> ();
                // -- features that grow by channels (a dense block): one buffer [N, ..., C], and statistics [C] of each channel, computed once.
                //    `norm_relu_conv` reads the first channels, as many as its kernel [O, 1, 1, c] has. Its gradient adds to dx in place, and to
                //    `correction` [2, C] what of dx is linear in x, which `append_channels_grad` applies
                [] append_channels (buffer: Mut, mean: Mut, variance: Mut, x: In) { start: i64 } -> ()
                    scratch(cpu::append_channels_scratch(x)) check(rules::append_channels(buffer, mean, variance, x, start)?);
                [] append_channels_grad (dbuffer: In, x: In, mean: In, correction: In) { start: i64 }
                    -> (dx: rules::append_channels_grad(dbuffer, x, mean, correction, start)?);
                [] norm_relu_conv (x: In, mean: In, variance: In, weight: Opt, bias: Opt, kernel: In) { eps: f64 }
                    -> (y: rules::norm_relu_conv(x, mean, variance, weight, bias, kernel)?,
                        y_mean: rules::out_stats(x, kernel), y_variance: rules::out_stats(x, kernel))
                    scratch(cpu::norm_relu_conv_scratch(x, kernel)) local(cpu::norm_relu_conv_local(x, kernel));
                [] norm_relu_conv_grad (dy: In, y: In, y_mean: In, y_correction: In, x: In, mean: In, variance: In, weight: Opt, bias: Opt, kernel: In, dx: Mut, correction: Mut) { eps: f64 }
                    -> (dkernel: rules::norm_relu_conv_grad(dy, y, y_mean, y_correction, x, mean, variance, weight, bias, kernel, dx, correction)?,
                        dweight: rules::kernel_stats(x, kernel), dbias: rules::kernel_stats(x, kernel))
                    scratch(cpu::norm_relu_conv_grad_scratch(x, kernel)) local(cpu::norm_relu_conv_grad_local(x, kernel));
                // of all of x's channels; dx comes in two parts, the second of which `norm_relu_conv_grad` or `append_channels_grad` applies
                [] norm_relu_conv3x3 (x: In, mean: In, variance: In, weight: Opt, bias: Opt, kernel: In) { eps: f64 }
                    -> (y: rules::norm_relu_conv3x3(x, mean, variance, weight, bias, kernel)?)
                    scratch(cpu::norm_relu_conv3x3_scratch(x, kernel)) local(cpu::norm_relu_conv3x3_local(x, kernel));
                [] norm_relu_conv3x3_grad (dy: In, x: In, mean: In, variance: In, weight: Opt, bias: Opt, kernel: In) { eps: f64 }
                    -> (dx: rules::norm_relu_conv3x3_grad(dy, x, mean, variance, weight, bias, kernel)?, correction: rules::correction(x),
                        dkernel: rules::like(kernel), dweight: rules::channel_stats(x), dbias: rules::channel_stats(x))
                    scratch(cpu::norm_relu_conv3x3_grad_scratch(x, dy, kernel)) local(cpu::norm_relu_conv3x3_grad_local(x, dy, kernel));
                // and means over windows of 2 x 2, of all channels
                [] norm_relu_pool (x: In, mean: In, variance: In, weight: Opt, bias: Opt) { eps: f64 }
                    -> (y: rules::norm_relu_pool(x, mean, variance, weight, bias)?) scratch(cpu::norm_relu_pool_scratch(x));
                [] norm_relu_pool_grad (dy: In, x: In, mean: In, variance: In, weight: Opt, bias: Opt) { eps: f64 }
                    -> (dx: rules::norm_relu_pool_grad(dy, x, mean, variance, weight, bias)?, correction: rules::correction(x),
                        dweight: rules::channel_stats(x), dbias: rules::channel_stats(x))
                    scratch(cpu::norm_relu_pool_grad_scratch(x)) local(cpu::norm_relu_pool_grad_local(x));
                // over the last `dims` dimensions
                [] layer_norm (x: In, weight: Opt, bias: Opt) { dims: i64, eps: f64 }
                    -> (y: rules::layer_norm(x, weight, bias, dims)?, mean: rules::layer_stats(x, dims)?, rstd: rules::layer_stats(x, dims)?)
                    scratch(cpu::layer_norm_scratch(x, dims));
                [] layer_norm_grad (dy: In, x: In, mean: In, rstd: In, weight: Opt) { dims: i64 }
                    -> (dx: rules::like(x), dweight: rules::layer_params(x, dims)?, dbias: rules::layer_params(x, dims)?)
                    scratch(cpu::layer_norm_grad_scratch(x, dims));
                // over groups of the last (channel) dimension and all spatial ones; x [N, ..., C], stats [N, groups]
                [] group_norm (x: In, weight: Opt, bias: Opt) { groups: i64, eps: f64 }
                    -> (y: rules::group_norm(x, weight, bias, groups)?, mean: rules::group_stats(x, groups)?, rstd: rules::group_stats(x, groups)?)
                    scratch(cpu::group_norm_scratch(x));
                [] group_norm_grad (dy: In, x: In, mean: In, rstd: In, weight: Opt) { groups: i64 }
                    -> (dx: rules::like(x), dweight: rules::channel_stats(x), dbias: rules::channel_stats(x))
                    scratch(cpu::group_norm_grad_scratch(x, groups));

                // -- recurrent layers, one layer and one direction: x [N, T, I], weights [G H, I] and [G H, H], biases [G H].
                //    lengths int32 [N] (outputs behind them are 0; one outside of 0..=T is a late `Index` error); mask bool [N, T], false: the state is
                //    carried over; input_mask [N, I] multiplies x, recurrent_mask [N, H] h on its way into the product. `saved` and `cells` are for the
                //    gradient, empty without `keep`; dx is empty without `input_grad`
                [fallible] lstm (x: In, weight_ih: In, weight_hh: In, bias_ih: Opt, bias_hh: Opt, h0: Opt, c0: Opt, lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, keep: bool }
                    -> (output: rules::recurrent(4, x, weight_ih, weight_hh, [bias_ih, bias_hh], rules::Recurrence { h0, c0, lengths, mask, input_mask, recurrent_mask })?,
                        hidden: rules::recurrent_state(x, weight_hh)?, cell: rules::recurrent_state(x, weight_hh)?,
                        saved: rules::recurrent_steps(x, weight_hh, 4, keep)?, cells: rules::recurrent_steps(x, weight_hh, 1, keep)?)
                    scratch(cpu::recurrent_scratch(weight_ih, weight_hh, None)) local(cpu::recurrent_local(4, x, weight_hh));
                [fallible] lstm_grad (doutput: Opt, dhidden: Opt, dcell: Opt, x: In, weight_ih: In, weight_hh: In, output: In, saved: In, cells: In, h0: Opt, c0: Opt,
                        lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, input_grad: bool }
                    -> (dx: rules::recurrent_grad(4, x, weight_ih, weight_hh,
                            &[("output", Some(output), 1), ("saved", Some(saved), 4), ("cells", Some(cells), 1), ("doutput", doutput, 1)],
                            &[("dhidden", dhidden), ("dcell", dcell)], rules::Recurrence { h0, c0, lengths, mask, input_mask, recurrent_mask }, input_grad)?,
                        dweight_ih: rules::like(weight_ih), dweight_hh: rules::like(weight_hh), dbias: rules::recurrent_bias(weight_hh)?,
                        dh0: rules::recurrent_state(x, weight_hh)?, dc0: rules::recurrent_state(x, weight_hh)?)
                    scratch(cpu::recurrent_grad_scratch(4, x, weight_ih, weight_hh, None)) local(cpu::recurrent_grad_local(4, x, weight_hh));
                // ... with projections, peepholes or normalised sums; `bias` is that of both sums together. Gradients of what is not there are empty
                [fallible] lstm_variant (x: In, weight_ih: In, weight_hh: In, weight_hr: Opt, peephole: Opt, norm_ih: Opt, norm_hh: Opt, norm_c: Opt, bias_c: Opt, bias: Opt,
                        h0: Opt, c0: Opt, lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, keep: bool }
                    -> (output: rules::LstmVariant { weight_hr, peephole, norm_ih, norm_hh, norm_c, bias_c, bias }
                            .output(x, weight_ih, weight_hh, rules::Recurrence { h0, c0, lengths, mask, input_mask, recurrent_mask })?,
                        hidden: rules::recurrent_state(x, weight_hh)?, cell: rules::lstm_cell(x, weight_ih)?,
                        saved: rules::lstm_steps(x, weight_ih, rules::LstmVariant { weight_hr, peephole, norm_ih, norm_hh, norm_c, bias_c, bias }.saved(), keep)?,
                        cells: rules::lstm_steps(x, weight_ih, 1, keep)?)
                    scratch(cpu::recurrent_scratch(weight_ih, weight_hh, weight_hr)) local(cpu::recurrent_local(4, x, weight_hh));
                [fallible] lstm_variant_grad (doutput: Opt, dhidden: Opt, dcell: Opt, x: In, weight_ih: In, weight_hh: In, weight_hr: Opt,
                        peephole: Opt, norm_ih: Opt, norm_hh: Opt, norm_c: Opt, bias_c: Opt, output: In, saved: In, cells: In, h0: Opt, c0: Opt,
                        lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, input_grad: bool }
                    -> (dx: { let variant = rules::LstmVariant { weight_hr, peephole, norm_ih, norm_hh, norm_c, bias_c, bias: None };
                            variant.grad(x, weight_ih, weight_hh, [("output", Some(output)), ("doutput", doutput), ("dhidden", dhidden)],
                                [("saved", Some(saved), variant.saved()), ("cells", Some(cells), 1), ("dcell", dcell, 1)],
                                rules::Recurrence { h0, c0, lengths, mask, input_mask, recurrent_mask }, input_grad)? },
                        dweight_ih: rules::like(weight_ih), dweight_hh: rules::like(weight_hh), dweight_hr: rules::like_or_nothing(x.dtype, weight_hr)?,
                        dpeephole: rules::like_or_nothing(x.dtype, peephole)?, dnorm_ih: rules::like_or_nothing(x.dtype, norm_ih)?,
                        dnorm_hh: rules::like_or_nothing(x.dtype, norm_hh)?, dnorm_c: rules::like_or_nothing(x.dtype, norm_c)?,
                        dbias_c: rules::like_or_nothing(x.dtype, bias_c)?, dbias: rules::recurrent_bias(weight_hh)?,
                        dh0: rules::recurrent_state(x, weight_hh)?, dc0: rules::lstm_cell(x, weight_ih)?)
                    scratch(cpu::recurrent_grad_scratch(4, x, weight_ih, weight_hh, weight_hr)) local(cpu::recurrent_grad_local(4, x, weight_hh));
                [fallible] gru (x: In, weight_ih: In, weight_hh: In, bias_ih: Opt, bias_hh: Opt, h0: Opt, lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, before: bool, keep: bool }
                    -> (output: rules::recurrent(3, x, weight_ih, weight_hh, [bias_ih, bias_hh],
                            rules::Recurrence { h0, c0: None, lengths, mask, input_mask, recurrent_mask })?,
                        hidden: rules::recurrent_state(x, weight_hh)?, saved: rules::recurrent_steps(x, weight_hh, 4, keep)?)
                    scratch(cpu::recurrent_scratch(weight_ih, weight_hh, before.then_some(weight_hh))) local(cpu::recurrent_local(3, x, weight_hh));
                [fallible] gru_grad (doutput: Opt, dhidden: Opt, x: In, weight_ih: In, weight_hh: In, output: In, saved: In, h0: Opt,
                        lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, before: bool, input_grad: bool }
                    -> (dx: rules::recurrent_grad(3, x, weight_ih, weight_hh, &[("output", Some(output), 1), ("saved", Some(saved), 4), ("doutput", doutput, 1)],
                            &[("dhidden", dhidden)], rules::Recurrence { h0, c0: None, lengths, mask, input_mask, recurrent_mask }, input_grad)?,
                        dweight_ih: rules::like(weight_ih), dweight_hh: rules::like(weight_hh),
                        dbias_ih: rules::recurrent_bias(weight_hh)?, dbias_hh: rules::recurrent_bias(weight_hh)?, dh0: rules::recurrent_state(x, weight_hh)?)
                    scratch(cpu::recurrent_grad_scratch(3, x, weight_ih, weight_hh, before.then_some(weight_hh))) local(cpu::recurrent_grad_local(3, x, weight_hh));
                [fallible] rnn (x: In, weight_ih: In, weight_hh: In, bias_ih: Opt, bias_hh: Opt, h0: Opt, lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, relu: bool }
                    -> (output: rules::recurrent(1, x, weight_ih, weight_hh, [bias_ih, bias_hh],
                            rules::Recurrence { h0, c0: None, lengths, mask, input_mask, recurrent_mask })?,
                        hidden: rules::recurrent_state(x, weight_hh)?)
                    scratch(cpu::recurrent_scratch(weight_ih, weight_hh, None)) local(cpu::recurrent_local(1, x, weight_hh));
                [fallible] rnn_grad (doutput: Opt, dhidden: Opt, x: In, weight_ih: In, weight_hh: In, output: In, h0: Opt,
                        lengths: Opt, mask: Opt, input_mask: Opt, recurrent_mask: Opt)
                    { reverse: bool, relu: bool, input_grad: bool }
                    -> (dx: rules::recurrent_grad(1, x, weight_ih, weight_hh, &[("output", Some(output), 1), ("doutput", doutput, 1)],
                            &[("dhidden", dhidden)], rules::Recurrence { h0, c0: None, lengths, mask, input_mask, recurrent_mask }, input_grad)?,
                        dweight_ih: rules::like(weight_ih), dweight_hh: rules::like(weight_hh), dbias: rules::recurrent_bias(weight_hh)?,
                        dh0: rules::recurrent_state(x, weight_hh)?)
                    scratch(cpu::recurrent_grad_scratch(1, x, weight_ih, weight_hh, None)) local(cpu::recurrent_grad_local(1, x, weight_hh));

                // -- softmax and cross-entropy
                [] softmax (x: In) { dim: i64 } -> (y: rules::float_along(x, dim)?);
                [] softmax_grad (y: In, dy: In) { dim: i64 } -> (dx: rules::grad_along(y, dy, dim)?);
                [] log_softmax (x: In) { dim: i64 } -> (y: rules::float_along(x, dim)?);
                [] log_softmax_grad (y: In, dy: In) { dim: i64 } -> (dx: rules::grad_along(y, dy, dim)?);
                // logits [N, C], labels int32 [N]; loss and weight a row (0 where the label is `ignore_index`); a label outside 0..C is a late `Index` error
                [fallible] cross_entropy (logits: In, labels: In, class_weight: Opt) { ignore_index: i64, smoothing: f64 }
                    -> (loss: rules::cross_entropy(logits, labels, class_weight)?, lse: rules::row_stats(logits), weight: rules::row_stats(logits));
                [fallible] cross_entropy_grad (dloss: In, logits: In, labels: In, lse: In, class_weight: Opt) { ignore_index: i64, smoothing: f64 }
                    -> (dlogits: rules::like(logits));

                // log_probs [N, T, C], targets int32 [N, S], lengths int32 [N] (all steps, all labels where left out); a label that is the blank or no class, and
                // a length out of range, are late `Index` errors. dlog_probs is the loss' gradient, empty without `keep`
                [fallible] ctc_loss (log_probs: In, targets: In, input_lengths: Opt, target_lengths: Opt) { blank: i64, zero_infinity: bool, keep: bool }
                    -> (loss: rules::ctc_loss(log_probs, targets, input_lengths, target_lengths, blank)?, dlog_probs: rules::ctc_loss_kept(log_probs, keep)?)
                    local(cpu::ctc_loss_local(log_probs, targets, keep));

                // the labels that log_probs spell, -1 behind them, their number, and the log of their probability; `beam` 0: of the best path
                [fallible] ctc_decode (log_probs: In, input_lengths: Opt) { blank: i64, beam: i64 }
                    -> (labels: rules::ctc_decode(log_probs, input_lengths, blank, beam)?, lengths: rules::ctc_counts(log_probs), scores: rules::row_stats(log_probs))
                    local(cpu::ctc_decode_local(log_probs, beam));

                // -- optimizers, many tensors a command, in place. `hyper` is a float64 vector (read when run, so that a captured step follows
                //    a schedule); `scale` multiplies every gradient (clipping), and carries the poison of all gradients; `step` int64 [1] is raised by one.
                //    Float parameters of any dtype; states have the parameter's dtype. A gradient may be the `values` of embedding_grad_rows, whose `indices`
                //    stand in `rows`, in the order of the gradients: the others are zeros.
                // hyper: lr, weight_decay (L2), l1, momentum, dampening
                [] sgd (grads: List, rows: List, scale: Opt, hyper: In, params: MutList, momentum: MutList, step: Mut) { nesterov: bool, maximize: bool } -> ();
                // hyper: lr, weight_decay, l1, beta1, beta2, eps
                [] adam (grads: List, rows: List, scale: Opt, hyper: In, params: MutList, exp_avg: MutList, exp_avg_sq: MutList, max_exp_avg_sq: MutList, step: Mut)
                    { decoupled: bool, amsgrad: bool, maximize: bool } -> ();
                // hyper: lr, weight_decay, l1, alpha, eps, momentum
                [] rmsprop (grads: List, rows: List, scale: Opt, hyper: In, params: MutList, square_avg: MutList, grad_avg: MutList, momentum: MutList, step: Mut)
                    { centered: bool, maximize: bool } -> ();
                // hyper: lr, weight_decay, l1, lr_decay, eps
                [] adagrad (grads: List, rows: List, scale: Opt, hyper: In, params: MutList, sum: MutList, step: Mut) { maximize: bool } -> ();
                // the p-norm of all elements of all tensors (p may be Infinity), float32, or float64 if any is
                [fallible] grad_norm (xs: List) { p: f64 } -> (norm: rules::grad_norm(xs)?) scratch(cpu::grad_norm_scratch(xs));
                // min(1, max / (norm + 1e-6))
                [] clip_coefficient (norm: In) { max: f64 } -> (scale: rules::like(norm));
                // 1; poisoned if any of `xs` is
                [] guard (xs: List) {} -> (one: rules::scalar(DType::F32));

                // -- images [N, H, W, C], uint8 or float: horizontal flip (even odds), crop from `pad` pixels of zeros, a `cutout` square of zeros,
                //    and factors drawn from [1 - j, 1 + j] for brightness, contrast, saturation; each image its own draw
                [] augment (images: In, key: In) { flip: bool, pad: i64, cutout: i64, brightness: f64, contrast: f64, saturation: f64 }
                    -> (y: rules::images(images, key)?);
                // bilinear, pixel centres aligned (PyTorch's align_corners = false, no antialiasing)
                [] resize (images: In) { height: i64, width: i64 } -> (y: rules::resize(images, height, width)?);
            }
        }
    };
}

pub(crate) use op_table;
