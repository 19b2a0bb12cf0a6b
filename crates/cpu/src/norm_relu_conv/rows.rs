//! The passes over a block of rows: what goes into the product, and what comes back through the ReLU.
//!
//! Some rows at a time share what a channel has: its coefficients are loaded, and its sums stored, once for all of them. The next rows are asked for
//! meanwhile: so short a run at each address is over before the hardware looks ahead.
use crate::strided::{load, store};
use ferrograd_simd::{Kernel, Simd, inlined, prefetch, prefetch_write};
use ferrograd_tensor::{DType, Float};

/// Lanes of the widest vector.
pub(super) const LANES: usize = 16;
/// Rows at a time.
const TOGETHER: usize = 4;

/// max(0, (x - c0) * c1 + c2); NaN stays.
#[inline(always)]
pub(crate) fn normal<S: Simd>(s: S, x: S::F, c: [S::F; 3]) -> S::F {
    s.at_least(s.fma(s.sub(x, c[0]), c[1], c[2]), s.zero())
}

/// to [rows, channels] = max(0, (x - c0) * c1 + c2), of rows of x that lie `width` apart; NaN stays.
pub(super) struct Normalise<'a, T: Float> {
    pub x: &'a [T],
    pub width: usize,
    pub c: [&'a [T::Acc]; 3],
    pub to: &'a mut [T::Acc],
    /// Where the rows' results will go, `out` elements each: asked for meanwhile, since memory has little else to do. No result depends on it.
    pub results: *mut T,
    pub out: usize,
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
        prefetch_write(self.results.cast::<f32>().wrapping_add(row * self.out), R * self.out);
        let c = inlined::<_, 3>(|i| self.c[i].as_ptr().cast::<f32>());
        for k in (0..channels).step_by(S::LANES) {
            let n = S::LANES.min(channels - k);
            // SAFETY: all of them are float32; R rows of x and of `to` have `channels` elements, as the coefficients do.
            unsafe {
                let c = inlined::<_, 3>(|i| load(s, c[i].add(k), n));
                for r in 0..R {
                    prefetch(x.wrapping_add((R + r) * width + k), 1);
                    store(s, to.add(r * channels + k), n, normal(s, load(s, x.add(r * width + k), n), c));
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
    /// What the next block reads, `out` elements a row: asked for meanwhile. No result depends on it.
    pub next: [*const T; 2],
    pub out: usize,
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
        for next in self.next {
            prefetch(next.cast::<f32>().wrapping_add(row * self.out), R * self.out);
        }
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
                    prefetch(x.wrapping_add(R * width + wide), 1);
                    prefetch(dx.wrapping_add(R * width + wide), 1);
                    let x = load(s, x.add(wide), n);
                    let (centred, y) = (s.sub(x, c[0]), normal(s, x, c));
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

/// to = dy + c1 + c2 * (y - c0), coefficients by channel: a gradient, and what the normalisation behind it has left to be applied.
pub(super) struct Correct<'a, T: Float> {
    pub dy: &'a [T],
    pub y: &'a [T],
    pub c: [&'a [T::Acc]; 3],
    /// [rows, channels], as dy and y.
    pub to: &'a mut [T::Acc],
}

impl<T: Float> Kernel for Correct<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Correct { dy, y, c, to } = self;
        let channels = c[0].len();
        for ((to, dy), y) in to.chunks_exact_mut(channels.max(1)).zip(dy.chunks_exact(channels.max(1))).zip(y.chunks_exact(channels.max(1)))
        {
            if T::DTYPE != DType::F32 {
                (0..channels).for_each(|k| to[k] = dy[k].acc() + (c[1][k] + c[2][k] * (y[k].acc() - c[0][k])));
                continue;
            }
            let (to, dy, y) = (to.as_mut_ptr().cast::<f32>(), dy.as_ptr().cast::<f32>(), y.as_ptr().cast::<f32>());
            for k in (0..channels).step_by(S::LANES) {
                let n = S::LANES.min(channels - k);
                // SAFETY: all of them are float32 and have `channels` elements.
                unsafe {
                    let c = inlined::<_, 3>(|i| load(s, c[i].as_ptr().cast::<f32>().add(k), n));
                    let slope = s.fma(c[2], s.sub(load(s, y.add(k), n), c[0]), c[1]);
                    store(s, to.add(k), n, s.add(load(s, dy.add(k), n), slope));
                }
            }
        }
    }
}

/// to += from.
pub(super) struct Add<'a, A> {
    pub to: &'a mut [A],
    pub from: &'a [A],
}

impl<A: Copy + std::ops::AddAssign> Kernel for Add<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (to, &from) in self.to.iter_mut().zip(self.from) {
            *to += from;
        }
    }
}

/// Vectors of a row whose sums are at hand at a time: rows are read as they lie.
const VECTORS: usize = 4;

/// Rows whose sums stay in float32, before they are added up in float64.
const SUMMED: usize = 32;

/// sums [2, channels] += of y - shift and its square, over rows of y.
pub(super) struct Moments<'a, T: Float> {
    pub y: &'a [T],
    /// A row near the mean, which keeps the squares near the variance.
    pub shift: &'a [T],
    pub sums: &'a mut [f64],
}

impl<T: Float> Kernel for Moments<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Moments { y, shift, sums } = self;
        let channels = shift.len();
        let (sums, squares) = sums.split_at_mut(channels);
        for some in y.chunks(SUMMED * channels) {
            if T::DTYPE != DType::F32 {
                for (i, v) in some.iter().enumerate() {
                    let (k, d) = (i % channels, v.to_f64() - shift[i % channels].to_f64());
                    (sums[k], squares[k]) = (sums[k] + d, squares[k] + d * d);
                }
                continue;
            }
            let (y, shift) = (some.as_ptr().cast::<f32>(), shift.as_ptr().cast::<f32>());
            for first in (0..channels).step_by(VECTORS * S::LANES) {
                let end = channels.min(first + VECTORS * S::LANES);
                // First element of a vector, and how many it has: none where the channels have ended.
                let at = |v: usize| (first + v * S::LANES).min(end);
                let len = |v: usize| S::LANES.min(end - at(v));
                let mut all = [[[0f32; LANES]; VECTORS]; 2];
                // SAFETY: both are float32, whole rows of `channels` elements; a vector has at most LANES lanes.
                unsafe {
                    let shift = inlined::<_, VECTORS>(|v| load(s, shift.add(at(v)), len(v)));
                    let (mut a, mut b) = ([s.zero(); VECTORS], [s.zero(); VECTORS]);
                    for row in 0..some.len() / channels {
                        for v in 0..VECTORS {
                            let d = s.sub(load(s, y.add(row * channels + at(v)), len(v)), shift[v]);
                            (a[v], b[v]) = (s.add(a[v], d), s.fma(d, d, b[v]));
                        }
                    }
                    for v in 0..VECTORS {
                        s.store(all[0][v].as_mut_ptr(), a[v]);
                        s.store(all[1][v].as_mut_ptr(), b[v]);
                    }
                }
                for (v, i) in (0..VECTORS).flat_map(|v| (0..len(v)).map(move |i| (v, i))) {
                    sums[at(v) + i] += f64::from(all[0][v][i]);
                    squares[at(v) + i] += f64::from(all[1][v][i]);
                }
            }
        }
    }
}
