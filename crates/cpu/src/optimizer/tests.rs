use super::*;
use crate::testing::{assert_close, each_isa, noise, run};
use ferrograd_tensor::bf16;

/// Calls an optimizer: gradients, hyper, scale, parameters, three lists of states, step.
type Step<'a> = &'a dyn Fn(&mut Cx, &[View], Option<&View>, &View, &mut [ViewMut], [&mut [ViewMut]; 3], &mut ViewMut) -> Result;

/// Three steps from p = sin(i + 1) with g = cos(0.7 (i + 1) + t), over tensors of these sizes that take i on.
fn three_steps<T: Element>(sizes: &[usize], hyper: &[f64], scale: f64, step: Step) -> Vec<f64> {
    let mut at = 0;
    let split: Vec<Vec<f64>> = sizes
        .iter()
        .map(|&n| {
            at += n;
            (at - n..at).map(|i| i as f64 + 1.0).collect()
        })
        .collect();
    let mut params: Vec<Vec<T>> = split.iter().map(|v| v.iter().map(|i| T::from_f64(i.sin())).collect()).collect();
    let mut states: Vec<Vec<Vec<T>>> = (0..3).map(|_| sizes.iter().map(|&n| vec![T::default(); n]).collect()).collect();
    let mut count = [0i64];
    for t in 0..3 {
        let grads: Vec<Vec<T>> =
            split.iter().map(|v| v.iter().map(|i| T::from_f64((0.7 * i + t as f64).cos() / scale)).collect()).collect();
        let grads: Vec<View> = grads.iter().map(|g| View::of(g, &[g.len()])).collect();
        let mut params: Vec<ViewMut> = params
            .iter_mut()
            .map(|p| {
                let n = p.len();
                ViewMut::of(p, &[n])
            })
            .collect();
        let mut lists: Vec<Vec<ViewMut>> = states
            .iter_mut()
            .map(|list| {
                list.iter_mut()
                    .map(|s| {
                        let n = s.len();
                        ViewMut::of(s, &[n])
                    })
                    .collect()
            })
            .collect();
        let [a, b, c] = &mut lists[..] else { unreachable!() };
        let scale = [scale];
        run(0, |cx| {
            step(
                cx,
                &grads,
                Some(&View::of(&scale, &[])),
                &View::of(hyper, &[hyper.len()]),
                &mut params,
                [a, b, c],
                &mut ViewMut::of(&mut count, &[1]),
            )
        })
        .unwrap();
    }
    assert_eq!(count[0], 3);
    params.iter().flatten().map(|v| v.to_f64()).collect()
}

/// PyTorch's values in float64, and the other types against ours in float64, over tensors of odd sizes.
fn check(what: &str, hyper: &[f64], want: [f64; 3], step: Step) {
    assert_close(&three_steps::<f64>(&[3], hyper, 1.0, step), &want, 1e-12, 0.0, what);
    assert_close(&three_steps::<f64>(&[1, 0, 2], hyper, 4.0, step), &want, 1e-12, 0.0, what);
    let sizes = [5, 0, 16, 40_000, 1, 31];
    let reference = three_steps::<f64>(&sizes, hyper, 1.0, step);
    each_isa(|isa| {
        let single = three_steps::<f32>(&sizes, hyper, 0.5, step);
        // Where a gradient passes through 0, the first steps of Adam and its kin magnify its rounding.
        let off = single.iter().zip(&reference).filter(|(s, r)| (*s - *r).abs() > 1e-5).count();
        assert!(off <= single.len() / 2000, "{what} on {}: {off} off", isa.name());
    });
    let half = three_steps::<bf16>(&[40], hyper, 1.0, step);
    assert_close(&half, &reference[..40], 0.0, 0.06, what);
}

#[test]
fn sgd_is_pytorchs() {
    for (hyper, nesterov, maximize, want) in [
        ([0.1, 0.0, 0.0, 0.0, 0.0], false, false, [0.8682784297107062, 1.0627199033477284, 0.3490005282005078]),
        ([0.1, 0.01, 0.0, 0.9, 0.0], false, false, [0.7446474852636595, 1.094914992610392, 0.5241686650512166]),
        ([0.1, 0.01, 0.0, 0.9, 0.3], false, true, [0.9641388304684558, 0.7852930083027243, -0.16930117996096844]),
        ([0.1, 0.0, 0.0, 0.9, 0.0], true, false, [0.7851323215380897, 1.2343710798840641, 0.6947187589971381]),
    ] {
        check("sgd", &hyper, want, &|cx, g, scale, h, p, [m, _, _], step| sgd(cx, g, &[], scale, h, p, m, step, nesterov, maximize));
    }
    // Momentum of 0 wants no buffers.
    let plain = three_steps::<f64>(&[3], &[0.1, 0.0, 0.0, 0.0, 0.0], 1.0, &|cx, g, scale, h, p, _, step| {
        sgd(cx, g, &[], scale, h, p, &mut [], step, false, false)
    });
    assert!((plain[0] - 0.8682784297107062).abs() < 1e-12);
}

