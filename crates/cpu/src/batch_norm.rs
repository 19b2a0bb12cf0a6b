//! batch_norm: each channel (the last dimension) normalised over all others, a residual added and a ReLU applied where asked; its gradient; running
//! statistics.
use crate::affine::{Coefficients, Relu, Then, affine, affine_grad};
use crate::channels::{GradSums, Moments, Param, ReluGradSums, Size, column_sums, joined, set_stats, stat};
use ferrograd_tensor::{Cx, DType, Element, Error, Float, Meta, Result, View, ViewMut, with_element, with_float};

/// Scratch of [`batch_norm`], [`batch_norm_fixed`] and [`batch_norm_grad`] in bytes.
pub fn batch_norm_scratch(x: &Meta) -> usize {
    let size = Size::flat(x);
    (size.partials() * 8).next_multiple_of(64) + Coefficients::<f64>::len(size) * 8
}

/// 1 / sqrt(variance + eps), of the variance as it is kept: the gradient finds the same bits.
fn rstd(variance: f64, eps: f64) -> f64 {
    1.0 / (variance + eps).sqrt()
}

/// A statistic as a tensor of `dtype` keeps it.
fn kept(dtype: DType, value: f64) -> f64 {
    if dtype == DType::F64 { value } else { f64::from(value as f32) }
}

/// y = act((x - mean) / sqrt(variance + eps) * weight + bias + residual); the variance is the biased one. `activation`: 0 none, 1 ReLU.
pub fn batch_norm(
    cx: &mut Cx,
    x: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    residual: Option<&View>,
    eps: f64,
    activation: i64,
    y: &mut ViewMut,
    mean: &mut ViewMut,
    variance: &mut ViewMut,
) -> Result {
    let size = Size::flat(x.meta());
    let n = size.rows as f64;
    let (weight, bias) = (Param::new(weight, 1.0), Param::new(bias, 0.0));
    let stats = mean.dtype();
    with_float!(x.dtype(), T => {
        let data = x.slice::<T>();
        let (partial, mut cx) = cx.split_scratch::<f64>(size.partials());
        column_sums(&cx, size, &Moments { x: data, size }, partial);
        let (all, cx) = cx.split_scratch::<<T as Float>::Acc>(Coefficients::<<T as Float>::Acc>::len(size));
        let mut c = Coefficients { size, all };
        if data.is_empty() {
            return Ok(());
        }
        let of = |channel: usize| {
            let (a, b) = joined(partial, size, 0, channel);
            // Sums of x - x[0]: the mean moves back, the variance does not change.
            let (m, v) = (data[channel].to_f64() + a / n, ((b - a * (a / n)) / n).max(0.0));
            // NaN got lost in the max above, which keeps tiny negative variances out: bring it back.
            (kept(stats, m), if m.is_nan() { f64::NAN } else { kept(stats, v) })
        };
        for channel in 0..size.channels {
            let (m, v) = of(channel);
            c.set(0, channel, [m, weight.at(channel) * rstd(v, eps), bias.at(channel), 0.0, 0.0, 0.0]);
        }
        set_stats(mean, |channel| of(channel).0);
        set_stats(variance, |channel| of(channel).1);
        affine(&cx, data, &c, Then { residual: residual.map(|r| r.slice::<T>()), relu: activation == 1 }, y.slice_mut::<T>());
        Ok(())
    })
}

/// As [`batch_norm`], with statistics that are given: what evaluation does.
pub fn batch_norm_fixed(
    cx: &mut Cx,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    residual: Option<&View>,
    eps: f64,
    activation: i64,
    y: &mut ViewMut,
) -> Result {
    let size = Size::flat(x.meta());
    let (mean, variance) = (Param::new(Some(mean), 0.0), Param::new(Some(variance), 1.0));
    let (weight, bias) = (Param::new(weight, 1.0), Param::new(bias, 0.0));
    with_float!(x.dtype(), T => {
        let (all, cx) = cx.split_scratch::<<T as Float>::Acc>(Coefficients::<<T as Float>::Acc>::len(size));
        let mut c = Coefficients { size, all };
        for channel in 0..size.channels {
            let scale = weight.at(channel) * rstd(variance.at(channel), eps);
            c.set(0, channel, [mean.at(channel), scale, bias.at(channel), 0.0, 0.0, 0.0]);
        }
        let then = Then { residual: residual.map(|r| r.slice::<T>()), relu: activation == 1 };
        affine(&cx, x.slice::<T>(), &c, then, y.slice_mut::<T>());
        Ok(())
    })
}

