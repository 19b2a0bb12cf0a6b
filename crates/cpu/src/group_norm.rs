//! group_norm: x [N, ..., C]; the channels of one group, at all positions of one n, normalised together; its gradient.
use crate::affine::{Coefficients, Then, affine, affine_grad};
use crate::channels::{GradSums, Moments, Param, Size, column_sums, joined, set_stats, stat};
use ferrograd_tensor::{Cx, Element, Float, Meta, Result, View, ViewMut, with_float};

fn scratch(x: &Meta) -> usize {
    let size = Size::batched(x);
    (size.partials() * 8).next_multiple_of(64) + Coefficients::<f64>::len(size) * 8
}

/// Scratch of [`group_norm`] in bytes.
pub fn group_norm_scratch(x: &Meta) -> usize {
    scratch(x)
}

/// Scratch of [`group_norm_grad`] in bytes.
pub fn group_norm_grad_scratch(x: &Meta, _groups: i64) -> usize {
    scratch(x)
}

/// y = (x - mean) * rstd * weight + bias with mean and rstd [N, groups], weight and bias [C].
pub fn group_norm(
    cx: &mut Cx,
    x: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    groups: i64,
    eps: f64,
    y: &mut ViewMut,
    mean: &mut ViewMut,
    rstd: &mut ViewMut,
) -> Result {
    let size = Size::batched(x.meta());
    let groups = groups as usize;
    let each = size.channels / groups;
    let (weight, bias) = (Param::new(weight, 1.0), Param::new(bias, 0.0));
    let (rows, n) = (size.rows as f64, (size.rows * each) as f64);
    with_float!(x.dtype(), T => {
        let data = x.slice::<T>();
        let (partial, mut cx) = cx.split_scratch::<f64>(size.partials());
        column_sums(&cx, size, &Moments { x: data, size }, partial);
        let first = |o: usize, c: usize| data[o * size.rows * size.channels + c].to_f64();
        // The channels' sums are shifted by their first elements: shift them to the group's mean.
        let moments = |o: usize, g: usize| {
            if n == 0.0 {
                return (f64::NAN, f64::NAN);
            }
            let channels = || (g * each..(g + 1) * each).map(|c| (joined(partial, size, o, c), first(o, c)));
            let m = channels().map(|((a, _), f)| a + rows * f).sum::<f64>() / n;
            let v = channels().map(|((a, b), f)| b + 2.0 * (f - m) * a + rows * (f - m) * (f - m)).sum::<f64>() / n;
            (m, 1.0 / (if v < 0.0 { 0.0 } else { v } + eps).sqrt())
        };
        let (all, cx) = cx.split_scratch::<<T as Float>::Acc>(Coefficients::<<T as Float>::Acc>::len(size));
        let mut coefficients = Coefficients { size, all };
        for o in 0..size.outer {
            for g in 0..groups {
                let (m, r) = moments(o, g);
                set_one(mean, o * groups + g, m);
                set_one(rstd, o * groups + g, r);
                for c in g * each..(g + 1) * each {
                    coefficients.set(o, c, [m, r * weight.at(c), bias.at(c), 0.0, 0.0, 0.0]);
                }
            }
        }
        affine(&cx, data, &coefficients, Then::NOTHING, y.slice_mut::<T>());
        Ok(())
    })
}

fn set_one(y: &mut ViewMut, i: usize, value: f64) {
    match y.dtype() {
        ferrograd_tensor::DType::F64 => y.slice_mut::<f64>()[i] = value,
        _ => y.slice_mut::<f32>()[i] = value as f32,
    }
}

