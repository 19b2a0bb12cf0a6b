//! The maximum of each window with its position, and the gradient that goes there.
use super::window::Axis;
use super::{BLOCK, rows_of_task};
use crate::gemm::narrow;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Error, Float, Meta, Result, SyncPtr, View, ViewMut, bf16, f16, with_float};
use std::sync::atomic::{AtomicBool, Ordering};

/// y [N, OH, OW, C] = the maximum over each window of x [N, H, W, C]; `index` int32: row * W + column of it in the input plane
/// (-1 where a window holds padding alone).
pub fn max_pool2d(
    cx: &mut Cx,
    x: &View,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    _ceil: bool,
    y: &mut ViewMut,
    index: &mut ViewMut,
) -> Result {
    let axes = Axis::sliding(plane(x.dims()), plane(y.dims()), kernel, stride, padding, dilation);
    pool(cx, x, axes, y, index)
}

/// The maximum over windows that share the input out evenly: PyTorch's `adaptive_max_pool2d`. Its gradient is [`max_pool2d_grad`].
pub fn adaptive_max_pool2d(cx: &mut Cx, x: &View, height: i64, width: i64, y: &mut ViewMut, index: &mut ViewMut) -> Result {
    pool(cx, x, Axis::adaptive(plane(x.dims()), [height as usize, width as usize]), y, index)
}

pub(super) fn plane(dims: &[usize]) -> [usize; 2] {
    [dims[1], dims[2]]
}

fn pool(cx: &mut Cx, x: &View, axes: [Axis; 2], y: &mut ViewMut, index: &mut ViewMut) -> Result {
    with_float!(x.dtype(), T => {
        let (rows, c) = (y.dims()[0] * axes[0].out, x.dims()[3]);
        let row = axes[1].out * c;
        if rows * row == 0 {
            return Ok(());
        }
        let (x, y, index) = (x.slice::<T>(), SyncPtr(y.slice_mut::<T>().as_mut_ptr()), SyncPtr(index.slice_mut::<i32>().as_mut_ptr()));
        cx.par_ranges(rows, rows_of_task(row), |rows| {
            for r in rows {
                // SAFETY: each row of outputs has one owner.
                let y = unsafe { std::slice::from_raw_parts_mut(y.get().add(r * row), row) };
                // SAFETY: as above.
                let index = unsafe { std::slice::from_raw_parts_mut(index.get().add(r * row), row) };
                vectorize(Row { x, axes, c, row: r, y, index });
            }
        });
        Ok(())
    })
}

struct Row<'a, T> {
    x: &'a [T],
    axes: [Axis; 2],
    c: usize,
    row: usize,
    y: &'a mut [T],
    index: &'a mut [i32],
}

impl<T: Float> Kernel for Row<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [rows, cols] = self.axes;
        let (image, oy) = (self.row / rows.out, self.row % rows.out);
        let base = image * rows.len * cols.len;
        let high = rows.window(oy);
        for (ox, (y, index)) in self.y.chunks_exact_mut(self.c).zip(self.index.chunks_exact_mut(self.c)).enumerate() {
            let wide = cols.window(ox);
            for (block, (y, index)) in y.chunks_mut(BLOCK).zip(index.chunks_mut(BLOCK)).enumerate() {
                let len = y.len();
                // Minus infinity at no place, for windows of padding alone; the first element is taken whatever it is.
                let (mut best, mut at) = ([T::from_f64(f64::NEG_INFINITY); BLOCK], [-1i32; BLOCK]);
                let mut first = true;
                for iy in high.indices() {
                    for ix in wide.indices() {
                        let place = iy * cols.len + ix;
                        let x = &self.x[(base + place) * self.c + block * BLOCK..][..len];
                        if first {
                            best[..len].copy_from_slice(x);
                            at = [place as i32; BLOCK];
                            first = false;
                        } else if let Ok(x) = <&[T; BLOCK]>::try_from(x) {
                            take(&mut best, &mut at, x, place as i32);
                        } else {
                            take(&mut best[..len], &mut at[..len], x, place as i32);
                        }
                    }
                }
                y.copy_from_slice(&best[..len]);
                index.copy_from_slice(&at[..len]);
            }
        }
    }
}

