//! Forward and gradient against loops over everything, on every path and number of threads, where tiles pay and where not.
use super::*;
use crate::gemm::shuffled::on_lanes;
use crate::testing::{assert_close, each_isa, noise};
use ferrograd_tensor::{Element, bf16, f16};

const EPS: f64 = 1e-5;

struct Operands {
    /// Images, height, width, channels, outputs.
    sizes: [usize; 5],
    x: Vec<f64>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    kernel: Vec<f64>,
    dy: Vec<f64>,
}

impl Operands {
    fn new<T: Element>(sizes: [usize; 5]) -> Operands {
        let [n, h, w, c, o] = sizes;
        let rounded = |seed, len| noise(seed, len).iter().map(|&v| T::from_f64(v).to_f64()).collect::<Vec<f64>>();
        let x = rounded(1, n * h * w * c);
        let rows = (n * h * w) as f64;
        let column = |k: usize| x.iter().skip(k).step_by(c);
        // As float32 holds them: a ReLU's edge is where the kernels see it.
        let mean: Vec<f64> = (0..c).map(|k| f64::from((column(k).sum::<f64>() / rows) as f32)).collect();
        let variance = (0..c).map(|k| f64::from((column(k).map(|v| (v - mean[k]).powi(2)).sum::<f64>() / rows) as f32)).collect();
        let weight = noise(2, c).iter().map(|v| T::from_f64(v + 1.5).to_f64()).collect();
        Operands { sizes, mean, variance, weight, bias: rounded(3, c), kernel: rounded(4, o * 9 * c), dy: rounded(5, n * h * w * o), x }
    }

    /// y, dx with its correction applied, dkernel, dweight, dbias.
    fn reference(&self) -> [Vec<f64>; 5] {
        let [n, h, w, c, o] = self.sizes;
        let rstd = |k: usize| 1.0 / (self.variance[k] + EPS).sqrt();
        let normal = |i: usize| (self.x[i] - self.mean[i % c]) * rstd(i % c);
        let active: Vec<f64> = (0..self.x.len()).map(|i| (normal(i) * self.weight[i % c] + self.bias[i % c]).max(0.0)).collect();
        let (mut y, mut g, mut dkernel) = (vec![0.0; n * h * w * o], vec![0.0; self.x.len()], vec![0.0; self.kernel.len()]);
        for (place, tap) in (0..n * h * w).flat_map(|place| (0..9).map(move |tap| (place, tap))) {
            let (row, col) = (place / w % h + tap / 3, place % w + tap % 3);
            if row < 1 || col < 1 || row > h || col > w {
                continue;
            }
            let source = (place / (h * w) * h + row - 1) * w + col - 1;
            for (out, k) in (0..o).flat_map(|out| (0..c).map(move |k| (out, k))) {
                let (at, i) = ((out * 9 + tap) * c + k, source * c + k);
                y[place * o + out] += active[i] * self.kernel[at];
                dkernel[at] += active[i] * self.dy[place * o + out];
                g[i] += if active[i] > 0.0 { self.dy[place * o + out] * self.kernel[at] } else { 0.0 };
            }
        }
        let (mut dweight, mut dbias) = (vec![0.0; c], vec![0.0; c]);
        for (i, g) in g.iter().enumerate() {
            dbias[i % c] += g;
            dweight[i % c] += g * normal(i);
        }
        let rows = (n * h * w) as f64;
        let inner = |i: usize, g: f64| g - dbias[i % c] / rows - normal(i) * dweight[i % c] / rows;
        let dx = g.iter().enumerate().map(|(i, &g)| self.weight[i % c] * rstd(i % c) * inner(i, g)).collect();
        [y, dx, dkernel, dweight, dbias]
    }

