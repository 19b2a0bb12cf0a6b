//! y = the means over windows of 2 x 2 of relu((x - mean) / sqrt(variance + eps) * weight + bias): what stands between dense blocks, by statistics that
//! are known. One pass over x, and one for its gradient, which comes in the two parts that `norm_relu_conv_grad` makes.
use crate::channels::{Param, set_stats};
use crate::norm_relu_conv::{Norm, normal};
use crate::strided::{load, store};
use ferrograd_simd::{Kernel, Scalar, Simd, inlined, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Float, Meta, Result, SyncPtr, View, ViewMut, with_float};

/// Images, rows and columns of windows, of pixels; channels.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    h: usize,
    w: usize,
    c: usize,
}

impl Sizes {
    fn new(x: &Meta) -> Sizes {
        let [n, h, w, c] = x.dims().try_into().expect("four dimensions, by the shape rule");
        Sizes { n, h, w, c }
    }
    fn coefficients_len(&self) -> usize {
        (8 * 3 * self.c).next_multiple_of(64)
    }
    /// The rows of a tensor that row `row` of windows covers: the last of an odd number goes with the last windows.
    fn pixels(&self, row: usize) -> std::ops::Range<usize> {
        let (image, row) = (row / (self.h / 2), row % (self.h / 2));
        let end = if row + 1 == self.h / 2 { self.h } else { 2 * row + 2 };
        (image * self.h + 2 * row) * self.w * self.c..(image * self.h + end) * self.w * self.c
    }
    fn windows(&self, row: usize) -> std::ops::Range<usize> {
        let len = self.w / 2 * self.c;
        row * len..(row + 1) * len
    }
}

/// Bytes that [`norm_relu_pool`] wants.
pub fn norm_relu_pool_scratch(x: &Meta) -> usize {
    Sizes::new(x).coefficients_len()
}

/// Bytes that [`norm_relu_pool_grad`] wants.
pub fn norm_relu_pool_grad_scratch(x: &Meta) -> usize {
    let s = Sizes::new(x);
    s.coefficients_len() + (8 * s.n * 2 * s.c).next_multiple_of(64)
}

/// Bytes for each thread that [`norm_relu_pool_grad`] wants.
pub fn norm_relu_pool_grad_local(x: &Meta) -> usize {
    8 * 2 * Sizes::new(x).c
}

/// x [N, H, W, C], mean, variance, weight and bias [C] -> y [N, H / 2, W / 2, C].
pub fn norm_relu_pool(
    cx: &mut Cx,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    eps: f64,
    y: &mut ViewMut,
) -> Result {
    let sizes = Sizes::new(x.meta());
    let norm = Norm { mean, variance, weight: Param::new(weight, 1.0), bias: Param::new(bias, 0.0), eps };
    with_float!(x.dtype(), T => {
        let (all, cx) = cx.split_scratch::<<T as Float>::Acc>(3 * sizes.c);
        norm.coefficients(sizes.c, all);
        let (c, x) = (thirds(all), x.slice::<T>());
        cx.par_chunks_mut(y.slice_mut::<T>(), sizes.windows(0).len(), |at, y| {
            let row = at / sizes.windows(0).len();
            let run = Means { sizes, c, x: &x[sizes.pixels(row)], y };
            if T::DTYPE == DType::F32 { vectorize(run) } else { run.run(Scalar) }
        });
        Ok(())
    })
}

fn thirds<A>(all: &[A]) -> [&[A]; 3] {
    std::array::from_fn(|i| &all[i * all.len() / 3..][..all.len() / 3])
}

