//! The passes over a block of rows: what goes into the product, and what comes back through the ReLU.
//!
//! Some rows at a time share what a channel has: its coefficients are loaded, and its sums stored, once for all of them.
use crate::strided::{load, store};
use ferrograd_simd::{Kernel, Simd, inlined};
use ferrograd_tensor::{DType, Float};

/// Lanes of the widest vector.
pub(super) const LANES: usize = 16;
/// Rows at a time.
const TOGETHER: usize = 4;

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
    fn run<S: Simd>(mut self, s: S) {
        let rows = self.to.len() / self.c[0].len();
        if T::DTYPE != DType::F32 {
            return (0..rows).for_each(|row| self.plain(row));
        }
        let whole = rows / TOGETHER * TOGETHER;
        for row in (0..whole).step_by(TOGETHER) {
            self.some::<S, TOGETHER>(s, row);
        }
        for row in whole..rows {
            self.some::<S, 1>(s, row);
        }
    }
}

impl<T: Float> Normalise<'_, T> {
    #[inline(always)]
    fn some<S: Simd, const R: usize>(&mut self, s: S, row: usize) {
        let (width, channels) = (self.width, self.c[0].len());
        let x = self.x[row * width..][..(R - 1) * width + channels].as_ptr().cast::<f32>();
        let to = self.to[row * channels..][..R * channels].as_mut_ptr().cast::<f32>();
        let c = inlined::<_, 3>(|i| self.c[i].as_ptr().cast::<f32>());
        for k in (0..channels).step_by(S::LANES) {
            let n = S::LANES.min(channels - k);
            // SAFETY: all of them are float32; R rows of x and of `to` have `channels` elements, as the coefficients do.
            unsafe {
                let c = inlined::<_, 3>(|i| load(s, c[i].add(k), n));
                for r in 0..R {
                    let y = s.add(s.mul(s.sub(load(s, x.add(r * width + k), n), c[0]), c[1]), c[2]);
                    store(s, to.add(r * channels + k), n, s.at_least(y, s.zero()));
                }
            }
        }
    }
    fn plain(&mut self, row: usize) {
        let (channels, zero) = (self.c[0].len(), T::default().acc());
        for k in 0..channels {
            let y = (self.x[row * self.width + k].acc() - self.c[0][k]) * self.c[1][k] + self.c[2][k];
            self.to[row * channels + k] = if y < zero { zero } else { y };
        }
    }
}

/// With `active` as [`Normalise`] gives it, which is written too, and g = dz where that is above 0 (NaN passes), else 0: dx += c1 * g, sum 0 += g,
/// sum 1 += g * (x - c0).
pub(super) struct Back<'a, T: Float> {
    pub x: &'a [T],
    pub dx: &'a mut [T],
    /// From one row of x, and of dx, to the next.
    pub width: usize,
    pub c: [&'a [T::Acc]; 3],
    /// [rows, channels].
    pub active: &'a mut [T::Acc],
    /// The gradient of `active`.
    pub dz: &'a [T::Acc],
    /// With room for whole vectors: a load of what a part of one has just stored would wait.
    pub sums: [&'a mut [T::Acc]; 2],
}

impl<T: Float> Kernel for Back<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let rows = self.active.len() / self.c[0].len();
        if T::DTYPE != DType::F32 {
            return (0..rows).for_each(|row| self.plain(row));
        }
        let whole = rows / TOGETHER * TOGETHER;
        for row in (0..whole).step_by(TOGETHER) {
            self.some::<S, TOGETHER>(s, row);
        }
        for row in whole..rows {
            self.some::<S, 1>(s, row);
        }
    }
}

impl<T: Float> Back<'_, T> {
    #[inline(always)]
    fn some<S: Simd, const R: usize>(&mut self, s: S, row: usize) {
        let (width, channels) = (self.width, self.c[0].len());
        let wide = (R - 1) * width + channels;
        let x = self.x[row * width..][..wide].as_ptr().cast::<f32>();
        let dx = self.dx[row * width..][..wide].as_mut_ptr().cast::<f32>();
        let active = self.active[row * channels..][..R * channels].as_mut_ptr().cast::<f32>();
        let dz = self.dz[row * channels..][..R * channels].as_ptr().cast::<f32>();
        let c = inlined::<_, 3>(|i| self.c[i].as_ptr().cast::<f32>());
        let padded = channels.next_multiple_of(LANES);
        let [sum, product] = &mut self.sums;
        let (sum, product) = (sum[..padded].as_mut_ptr().cast::<f32>(), product[..padded].as_mut_ptr().cast::<f32>());
        for k in (0..channels).step_by(S::LANES) {
            let n = S::LANES.min(channels - k);
            // SAFETY: all of them are float32; R rows have `channels` elements, as the coefficients do, and the sums whole vectors. What is not there
            // loads as 0.
            unsafe {
                let c = inlined::<_, 3>(|i| load(s, c[i].add(k), n));
                let (mut some, mut products) = (s.load(sum.add(k)), s.load(product.add(k)));
                for r in 0..R {
                    let (wide, narrow) = (r * width + k, r * channels + k);
                    let centred = s.sub(load(s, x.add(wide), n), c[0]);
                    let y = s.at_least(s.add(s.mul(centred, c[1]), c[2]), s.zero());
                    store(s, active.add(narrow), n, y);
                    let g = s.select(s.le(y, s.zero()), s.zero(), load(s, dz.add(narrow), n));
                    store(s, dx.add(wide), n, s.add(load(s, dx.add(wide), n), s.mul(c[1], g)));
                    some = s.add(some, g);
                    products = s.add(products, s.mul(g, centred));
                }
                s.store(sum.add(k), some);
                s.store(product.add(k), products);
            }
        }
    }
    fn plain(&mut self, row: usize) {
        let (channels, zero) = (self.c[0].len(), T::default().acc());
        for k in 0..channels {
            let (wide, narrow) = (row * self.width + k, row * channels + k);
            let centred = self.x[wide].acc() - self.c[0][k];
            let y = centred * self.c[1][k] + self.c[2][k];
            self.active[narrow] = if y < zero { zero } else { y };
            let g = if y <= zero { zero } else { self.dz[narrow] };
            self.dx[wide] = T::from_acc(self.dx[wide].acc() + self.c[1][k] * g);
            self.sums[0][k] += g;
            self.sums[1][k] += g * centred;
        }
    }
}
