//! The mean of each window, and its gradient: each input gathers its share of the windows that see it.
use super::max::plane;
use super::window::Axis;
use super::{BLOCK, rows_of_task};
use crate::strided::{load, store};
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Float, Result, View, ViewMut, with_float};

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
    /// The size of an output's window.
    #[inline(always)]
    fn size(&self, oy: usize, ox: usize) -> T::Acc {
        let (high, wide) = (self.axes[0].window(oy), self.axes[1].window(ox));
        let count = if self.count_pad { high.padded * wide.padded } else { high.len() * wide.len() };
        T::Acc::from_f64(count as f64)
    }
}

/// Pixels that a pixel takes in are listed up to this many; the rest is worked out anew for each block of channels.
const LISTED: usize = 64;

impl<T: Float, const SPREAD: bool> Kernel for Row<'_, T, SPREAD> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let out = std::mem::take(&mut self.out);
        let [rows, cols] = self.axes;
        let (mine, others) = if SPREAD { (rows.len, [rows.out, cols.out]) } else { (rows.out, [rows.len, cols.len]) };
        let (image, y) = (self.row / mine, self.row % mine);
        let high = if SPREAD { rows.seen_by(y) } else { rows.window(y).first..rows.window(y).end };
        let one = T::Acc::from_f64(1.0);
        // Where each pixel begins, and what it is divided by.
        let mut list = [(0usize, one); LISTED];
        for (x, out) in out.chunks_exact_mut(self.c).enumerate() {
            let wide = if SPREAD { cols.seen_by(x) } else { cols.window(x).first..cols.window(x).end };
            let tap =
                |sy: usize, sx: usize| (((image * others[0] + sy) * others[1] + sx) * self.c, if SPREAD { self.size(sy, sx) } else { one });
            let listed = high.len() * wide.len() <= LISTED;
            let mut taps = 0;
            if listed {
                for sy in high.clone() {
                    for sx in wide.clone() {
                        list[taps] = tap(sy, sx);
                        taps += 1;
                    }
                }
            }
            let size = if SPREAD || high.is_empty() || wide.is_empty() { one } else { self.size(y, x) };
            if T::DTYPE == DType::F32 && listed {
                let size = size.to_f64() as f32;
                for c in (0..self.c).step_by(S::LANES) {
                    let m = S::LANES.min(self.c - c);
                    let mut sum = s.zero();
                    for (at, divisor) in &list[..taps] {
                        // SAFETY: channels c..c + m of a pixel of the source, and of this one.
                        let v = unsafe { load(s, self.source.as_ptr().cast::<f32>().add(at + c), m) };
                        sum = s.add(sum, if SPREAD { s.div(v, s.splat(divisor.to_f64() as f32)) } else { v });
                    }
                    let y = if SPREAD { sum } else { s.div(sum, s.splat(size)) };
                    // SAFETY: as above.
                    unsafe { store(s, out.as_mut_ptr().cast::<f32>().add(c), m, y) };
                }
                continue;
            }
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let first = block * BLOCK;
                let mut sums = [T::Acc::default(); BLOCK];
                let mut take = |(at, size): (usize, T::Acc)| {
                    let from = &self.source[at + first..][..out.len()];
                    for (sum, v) in sums.iter_mut().zip(from) {
                        *sum += if SPREAD { v.acc() / size } else { v.acc() };
                    }
                };
                if listed {
                    list[..taps].iter().for_each(|&tap| take(tap));
                } else {
                    high.clone().for_each(|sy| wide.clone().for_each(|sx| take(tap(sy, sx))));
                }
                for (to, sum) in out.iter_mut().zip(sums) {
                    *to = T::from_acc(if SPREAD { sum } else { sum / size });
                }
            }
        }
    }
}
