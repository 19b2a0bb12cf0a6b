use super::*;
use crate::testing::{assert_close, each_isa, noise, run};
use ferrograd_tensor::{bf16, rules};

fn check<T: Element, St: Element>(dims: &[usize], last: i64, tolerance: f64, affine: bool) {
    let total: usize = dims.iter().product();
    let (lead, shape) = dims.split_at(dims.len() - last as usize);
    let (rows, n): (usize, usize) = (lead.iter().product(), shape.iter().product());
    let cast = |seed, n: usize, add: f64| noise(seed, n).iter().map(|&v| T::from_f64(v + add)).collect::<Vec<T>>();
    let (x, dy, w, b) = (cast(1, total, 2.0), cast(2, total, 0.0), cast(3, n, 1.5), cast(4, n, 0.0));
    let weight = |k: usize| if affine { w[k].to_f64() } else { 1.0 };
    let mut want: [Vec<f64>; 6] = [vec![0.0; total], vec![], vec![], vec![0.0; total], vec![0.0; n], vec![0.0; n]];
    for r in 0..rows {
        let at: Vec<usize> = (r * n..(r + 1) * n).collect();
        let m = at.iter().map(|&j| x[j].to_f64()).sum::<f64>() / n as f64;
        let v = at.iter().map(|&j| (x[j].to_f64() - m).powi(2)).sum::<f64>() / n as f64;
        let rstd = 1.0 / (v + 1e-5).sqrt();
        let hat = |j: usize| (x[j].to_f64() - m) * rstd;
        let c1 = at.iter().map(|&j| weight(j % n) * dy[j].to_f64()).sum::<f64>() / n as f64;
        let c2 = at.iter().map(|&j| weight(j % n) * dy[j].to_f64() * hat(j)).sum::<f64>() / n as f64;
        for j in at {
            want[0][j] = hat(j) * weight(j % n) + if affine { b[j % n].to_f64() } else { 0.0 };
            want[3][j] = rstd * (weight(j % n) * dy[j].to_f64() - c1 - hat(j) * c2);
            want[4][j % n] += dy[j].to_f64() * hat(j);
            want[5][j % n] += dy[j].to_f64();
        }
        want[1].push(m);
        want[2].push(rstd);
    }
    let (xv, dyv, wv, bv) = (View::of(&x, dims), View::of(&dy, dims), View::of(&w, shape), View::of(&b, shape));
    assert_eq!(rules::layer_stats(xv.meta(), last).unwrap().dims(), lead);
    let (mut y, mut mean, mut rstd) = (vec![T::default(); total], vec![St::default(); rows], vec![St::default(); rows]);
    run(layer_norm_scratch(xv.meta(), last), |cx| {
        let (w, b) = if affine { (Some(&wv), Some(&bv)) } else { (None, None) };
        let (m, r) = (&mut ViewMut::of(&mut mean, lead), &mut ViewMut::of(&mut rstd, lead));
        layer_norm(cx, &xv, w, b, last, 1e-5, &mut ViewMut::of(&mut y, dims), m, r)
    })
    .unwrap();
    let (mut dx, mut dw, mut db) = (vec![T::default(); total], vec![St::default(); n], vec![St::default(); n]);
    run(layer_norm_grad_scratch(xv.meta(), last), |cx| {
        let (m, r) = (View::of(&mean, lead), View::of(&rstd, lead));
        let (dw, db) = (&mut ViewMut::of(&mut dw, shape), &mut ViewMut::of(&mut db, shape));
        layer_norm_grad(cx, &dyv, &xv, &m, &r, if affine { Some(&wv) } else { None }, last, &mut ViewMut::of(&mut dx, dims), dw, db)
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
        let scale = want.iter().filter(|v| v.is_finite()).fold(1.0, |m: f64, v| m.max(v.abs()));
        assert_close(&got, want, tolerance, tolerance * scale, &format!("{name} {dims:?} last {last}"));
    }
}

#[test]
fn against_float64() {
    each_isa(|_| {
        for (dims, last) in [
            (&[3usize, 7][..], 1),
            (&[2, 3, 4], 2),
            (&[5], 1),
            (&[4, 50, 768], 1),
            (&[0, 5], 1),
            (&[2, 0], 1),
            (&[900, 70], 1),
            (&[2, 40_000], 1),
        ] {
            check::<f32, f32>(dims, last, 5e-6, true);
            check::<f32, f32>(dims, last, 5e-6, false);
        }
    });
    check::<f64, f64>(&[3, 7], 1, 1e-11, true);
    check::<bf16, f32>(&[6, 40], 1, 3e-2, true);
}
