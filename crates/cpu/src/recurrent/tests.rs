//! Every vector path against float64, and the same bits on any number of threads; gradients and options are checked from outside (`test/ops/`).
use super::*;
use crate::gemm::shuffled::on_lanes;
use crate::testing::{assert_close, each_isa, noise};

/// All results of an LSTM and of its gradient, in one row of numbers.
fn all<T: Float>(threads: usize, [rows, steps, hidden]: [usize; 3]) -> Vec<f64> {
    let make = |seed, len: usize, scale: f64| noise(seed, len).into_iter().map(|v| T::from_f64(scale * v)).collect::<Vec<T>>();
    let (x, w) = (make(1, rows * steps * 4 * hidden, 2.0), make(2, 4 * hidden * hidden, 0.3));
    let (h0, c0, factors) = (make(3, rows * hidden, 1.0), make(4, rows * hidden, 1.0), make(5, rows * hidden, 1.0));
    let lengths: Vec<i32> = (0..rows).map(|i| ((i * 3) % (steps + 1)) as i32).collect();
    let of = |data, dims: &[usize]| View::of(data, dims);
    let (state, wd) = ([rows, hidden], [4 * hidden, hidden]);
    let (x, w, lengths) = (of(&x, &[rows, steps, 4 * hidden]), of(&w, &wd), View::of(&lengths, &[rows]));
    let (h0, c0, factors) = (of(&h0, &state), of(&c0, &state), of(&factors, &state));
    let sizes = [1, 0, 0, 4, 1, 1].map(|blocks| rows * hidden * if blocks == 0 { 1 } else { steps * blocks });
    let mut y: Vec<Vec<T>> = sizes.iter().map(|&len| vec![T::default(); len]).collect();
    let dims = |i: usize| if matches!(i, 1 | 2) { vec![rows, hidden] } else { vec![rows, steps, sizes[i] / rows / steps] };
    let (scratch, local) = (recurrent_scratch(w.meta()), recurrent_local(w.meta()));
    on_lanes(threads, scratch, local, |cx| {
        let [a, b, c, d, e, f] = &mut y[..] else { unreachable!() };
        let mut v = [(a, 0), (b, 1), (c, 2), (d, 3), (e, 4), (f, 5)].map(|(data, i)| ViewMut::of(data, &dims(i)));
        let [a, b, c, d, e, f] = &mut v;
        lstm(cx, &x, &w, Some(&h0), Some(&c0), Some(&lengths), None, Some(&factors), true, a, b, c, d, e, f).unwrap();
    });
    let mut g = [steps * 4, 1, 1].map(|len| vec![T::default(); rows * hidden * len]);
    on_lanes(threads, scratch, local, |cx| {
        let [a, b, c] = &mut g;
        let (saved, cells) = (of(&y[3], &dims(3)), of(&y[4], &dims(4)));
        let doutput = of(&y[0], &dims(0));
        let (mut a, mut b, mut c) = (ViewMut::of(a, &dims(3)), ViewMut::of(b, &state), ViewMut::of(c, &state));
        let (dh, dc) = (Some(&h0), Some(&factors));
        lstm_grad(
            cx,
            Some(&doutput),
            dh,
            dc,
            &w,
            &saved,
            &cells,
            Some(&c0),
            Some(&lengths),
            None,
            Some(&factors),
            true,
            &mut a,
            &mut b,
            &mut c,
        )
        .unwrap();
    });
    y.iter().chain(&g).flatten().map(|v| v.to_f64()).collect()
}

#[test]
fn every_path_agrees_with_float64() {
    // Fewer rows than a tile, more than a task; whole vectors and rests; weights past the usual size of a task.
    for shape in [[1, 3, 1], [5, 4, 7], [9, 3, 33], [33, 2, 64], [18, 2, 190]] {
        let want = all::<f64>(2, shape);
        each_isa(|isa| {
            let what = format!("{} {shape:?}", isa.name());
            assert_close(&all::<f32>(1, shape), &want, 2e-4, 2e-5, &what);
        });
    }
}

#[test]
fn threads_change_no_bit() {
    each_isa(|isa| {
        let one = all::<f32>(1, [37, 5, 24]);
        for threads in [2, 3, 7] {
            assert_eq!(one, all::<f32>(threads, [37, 5, 24]), "{} on {threads} threads", isa.name());
        }
    });
}