#[test]
fn adam_is_pytorchs() {
    for (hyper, decoupled, amsgrad, maximize, want) in [
        ([0.01, 0.0, 0.0, 0.9, 0.999, 1e-8], false, false, false, [0.8282491047230836, 0.912813308561507, 0.17034626884489204]),
        ([0.01, 0.1, 0.0, 0.8, 0.99, 1e-6], false, true, false, [0.8275130884863322, 0.9119812988367135, 0.1704927490269744]),
        ([0.01, 0.1, 0.0, 0.9, 0.999, 1e-8], true, false, false, [0.825752575982893, 0.910102386132432, 0.16989367905989183]),
        ([0.01, 0.1, 0.0, 0.4, 0.999, 1e-8], true, true, true, [0.8434679429728117, 0.8964660919831248, 0.11058099529477114]),
    ] {
        check("adam", &hyper, want, &|cx, g, scale, h, p, [a, b, c], step| {
            adam(cx, g, &[], scale, h, p, a, b, if amsgrad { c } else { &mut [] }, step, decoupled, amsgrad, maximize)
        });
    }
}

#[test]
fn rmsprop_is_pytorchs() {
    for (hyper, centered, maximize, want) in [
        ([0.01, 0.0, 0.0, 0.99, 1e-8, 0.0], false, false, [0.8343785671541503, 0.9856708896331451, 0.3763619395820681]),
        ([0.01, 0.1, 0.0, 0.9, 1e-6, 0.9], true, false, [0.7780900611559471, 0.9032573532228484, 0.308270950403326]),
        ([0.01, 0.0, 0.0, 0.99, 1e-8, 0.5], false, true, [0.9152167967735735, 0.8591891690080987, -0.21379401084058883]),
    ] {
        check("rmsprop", &hyper, want, &|cx, g, scale, h, p, [a, b, c], step| {
            rmsprop(cx, g, &[], scale, h, p, a, b, c, step, centered, maximize)
        });
    }
}

#[test]
fn adagrad_is_pytorchs() {
    for (hyper, maximize, want) in [
        ([0.1, 0.0, 0.0, 0.0, 1e-10], false, [0.8339794424111439, 0.9854887400272176, 0.37605237723197504]),
        ([0.1, 0.1, 0.0, 0.2, 1e-10], true, [0.8575458828058151, 0.8704142339520884, -0.06514619607874708]),
    ] {
        check("adagrad", &hyper, want, &|cx, g, scale, h, p, [a, _, _], step| adagrad(cx, g, &[], scale, h, p, a, step, maximize));
    }
}

#[test]
fn l1_pulls_by_the_sign() {
    let step: Step = &|cx, g, scale, h, p, [m, _, _], step| sgd(cx, g, &[], scale, h, p, m, step, false, false);
    let without = three_steps::<f64>(&[4], &[0.1, 0.0, 0.0, 0.0, 0.0], 1.0, step);
    let with = three_steps::<f64>(&[4], &[0.1, 0.0, 0.05, 0.0, 0.0], 1.0, step);
    // sin 1 .. 4 keep their signs but the last is negative; each of three steps moves by lr l1.
    assert_close(&[with[0], with[1]], &[without[0] - 0.015, without[1] - 0.015], 1e-12, 0.0, "l1");
    assert_close(&[with[3]], &[without[3] + 0.015], 1e-12, 0.0, "l1");
}

#[test]
fn misfits_are_refused_before_anything_is_written() {
    let (g, hyper) = ([1f32; 3], [0.1, 0.0, 0.0, 0.9, 0.0]);
    let (mut p, mut m, mut count) = ([1f32; 3], [0f32; 2], [0i64]);
    let mut call = |h: &[f64], grads: &[View], with_state: bool| {
        let mut state = [ViewMut::of(&mut m, &[2])];
        let state: &mut [ViewMut] = if with_state { &mut state } else { &mut [] };
        run(0, |cx| {
            sgd(
                cx,
                grads,
                &[],
                None,
                &View::of(h, &[h.len()]),
                &mut [ViewMut::of(&mut p, &[3])],
                state,
                &mut ViewMut::of(&mut count, &[1]),
                false,
                false,
            )
        })
        .unwrap_err()
        .message
    };
    let grads = [View::of(&g, &[3])];
    assert!(call(&hyper, &grads, true).contains("state 0"));
    assert!(call(&hyper, &grads, false).contains("momentum"));
    assert!(call(&hyper[..2], &grads, true).contains("5 numbers"));
    assert!(call(&hyper, &[], true).contains("0 gradients"));
    assert!(call(&hyper, &[View::of(&hyper[..3], &[3])], true).contains("gradient 0"));
    assert_eq!((p, count), ([1.0; 3], [0]));
}

