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
    let (scratch, local) = (recurrent_scratch(w.meta(), u.meta(), None), recurrent_local(4, x.meta(), u.meta()));
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
    let (scratch, local) = (recurrent_grad_scratch(4, x.meta(), w.meta(), u.meta(), None), recurrent_grad_local(4, x.meta(), u.meta()));
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

/// The same of an LSTM with projections, peepholes and normalised sums, whose h has `units`.
fn variant<T: Element>(threads: usize, [rows, steps, input, hidden, units]: [usize; 5]) -> Vec<f64> {
    let make = |seed, len: usize, scale: f64| noise(seed, len).into_iter().map(|v| T::from_f64(scale * v)).collect::<Vec<T>>();
    let gates = 4 * hidden;
    let shapes = [
        vec![rows, steps, input],
        vec![gates, input],
        vec![gates, units],
        vec![units, hidden],
        vec![3 * hidden],
        vec![gates],
        vec![gates],
        vec![hidden],
        vec![hidden],
        vec![gates],
        vec![rows, units],
        vec![rows, hidden],
    ];
    let data: Vec<Vec<T>> = shapes.iter().enumerate().map(|(seed, dims)| make(seed as u64, dims.iter().product(), 0.5)).collect();
    let views: Vec<View> = data.iter().zip(&shapes).map(|(data, dims)| View::of(data, dims)).collect();
    let [x, w, u, r, peephole, norm_ih, norm_hh, norm_c, bias_c, bias, h0, c0] = &views[..] else { unreachable!() };
    let lengths: Vec<i32> = (0..rows).map(|i| ((i * 3) % (steps + 1)) as i32).collect();
    let lengths = View::of(&lengths, &[rows]);
    let zeros = |dims: &[usize]| vec![T::default(); dims.iter().product()];
    let forward =
        [vec![rows, steps, units], vec![rows, units], vec![rows, hidden], vec![rows, steps, 12 * hidden], vec![rows, steps, hidden]];
    let mut y = forward.clone().map(|dims| zeros(&dims));
    let (scratch, local) = (recurrent_scratch(w.meta(), u.meta(), Some(r.meta())), recurrent_local(4, x.meta(), u.meta()));
    on_lanes(threads, scratch, local, |cx| {
        let mut dims = forward.iter();
        let [mut a, mut b, mut c, mut d, mut e] = y.each_mut().map(|data| ViewMut::of(data, dims.next().unwrap()));
        let (norms, states) = ([norm_ih, norm_hh, norm_c, bias_c, bias].map(Some), [h0, c0].map(Some));
        let [ih, hh, nc, bc, bias] = norms;
        lstm_variant(
            cx,
            x,
            w,
            u,
            Some(r),
            Some(peephole),
            ih,
            hh,
            nc,
            bc,
            bias,
            states[0],
            states[1],
            Some(&lengths),
            None,
            None,
            Some(h0),
            true,
            true,
            &mut a,
            &mut b,
            &mut c,
            &mut d,
            &mut e,
        )
        .unwrap();
    });
    let mut backward = shapes.clone();
    let mut g: Vec<Vec<T>> = backward.iter().map(|dims| zeros(dims)).collect();
    let (scratch, local) =
        (recurrent_grad_scratch(4, x.meta(), w.meta(), u.meta(), Some(r.meta())), recurrent_grad_local(4, x.meta(), u.meta()));
    on_lanes(threads, scratch, local, |cx| {
        let mut made: Vec<ViewMut> = g.iter_mut().zip(&mut backward).map(|(data, dims)| ViewMut::of(data, dims)).collect();
        let [dx, dw, du, dr, dp, dni, dnh, dnc, dbc, db, dh, dc] = &mut made[..] else { unreachable!() };
        let kept = |i: usize| View::of(&y[i], &forward[i]);
        let (output, saved, cells) = (kept(0), kept(3), kept(4));
        lstm_variant_grad(
            cx,
            Some(&output),
            Some(h0),
            Some(c0),
            x,
            w,
            u,
            Some(r),
            Some(peephole),
            Some(norm_ih),
            Some(norm_hh),
            Some(norm_c),
            Some(bias_c),
            &output,
            &saved,
            &cells,
            Some(h0),
            Some(c0),
            Some(&lengths),
            None,
            None,
            Some(h0),
            true,
            true,
            dx,
            dw,
            du,
            dr,
            dp,
            dni,
            dnh,
            dnc,
            dbc,
            db,
            dh,
            dc,
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
fn every_path_of_variants_agrees_with_float64() {
    for shape in [[1, 3, 2, 1, 1], [5, 4, 3, 7, 2], [9, 3, 40, 33, 20], [18, 2, 5, 70, 33], [3, 70, 4, 5, 9]] {
        let want = variant::<f64>(2, shape);
        each_isa(|isa| {
            let what = format!("{} {shape:?}", isa.name());
            assert_close(&variant::<f32>(1, shape), &want, 2e-3, 2e-4, &what);
        });
    }
}

#[test]
fn threads_change_no_bit() {
    each_isa(|isa| {
        let one = variant::<f32>(1, [37, 9, 12, 24, 10]);
        for threads in [2, 3, 7] {
            assert_eq!(one, variant::<f32>(threads, [37, 9, 12, 24, 10]), "variants, {} on {threads} threads", isa.name());
        }
        let one = all::<f32>(1, [37, 19, 12, 24]);
        for threads in [2, 3, 7] {
            assert_eq!(one, all::<f32>(threads, [37, 19, 12, 24]), "{} on {threads} threads", isa.name());
        }
    });
}