/// With xhat = (x - mean) * rstd: dbias = sum dy, dweight = sum dy * xhat, dx = rstd * (w dy - mean(w dy) - xhat * mean(w dy * xhat)),
/// the means over a group.
pub fn group_norm_grad(
    cx: &mut Cx,
    dy: &View,
    x: &View,
    mean: &View,
    rstd: &View,
    weight: Option<&View>,
    groups: i64,
    dx: &mut ViewMut,
    dweight: &mut ViewMut,
    dbias: &mut ViewMut,
) -> Result {
    let size = Size::batched(x.meta());
    let groups = groups as usize;
    let each = size.channels / groups;
    let weight = Param::new(weight, 1.0);
    let n = (size.rows * each) as f64;
    with_float!(x.dtype(), T => {
        let (data, grad) = (x.slice::<T>(), dy.slice::<T>());
        let (partial, mut cx) = cx.split_scratch::<f64>(size.partials());
        column_sums(&cx, size, &GradSums { dy: grad, x: data, mean: |o, c| stat(mean, o * groups + c / each) }, partial);
        set_stats(dbias, |c| (0..size.outer).map(|o| joined(partial, size, o, c).0).sum());
        set_stats(dweight, |c| (0..size.outer).map(|o| joined(partial, size, o, c).1 * stat(rstd, o * groups + c / each)).sum());
        let (all, cx) = cx.split_scratch::<<T as Float>::Acc>(Coefficients::<<T as Float>::Acc>::len(size));
        let mut coefficients = Coefficients { size, all };
        for o in 0..size.outer {
            for g in 0..groups {
                let (m, r) = (stat(mean, o * groups + g), stat(rstd, o * groups + g));
                let (mut a, mut b) = (0.0, 0.0);
                for c in g * each..(g + 1) * each {
                    let sums = joined(partial, size, o, c);
                    a += weight.at(c) * sums.0;
                    b += weight.at(c) * sums.1;
                }
                for c in g * each..(g + 1) * each {
                    coefficients.set(o, c, [m, weight.at(c), r * r * b / n, a / n, r, 0.0]);
                }
            }
        }
        affine_grad(&cx, grad, data, &coefficients, false, dx.slice_mut::<T>());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, each_isa, noise, run};
    use ferrograd_tensor::bf16;

    fn check<T: Element, St: Element>(dims: &[usize], groups: usize, tolerance: f64, affine: bool) {
        let (n, c) = (dims[0], dims[dims.len() - 1]);
        let total: usize = dims.iter().product();
        let (s, each) = (dims[1..dims.len() - 1].iter().product::<usize>(), c / groups);
        let cast = |seed, n: usize, add: f64| noise(seed, n).iter().map(|&v| T::from_f64(v + add)).collect::<Vec<T>>();
        let (x, dy, w, b) = (cast(1, total, 3.0), cast(2, total, 0.0), cast(3, c, 1.5), cast(4, c, 0.0));
        let eps = 1e-5;
        let mut want: [Vec<f64>; 6] = [vec![0.0; total], vec![], vec![], vec![0.0; total], vec![0.0; c], vec![0.0; c]];
        let weight = |k: usize| if affine { w[k].to_f64() } else { 1.0 };
        for i in 0..n {
            for g in 0..groups {
                let at: Vec<usize> = (0..s).flat_map(|p| (g * each..(g + 1) * each).map(move |k| (i * s + p) * c + k)).collect();
                let m = at.iter().map(|&j| x[j].to_f64()).sum::<f64>() / at.len() as f64;
                let v = at.iter().map(|&j| (x[j].to_f64() - m).powi(2)).sum::<f64>() / at.len() as f64;
                let r = 1.0 / (v + eps).sqrt();
                let hat = |j: usize| (x[j].to_f64() - m) * r;
                let c1 = at.iter().map(|&j| weight(j % c) * dy[j].to_f64()).sum::<f64>() / at.len() as f64;
                let c2 = at.iter().map(|&j| weight(j % c) * dy[j].to_f64() * hat(j)).sum::<f64>() / at.len() as f64;
                for &j in &at {
                    want[0][j] = hat(j) * weight(j % c) + if affine { b[j % c].to_f64() } else { 0.0 };
                    want[3][j] = r * (weight(j % c) * dy[j].to_f64() - c1 - hat(j) * c2);
                    want[4][j % c] += dy[j].to_f64() * hat(j);
                    want[5][j % c] += dy[j].to_f64();
                }
                want[1].push(m);
                want[2].push(r);
            }
        }
        let (xv, dyv, wv, bv) = (View::of(&x, dims), View::of(&dy, dims), View::of(&w, &[c]), View::of(&b, &[c]));
        let stats = [n, groups];
        let (mut y, mut mean, mut rstd) = (vec![T::default(); total], vec![St::default(); n * groups], vec![St::default(); n * groups]);
        run(group_norm_scratch(xv.meta()), |cx| {
            let (w, b) = if affine { (Some(&wv), Some(&bv)) } else { (None, None) };
            let (m, r) = (&mut ViewMut::of(&mut mean, &stats), &mut ViewMut::of(&mut rstd, &stats));
            group_norm(cx, &xv, w, b, groups as i64, eps, &mut ViewMut::of(&mut y, dims), m, r)
        })
        .unwrap();
        let (mut dx, mut dw, mut db) = (vec![T::default(); total], vec![St::default(); c], vec![St::default(); c]);
        run(group_norm_grad_scratch(xv.meta(), groups as i64), |cx| {
            let (m, r) = (View::of(&mean, &stats), View::of(&rstd, &stats));
            let (dw, db) = (&mut ViewMut::of(&mut dw, &[c]), &mut ViewMut::of(&mut db, &[c]));
            group_norm_grad(
                cx,
                &dyv,
                &xv,
                &m,
                &r,
                if affine { Some(&wv) } else { None },
                groups as i64,
                &mut ViewMut::of(&mut dx, dims),
                dw,
                db,
            )
        })
        .unwrap();
        let wide = |v: &[T]| v.iter().map(|v| v.to_f64()).collect::<Vec<_>>();
        let stat = |v: &[St]| v.iter().map(|v| v.to_f64()).collect::<Vec<_>>();
        for (name, got, want) in [
            ("y", wide(&y), &want[0]),
            ("mean", stat(&mean), &want[1]),
            ("rstd", stat(&rstd), &want[2]),
            ("dx", wide(&dx), &want[3]),
            ("dweight", stat(&dw), &want[4]),
            ("dbias", stat(&db), &want[5]),
        ] {
            let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            assert_close(&got, want, tolerance, tolerance * scale, &format!("{name} {dims:?} groups {groups}"));
        }
    }

    #[test]
    fn against_float64() {
        each_isa(|_| {
            for (dims, groups) in [
                (&[2usize, 5, 6][..], 3usize),
                (&[3, 4, 4, 8], 1),
                (&[2, 9, 8], 8),
                (&[4, 6], 2),
                (&[2, 3000, 16], 4),
                (&[1, 7, 300], 3),
                (&[0, 3, 4], 2),
            ] {
                check::<f32, f32>(dims, groups, 5e-6, true);
                check::<f32, f32>(dims, groups, 5e-6, false);
            }
        });
        check::<f64, f64>(&[2, 5, 6], 3, 1e-10, true);
        check::<bf16, f32>(&[2, 5, 6], 3, 3e-2, true);
    }
}