    /// The same by the kernels.
    fn run<T: Element, St: Element>(&self, threads: usize) -> [Vec<f64>; 5] {
        let [n, h, w, c, o] = self.sizes;
        let cast = |v: &[f64]| v.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
        let stats = |v: &[f64]| v.iter().map(|&v| St::from_f64(v)).collect::<Vec<St>>();
        let (x, kernel, dy, weight, bias) = (cast(&self.x), cast(&self.kernel), cast(&self.dy), cast(&self.weight), cast(&self.bias));
        let (mean, variance) = (stats(&self.mean), stats(&self.variance));
        let (x, dy) = (View::of(&x, &[n, h, w, c]), View::of(&dy, &[n, h, w, o]));
        let (mean, variance, kernel) = (View::of(&mean, &[c]), View::of(&variance, &[c]), View::of(&kernel, &[o, 3, 3, c]));
        let (weight, bias) = (View::of(&weight, &[c]), View::of(&bias, &[c]));
        let mut y = vec![T::default(); n * h * w * o];
        let (scratch, local) = (norm_relu_conv3x3_scratch(x.meta(), kernel.meta()), norm_relu_conv3x3_local(x.meta(), kernel.meta()));
        on_lanes(threads, scratch, local, |cx| {
            let y = &mut ViewMut::of(&mut y, &[n, h, w, o]);
            norm_relu_conv3x3(cx, &x, &mean, &variance, Some(&weight), Some(&bias), &kernel, EPS, y).unwrap()
        });
        let (mut dx, mut dkernel) = (vec![T::default(); n * h * w * c], vec![T::default(); o * 9 * c]);
        let [mut correction, mut dweight, mut dbias] = [2 * c, c, c].map(|len| vec![St::default(); len]);
        let scratch = norm_relu_conv3x3_grad_scratch(x.meta(), dy.meta(), kernel.meta());
        on_lanes(threads, scratch, norm_relu_conv3x3_grad_local(x.meta(), dy.meta(), kernel.meta()), |cx| {
            norm_relu_conv3x3_grad(
                cx,
                &dy,
                &x,
                &mean,
                &variance,
                Some(&weight),
                Some(&bias),
                &kernel,
                EPS,
                &mut ViewMut::of(&mut dx, &[n, h, w, c]),
                &mut ViewMut::of(&mut correction, &[2, c]),
                &mut ViewMut::of(&mut dkernel, &[o, 3, 3, c]),
                &mut ViewMut::of(&mut dweight, &[c]),
                &mut ViewMut::of(&mut dbias, &[c]),
            )
            .unwrap()
        });
        let wide = |v: &[T]| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
        let narrow = |v: &[St]| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
        let correction = narrow(&correction);
        let linear = |i: usize| correction[i % c] + correction[c + i % c] * (self.x[i] - self.mean[i % c]);
        let dx = wide(&dx).iter().enumerate().map(|(i, v)| v + linear(i)).collect();
        [wide(&y), dx, wide(&dkernel), narrow(&dweight), narrow(&dbias)]
    }
}

fn check<T: Element, St: Element>(sizes: [usize; 5], tolerance: f64) {
    let operands = Operands::new::<T>(sizes);
    let (got, want) = (operands.run::<T, St>(1), operands.reference());
    for (name, (got, want)) in ["y", "dx", "dkernel", "dweight", "dbias"].into_iter().zip(got.iter().zip(&want)) {
        let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        assert_close(got, want, tolerance, tolerance * scale, &format!("{name} {sizes:?} {:?}", T::DTYPE));
    }
}

/// Tiles pay from 32 channels and 12 outputs on.
const SIZES: [[usize; 5]; 7] =
    [[2, 3, 4, 2, 1], [1, 1, 2, 3, 2], [3, 7, 5, 33, 12], [2, 16, 16, 48, 12], [40, 4, 4, 48, 12], [3, 9, 8, 70, 20], [2, 5, 1, 40, 16]];

#[test]
fn against_loops_on_every_path() {
    assert!(winograd::pays(&shape([3, 7, 5, 33, 12])) && !winograd::pays(&shape([2, 5, 1, 40, 16])));
    each_isa(|_| SIZES.into_iter().for_each(|sizes| check::<f32, f32>(sizes, 1e-5)));
    check::<f64, f64>([3, 7, 5, 33, 12], 1e-11);
    check::<f64, f64>([2, 3, 4, 2, 1], 1e-11);
    check::<bf16, f32>([3, 7, 5, 33, 12], 5e-2);
    check::<f16, f32>([3, 7, 5, 33, 12], 8e-3);
}

fn shape([n, h, w, c, o]: [usize; 5]) -> Geometry {
    let meta = |dims: &[usize]| Meta::new(DType::F32, dims).unwrap();
    geometry(&meta(&[n, h, w, c]), &meta(&[o, 3, 3, c]))
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    for sizes in SIZES {
        let operands = Operands::new::<f32>(sizes);
        let one = operands.run::<f32, f32>(1);
        for threads in [2, 3, 7] {
            assert_eq!(operands.run::<f32, f32>(threads), one, "{sizes:?} on {threads} threads");
        }
    }
}