/// With g the gradient of a normalised element where that is above 0: dx = weight / sqrt(variance + eps) * g, to which correction[0] + correction[1] *
/// (x - mean) [2, C] is still to be added. dweight = sum of g * (x - mean) / sqrt(variance + eps), dbias = sum of g.
pub fn norm_relu_pool_grad(
    cx: &mut Cx,
    dy: &View,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    eps: f64,
    dx: &mut ViewMut,
    correction: &mut ViewMut,
    dweight: &mut ViewMut,
    dbias: &mut ViewMut,
) -> Result {
    let sizes = Sizes::new(x.meta());
    let Sizes { n, h, w, c: channels } = sizes;
    let norm = Norm { mean, variance, weight: Param::new(weight, 1.0), bias: Param::new(bias, 0.0), eps };
    // [image, 2, channel]
    let (sums, mut cx) = cx.split_scratch::<f64>(n * 2 * channels);
    let to = SyncPtr(sums.as_mut_ptr());
    with_float!(x.dtype(), T => {
        let (all, mut cx) = cx.split_scratch::<<T as Float>::Acc>(3 * channels);
        norm.coefficients(channels, all);
        let (c, x, dy) = (thirds(all), x.slice::<T>(), dy.slice::<T>());
        let dx = SyncPtr(dx.slice_mut::<T>().as_mut_ptr());
        cx.par_local::<<T as Float>::Acc>(n, 2 * channels, |image, some| {
            // SAFETY: each image has its own sums.
            let sums = unsafe { std::slice::from_raw_parts_mut(to.get().add(image * 2 * channels), 2 * channels) };
            sums.fill(0.0);
            for row in image * (h / 2)..(image + 1) * (h / 2) {
                let pixels = sizes.pixels(row);
                // SAFETY: the rows' pixels, which are this task's.
                let dx = unsafe { std::slice::from_raw_parts_mut(dx.get().add(pixels.start), pixels.len()) };
                some.fill(T::default().acc());
                let run = Back { sizes, c, x: &x[pixels], dy: &dy[sizes.windows(row)], dx, sums: &mut *some };
                if T::DTYPE == DType::F32 { vectorize(run) } else { run.run(Scalar) }
                sums.iter_mut().zip(&*some).for_each(|(to, from)| *to += from.to_f64());
            }
        });
        Ok(())
    })?;
    let of = |k: usize| {
        let sum = |kind: usize| sums.chunks_exact(2 * channels).fold(0.0, |sum, image| sum + image[kind * channels + k]);
        norm.gradients(k, (n * h * w) as f64, [sum(0), sum(1)])
    };
    set_stats(correction, |i| of(i % channels).1[i / channels]);
    set_stats(dbias, |k| of(k).0[0]);
    set_stats(dweight, |k| of(k).0[1]);
    Ok(())
}

/// Where the four pixels of a window lie, from its first.
fn corners(s: Sizes) -> [usize; 4] {
    [0, s.c, s.w * s.c, (s.w + 1) * s.c]
}

/// A row of windows.
struct Means<'a, T: Float> {
    sizes: Sizes,
    c: [&'a [T::Acc]; 3],
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for Means<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Means { sizes, c, x, y } = self;
        let (channels, corners) = (sizes.c, corners(sizes));
        for (window, y) in y.chunks_exact_mut(channels).enumerate() {
            let x = &x[2 * window * channels..][..corners[3] + channels];
            if T::DTYPE != DType::F32 {
                for (k, y) in y.iter_mut().enumerate() {
                    let [a, b, e, f] = corners.map(|at| {
                        let v = (x[at + k].acc() - c[0][k]) * c[1][k] + c[2][k];
                        if v < T::default().acc() { T::default().acc() } else { v }
                    });
                    *y = T::from_acc(((a + b) + (e + f)) * Element::from_f64(0.25));
                }
                continue;
            }
            let (x, y) = (x.as_ptr().cast::<f32>(), y.as_mut_ptr().cast::<f32>());
            for k in (0..channels).step_by(S::LANES) {
                let m = S::LANES.min(channels - k);
                // SAFETY: all of them are float32; the window has four pixels of `channels` elements.
                unsafe {
                    let c = inlined::<_, 3>(|i| load(s, c[i].as_ptr().cast::<f32>().add(k), m));
                    let v = inlined::<_, 4>(|i| normal(s, load(s, x.add(corners[i] + k), m), c));
                    store(s, y.add(k), m, s.mul(s.add(s.add(v[0], v[1]), s.add(v[2], v[3])), s.splat(0.25)));
                }
            }
        }
    }
}

/// The gradient of a row of windows; dx of pixels behind the last window is 0. sums [2, channels] += of g and of g * (x - c0).
struct Back<'a, T: Float> {
    sizes: Sizes,
    c: [&'a [T::Acc]; 3],
    x: &'a [T],
    dy: &'a [T],
    dx: &'a mut [T],
    sums: &'a mut [T::Acc],
}

