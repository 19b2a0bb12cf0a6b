//! Forward and gradient against loops over everything, on every path and number of threads.
use super::*;
use crate::gemm::shuffled::on_lanes;
use crate::testing::{assert_close, each_isa, noise};
use ferrograd_tensor::{bf16, f16};

const EPS: f64 = 1e-5;

/// Operands of one call: x and dx [rows, width], statistics [width], the rest for `channels` and `out`.
struct Operands {
    sizes: Sizes,
    x: Vec<f64>,
    dx: Vec<f64>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    kernel: Vec<f64>,
    dy: Vec<f64>,
    /// What is still to be added to dy, [2, out].
    behind: Vec<f64>,
}

impl Operands {
    fn new([rows, width, channels, out]: [usize; 4]) -> Operands {
        let x = noise(1, rows * width);
        let column = |k: usize| (0..rows).map(|r| x[r * width + k]).collect::<Vec<f64>>();
        let mean: Vec<f64> = (0..width).map(|k| column(k).iter().sum::<f64>() / rows as f64).collect();
        let variance = (0..width).map(|k| column(k).iter().map(|v| (v - mean[k]).powi(2)).sum::<f64>() / rows as f64).collect();
        let (weight, bias) = (noise(2, channels).iter().map(|v| v + 1.5).collect(), noise(3, channels));
        let sizes = Sizes { rows, width, channels, out, elements: 0 };
        Operands {
            sizes,
            dx: noise(4, rows * width),
            kernel: noise(5, out * channels),
            dy: noise(6, rows * out),
            behind: noise(7, 2 * out),
            x,
            mean,
            variance,
            weight,
            bias,
        }
    }
    /// Every operand as T holds it.
    fn rounded<T: Element>(mut self) -> Operands {
        let Operands { x, dx, weight, bias, kernel, dy, .. } = &mut self;
        for v in [x, dx, weight, bias, kernel, dy].into_iter().flatten() {
            *v = T::from_f64(*v).to_f64();
        }
        self
    }
    fn normal(&self, r: usize, k: usize) -> f64 {
        (self.x[r * self.sizes.width + k] - self.mean[k]) / (self.variance[k] + EPS).sqrt()
    }
    /// y, dx with its correction applied, dkernel, dweight, dbias, y's mean and variance.
    fn reference(&self) -> [Vec<f64>; 7] {
        let Sizes { rows, width, channels, out, .. } = self.sizes;
        let z = |r: usize, k: usize| self.normal(r, k) * self.weight[k] + self.bias[k];
        let (mut y, mut dkernel) = (vec![0.0; rows * out], vec![0.0; out * channels]);
        let (mut dx, mut dweight, mut dbias) = (self.dx.clone(), vec![0.0; channels], vec![0.0; channels]);
        let mut g = vec![0.0; rows * channels];
        for r in 0..rows {
            for k in 0..channels {
                for o in 0..out {
                    y[r * out + o] += z(r, k).max(0.0) * self.kernel[o * channels + k];
                }
            }
        }
        let column = |o: usize| y.iter().skip(o).step_by(out);
        let y_mean: Vec<f64> = (0..out).map(|o| column(o).sum::<f64>() / rows as f64).collect();
        let y_variance = (0..out).map(|o| column(o).map(|v| (v - y_mean[o]).powi(2)).sum::<f64>() / rows as f64).collect();
        for r in 0..rows {
            for k in 0..channels {
                for o in 0..out {
                    let dy = self.dy[r * out + o] + self.behind[o] + self.behind[out + o] * (y[r * out + o] - y_mean[o]);
                    dkernel[o * channels + k] += z(r, k).max(0.0) * dy;
                    if z(r, k) > 0.0 {
                        g[r * channels + k] += dy * self.kernel[o * channels + k];
                    }
                }
                dbias[k] += g[r * channels + k];
                dweight[k] += g[r * channels + k] * self.normal(r, k);
            }
        }
        for r in 0..rows {
            for k in 0..channels {
                let inner = g[r * channels + k] - dbias[k] / rows as f64 - self.normal(r, k) * dweight[k] / rows as f64;
                dx[r * width + k] += self.weight[k] / (self.variance[k] + EPS).sqrt() * inner;
            }
        }
        [y, dx, dkernel, dweight, dbias, y_mean, y_variance]
    }
    /// The same by the kernels.
    fn run<T: Element, St: Element>(&self, threads: usize) -> [Vec<f64>; 7] {
        let Sizes { rows, width, channels, out, .. } = self.sizes;
        let cast = |v: &[f64]| v.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
        let stats = |v: &[f64]| v.iter().map(|&v| St::from_f64(v)).collect::<Vec<St>>();
        let wide = |v: &[T]| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
        let (x, kernel, dy, weight, bias) = (cast(&self.x), cast(&self.kernel), cast(&self.dy), cast(&self.weight), cast(&self.bias));
        let (mean, variance) = (stats(&self.mean), stats(&self.variance));
        let (xv, kernel) = (View::of(&x, &[rows, width]), View::of(&kernel, &[out, 1, 1, channels]));
        let (mv, vv) = (View::of(&mean, &[width]), View::of(&variance, &[width]));
        let (w, b) = (View::of(&weight, &[channels]), View::of(&bias, &[channels]));
        let (mut y, mut y_mean, mut y_variance) = (vec![T::default(); rows * out], vec![St::default(); out], vec![St::default(); out]);
        let room = [norm_relu_conv_scratch(xv.meta(), kernel.meta()), norm_relu_conv_local(xv.meta(), kernel.meta())];
        on_lanes(threads, room[0], room[1], |cx| {
            let (m, v) = (&mut ViewMut::of(&mut y_mean, &[out]), &mut ViewMut::of(&mut y_variance, &[out]));
            norm_relu_conv(cx, &xv, &mv, &vv, Some(&w), Some(&b), &kernel, EPS, &mut ViewMut::of(&mut y, &[rows, out]), m, v).unwrap()
        });
        let behind = stats(&self.behind);
        let (mut dx, mut correction) = (cast(&self.dx), vec![St::from_f64(0.0); 2 * width]);
        let mut dkernel = vec![T::default(); out * channels];
        let (mut dweight, mut dbias) = (vec![St::default(); channels], vec![St::default(); channels]);
        let room = [norm_relu_conv_grad_scratch(xv.meta(), kernel.meta()), norm_relu_conv_grad_local(xv.meta(), kernel.meta())];
        on_lanes(threads, room[0], room[1], |cx| {
            norm_relu_conv_grad(
                cx,
                &View::of(&dy, &[rows, out]),
                &View::of(&y, &[rows, out]),
                &View::of(&y_mean, &[out]),
                &View::of(&behind, &[2, out]),
                &xv,
                &mv,
                &vv,
                Some(&w),
                Some(&b),
                &kernel,
                &mut ViewMut::of(&mut dx, &[rows, width]),
                &mut ViewMut::of(&mut correction, &[2, width]),
                EPS,
                &mut ViewMut::of(&mut dkernel, &[out, 1, 1, channels]),
                &mut ViewMut::of(&mut dweight, &[channels]),
                &mut ViewMut::of(&mut dbias, &[channels]),
            )
            .unwrap()
        });
        let narrow = |v: &[St]| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
        let (mut dx, correction) = (wide(&dx), narrow(&correction));
        for (i, dx) in dx.iter_mut().enumerate() {
            let k = i % width;
            *dx += correction[k] + correction[width + k] * (self.x[i] - self.mean[k]);
        }
        [wide(&y), dx, wide(&dkernel), narrow(&dweight), narrow(&dbias), narrow(&y_mean), narrow(&y_variance)]
    }
}