/// With xhat = (x - mean) * rstd: dbias = sum dy, dweight = sum dy * xhat, dx = weight * rstd * (dy - dbias / n - xhat * dweight / n). Behind a
/// ReLU (and no residual) dy counts where that let it pass, which `bias` is there to tell.
pub fn batch_norm_grad(
    cx: &mut Cx,
    dy: &View,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    eps: f64,
    activation: i64,
    dx: &mut ViewMut,
    dweight: &mut ViewMut,
    dbias: &mut ViewMut,
) -> Result {
    let size = Size::flat(x.meta());
    let (n, relu) = (size.rows as f64, activation == 1);
    let (weight, bias) = (Param::new(weight, 1.0), Param::new(bias, 0.0));
    let rstd = |channel: usize| rstd(stat(variance, channel), eps);
    with_float!(x.dtype(), T => {
        let (data, grad) = (x.slice::<T>(), dy.slice::<T>());
        let (partial, mut cx) = cx.split_scratch::<f64>(size.partials());
        let (all, cx) = cx.split_scratch::<<T as Float>::Acc>(Coefficients::<<T as Float>::Acc>::len(size));
        let mut c = Coefficients { size, all };
        let sums = GradSums { dy: grad, x: data, mean: |_, channel| stat(mean, channel) };
        if relu {
            for channel in 0..size.channels {
                c.set(0, channel, [stat(mean, channel), 1.0, 0.0, 0.0, weight.at(channel) * rstd(channel), bias.at(channel)]);
            }
            column_sums(&cx, size, &ReluGradSums { sums, relu: Relu::new(c.of(0)) }, partial);
        } else {
            column_sums(&cx, size, &sums, partial);
        }
        set_stats(dbias, |channel| joined(partial, size, 0, channel).0);
        set_stats(dweight, |channel| joined(partial, size, 0, channel).1 * rstd(channel));
        for channel in 0..size.channels {
            let (a, b) = joined(partial, size, 0, channel);
            let r = rstd(channel);
            c.set(0, channel, [stat(mean, channel), 1.0, r * r * b / n, a / n, weight.at(channel) * r, bias.at(channel)]);
        }
        affine_grad(&cx, grad, data, &c, relu, dx.slice_mut::<T>());
        Ok(())
    })
}

/// running += factor * (batch - running) with the unbiased variance; `factor` is `momentum`, or 1 / count where that is negative; count
/// += 1. A batch of one sample has no unbiased variance: its biased one (0) is taken.
pub fn batch_norm_update(
    _cx: &mut Cx,
    mean: &View,
    variance: &View,
    running_mean: &mut ViewMut,
    running_variance: &mut ViewMut,
    count: &mut ViewMut,
    samples: i64,
    momentum: f64,
) -> Result {
    if running_mean.dims() != mean.dims() || running_variance.dims() != mean.dims() || count.numel() != 1 {
        return Err(Error::shape(format!(
            "running statistics do not match the batch's.\n  mean {:?}, running mean {:?}, running variance {:?}, count {:?}\n  \
             All must be [channels], and the count one number.",
            mean.dims(),
            running_mean.dims(),
            running_variance.dims(),
            count.dims()
        )));
    }
    let seen = with_element!(count.dtype(), T => {
        let count = count.slice_mut::<T>();
        count[0] = T::from_f64(count[0].to_f64() + 1.0);
        count[0].to_f64()
    });
    let factor = if momentum < 0.0 { 1.0 / seen } else { momentum };
    let unbiased = if samples > 1 { samples as f64 / (samples - 1) as f64 } else { 1.0 };
    update(running_mean, mean, 1.0, factor)?;
    update(running_variance, variance, unbiased, factor)
}

