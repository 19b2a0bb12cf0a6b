//! y = relu((x - mean) / sqrt(variance + eps) * weight + bias) kernel^T over the first channels of x: the normalisation, ReLU and 1x1 convolution
//! of a dense layer, which reads the channels that there are so far of a buffer with room for more. With y come the mean and variance of its channels,
//! for the normalisation that follows.
//!
//! What is normalised lives in a block of rows that a second-level cache holds, and never reaches memory; the gradient computes it again.
mod grad;
mod product;
mod rows;
#[cfg(test)]
mod tests;

pub use grad::{norm_relu_conv_grad, norm_relu_conv_grad_local, norm_relu_conv_grad_scratch};

pub(crate) use rows::normal;

use crate::channels::{Param, set_stats, stat};
use crate::gemm::{Mat, Next};
use ferrograd_simd::{Kernel, Scalar, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Float, Meta, Result, SyncPtr, View, ViewMut, with_float};
use product::Product;
use rows::{Moments, Normalise};
use std::ops::Range;

/// Elements normalised at a time: 256 KiB of float32, a quarter of an L2 of 1 MiB, in which also lie the block's rows of x and the next ones.
const BLOCK: usize = 1 << 16;
/// Blocks are shared out among as many chunks, two for each of sixteen nominal threads. A chunk goes on from block to block.
const CHUNKS: usize = 32;

/// x [rows, width], of which the first `channels` are read, and kernel [out, channels].
#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    width: usize,
    channels: usize,
    out: usize,
    /// Elements normalised at a time.
    elements: usize,
}

impl Sizes {
    fn new(x: &Meta, kernel: &Meta, elements: usize) -> Sizes {
        let (width, lead) = x.dims().split_last().map_or((1, &[][..]), |(&last, lead)| (last, lead));
        let sides = kernel.dims();
        let (channels, out) = (sides.last().copied().unwrap_or(0), sides.first().copied().unwrap_or(0));
        Sizes { rows: lead.iter().product(), width, channels, out, elements }
    }
    /// Rows of a block.
    fn block(&self) -> usize {
        (self.elements / self.channels.max(1)).clamp(16, 512)
    }
    fn blocks(&self) -> usize {
        self.rows.div_ceil(self.block())
    }
    /// First row and number of rows of block `i`.
    fn rows_of(&self, i: usize) -> (usize, usize) {
        (i * self.block(), self.block().min(self.rows - i * self.block()))
    }
    /// Blocks of a chunk.
    fn together(&self) -> usize {
        self.blocks().div_ceil(CHUNKS).max(1)
    }
    /// How many chunks of blocks there are.
    fn chunks(&self) -> usize {
        self.blocks().div_ceil(self.together())
    }
    fn blocks_of(&self, chunk: usize) -> Range<usize> {
        chunk * self.together()..self.blocks().min((chunk + 1) * self.together())
    }
    fn rows_of_chunk(&self, chunk: usize) -> Range<usize> {
        let blocks = self.blocks_of(chunk);
        blocks.start * self.block()..self.rows.min(blocks.end * self.block())
    }
    /// Rows of a whole block, and of the last one.
    fn heights(&self) -> [usize; 2] {
        [self.block().min(self.rows), self.rows % self.block()]
    }
}

/// Bytes of a number in which `dtype` computes.
fn wide(dtype: DType) -> usize {
    if dtype == DType::F64 { 8 } else { 4 }
}

/// Bytes that [`norm_relu_conv`] wants.
pub fn norm_relu_conv_scratch(x: &Meta, kernel: &Meta) -> usize {
    let s = Sizes::new(x, kernel, BLOCK);
    (wide(x.dtype) * Shared::<f32>::len(&s)).next_multiple_of(64) + 8 * s.chunks() * 2 * s.out
}

/// Bytes for each thread that [`norm_relu_conv`] wants.
pub fn norm_relu_conv_local(x: &Meta, kernel: &Meta) -> usize {
    let sizes = Sizes::new(x, kernel, BLOCK);
    wide(x.dtype) * forward_room(&sizes).iter().sum::<usize>()
}

