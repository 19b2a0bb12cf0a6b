//! The passes over a block of rows: what goes into the product, and what comes back through the ReLU.
use crate::strided::{load, store};
use ferrograd_simd::{Kernel, Simd};
use ferrograd_tensor::{DType, Float};

/// to [rows, channels] = max(0, (x - c0) * c1 + c2), of rows of x that lie `width` apart; NaN stays.
pub(super) struct Normalise<'a, T: Float> {
    pub x: &'a [T],
    pub width: usize,
    pub c: [&'a [T::Acc]; 3],
    pub to: &'a mut [T::Acc],
}

impl<T: Float> Kernel for Normalise<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Normalise { x, width, c, to } = self;
        let channels = c[0].len();
        for (r, to) in to.chunks_exact_mut(channels).enumerate() {
            let x = &x[r * width..][..channels];
            if T::DTYPE == DType::F32 {
                let (x, to, c) = (x.as_ptr().cast::<f32>(), to.as_mut_ptr().cast::<f32>(), c.map(|c| c.as_ptr().cast::<f32>()));
                for k in (0..channels).step_by(S::LANES) {
                    let n = S::LANES.min(channels - k);
                    // SAFETY: x, `to` and the coefficients are float32, and have `channels` elements from here on.
                    unsafe {
                        let v = s.mul(s.sub(load(s, x.add(k), n), load(s, c[0].add(k), n)), load(s, c[1].add(k), n));
                        store(s, to.add(k), n, s.max_nan(s.add(v, load(s, c[2].add(k), n)), s.zero()));
                    }
                }
                continue;
            }
            let zero = T::default().acc();
            for k in 0..channels {
                let v = (x[k].acc() - c[0][k]) * c[1][k] + c[2][k];
                to[k] = if v < zero { zero } else { v };
            }
        }
    }
}

/// Behind the ReLU g = dz where `active` is above 0 (NaN passes), else 0: dx += c1 * g, sum 0 += g, sum 1 += g * (x - c0).
pub(super) struct Back<'a, T: Float> {
    pub x: &'a [T],
    pub dx: &'a mut [T],
    /// From one row of x, and of dx, to the next.
    pub width: usize,
    pub c: [&'a [T::Acc]; 2],
    /// What [`Normalise`] gave, and the gradient of that: [rows, channels].
    pub active: &'a [T::Acc],
    pub dz: &'a [T::Acc],
    pub sums: [&'a mut [T::Acc]; 2],
}

impl<T: Float> Kernel for Back<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Back { x, dx, width, c, active, dz, sums: [sum, product] } = self;
        let channels = c[0].len();
        let (sum, product) = (&mut sum[..channels], &mut product[..channels]);
        for (r, (active, dz)) in active.chunks_exact(channels).zip(dz.chunks_exact(channels)).enumerate() {
            let (x, dx) = (&x[r * width..][..channels], &mut dx[r * width..][..channels]);
            if T::DTYPE == DType::F32 {
                let [x, active, dz, c0, c1] =
                    [x.as_ptr().cast(), active.as_ptr().cast(), dz.as_ptr().cast(), c[0].as_ptr().cast(), c[1].as_ptr().cast::<f32>()];
                let [dx, sum, product] = [dx.as_mut_ptr().cast(), sum.as_mut_ptr().cast(), product.as_mut_ptr().cast::<f32>()];
                for k in (0..channels).step_by(S::LANES) {
                    let n = S::LANES.min(channels - k);
                    // SAFETY: all of them are float32 and have `channels` elements from here on.
                    unsafe {
                        let g = s.select(s.le(load(s, active.add(k), n), s.zero()), s.zero(), load(s, dz.add(k), n));
                        let centred = s.sub(load(s, x.add(k), n), load(s, c0.add(k), n));
                        store(s, dx.add(k), n, s.add(load(s, dx.add(k), n), s.mul(load(s, c1.add(k), n), g)));
                        store(s, sum.add(k), n, s.add(load(s, sum.add(k), n), g));
                        store(s, product.add(k), n, s.add(load(s, product.add(k), n), s.mul(g, centred)));
                    }
                }
                continue;
            }
            let zero = T::default().acc();
            for k in 0..channels {
                let g = if active[k] <= zero { zero } else { dz[k] };
                dx[k] = T::from_acc(dx[k].acc() + c[1][k] * g);
                sum[k] += g;
                product[k] += g * (x[k].acc() - c[0][k]);
            }
        }
    }
}
