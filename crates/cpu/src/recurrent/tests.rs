//! Every vector path against float64, and the same bits on any number of threads; gradients and options are checked from outside (`test/ops/`).
use super::*;
use crate::gemm::shuffled::on_lanes;
use crate::testing::{assert_close, each_isa, noise};
use ferrograd_tensor::{Element, View, ViewMut};

/// All results of an LSTM and of its gradient, in one row of numbers.
fn all<T: Element>(threads: usize, [rows, steps, input, hidden]: [usize; 4]) -> Vec<f64> {
    let make = |seed, len: usize, scale: f64| noise(seed, len).into_iter().map(|v| T::from_f64(scale * v)).collect::<Vec<T>>();
    let gates = 4 * hidden;
    let (x, w, u) = (make(1, rows * steps * input, 1.0), make(2, gates * input, 0.3), make(3, gates * hidden, 0.3));
    let (b, states, factors) = (make(4, gates, 1.0), make(5, rows * hidden, 1.0), make(6, rows * input.max(hidden), 1.0));
    let lengths: Vec<i32> = (0..rows).map(|i| ((i * 3) % (steps + 1)) as i32).collect();
    let (state, steps_of) = ([rows, hidden], |blocks: usize| [rows, steps, blocks * hidden]);
    let (x, w, u) = (View::of(&x, &[rows, steps, input]), View::of(&w, &[gates, input]), View::of(&u, &[gates, hidden]));
    let (b, h0, lengths) = (View::of(&b, &[gates]), View::of(&states, &state), View::of(&lengths, &[rows]));
    let (input_mask, recurrent_mask) = (View::of(&factors[..rows * input], &[rows, input]), View::of(&factors[..rows * hidden], &state));
    let zeros = |dims: &[usize]| vec![T::default(); dims.iter().product()];
    let forward = [steps_of(1).to_vec(), state.to_vec(), state.to_vec(), steps_of(4).to_vec(), steps_of(1).to_vec()];
    let mut y = forward.clone().map(|dims| zeros(&dims));
    let (scratch, local) = (recurrent_scratch(w.meta(), u.meta()), recurrent_local(x.meta(), u.meta()));
    on_lanes(threads, scratch, local, |cx| {
        let mut at = 0;
        let [mut a, mut c, mut d, mut e, mut f] = y.each_mut().map(|data| {
            at += 1;
            ViewMut::of(data, &forward[at - 1])
        });
        let masks = (Some(&input_mask), Some(&recurrent_mask));
        lstm(
            cx,
            &x,
            &w,
            &u,
            Some(&b),
            None,
            Some(&h0),
            Some(&h0),
            Some(&lengths),
            None,
            masks.0,
            masks.1,
            true,
            true,
            &mut a,
            &mut c,
            &mut d,
            &mut e,
            &mut f,
        )
        .unwrap();
    });
    let backward = [vec![rows, steps, input], vec![gates, input], vec![gates, hidden], vec![gates], state.to_vec(), state.to_vec()];
    let mut g = backward.clone().map(|dims| zeros(&dims));
    let (scratch, local) = (recurrent_grad_scratch(x.meta(), w.meta(), u.meta()), recurrent_grad_local(x.meta(), u.meta()));
    on_lanes(threads, scratch, local, |cx| {
        let mut at = 0;
        let [mut dx, mut dw, mut du, mut db, mut dh, mut dc] = g.each_mut().map(|data| {
            at += 1;
            ViewMut::of(data, &backward[at - 1])
        });
        let kept = |i: usize| View::of(&y[i], &forward[i]);
        let (output, saved, cells) = (kept(0), kept(3), kept(4));
        let (doutput, state) = (Some(&output), Some(&h0));
        let masks = (Some(&input_mask), Some(&recurrent_mask));
        lstm_grad(
            cx,
            doutput,
            state,
            state,
            &x,
            &w,
            &u,
            &output,
            &saved,
            &cells,
            state,
            state,
            Some(&lengths),
            None,
            masks.0,
            masks.1,
            true,
            true,
            &mut dx,
            &mut dw,
            &mut du,
            &mut db,
            &mut dh,
            &mut dc,
        )
        .unwrap();
    });
    y.iter().chain(&g).flatten().map(|v| v.to_f64()).collect()
}

#[test]
fn every_path_agrees_with_float64() {
    // Fewer rows than a tile, more than a task; whole vectors and rests; weights past the usual size of a task; more than a stretch of steps.
    for shape in [[1, 3, 2, 1], [5, 4, 3, 7], [9, 3, 40, 33], [33, 2, 17, 64], [18, 2, 5, 190], [3, 70, 4, 5]] {
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
        let one = all::<f32>(1, [37, 19, 12, 24]);
        for threads in [2, 3, 7] {
            assert_eq!(one, all::<f32>(threads, [37, 19, 12, 24]), "{} on {threads} threads", isa.name());
        }
    });
}