/// Elements of a task: what is normalised, its product, what that product wants.
fn forward_room(s: &Sizes) -> [usize; 3] {
    let (rows, c) = (s.block(), s.channels);
    let room = s.heights().map(|m| product::room(m, s.out, c, (c as isize, 1), (1, c as isize)));
    [(rows * c).next_multiple_of(16), (rows * s.out).next_multiple_of(16), room[0].max(room[1])]
}

/// x [..., C], mean and variance of at least as many channels as kernel [O, 1, 1, c] has, weight and bias [c] -> y [..., O], its mean and
/// (biased) variance [O].
pub fn norm_relu_conv(
    cx: &mut Cx,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    kernel: &View,
    eps: f64,
    y: &mut ViewMut,
    y_mean: &mut ViewMut,
    y_variance: &mut ViewMut,
) -> Result {
    let sizes = Sizes::new(x.meta(), kernel.meta(), BLOCK);
    if y.numel() == 0 {
        return Ok(());
    }
    let norm = Norm { mean, variance, weight: Param::new(weight, 1.0), bias: Param::new(bias, 0.0), eps };
    with_float!(x.dtype(), T => {
        let (shared, mut cx) = Shared::<T>::new(cx, sizes, &norm, kernel.slice());
        let (moments, mut cx) = cx.split_scratch::<f64>(sizes.chunks() * 2 * sizes.out);
        forward(&mut cx, &shared, x.slice(), y.slice_mut(), moments);
        let y = y.slice_mut::<T>();
        let of = |o: usize| joined(&sizes, y, moments, o);
        set_stats(y_mean, |o| of(o).0);
        set_stats(y_variance, |o| of(o).1);
        Ok(())
    })
}

/// Mean and variance of channel `o` of y out of its chunks' [sum, sum of squares] of y - (y's first row in the chunk), joined in order (Chan et al. 1979).
fn joined<T: Element>(s: &Sizes, y: &[T], moments: &[f64], o: usize) -> (f64, f64) {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for chunk in 0..s.chunks() {
        let rows = s.rows_of_chunk(chunk);
        let (first, count) = (y[rows.start * s.out + o].to_f64(), rows.len() as f64);
        let [sum, square] = [0, 1].map(|kind| moments[(2 * chunk + kind) * s.out + o]);
        let away = first + sum / count - mean;
        squares += (square - sum * (sum / count)).max(0.0) + away * away * n * count / (n + count);
        n += count;
        mean += away * count / n;
    }
    // NaN got lost in the max above.
    (mean, if mean.is_nan() { f64::NAN } else { squares / n })
}

/// What a channel is normalised by.
pub(crate) struct Norm<'a> {
    pub mean: &'a View<'a>,
    pub variance: &'a View<'a>,
    pub weight: Param<'a>,
    pub bias: Param<'a>,
    pub eps: f64,
}

impl Norm<'_> {
    pub fn rstd(&self, channel: usize) -> f64 {
        1.0 / (stat(self.variance, channel) + self.eps).sqrt()
    }
    pub fn scale(&self, channel: usize) -> f64 {
        self.weight.at(channel) * self.rstd(channel)
    }
    /// What normalises `channels` channels, [3, channels]: (x - c0) * c1 + c2.
    pub fn coefficients<A: Element>(&self, channels: usize, to: &mut [A]) {
        for k in 0..channels {
            let values = [stat(self.mean, k), self.scale(k), self.bias.at(k)];
            for (i, v) in values.into_iter().enumerate() {
                to[i * channels + k] = A::from_f64(v);
            }
        }
    }
    /// Out of the sums of g and of g * (x - mean) over `n` rows, g being the gradient of the normalised channel: the gradients of bias and weight, and
    /// what of x's is linear in x, a number and another times x - mean.
    pub fn gradients(&self, channel: usize, n: f64, [sum, product]: [f64; 2]) -> ([f64; 2], [f64; 2]) {
        let (scale, rstd) = (self.scale(channel), self.rstd(channel));
        ([sum, product * rstd], [sum, product * rstd * rstd].map(|v| -scale * v / n))
    }
}

