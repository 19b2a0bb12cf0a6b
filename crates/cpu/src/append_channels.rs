//! Features that grow by channels, as in a dense block: one buffer [N, ..., C], into whose channels each part is written as it is made, and with it
//! what a normalisation wants of them: mean and variance of each channel, computed once. And the other way: the gradient of a part, out of that of the
//! buffer.
use crate::channels::{Moments, Size, column_sums, joined, stat};
use crate::copy::copy_between;
use crate::strided::{GRAIN, bytes, bytes_mut, load, store};
use ferrograd_simd::{Kernel, Scalar, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Float, Meta, Result, SyncPtr, View, ViewMut, with_float};

/// Bytes that [`append_channels`] wants.
pub fn append_channels_scratch(x: &Meta) -> usize {
    8 * Size::flat(x).partials()
}

/// buffer[..., start..start + c] = x [..., c]; mean and variance (the biased one) of these channels of the statistics [C].
pub fn append_channels(cx: &mut Cx, buffer: &mut ViewMut, mean: &mut ViewMut, variance: &mut ViewMut, x: &View, start: i64) -> Result {
    let (size, start) = (Size::flat(x.meta()), start as usize);
    if x.numel() == 0 {
        return Ok(());
    }
    let strides = *buffer.layout();
    let n = size.rows as f64;
    with_float!(x.dtype(), T => {
        let data = x.slice::<T>();
        let (partial, cx) = cx.split_scratch::<f64>(size.partials());
        column_sums(&cx, size, &Moments { x: data, size }, partial);
        for channel in 0..size.channels {
            // As in `batch_norm`: sums of x - x[0], so that the mean moves back; and NaN, which got lost in the max, comes back.
            let (a, b) = joined(partial, size, 0, channel);
            let (m, v) = (data[channel].to_f64() + a / n, ((b - a * (a / n)) / n).max(0.0));
            set(mean, start + channel, m);
            set(variance, start + channel, if m.is_nan() { f64::NAN } else { v });
        }
        // SAFETY: the rule has seen that these channels lie in the buffer, whose other dimensions are x's.
        unsafe {
            let to = bytes_mut(buffer).add(start * T::DTYPE.size());
            copy_between(&cx, x.dims(), (T::DTYPE, bytes(x), x.strides()), (T::DTYPE, to, strides.strides()));
        }
        Ok(())
    })
}

fn set(statistics: &mut ViewMut, channel: usize, value: f64) {
    match statistics.dtype() {
        DType::F64 => statistics.slice_mut::<f64>()[channel] = value,
        _ => statistics.slice_mut::<f32>()[channel] = value as f32,
    }
}

/// dx of x [..., c], which is in channels start.. of the buffer: dbuffer there, and what the normalisations that read them have left in `correction` [2, C],
/// correction[0] + correction[1] * (x - mean).
pub fn append_channels_grad(cx: &mut Cx, dbuffer: &View, x: &View, mean: &View, correction: &View, start: i64, dx: &mut ViewMut) -> Result {
    let [width, size] = [dbuffer, x].map(|of| of.dims()[of.rank() - 1]);
    let start = start as usize;
    if dx.numel() == 0 {
        return Ok(());
    }
    with_float!(x.dtype(), T => {
        let (x, grad) = (x.slice::<T>(), dbuffer.slice::<T>());
        let to = SyncPtr(dx.slice_mut::<T>().as_mut_ptr());
        cx.par_ranges(x.len() / size, (GRAIN / size).max(1), |rows| {
            for first in (0..size).step_by(WIDTH) {
                let channels = WIDTH.min(size - first);
                let mut c = [[<T as Float>::Acc::from_f64(0.0); WIDTH]; 3];
                for k in 0..channels {
                    let at = start + first + k;
                    let values = [stat(mean, at), stat(correction, at), stat(correction, width + at)];
                    for (c, v) in c.iter_mut().zip(values) {
                        c[k] = Element::from_f64(v);
                    }
                }
                // SAFETY: `rows` of `size` elements, which are this task's, of which this run writes its own channels.
                let to = unsafe { to.get().add(rows.start * size + first) };
                let (dbuffer, x) = (&grad[rows.start * width + start + first..], &x[rows.start * size + first..]);
                let run = Correct { dbuffer, width, x, c: &c, to, size, rows: rows.len(), channels };
                if T::DTYPE == DType::F32 { vectorize(run) } else { run.run(Scalar) }
            }
        });
        Ok(())
    })
}

/// Channels whose coefficients are at hand at a time.
const WIDTH: usize = 64;

/// to = dbuffer + c1 + c2 * (x - c0) for `rows` rows of `channels`, `width` apart in the buffer and `size` apart in x and `to`.
struct Correct<'a, T: Float> {
    dbuffer: &'a [T],
    width: usize,
    x: &'a [T],
    c: &'a [[T::Acc; WIDTH]; 3],
    to: *mut T,
    size: usize,
    rows: usize,
    channels: usize,
}