impl<T: Float> Kernel for Back<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Back { sizes, c, x, dy, dx, sums } = self;
        let (channels, row, corners) = (sizes.c, sizes.w * sizes.c, corners(sizes));
        let (sums, products) = sums.split_at_mut(channels);
        for (window, dy) in dy.chunks_exact(channels).enumerate() {
            let at = 2 * window * channels;
            let (x, dx) = (&x[at..][..corners[3] + channels], &mut dx[at..][..corners[3] + channels]);
            if T::DTYPE != DType::F32 {
                for (k, at) in (0..channels).flat_map(|k| corners.map(|at| (k, at + k))) {
                    let (zero, centred) = (T::default().acc(), x[at].acc() - c[0][k]);
                    let g = if centred * c[1][k] + c[2][k] <= zero { zero } else { dy[k].acc() * Element::from_f64(0.25) };
                    dx[at] = T::from_acc(c[1][k] * g);
                    sums[k] += g;
                    products[k] += g * centred;
                }
                continue;
            }
            let (x, dy, dx) = (x.as_ptr().cast::<f32>(), dy.as_ptr().cast::<f32>(), dx.as_mut_ptr().cast::<f32>());
            let (sums, products) = (sums.as_mut_ptr().cast::<f32>(), products.as_mut_ptr().cast::<f32>());
            for k in (0..channels).step_by(S::LANES) {
                let m = S::LANES.min(channels - k);
                // SAFETY: all of them are float32; the window has four pixels of `channels` elements, of which there are as many sums.
                unsafe {
                    let c = inlined::<_, 3>(|i| load(s, c[i].as_ptr().cast::<f32>().add(k), m));
                    let d = s.mul(load(s, dy.add(k), m), s.splat(0.25));
                    let (mut sum, mut product) = (load(s, sums.add(k), m), load(s, products.add(k), m));
                    for at in corners {
                        let x = load(s, x.add(at + k), m);
                        let g = s.select(s.le(normal(s, x, c), s.zero()), s.zero(), d);
                        store(s, dx.add(at + k), m, s.mul(c[1], g));
                        (sum, product) = (s.add(sum, g), s.fma(g, s.sub(x, c[0]), product));
                    }
                    store(s, sums.add(k), m, sum);
                    store(s, products.add(k), m, product);
                }
            }
        }
        // A last column or row that no window covers.
        for line in dx[..2 * row].chunks_exact_mut(row) {
            line[sizes.w / 2 * 2 * channels..].fill(T::default());
        }
        dx[2 * row..].fill(T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::shuffled::on_lanes;
    use crate::testing::{assert_close, each_isa, noise};
    use ferrograd_tensor::bf16;

    const EPS: f64 = 1e-5;

    /// y, dx with its correction applied, dweight, dbias: of the kernels on so many threads, and of loops over everything.
    fn both<T: Element, St: Element>([n, h, w, c]: [usize; 4], threads: usize) -> [[Vec<f64>; 4]; 2] {
        let numbers = |seed, len: usize, add: f64| noise(seed, len).iter().map(|&v| T::from_f64(v + add)).collect::<Vec<T>>();
        let windows = [n, h / 2, w / 2, c];
        let (x, dy) = (numbers(1, n * h * w * c, 0.0), numbers(2, windows.iter().product(), 0.0));
        let (weight, bias) = (numbers(3, c, 1.5), numbers(4, c, 0.0));
        let wide = |v: &[T]| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
        let rows = (n * h * w) as f64;
        let column = |k: usize| x.iter().skip(k).step_by(c).map(|v| v.to_f64());
        let mean: Vec<St> = (0..c).map(|k| St::from_f64(column(k).sum::<f64>() / rows)).collect();
        let variance: Vec<St> =
            (0..c).map(|k| St::from_f64(column(k).map(|v| (v - mean[k].to_f64()).powi(2)).sum::<f64>() / rows)).collect();

        let rstd = |k: usize| 1.0 / (variance[k].to_f64() + EPS).sqrt();
        let normal = |i: usize| (x[i].to_f64() - mean[i % c].to_f64()) * rstd(i % c);
        let (mut y, mut g) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        for (i, y) in y.iter_mut().enumerate() {
            let (k, col, row, image) = (i % c, i / c % (w / 2), i / c / (w / 2) % (h / 2), i / c / (w / 2) / (h / 2));
            for corner in 0..4 {
                let at = ((image * h + 2 * row + corner / 2) * w + 2 * col + corner % 2) * c + k;
                let z = normal(at) * weight[k].to_f64() + bias[k].to_f64();
                *y += z.max(0.0) / 4.0;
                g[at] = if z > 0.0 { dy[i].to_f64() / 4.0 } else { 0.0 };
            }
        }
        let sum = |k: usize, f: &dyn Fn(usize) -> f64| (k..x.len()).step_by(c).map(f).sum::<f64>();
        let dbias: Vec<f64> = (0..c).map(|k| sum(k, &|i| g[i])).collect();
        let dweight: Vec<f64> = (0..c).map(|k| sum(k, &|i| g[i] * normal(i))).collect();
        let inner = |i: usize| g[i] - dbias[i % c] / rows - normal(i) * dweight[i % c] / rows;
        let dx = (0..x.len()).map(|i| weight[i % c].to_f64() * rstd(i % c) * inner(i)).collect();
        let want = [y, dx, dweight, dbias];

        let dims = [n, h, w, c];
        let (xv, mv, vv) = (View::of(&x, &dims), View::of(&mean, &[c]), View::of(&variance, &[c]));
        let (wv, bv) = (View::of(&weight, &[c]), View::of(&bias, &[c]));
        let mut y = vec![T::default(); dy.len()];
        on_lanes(threads, norm_relu_pool_scratch(xv.meta()), 0, |cx| {
            norm_relu_pool(cx, &xv, &mv, &vv, Some(&wv), Some(&bv), EPS, &mut ViewMut::of(&mut y, &windows)).unwrap()
        });
        let mut dx = vec![T::from_f64(7.0); x.len()];
        let [mut correction, mut dweight, mut dbias] = [2 * c, c, c].map(|len| vec![St::default(); len]);
        on_lanes(threads, norm_relu_pool_grad_scratch(xv.meta()), norm_relu_pool_grad_local(xv.meta()), |cx| {
            let (dx, correction) = (&mut ViewMut::of(&mut dx, &dims), &mut ViewMut::of(&mut correction, &[2, c]));
            let (dweight, dbias) = (&mut ViewMut::of(&mut dweight, &[c]), &mut ViewMut::of(&mut dbias, &[c]));
            let dy = View::of(&dy, &windows);
            norm_relu_pool_grad(cx, &dy, &xv, &mv, &vv, Some(&wv), Some(&bv), EPS, dx, correction, dweight, dbias).unwrap()
        });
        let linear = |i: usize| correction[i % c].to_f64() + correction[c + i % c].to_f64() * (x[i].to_f64() - mean[i % c].to_f64());
        let dx = dx.iter().enumerate().map(|(i, v)| v.to_f64() + linear(i)).collect();
        let narrow = |v: &[St]| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
        [[wide(&y), dx, narrow(&dweight), narrow(&dbias)], want]
    }

    const SIZES: [[usize; 4]; 4] = [[2, 4, 6, 5], [3, 5, 7, 33], [1, 2, 2, 1], [2, 16, 16, 108]];

    #[test]
    fn against_loops_on_every_path() {
        let check = |[got, want]: [[Vec<f64>; 4]; 2], tolerance: f64, sizes: [usize; 4]| {
            for (name, (got, want)) in ["y", "dx", "dweight", "dbias"].into_iter().zip(got.iter().zip(&want)) {
                let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
                assert_close(got, want, tolerance, tolerance * scale, &format!("{name} {sizes:?}"));
            }
        };
        each_isa(|_| SIZES.into_iter().for_each(|sizes| check(both::<f32, f32>(sizes, 1), 1e-5, sizes)));
        check(both::<f64, f64>([3, 5, 7, 33], 1), 1e-11, [3, 5, 7, 33]);
        check(both::<bf16, f32>([3, 5, 7, 33], 1), 3e-2, [3, 5, 7, 33]);
    }

    #[test]
    fn the_same_bits_on_any_number_of_threads() {
        for sizes in SIZES {
            let [one, _] = both::<f32, f32>(sizes, 1);
            for threads in [2, 3, 7] {
                assert_eq!(both::<f32, f32>(sizes, threads)[0], one, "{sizes:?} on {threads} threads");
            }
        }
    }
}