fn update(running: &mut ViewMut, batch: &View, scale: f64, factor: f64) -> Result {
    with_float!(running.dtype(), T => {
        for (i, r) in running.slice_mut::<T>().iter_mut().enumerate() {
            let old = r.to_f64();
            *r = T::from_f64(old + factor * (stat(batch, i) * scale - old));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, each_isa, noise, run};
    use ferrograd_tensor::bf16;

    /// y, mean, variance, dx, dweight, dbias in float64, two passes.
    fn reference(x: &[f64], dy: &[f64], c: usize, w: &[f64], b: &[f64], eps: f64) -> [Vec<f64>; 6] {
        let n = x.len() / c.max(1);
        let mut out: [Vec<f64>; 6] = Default::default();
        (out[0], out[3]) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for k in 0..c {
            let col: Vec<usize> = (0..n).map(|i| i * c + k).collect();
            let mean = col.iter().map(|&i| x[i]).sum::<f64>() / n as f64;
            let var = col.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / n as f64;
            let r = 1.0 / (var + eps).sqrt();
            let db: f64 = col.iter().map(|&i| dy[i]).sum();
            let dw: f64 = col.iter().map(|&i| dy[i] * (x[i] - mean) * r).sum();
            for &i in &col {
                let xhat = (x[i] - mean) * r;
                out[0][i] = xhat * w[k] + b[k];
                out[3][i] = w[k] * r * (dy[i] - db / n as f64 - xhat * dw / n as f64);
            }
            out[1].push(mean);
            out[2].push(var);
            out[4].push(dw);
            out[5].push(db);
        }
        out
    }

    fn check<T: Element, St: Element>(dims: &[usize], tolerance: f64, offset: f64, affine: bool) {
        let c = dims[dims.len() - 1];
        let n: usize = dims.iter().product();
        let x: Vec<T> = noise(1, n).iter().map(|&v| T::from_f64(v + offset)).collect();
        let dy: Vec<T> = noise(2, n).iter().map(|&v| T::from_f64(v)).collect();
        let (w, b): (Vec<T>, Vec<T>) =
            (noise(3, c).iter().map(|&v| T::from_f64(v + 1.5)).collect(), noise(4, c).iter().map(|&v| T::from_f64(v)).collect());
        let wide = |v: &[T]| v.iter().map(|v| v.to_f64()).collect::<Vec<_>>();
        let (one, zero) = (vec![1.0; c], vec![0.0; c]);
        let want = reference(&wide(&x), &wide(&dy), c, &if affine { wide(&w) } else { one }, &if affine { wide(&b) } else { zero }, 1e-5);
        let (xv, dyv, wv, bv) = (View::of(&x, dims), View::of(&dy, dims), View::of(&w, &[c]), View::of(&b, &[c]));
        let (mut y, mut mean, mut var) = (vec![T::default(); n], vec![St::default(); c], vec![St::default(); c]);
        let scratch = batch_norm_scratch(xv.meta());
        run(scratch, |cx| {
            let (w, b) = if affine { (Some(&wv), Some(&bv)) } else { (None, None) };
            batch_norm(
                cx,
                &xv,
                w,
                b,
                None,
                1e-5,
                0,
                &mut ViewMut::of(&mut y, dims),
                &mut ViewMut::of(&mut mean, &[c]),
                &mut ViewMut::of(&mut var, &[c]),
            )
        })
        .unwrap();
        let (mut dx, mut dw, mut db) = (vec![T::default(); n], vec![St::default(); c], vec![St::default(); c]);
        run(scratch, |cx| {
            let (m, v) = (View::of(&mean, &[c]), View::of(&var, &[c]));
            let w = if affine { Some(&wv) } else { None };
            batch_norm_grad(
                cx,
                &dyv,
                &xv,
                &m,
                &v,
                w,
                None,
                1e-5,
                0,
                &mut ViewMut::of(&mut dx, dims),
                &mut ViewMut::of(&mut dw, &[c]),
                &mut ViewMut::of(&mut db, &[c]),
            )
        })
        .unwrap();
        let stats = |v: &[St]| v.iter().map(|v| v.to_f64()).collect::<Vec<_>>();
        for (name, got, want) in [
            ("y", wide(&y), &want[0]),
            ("mean", stats(&mean), &want[1]),
            ("variance", stats(&var), &want[2]),
            ("dx", wide(&dx), &want[3]),
            ("dweight", stats(&dw), &want[4]),
            ("dbias", stats(&db), &want[5]),
        ] {
            let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            assert_close(&got, want, tolerance, tolerance * scale, &format!("{name} {dims:?}"));
        }
    }

    #[test]
    fn against_two_passes_in_float64() {
        each_isa(|_| {
            for dims in [&[5usize, 3][..], &[1, 4], &[4, 6, 6, 16], &[3, 7, 33], &[2000, 1], &[700, 300], &[40_000, 10], &[1025, 64]] {
                check::<f32, f32>(dims, 2e-6, 0.0, true);
                check::<f32, f32>(dims, 1e-4, 100.0, false);
            }
        });
        for dims in [&[5usize, 3][..], &[4, 6, 6, 16], &[700, 300]] {
            check::<f64, f64>(dims, 1e-11, 0.0, true);
            check::<bf16, f32>(dims, 2e-2, 0.0, true);
        }
        check::<f32, f32>(&[5, 0], 1e-6, 0.0, true);
    }

    /// [y, mean, variance] of one call, by the batch's statistics or by those given.
    fn forward<T: Element>(
        dims: &[usize],
        [x, w, b, r]: [&[T]; 4],
        residual: bool,
        activation: i64,
        fixed: Option<[&[f32]; 2]>,
    ) -> (Vec<T>, [Vec<f32>; 2]) {
        let c = dims[dims.len() - 1];
        let (xv, wv, bv, rv) = (View::of(x, dims), View::of(w, &[c]), View::of(b, &[c]), View::of(r, dims));
        let rv = residual.then_some(&rv);
        let (mut y, mut mean, mut var) = (vec![T::default(); x.len()], vec![0f32; c], vec![0f32; c]);
        run(batch_norm_scratch(xv.meta()), |cx| {
            let y = &mut ViewMut::of(&mut y, dims);
            match fixed {
                Some([m, v]) => {
                    let (m, v) = (View::of(m, &[c]), View::of(v, &[c]));
                    batch_norm_fixed(cx, &xv, &m, &v, Some(&wv), Some(&bv), rv, 1e-5, activation, y)
                }
                None => {
                    let (m, v) = (&mut ViewMut::of(&mut mean, &[c]), &mut ViewMut::of(&mut var, &[c]));
                    batch_norm(cx, &xv, Some(&wv), Some(&bv), rv, 1e-5, activation, y, m, v)
                }
            }
        })
        .unwrap();
        (y, [mean, var])
    }

    fn gradient<T: Element>(dims: &[usize], [dy, x, w, b]: [&[T]; 4], [m, v]: [&[f32]; 2], activation: i64) -> (Vec<T>, [Vec<f32>; 2]) {
        let c = dims[dims.len() - 1];
        let (dyv, xv, wv, bv) = (View::of(dy, dims), View::of(x, dims), View::of(w, &[c]), View::of(b, &[c]));
        let (mut dx, mut dw, mut db) = (vec![T::default(); x.len()], vec![0f32; c], vec![0f32; c]);
        run(batch_norm_scratch(xv.meta()), |cx| {
            let (m, v) = (View::of(m, &[c]), View::of(v, &[c]));
            let (dw, db) = (&mut ViewMut::of(&mut dw, &[c]), &mut ViewMut::of(&mut db, &[c]));
            batch_norm_grad(cx, &dyv, &xv, &m, &v, Some(&wv), Some(&bv), 1e-5, activation, &mut ViewMut::of(&mut dx, dims), dw, db)
        })
        .unwrap();
        (dx, [dw, db])
    }

    fn fused<T: Element + PartialEq>(dims: &[usize]) {
        let (c, n) = (dims[dims.len() - 1], dims.iter().product());
        let cast = |seed, n: usize| noise(seed, n).iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
        let (mut x, dy, w, b, r) = (cast(1, n), cast(2, n), cast(3, c), cast(4, c), cast(5, n));
        let relu = |v: f64| if v < 0.0 { 0.0 } else { v };
        let of = |residual, activation| forward(dims, [&x, &w, &b, &r], residual, activation, None);
        let (y, [mean, var]) = of(false, 0);
        let wide = |v: &[T]| v.iter().map(|v| v.to_f64()).collect::<Vec<_>>();
        let sum: Vec<T> = y.iter().zip(&r).map(|(y, r)| T::from_f64(y.to_f64() + r.to_f64())).collect();
        for (residual, plain) in [(false, &y), (true, &sum)] {
            let clipped = plain.iter().map(|v| relu(v.to_f64())).collect::<Vec<_>>();
            assert_eq!(wide(&of(residual, 0).0), wide(plain));
            assert_eq!(wide(&of(residual, 1).0), clipped);
            let fixed = |activation| forward(dims, [&x, &w, &b, &r], residual, activation, Some([&mean, &var])).0;
            assert_eq!(wide(&fixed(0)), wide(plain));
            assert_eq!(wide(&fixed(1)), clipped);
        }
        let passed: Vec<T> = y.iter().zip(&dy).map(|(y, dy)| if y.to_f64() <= 0.0 { T::from_f64(0.0) } else { *dy }).collect();
        let (dx, stats) = gradient(dims, [&dy, &x, &w, &b], [&mean, &var], 1);
        let (want, want_stats) = gradient(dims, [&passed, &x, &w, &b], [&mean, &var], 0);
        assert_eq!((wide(&dx), stats), (wide(&want), want_stats));
        // What is NaN passes on.
        x[0] = T::from_f64(f64::NAN);
        let (y, _) = forward(dims, [&x, &w, &b, &r], false, 1, None);
        assert!(y[0].to_f64().is_nan());
    }

    #[test]
    fn what_follows_has_the_bits_of_the_separate_ops() {
        each_isa(|_| {
            for dims in [&[5usize, 3][..], &[4, 6, 6, 16], &[3, 7, 33], &[700, 300], &[1025, 64]] {
                fused::<f32>(dims);
            }
        });
        fused::<bf16>(&[3, 7, 33]);
    }

    #[test]
    fn constant_channels_have_no_variance_and_nan_stays() {
        let mut x = vec![1e6f32 / 3.0; 3000];
        x[1] = f32::NAN;
        let (mut y, mut m, mut v) = (vec![0f32; 3000], [0f32; 3], [0f32; 3]);
        let xv = View::of(&x, &[1000, 3]);
        run(batch_norm_scratch(xv.meta()), |cx| {
            batch_norm(
                cx,
                &xv,
                None,
                None,
                None,
                1e-5,
                0,
                &mut ViewMut::of(&mut y, &[1000, 3]),
                &mut ViewMut::of(&mut m, &[3]),
                &mut ViewMut::of(&mut v, &[3]),
            )
        })
        .unwrap();
        assert_eq!((v[0], v[2]), (0.0, 0.0));
        assert!(v[1].is_nan() && m[1].is_nan() && y[1].is_nan() && y[4].is_nan());
        assert_eq!((y[0], y[2999]), (0.0, 0.0));
    }

    #[test]
    fn running_statistics() {
        let (mut m, mut v, mut count) = ([1f32, 2.0], [1f32, 1.0], [3i64]);
        let mut update = |momentum| {
            run(0, |cx| {
                let (a, b) = (View::of(&[3f32, 4.0], &[2]), View::of(&[2f32, 0.5], &[2]));
                batch_norm_update(
                    cx,
                    &a,
                    &b,
                    &mut ViewMut::of(&mut m, &[2]),
                    &mut ViewMut::of(&mut v, &[2]),
                    &mut ViewMut::of(&mut count, &[]),
                    5,
                    momentum,
                )
            })
            .unwrap();
            (m, v, count[0])
        };
        assert_eq!(update(0.5), ([2.0, 3.0], [1.75, 0.8125], 4));
        let (m, v, count) = update(-1.0);
        assert_eq!(count, 5);
        assert_close(&m.map(f64::from), &[2.2, 3.2], 1e-6, 0.0, "mean");
        assert_close(&v.map(f64::from), &[1.75 + (2.5 - 1.75) / 5.0, 0.8125 + (0.625 - 0.8125) / 5.0], 1e-6, 0.0, "variance");
    }
}