impl<T: Float> Kernel for Correct<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Correct { dbuffer, width, x, c, to, size, rows, channels } = self;
        for row in 0..rows {
            let (d, x) = (&dbuffer[row * width..][..channels], &x[row * size..][..channels]);
            // SAFETY: `channels` elements of row `row` are the caller's to write.
            let to = unsafe { std::slice::from_raw_parts_mut(to.add(row * size), channels) };
            if T::DTYPE == DType::F32 {
                let (d, x, to) = (d.as_ptr().cast::<f32>(), x.as_ptr().cast::<f32>(), to.as_mut_ptr().cast::<f32>());
                let [c0, c1, c2] = [c[0].as_ptr().cast::<f32>(), c[1].as_ptr().cast(), c[2].as_ptr().cast()];
                for k in (0..channels).step_by(S::LANES) {
                    let n = S::LANES.min(channels - k);
                    // SAFETY: all of them are float32 and have `channels` elements.
                    unsafe {
                        let slope = s.mul(load(s, c2.add(k), n), s.sub(load(s, x.add(k), n), load(s, c0.add(k), n)));
                        store(s, to.add(k), n, s.add(load(s, d.add(k), n), s.add(load(s, c1.add(k), n), slope)));
                    }
                }
                continue;
            }
            for k in 0..channels {
                to[k] = T::from_acc(d[k].acc() + (c[1][k] + c[2][k] * (x[k].acc() - c[0][k])));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, each_isa, noise, run};
    use ferrograd_tensor::bf16;

    /// Channels start.. of a buffer of 70, of 3 x 50 rows; and back.
    fn check<T: Element, St: Element>(start: usize, channels: usize, tolerance: f64) {
        const WIDE: usize = 150;
        let (rows, dims) = (150, [3, 50, channels]);
        let numbers = |seed, n: usize| noise(seed, n).iter().map(|&v| T::from_f64(v + 0.5)).collect::<Vec<T>>();
        let (x, mut buffer) = (numbers(1, rows * channels), vec![T::default(); rows * WIDE]);
        let (mut mean, mut variance) = (vec![St::from_f64(7.0); WIDE], vec![St::from_f64(7.0); WIDE]);
        let xv = View::of(&x, &dims);
        run(append_channels_scratch(xv.meta()), |cx| {
            let buffer = &mut ViewMut::of(&mut buffer, &[3, 50, WIDE]);
            append_channels(cx, buffer, &mut ViewMut::of(&mut mean, &[WIDE]), &mut ViewMut::of(&mut variance, &[WIDE]), &xv, start as i64)
        })
        .unwrap();
        let inside = |k: usize| (start..start + channels).contains(&k);
        for k in 0..WIDE {
            let column: Vec<f64> = (0..rows).map(|r| buffer[r * WIDE + k].to_f64()).collect();
            let m = column.iter().sum::<f64>() / rows as f64;
            let v = column.iter().map(|v| (v - m).powi(2)).sum::<f64>() / rows as f64;
            let want = if inside(k) { [m, v] } else { [7.0, 7.0] };
            assert_close(&[mean[k].to_f64(), variance[k].to_f64()], &want, 1e-6, 1e-6, "statistics");
            assert!((0..rows).all(|r| column[r] == if inside(k) { x[r * channels + k - start].to_f64() } else { 0.0 }), "channel {k}");
        }
        let (d, correction) = (numbers(2, rows * WIDE), noise(3, 2 * WIDE).iter().map(|&v| St::from_f64(v)).collect::<Vec<St>>());
        let mut dx = vec![T::default(); rows * channels];
        run(0, |cx| {
            let (d, mean, correction) = (View::of(&d, &[3, 50, WIDE]), View::of(&mean, &[WIDE]), View::of(&correction, &[2, WIDE]));
            append_channels_grad(cx, &d, &xv, &mean, &correction, start as i64, &mut ViewMut::of(&mut dx, &dims))
        })
        .unwrap();
        for (i, dx) in dx.iter().enumerate() {
            let (r, k) = (i / channels, start + i % channels);
            let slope = correction[WIDE + k].to_f64() * (buffer[r * WIDE + k].to_f64() - mean[k].to_f64());
            let want = d[r * WIDE + k].to_f64() + correction[k].to_f64() + slope;
            assert_close(&[dx.to_f64()], &[want], tolerance, tolerance, "dx");
        }
    }

    #[test]
    fn parts_of_a_buffer_and_their_gradients() {
        each_isa(|_| {
            for (start, channels) in [(0, 12), (24, 12), (3, 1), (10, 130), (60, 37)] {
                check::<f32, f32>(start, channels, 1e-6);
            }
        });
        check::<f64, f64>(24, 12, 1e-12);
        check::<bf16, f32>(24, 12, 1e-2);
    }
}
