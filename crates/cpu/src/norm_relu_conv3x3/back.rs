//! Back through the ReLU and the scale of the normalisation, over the rows of an image.
use crate::norm_relu_conv::{LANES, SUMMED, normal};
use crate::strided::{load, store};
use ferrograd_simd::{Kernel, Scalar, Simd, inlined, vectorize};
use ferrograd_tensor::{DType, Element, Float};

/// With g = dx where (x - c0) * c1 + c2 is above 0 (NaN passes), else 0: dx = c1 * g, sums [2, channels] = of g and of g * (x - c0).
pub(super) struct Back<'a, T: Float> {
    /// [rows, channels].
    pub x: &'a [T],
    pub dx: &'a mut [T],
    pub c: [&'a [T::Acc]; 3],
    pub sums: &'a mut [f64],
}

impl<T: Float> Back<'_, T> {
    pub fn go(self) {
        if T::DTYPE == DType::F32 { vectorize(self) } else { self.run(Scalar) }
    }

    fn plain(self) {
        let (channels, zero) = (self.c[0].len(), T::default().acc());
        for (i, (dx, x)) in self.dx.iter_mut().zip(self.x).enumerate() {
            let k = i % channels;
            let centred = x.acc() - self.c[0][k];
            let g = if centred * self.c[1][k] + self.c[2][k] <= zero { zero } else { dx.acc() };
            *dx = T::from_acc(self.c[1][k] * g);
            self.sums[k] += g.to_f64();
            self.sums[channels + k] += (g * centred).to_f64();
        }
    }
}

impl<T: Float> Kernel for Back<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.sums.fill(0.0);
        if T::DTYPE != DType::F32 {
            return self.plain();
        }
        let channels = self.c[0].len();
        let (sums, products) = self.sums.split_at_mut(channels);
        for (x, dx) in self.x.chunks(SUMMED * channels).zip(self.dx.chunks_mut(SUMMED * channels)) {
            let (rows, x, dx) = (x.len() / channels, x.as_ptr().cast::<f32>(), dx.as_mut_ptr().cast::<f32>());
            for k in (0..channels).step_by(S::LANES) {
                let n = S::LANES.min(channels - k);
                let (mut sum, mut product) = ([0f32; LANES], [0f32; LANES]);
                // SAFETY: all of them are float32; x and dx have whole rows of `channels` elements, as the coefficients do; a vector has at most LANES
                // lanes. What is not there loads as 0.
                unsafe {
                    let c = inlined::<_, 3>(|i| load(s, self.c[i].as_ptr().cast::<f32>().add(k), n));
                    let (mut a, mut b) = (s.zero(), s.zero());
                    for at in (0..rows).map(|row| row * channels + k) {
                        let x = load(s, x.add(at), n);
                        let g = s.select(s.le(normal(s, x, c), s.zero()), s.zero(), load(s, dx.add(at), n));
                        store(s, dx.add(at), n, s.mul(c[1], g));
                        (a, b) = (s.add(a, g), s.fma(g, s.sub(x, c[0]), b));
                    }
                    s.store(sum.as_mut_ptr(), a);
                    s.store(product.as_mut_ptr(), b);
                }
                for i in 0..n {
                    sums[k + i] += f64::from(sum[i]);
                    products[k + i] += f64::from(product[i]);
                }
            }
        }
    }
}
