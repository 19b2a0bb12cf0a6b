//! The mean of each window, and its gradient: each input gathers its share of the windows that see it.
use super::max::plane;
use super::window::Axis;
use super::{BLOCK, rows_of_task};
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, Element, Float, Result, View, ViewMut, with_float};

/// y [N, OH, OW, C] = the sum over each window of x [N, H, W, C] divided by its size, counting padding only where `count_include_pad`
/// (and never what `ceil` adds beyond it).
pub fn avg_pool2d(
    cx: &mut Cx,
    x: &View,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    _ceil: bool,
    count_include_pad: bool,
    y: &mut ViewMut,
) -> Result {
    let axes = Axis::sliding(plane(x.dims()), plane(y.dims()), kernel, stride, padding, &[1, 1]);
    mean(cx, x, axes, count_include_pad, y)
}

/// The mean over windows that share the input out evenly: PyTorch's `adaptive_avg_pool2d`.
pub fn adaptive_avg_pool2d(cx: &mut Cx, x: &View, height: i64, width: i64, y: &mut ViewMut) -> Result {
    mean(cx, x, Axis::adaptive(plane(x.dims()), [height as usize, width as usize]), false, y)
}

/// The gradient of [`avg_pool2d`] over an input of `height` x `width`.
pub fn avg_pool2d_grad(
    cx: &mut Cx,
    dy: &View,
    height: i64,
    width: i64,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    count_include_pad: bool,
    dx: &mut ViewMut,
) -> Result {
    let axes = Axis::sliding([height as usize, width as usize], plane(dy.dims()), kernel, stride, padding, &[1, 1]);
    spread(cx, dy, axes, count_include_pad, dx)
}

/// The gradient of [`adaptive_avg_pool2d`] over an input of `height` x `width`.
pub fn adaptive_avg_pool2d_grad(cx: &mut Cx, dy: &View, height: i64, width: i64, dx: &mut ViewMut) -> Result {
    spread(cx, dy, Axis::adaptive([height as usize, width as usize], plane(dy.dims())), false, dx)
}

/// A row of pixels, each a weighted sum of pixels of another plane: `SPREAD` false, of the window's, by one over its size; true, of the
/// windows that see it, each by one over its own.
struct Row<'a, T, const SPREAD: bool> {
    source: &'a [T],
    axes: [Axis; 2],
    count_pad: bool,
    c: usize,
    row: usize,
    out: &'a mut [T],
}

fn mean(cx: &mut Cx, x: &View, axes: [Axis; 2], count_pad: bool, y: &mut ViewMut) -> Result {
    with_float!(x.dtype(), T => { rows::<T, false>(cx, x, axes, count_pad, y); Ok(()) })
}

fn spread(cx: &mut Cx, dy: &View, axes: [Axis; 2], count_pad: bool, dx: &mut ViewMut) -> Result {
    with_float!(dy.dtype(), T => { rows::<T, true>(cx, dy, axes, count_pad, dx); Ok(()) })
}

fn rows<T: Float, const SPREAD: bool>(cx: &mut Cx, source: &View, axes: [Axis; 2], count_pad: bool, out: &mut ViewMut) {
    let c = source.dims()[3];
    let row = out.dims()[2] * c;
    let source = source.slice::<T>();
    cx.par_chunks_mut(out.slice_mut::<T>(), rows_of_task(row) * row, |at, out| {
        for (i, out) in out.chunks_exact_mut(row).enumerate() {
            vectorize(Row::<T, SPREAD> { source, axes, count_pad, c, row: at / row + i, out });
        }
    });
}

impl<T: Float, const SPREAD: bool> Row<'_, T, SPREAD> {
    /// One over the size of an output's window.
    #[inline(always)]
    fn share(&self, oy: usize, ox: usize) -> T::Acc {
        let (high, wide) = (self.axes[0].window(oy), self.axes[1].window(ox));
        let count = if self.count_pad { high.padded * wide.padded } else { high.len() * wide.len() };
        T::Acc::from_f64(count as f64)
    }
}

impl<T: Float, const SPREAD: bool> Kernel for Row<'_, T, SPREAD> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        let out = std::mem::take(&mut self.out);
        let [rows, cols] = self.axes;
        let (mine, others) = if SPREAD { (rows.len, [rows.out, cols.out]) } else { (rows.out, [rows.len, cols.len]) };
        let (image, y) = (self.row / mine, self.row % mine);
        let high = if SPREAD { rows.seen_by(y) } else { rows.window(y).first..rows.window(y).end };
        for (x, out) in out.chunks_exact_mut(self.c).enumerate() {
            let wide = if SPREAD { cols.seen_by(x) } else { cols.window(x).first..cols.window(x).end };
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let len = out.len();
                let mut sums = [T::Acc::default(); BLOCK];
                for sy in high.clone() {
                    for sx in wide.clone() {
                        let from = &self.source[((image * others[0] + sy) * others[1] + sx) * self.c + block * BLOCK..][..len];
                        let share = if SPREAD { self.share(sy, sx) } else { T::Acc::from_f64(1.0) };
                        for (sum, v) in sums.iter_mut().zip(from) {
                            *sum += if SPREAD { v.acc() / share } else { v.acc() };
                        }
                    }
                }
                let share = if SPREAD || high.is_empty() || wide.is_empty() { T::Acc::from_f64(1.0) } else { self.share(y, x) };
                for (to, sum) in out.iter_mut().zip(sums) {
                    *to = T::from_acc(if SPREAD { sum } else { sum / share });
                }
            }
        }
    }
}