/// What all tasks read: x is normalised as (x - c0) * c1 + c2.
struct Shared<'a, T: Float> {
    sizes: Sizes,
    c: [&'a [T::Acc]; 3],
    /// [out, channels].
    kernel: &'a [T::Acc],
}

impl<'a, T: Float> Shared<'a, T> {
    fn len(sizes: &Sizes) -> usize {
        (3 * sizes.channels).next_multiple_of(16) + sizes.out * sizes.channels
    }
    fn new(cx: &'a mut Cx, sizes: Sizes, norm: &Norm, kernel: &[T]) -> (Shared<'a, T>, Cx<'a>) {
        let channels = sizes.channels;
        let (all, cx) = cx.split_scratch::<T::Acc>(Self::len(&sizes));
        let (coefficients, wide) = all.split_at_mut((3 * channels).next_multiple_of(16));
        norm.coefficients(channels, coefficients);
        for (to, &from) in wide.iter_mut().zip(kernel) {
            *to = from.acc();
        }
        let c = std::array::from_fn(|i| &coefficients[i * channels..][..channels]);
        (Shared { sizes, c, kernel: wide }, cx)
    }
    /// The rows from `first` on, normalised and cut off below 0, into `to` [rows, channels]; what comes of them will go to `results`.
    fn normalise(&self, x: &[T], first: usize, to: &mut [T::Acc], results: *mut T) {
        let Sizes { width, out, .. } = self.sizes;
        let run = Normalise { x: &x[first * width..], width, c: self.c, to, results, out };
        if T::DTYPE == DType::F32 { vectorize(run) } else { run.run(Scalar) }
    }
}

/// Fills y, and `moments` [chunk, 2, out].
fn forward<T: Float>(cx: &mut Cx, shared: &Shared<T>, x: &[T], y: &mut [T], moments: &mut [f64])
where
    T::Acc: Product,
{
    let sizes = shared.sizes;
    let Sizes { channels, out, width, .. } = sizes;
    let [active_len, product_len, room] = forward_room(&sizes);
    let (to, moments) = (SyncPtr(y.as_mut_ptr()), SyncPtr(moments.as_mut_ptr()));
    cx.par_local::<T::Acc>(sizes.chunks(), active_len + product_len + room, |chunk, local| {
        let (active, rest) = local.split_at_mut(active_len);
        let (product, room) = rest.split_at_mut(product_len);
        // SAFETY: each chunk has its own.
        let sums = unsafe { std::slice::from_raw_parts_mut(moments.get().add(chunk * 2 * out), 2 * out) };
        sums.fill(0.0);
        let start = sizes.rows_of_chunk(chunk).start * out;
        for i in sizes.blocks_of(chunk) {
            let (first, rows) = sizes.rows_of(i);
            shared.normalise(x, first, &mut active[..rows * channels], to.get().wrapping_add(first * out));
            let after = (first + rows) * width;
            let more = i + 1 < sizes.blocks_of(chunk).end;
            let next = if more { Next::of([&x[after..x.len().min(after + rows * width)], &[]], width, channels) } else { Next::NOTHING };
            // SAFETY: the rows of the block, in y as in the operands; each block is one task's.
            unsafe {
                let y = to.get().add(first * out);
                // float32 and float64 are what they compute in.
                let direct = T::DTYPE == T::Acc::DTYPE;
                let c = if direct { y.cast() } else { product.as_mut_ptr() };
                let a = Mat { ptr: active.as_ptr(), rs: channels as isize, cs: 1 };
                let b = Mat { ptr: shared.kernel.as_ptr(), rs: 1, cs: channels as isize };
                product::run([rows, out, channels], a, b, c, next, room);
                if !direct {
                    for (i, &v) in product[..rows * out].iter().enumerate() {
                        *y.add(i) = T::from_acc(v);
                    }
                }
                let (y, shift) = (std::slice::from_raw_parts(y, rows * out), std::slice::from_raw_parts(to.get().add(start), out));
                let run = Moments { y, shift, sums: &mut *sums };
                if T::DTYPE == DType::F32 { vectorize(run) } else { run.run(Scalar) }
            }
        }
    });
}