#[test]
fn norms_of_many_tensors() {
    let (a, b): (Vec<f64>, Vec<f64>) = (noise(1, 70_001), noise(2, 37));
    let single: Vec<f32> = a.iter().map(|&v| v as f32).collect();
    let all: Vec<f64> = single.iter().map(|&v| v as f64).chain(b.iter().copied()).collect();
    for p in [2.0, 1.0, f64::INFINITY, 3.0, 0.0, 0.5] {
        let want = match p {
            f64::INFINITY => all.iter().fold(0.0, |m: f64, v| m.max(v.abs())),
            0.0 => all.len() as f64,
            p => all.iter().map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p),
        };
        let mut first = None;
        each_isa(|_| {
            let mut norm = [0f64];
            let xs = [View::of(&single, &[70_001]), View::of(&b, &[37])];
            let metas: Vec<Meta> = xs.iter().map(|x| *x.meta()).collect();
            run(grad_norm_scratch(&metas), |cx| grad_norm(cx, &xs, p, &mut ViewMut::of(&mut norm, &[]))).unwrap();
            assert_close(&norm, &[want], 1e-12, 0.0, &format!("norm {p}"));
            assert_eq!(*first.get_or_insert(norm[0]), norm[0], "the same on every path");
        });
    }
    for p in [2.0, f64::INFINITY] {
        let (x, mut norm) = ([1.0, f32::NAN, 2.0], [0f32]);
        run(64, |cx| grad_norm(cx, &[View::of(&x, &[3])], p, &mut ViewMut::of(&mut norm, &[]))).unwrap();
        assert!(norm[0].is_nan());
    }
    let mut norm = [7f32];
    run(0, |cx| grad_norm(cx, &[], 2.0, &mut ViewMut::of(&mut norm, &[]))).unwrap();
    assert_eq!(norm, [0.0]);
}

#[test]
fn clipping_and_guard() {
    let clip = |n: f32| {
        let mut c = [0f32];
        run(0, |cx| clip_coefficient(cx, &View::of(&[n], &[]), 1.0, &mut ViewMut::of(&mut c, &[]))).unwrap();
        c[0]
    };
    assert_eq!(clip(0.5), 1.0);
    assert!((clip(4.0) - 0.25).abs() < 1e-6);
    assert_eq!(clip(f32::INFINITY), 0.0);
    assert!(clip(f32::NAN).is_nan());
    let mut one = [0f32];
    run(0, |cx| guard(cx, &[], &mut ViewMut::of(&mut one, &[]))).unwrap();
    assert_eq!(one, [1.0]);
}

/// Adam with the rows of a gradient, and with the matrix they stand for, on every path.
fn rows_have_the_bits_of_their_matrix<T: Element>() {
    let (rows, features, indices) = (700, 67, [0i32, 3, 4, 350, 699, 700, 700]);
    let values: Vec<T> = noise(7, indices.len() * features).iter().map(|&v| T::from_f64(v)).collect();
    let mut dense = vec![T::from_f64(0.0); rows * features];
    for (place, &row) in indices.iter().enumerate().filter(|&(_, &row)| row < rows as i32) {
        dense[row as usize * features..][..features].copy_from_slice(&values[place * features..][..features]);
    }
    let hyper = [0.01, 0.1, 0.02, 0.9, 0.999, 1e-8];
    let after = |grad: View, list: &[View]| {
        let mut state: Vec<Vec<T>> = (0..3).map(|i| noise(i, rows * features).iter().map(|&v| T::from_f64(v.abs())).collect()).collect();
        let (mut other, other_grad, mut count) = (vec![vec![T::from_f64(1.0); 5]; 3], vec![T::from_f64(0.5); 5], [3i64]);
        let mut lists: Vec<[ViewMut; 2]> =
            state.iter_mut().zip(&mut other).map(|(s, o)| [ViewMut::of(o, &[5]), ViewMut::of(s, &[rows, features])]).collect();
        let [p, m, v] = &mut lists[..] else { unreachable!() };
        let grads = [View::of(&other_grad, &[5]), grad];
        let hyper = View::of(&hyper, &[6]);
        run(0, |cx| adam(cx, &grads, list, None, &hyper, p, m, v, &mut [], &mut ViewMut::of(&mut count, &[1]), false, false, false))
            .unwrap();
        drop(lists);
        state.iter().chain(&other).flatten().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>()
    };
    let n = indices.len();
    each_isa(|isa| {
        let want = after(View::of(&dense, &[rows, features]), &[]);
        let got = after(View::of(&values, &[n, features]), &[View::of(&indices, &[n])]);
        assert!(got == want, "{} on {}", T::DTYPE, isa.name());
    });
}

#[test]
fn rows_have_the_bits_of_their_matrix_in_every_dtype() {
    rows_have_the_bits_of_their_matrix::<f32>();
    rows_have_the_bits_of_their_matrix::<f64>();
    rows_have_the_bits_of_their_matrix::<bf16>();
    rows_have_the_bits_of_their_matrix::<ferrograd_tensor::f16>();
}
