//! The norm of all gradients together, and what clipping makes of it.
use super::parts;
use crate::strided::GRAIN;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, Element, Error, Meta, Result, SyncPtr, View, ViewMut, with_float};

/// Bytes: one float64 a task.
pub fn grad_norm_scratch(xs: &[Meta]) -> usize {
    xs.iter().map(|x| x.numel()).sum::<usize>().div_ceil(GRAIN) * size_of::<f64>()
}

/// The p-norm of all elements of all tensors, summed in float64 (torch.nn.utils.clip_grad_norm_'s total norm).
/// `p` may be infinite (the largest magnitude); 0 counts what is not 0. NaN anywhere gives NaN.
pub fn grad_norm(cx: &mut Cx, xs: &[View], p: f64, norm: &mut ViewMut) -> Result {
    if p.is_nan() || p < 0.0 {
        return Err(Error::value(format!("p must be 0 or more.\n  p {p}\n  Use 2, 1 or Infinity.")));
    }
    let total: usize = xs.iter().map(|x| x.numel()).sum();
    let (sums, cx) = cx.split_scratch::<f64>(total.div_ceil(GRAIN));
    let to = SyncPtr(sums.as_mut_ptr());
    cx.par_ranges(total, GRAIN, |range| {
        let (slot, mut sum) = (range.start / GRAIN, 0.0);
        parts(xs.iter().map(|x| x.numel()), range, |i, part| {
            // The rule admits floating dtypes alone.
            let _ = with_float!(xs[i].dtype(), T => {
                sum = join(p, sum, vectorize(Power { x: &xs[i].slice::<T>()[part], p }));
                Ok(())
            });
        });
        // SAFETY: each task has a slot of its own.
        unsafe { *to.get().add(slot) = sum };
    });
    let sum = sums.iter().fold(0.0, |a, &b| join(p, a, b));
    let root = match p {
        2.0 => sum.sqrt(),
        0.0 | 1.0 | f64::INFINITY => sum,
        _ => sum.powf(1.0 / p),
    };
    with_float!(norm.dtype(), T => {
        norm.slice_mut::<T>()[0] = T::from_f64(root);
        Ok(())
    })
}

/// Of two partial results; both are 0 or more, or NaN.
#[inline(always)]
fn join(p: f64, a: f64, b: f64) -> f64 {
    if p.is_infinite() { if a.is_nan() || a > b { a } else { b } } else { a + b }
}

/// The sum of |x|^p, or the largest |x|.
struct Power<'a, T> {
    x: &'a [T],
    p: f64,
}

impl<T: Element> Kernel for Power<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        // Sixteen sums side by side, whatever the path: the order of additions is the same on all of them.
        const SIDE: usize = 16;
        let mut sums = [0f64; SIDE];
        let p = self.p;
        let power = |v: f64| match p {
            1.0 => v.abs(),
            0.0 => (v != 0.0) as u8 as f64,
            _ => v.abs().powf(p),
        };
        for part in self.x.chunks(SIDE) {
            if p == 2.0 && part.len() == SIDE {
                for j in 0..SIDE {
                    let v = part[j].to_f64();
                    sums[j] += v * v;
                }
            } else {
                for (j, v) in part.iter().enumerate() {
                    let v = v.to_f64();
                    sums[j] = if p.is_infinite() { join(p, sums[j], v.abs()) } else { sums[j] + if p == 2.0 { v * v } else { power(v) } };
                }
            }
        }
        let mut width = SIDE / 2;
        while width > 0 {
            for j in 0..width {
                sums[j] = join(p, sums[j], sums[j + width]);
            }
            width /= 2;
        }
        sums[0]
    }
}

/// min(1, max / (norm + 1e-6)): the factor that brings a norm down to `max`. NaN stays NaN.
pub fn clip_coefficient(_: &mut Cx, norm: &View, max: f64, scale: &mut ViewMut) -> Result {
    with_float!(norm.dtype(), T => {
        for (to, n) in scale.slice_mut::<T>().iter_mut().zip(norm.slice::<T>()) {
            let factor = max / (n.to_f64() + 1e-6);
            *to = T::from_f64(if factor > 1.0 { 1.0 } else { factor });
        }
        Ok(())
    })
}

/// 1. The runtime does not run it where one of `_xs` is poisoned, and so the result carries their poison on.
pub fn guard(_: &mut Cx, _xs: &[View], one: &mut ViewMut) -> Result {
    one.slice_mut::<f32>()[0] = 1.0;
    Ok(())
}
