//! y = relu((x - mean) / sqrt(variance + eps) * weight + bias) convolved with a 3x3 kernel, zeros around: the second half of a dense layer.
//!
//! Where Winograd's tiles pay, x is normalised on its way into them, forward and again for the gradients, and the gradient of x goes back through the
//! ReLU on its way out of them. Elsewhere what is normalised is a tensor in the scratch.
#[cfg(test)]
mod tests;

use crate::affine::{Coefficients, Then, affine};
use crate::channels::{Param, Size, set_stats, stat};
use crate::conv2d::geometry::{Geometry, Room};
use crate::conv2d::{
    conv2d, conv2d_input_grad, conv2d_input_grad_local, conv2d_input_grad_scratch, conv2d_local, conv2d_scratch, conv2d_weight_grad,
    conv2d_weight_grad_local, conv2d_weight_grad_scratch, winograd,
};
use crate::norm_relu_conv::Norm;
use ferrograd_tensor::{Cx, DType, Element, Float, Meta, Result, SyncPtr, View, ViewMut, with_float};

const ONE: [i64; 2] = [1; 2];
const AROUND: [i64; 4] = [1; 4];

fn geometry(x: &Meta, kernel: &Meta) -> Geometry {
    Geometry::forward(x, kernel, &ONE, &AROUND, &ONE, 1)
}

/// True where the tiles normalise.
fn tiled(dtype: DType, g: &Geometry) -> bool {
    dtype == DType::F32 && winograd::pays(g)
}

fn up(bytes: usize) -> usize {
    bytes.next_multiple_of(64)
}

/// Bytes of the coefficients, and of what is normalised where that is a tensor.
fn normalised_len(x: &Meta, g: &Geometry) -> usize {
    if tiled(x.dtype, g) { up(4 * 3 * g.c) } else { up(8 * Coefficients::<f64>::len(Size::flat(x))) + up(x.numel() * x.dtype.size()) }
}

/// Bytes that [`norm_relu_conv3x3`] wants.
pub fn norm_relu_conv3x3_scratch(x: &Meta, kernel: &Meta) -> usize {
    let g = geometry(x, kernel);
    let own = if tiled(x.dtype, &g) { 4 * winograd::forward_room(&g).shared } else { conv2d_scratch(x, kernel, &ONE, &AROUND, &ONE, 1) };
    normalised_len(x, &g) + own
}

/// Bytes for each thread that [`norm_relu_conv3x3`] wants.
pub fn norm_relu_conv3x3_local(x: &Meta, kernel: &Meta) -> usize {
    let g = geometry(x, kernel);
    if tiled(x.dtype, &g) { 4 * winograd::forward_room(&g).local } else { conv2d_local(x, kernel, &ONE, &AROUND, &ONE, 1) }
}

/// Parts of x's gradient that are summed on their own: blocks of tiles, or images.
fn parts(dtype: DType, g: &Geometry) -> usize {
    if tiled(dtype, g) { winograd::input_grad_blocks(g) } else { g.n }
}

/// What the two gradients want of the tiles.
fn gradients_room(g: &Geometry) -> Room {
    let (weight, input) = (winograd::weight_grad_room(g), winograd::input_grad_room(g));
    Room { shared: weight.shared.max(input.shared), local: weight.local.max(input.local) }
}

/// Bytes that [`norm_relu_conv3x3_grad`] wants.
pub fn norm_relu_conv3x3_grad_scratch(x: &Meta, dy: &Meta, kernel: &Meta) -> usize {
    let g = geometry(x, kernel);
    let own = if tiled(x.dtype, &g) {
        4 * gradients_room(&g).shared
    } else {
        let input = conv2d_input_grad_scratch(dy, kernel, g.h as i64, g.w as i64, &ONE, &AROUND, &ONE, 1);
        input.max(conv2d_weight_grad_scratch(x, dy, &[3, 3], &ONE, &AROUND, &ONE, 1))
    };
    normalised_len(x, &g) + up(8 * parts(x.dtype, &g) * 2 * g.c) + own
}

/// Bytes for each thread that [`norm_relu_conv3x3_grad`] wants.
pub fn norm_relu_conv3x3_grad_local(x: &Meta, dy: &Meta, kernel: &Meta) -> usize {
    let g = geometry(x, kernel);
    if tiled(x.dtype, &g) {
        return 4 * gradients_room(&g).local;
    }
    let input = conv2d_input_grad_local(dy, kernel, g.h as i64, g.w as i64, &ONE, &AROUND, &ONE, 1);
    input.max(conv2d_weight_grad_local(x, dy, &[3, 3], &ONE, &AROUND, &ONE, 1))
}

/// x [N, H, W, C], mean, variance, weight and bias [C], kernel [O, 3, 3, C] -> y [N, H, W, O].
pub fn norm_relu_conv3x3(
    cx: &mut Cx,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    kernel: &View,
    eps: f64,
    y: &mut ViewMut,
) -> Result {
    let g = geometry(x.meta(), kernel.meta());
    let norm = Norm { mean, variance, weight: Param::new(weight, 1.0), bias: Param::new(bias, 0.0), eps };
    if y.numel() == 0 {
        return Ok(());
    }
    if tiled(x.dtype(), &g) {
        let (c, mut cx) = coefficients::<f32>(cx, &norm, g.c);
        let y = SyncPtr(y.slice_mut::<f32>().as_mut_ptr());
        winograd::forward_normal(&mut cx, &g, x.slice(), c, kernel.slice(), y);
        return Ok(());
    }
    with_float!(x.dtype(), T => {
        let (active, mut cx) = cx.split_scratch::<T>(x.numel());
        normalise(&mut cx, x, &norm, active);
        conv2d(&mut cx, &View::of(active, x.dims()), kernel, None, &ONE, &AROUND, &ONE, 1, 0, y)
    })
}

