//! LSTM (Hochreiter & Schmidhuber 1997, with Gers' forget gate): i, f, o = sigmoid of their sums, g = tanh of its sum, c_t = f c_{t-1} + i g,
//! h_t = o tanh(c_t). Gates in PyTorch's order i, f, g, o.
use super::math::Math;
use super::{Cell, Inputs, InputsBack, Outputs, OutputsBack, Step, StepBack, backward, forward, target};
use ferrograd_tensor::{Cx, Result, View, ViewMut, with_float};

#[derive(Clone, Copy)]
struct Lstm;

impl Cell for Lstm {
    const GATES: usize = 4;
    const SAVED: usize = 4;
    const JOINED: usize = 4;

    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>, j: usize, n: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            let sum = |block: usize| m.load(at.sums.add(block * at.hidden + j), n);
            let (i, f, g, o) = (m.sigmoid(sum(0)), m.sigmoid(sum(1)), m.tanh(sum(2)), m.sigmoid(sum(3)));
            let c = m.fma(f, m.load(at.c.add(j), n), m.mul(i, g));
            m.store(at.c.add(j), n, c);
            m.store(at.h.add(j), n, m.mul(o, m.tanh(c)));
            for (block, value) in [i, f, g, o].into_iter().enumerate() {
                m.store(at.saved.add(block * at.hidden + j), n, value);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>, j: usize, n: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            let saved = |block: usize| m.load(at.saved.add(block * at.hidden + j), n);
            let (i, f, g, o) = (saved(0), saved(1), saved(2), saved(3));
            let dh = m.load(at.dh.add(j), n);
            let y = m.tanh(m.load(at.c.add(j), n));
            let dc = m.fma(m.through_tanh(o, y), dh, m.load(at.dc.add(j), n));
            let gates = [
                m.through_sigmoid(m.mul(dc, g), i),
                m.through_sigmoid(m.mul(dc, m.load(at.c_before.add(j), n)), f),
                m.through_tanh(m.mul(dc, i), g),
                m.through_sigmoid(m.mul(dh, y), o),
            ];
            for (block, value) in gates.into_iter().enumerate() {
                m.store(at.dprojected.add(block * at.hidden + j), n, value);
            }
            m.store(at.dc.add(j), n, m.mul(dc, f));
            m.store(at.dh.add(j), n, m.zero());
        }
    }
}

/// `projected` [N, T, 4 H], `weight` [4 H, H]: `output` [N, T, H], `hidden` and `cell` [N, H] after each row's last step; for the gradient the gates,
/// the cells, and the h~ that each step started from. Fails (kind Index) on a length outside of 0..=T.
pub fn lstm(
    cx: &mut Cx,
    projected: &View,
    weight: &View,
    h0: Option<&View>,
    c0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    output: &mut ViewMut,
    hidden: &mut ViewMut,
    cell: &mut ViewMut,
    saved: &mut ViewMut,
    cells: &mut ViewMut,
    previous: &mut ViewMut,
) -> Result {
    let x = Inputs { projected, weight, bias: None, h0, c0, lengths, mask, recurrent_mask, reverse };
    with_float!(projected.dtype(), T => forward::<T, _>(cx, Lstm, &x, Outputs { output: target(output), hidden: target(hidden), cell: Some(target(cell)), saved: Some(target(saved)), cells: Some(target(cells)), previous: target(previous) }))
}

/// Gradients of the projections, which are those of the recurrent parts too, and of the first states.
pub fn lstm_grad(
    cx: &mut Cx,
    doutput: Option<&View>,
    dhidden: Option<&View>,
    dcell: Option<&View>,
    weight: &View,
    saved: &View,
    cells: &View,
    c0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    dprojected: &mut ViewMut,
    dh0: &mut ViewMut,
    dc0: &mut ViewMut,
) -> Result {
    let x = InputsBack {
        doutput,
        dhidden,
        dcell,
        weight,
        saved: Some(saved),
        output: None,
        cells: Some(cells),
        h0: None,
        c0,
        lengths,
        mask,
        recurrent_mask,
        reverse,
    };
    with_float!(weight.dtype(), T => backward::<T, _>(cx, Lstm, &x, OutputsBack { dprojected: target(dprojected), drecurrent: None, dh0: target(dh0), dc0: Some(target(dc0)) }))
}