#[inline(always)]
fn take<T: Float>(best: &mut [T], at: &mut [i32], x: &[T], place: i32) {
    for ((best, at), x) in best.iter_mut().zip(at).zip(x) {
        let (v, b) = (x.acc(), best.acc());
        // Larger or NaN, unless NaN has won already; NaN alone differs from itself.
        #[allow(clippy::eq_op, clippy::neg_cmp_op_on_partial_ord)]
        let better = !(v <= b) & (b == b);
        *best = if better { *x } else { *best };
        *at = if better { place } else { *at };
    }
}

/// Bytes that [`max_pool2d_grad`] wants: the half types are summed in float32.
pub fn max_pool2d_grad_scratch(dy: &Meta, height: i64, width: i64) -> usize {
    match dy.dtype {
        DType::BF16 | DType::F16 => 4 * dy.dims()[0] * dy.dims()[3] * height as usize * width as usize + 64,
        _ => 0,
    }
}

/// dx [N, height, width, C] = dy at the positions of the maxima, summed where windows share one.
pub fn max_pool2d_grad(cx: &mut Cx, dy: &View, index: &View, _height: i64, _width: i64, dx: &mut ViewMut) -> Result {
    if dx.numel() == 0 {
        return Ok(());
    }
    match dy.dtype() {
        DType::BF16 | DType::F16 => {
            let dims: [usize; 4] = dx.dims().try_into().expect("four dimensions, by the shape rule");
            let (sums, mut cx) = cx.split_scratch::<f32>(dx.numel());
            match dy.dtype() {
                DType::BF16 => scatter(&mut cx, dy, index, dims, sums, |v: bf16| v.acc())?,
                _ => scatter(&mut cx, dy, index, dims, sums, |v: f16| v.acc())?,
            }
            narrow(&cx, sums, dx);
            Ok(())
        }
        dtype => with_float!(dtype, T => {
            let dims: [usize; 4] = dx.dims().try_into().expect("four dimensions, by the shape rule");
            scatter::<T, T>(cx, dy, index, dims, dx.slice_mut::<T>(), |v| v)
        }),
    }
}

/// A task has one image and some of its channels, so that every sum has one owner and one order.
fn scatter<T: Float, A: Float>(
    cx: &mut Cx,
    dy: &View,
    index: &View,
    [n, h, w, c]: [usize; 4],
    dx: &mut [A],
    convert: impl Fn(T) -> A + Sync,
) -> Result {
    const CHANNELS: usize = 128;
    let plane = dy.dims()[1] * dy.dims()[2];
    let (dy, index) = (dy.slice::<T>(), index.slice::<i32>());
    let (blocks, outside) = (c.div_ceil(CHANNELS), AtomicBool::new(false));
    let dx = SyncPtr(dx.as_mut_ptr());
    cx.par(n * blocks, |task| {
        let (image, first) = (task / blocks, task % blocks * CHANNELS);
        let end = c.min(first + CHANNELS);
        for pixel in 0..h * w {
            // SAFETY: pixels of the image and channels of the task.
            unsafe { std::slice::from_raw_parts_mut(dx.get().add((image * h * w + pixel) * c + first), end - first) }.fill(A::default());
        }
        for pixel in image * plane..(image + 1) * plane {
            let channels = pixel * c + first..pixel * c + end;
            for (i, (dy, &place)) in dy[channels.clone()].iter().zip(&index[channels]).enumerate() {
                if (0..(h * w) as i64).contains(&(place as i64)) {
                    // SAFETY: a pixel of the image and a channel of the task.
                    unsafe {
                        let to = dx.get().add((image * h * w + place as usize) * c + first + i);
                        *to = A::from_acc((*to).acc() + convert(*dy).acc());
                    }
                } else if place != -1 {
                    outside.store(true, Ordering::Relaxed);
                }
            }
        }
    });
    if outside.into_inner() {
        return Err(Error::index(format!(
            "a position lies outside of the {h} x {w} plane.\n  Use the index that max_pool2d gave for this size."
        )));
    }
    Ok(())
}