/// [mean, scale, bias] by channel.
fn coefficients<'a, A: Float>(cx: &'a mut Cx, norm: &Norm, channels: usize) -> ([&'a [A]; 3], Cx<'a>) {
    let (all, cx) = cx.split_scratch::<A>(3 * channels);
    norm.coefficients(channels, all);
    let all: &[A] = all;
    (std::array::from_fn(|i| &all[i * channels..][..channels]), cx)
}

/// to = relu((x - mean) / sqrt(variance + eps) * weight + bias).
fn normalise<T: Float>(cx: &mut Cx, x: &View, norm: &Norm, to: &mut [T]) {
    let size = Size::flat(x.meta());
    let (all, cx) = cx.split_scratch::<T::Acc>(Coefficients::<T::Acc>::len(size));
    let mut c = Coefficients { size, all };
    for k in 0..size.channels {
        c.set(0, k, [stat(norm.mean, k), norm.scale(k), norm.bias.at(k), 0.0, 0.0, 0.0]);
    }
    affine(&cx, x.slice::<T>(), &c, Then { residual: None, relu: true }, to);
}

/// With z the normalised x and g the gradient of max(0, z) where z is above 0, dx comes in two parts, as `norm_relu_conv_grad` takes it: dx = weight /
/// sqrt(variance + eps) * g, to which correction[0] + correction[1] * (x - mean) [2, C] is still to be added. dkernel, dweight = sum of g * (x - mean) /
/// sqrt(variance + eps), dbias = sum of g.
pub fn norm_relu_conv3x3_grad(
    cx: &mut Cx,
    dy: &View,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    kernel: &View,
    eps: f64,
    dx: &mut ViewMut,
    correction: &mut ViewMut,
    dkernel: &mut ViewMut,
    dweight: &mut ViewMut,
    dbias: &mut ViewMut,
) -> Result {
    let g = geometry(x.meta(), kernel.meta());
    let norm = Norm { mean, variance, weight: Param::new(weight, 1.0), bias: Param::new(bias, 0.0), eps };
    // [part, 2, channel]
    let (sums, mut cx) = cx.split_scratch::<f64>(parts(x.dtype(), &g) * 2 * g.c);
    if tiled(x.dtype(), &g) {
        let (c, mut cx) = coefficients::<f32>(&mut cx, &norm, g.c);
        let (x, dy) = (x.slice::<f32>(), dy.slice());
        winograd::weight_grad(&mut cx, &g, x, Some(c), dy, SyncPtr(dkernel.slice_mut().as_mut_ptr()));
        let dx = SyncPtr(dx.slice_mut().as_mut_ptr());
        winograd::input_grad_back(&mut cx, &g, dy, kernel.slice(), x, c, dx, sums);
    } else {
        with_float!(x.dtype(), T => {
            let (active, mut cx) = cx.split_scratch::<T>(x.numel());
            normalise(&mut cx, x, &norm, active);
            let active = View::of(active, x.dims());
            conv2d_weight_grad(&mut cx, &active, dy, &[3, 3], &ONE, &AROUND, &ONE, 1, true, dkernel)?;
            conv2d_input_grad(&mut cx, dy, kernel, g.h as i64, g.w as i64, &ONE, &AROUND, &ONE, 1, true, dx)?;
            let (c, cx) = coefficients::<<T as Float>::Acc>(&mut cx, &norm, g.c);
            let (x, plane) = (x.slice::<T>(), g.h * g.w * g.c);
            let to = SyncPtr(sums.as_mut_ptr());
            cx.par_chunks_mut(dx.slice_mut::<T>(), plane, |at, dx| {
                // SAFETY: each image has its own sums.
                let sums = unsafe { std::slice::from_raw_parts_mut(to.get().add(at / plane * 2 * g.c), 2 * g.c) };
                back(&x[at..][..plane], dx, c, sums);
            });
            Ok(())
        })?;
    }
    let (all, rest) = sums.split_at_mut(2 * g.c);
    for part in rest.chunks_exact(2 * g.c) {
        all.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
    }
    let of = |k: usize| norm.gradients(k, (g.n * g.h * g.w) as f64, [all[k], all[g.c + k]]);
    set_stats(correction, |i| of(i % g.c).1[i / g.c]);
    set_stats(dbias, |k| of(k).0[0]);
    set_stats(dweight, |k| of(k).0[1]);
    Ok(())
}

/// Back through the ReLU and the scale of the normalisation: with g = dx where (x - c0) * c1 + c2 is above 0 (NaN passes), else 0: dx = c1 * g, sums [2,
/// channels] of g and of g * (x - c0).
fn back<T: Float>(x: &[T], dx: &mut [T], c: [&[T::Acc]; 3], sums: &mut [f64]) {
    let (channels, zero) = (c[0].len(), T::default().acc());
    sums.fill(0.0);
    for (i, (dx, x)) in dx.iter_mut().zip(x).enumerate() {
        let k = i % channels;
        let centred = x.acc() - c[0][k];
        let g = if centred * c[1][k] + c[2][k] <= zero { zero } else { dx.acc() };
        *dx = T::from_acc(c[1][k] * g);
        sums[k] += g.to_f64();
        sums[channels + k] += (g * centred).to_f64();
    }
}
