//! Dropout: each element is kept or dropped by its own random word (see `philox`), the same whatever the dtype, the vector path or the threads.
use crate::philox::{GROUP, Stream};
use crate::strided::GRAIN;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Result, SyncPtr, View, ViewMut, with_float};

/// y = x / (1 - p) where the element's random word says keep, else x * 0 (so that NaN stays). Applied to dy with the same key it is the gradient.
pub fn dropout(cx: &mut Cx, x: &View, key: &View, p: f64, y: &mut ViewMut) -> Result {
    let stream = Stream::new(key);
    // Words below the threshold drop; at p = 1, where it saturates, both factors are 0.
    let threshold = (p * 4_294_967_296.0) as u32;
    let scale = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
    with_float!(x.dtype(), T => {
        let x = x.slice::<T>();
        let out = SyncPtr(y.slice_mut::<T>().as_mut_ptr());
        cx.par_ranges(x.len(), GRAIN / 4, |range| {
            // SAFETY: the ranges are disjoint, and `y` has the shape of `x`.
            let to = unsafe { std::slice::from_raw_parts_mut(out.get().add(range.start), range.len()) };
            vectorize(Mask { stream, threshold, scale, first: range.start, x: &x[range], to });
        });
        Ok(())
    })
}

struct Mask<'a, T> {
    stream: Stream,
    threshold: u32,
    scale: f64,
    /// The position of `x`, a multiple of a group.
    first: usize,
    x: &'a [T],
    to: &'a mut [T],
}

impl<T: Element> Kernel for Mask<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let scale = self.scale as f32;
        for (g, (x, to)) in self.x.chunks(GROUP).zip(self.to.chunks_mut(GROUP)).enumerate() {
            let words = self.stream.words_inline((self.first / GROUP + g) as u64);
            if T::DTYPE == DType::F64 {
                for (i, (x, to)) in x.iter().zip(to).enumerate() {
                    *to = T::from_f64(x.to_f64() * if words[i] >= self.threshold { self.scale } else { 0.0 });
                }
            } else {
                let factors: [f32; GROUP] = std::array::from_fn(|i| if words[i] >= self.threshold { scale } else { 0.0 });
                for (i, (x, to)) in x.iter().zip(to).enumerate() {
                    *to = T::from_f32(x.to_f32() * factors[i]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{each_isa, run};

    const KEY: [i64; 2] = [42, 7];

    #[test]
    fn dropout_keeps_its_share_and_scales() {
        let n = 50_003;
        let x: Vec<f32> = (0..n).map(|i| 1.0 + i as f32).collect();
        let drop = |p: f64| {
            let mut y = vec![0f32; n];
            run(0, |cx| dropout(cx, &View::of(&x, &[n]), &View::of(&KEY, &[2]), p, &mut ViewMut::of(&mut y, &[n]))).unwrap();
            y
        };
        let mut first = None;
        each_isa(|_| {
            let y = drop(0.3);
            let kept = y.iter().filter(|&&v| v != 0.0).count() as f64 / n as f64;
            assert!((kept - 0.7).abs() < 0.01, "{kept}");
            assert!(y.iter().zip(&x).all(|(&y, &x)| y == 0.0 || y == x * (1.0 / 0.7f64) as f32));
            assert_eq!(first.get_or_insert_with(|| y.clone()), &y, "the same on every path");
            assert_eq!(drop(0.0), x);
            assert!(drop(1.0).iter().all(|&v| v == 0.0));
        });
        let (wide, mut y) = (vec![2f64; 100], vec![0f64; 100]);
        run(0, |cx| dropout(cx, &View::of(&wide, &[100]), &View::of(&KEY, &[2]), 0.5, &mut ViewMut::of(&mut y, &[100]))).unwrap();
        let narrow = drop(0.5);
        assert!(y.iter().zip(&narrow).all(|(&y, &z)| y == if z == 0.0 { 0.0 } else { 4.0 }), "the same elements for every dtype");
    }
}