fn check<T: Element, St: Element>(sizes: [usize; 4], tolerance: f64) {
    let operands = Operands::new(sizes).rounded::<T>();
    let (got, want) = (operands.run::<T, St>(1), operands.reference());
    for (name, (got, want)) in ["y", "dx", "dkernel", "dweight", "dbias", "y_mean", "y_variance"].into_iter().zip(got.iter().zip(&want)) {
        let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        assert_close(got, want, tolerance, tolerance * scale, &format!("{name} {sizes:?} {:?}", T::DTYPE));
    }
}

/// Rows, channels of the buffer, those that are read, those that come out.
const SIZES: [[usize; 4]; 7] =
    [[5, 3, 2, 1], [7, 4, 4, 3], [600, 40, 24, 48], [1100, 70, 67, 12], [530, 216, 204, 48], [20_000, 9, 3, 5], [70, 700, 650, 16]];

#[test]
fn against_loops_on_every_path() {
    each_isa(|_| SIZES.into_iter().for_each(|sizes| check::<f32, f32>(sizes, 1e-5)));
    check::<f64, f64>([600, 40, 24, 48], 1e-11);
    check::<f64, f64>([5, 3, 2, 1], 1e-11);
    check::<bf16, f32>([600, 40, 24, 48], 3e-2);
    check::<f16, f32>([600, 40, 24, 48], 4e-3);
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    for sizes in SIZES {
        let operands = Operands::new(sizes);
        let one = operands.run::<f32, f32>(1);
        for threads in [2, 3, 7] {
            assert_eq!(operands.run::<f32, f32>(threads), one, "{sizes:?} on {threads} threads");
        }
    }
}
