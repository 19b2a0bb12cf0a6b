//! LSTM (Hochreiter & Schmidhuber 1997, with Gers' forget gate): i, f, o = sigmoid of their sums, g = tanh of its sum, c_t = f c_{t-1} + i g,
//! h_t = o tanh(c_t). Gates in PyTorch's order i, f, g, o.
use super::backward::{Gradients, Left, backward};
use super::forward::{Inputs, Outputs, forward};
use super::math::Math;
use super::stored::Place;
use super::{Cell, Step, StepBack, runs};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

#[derive(Clone, Copy)]
struct Lstm;

impl Cell for Lstm {
    const GATES: usize = 4;
    fn saved(self) -> usize {
        4
    }
    fn joined(self) -> usize {
        4
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
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
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
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
}

/// x [N, T, I], `weight_ih` [4 H, I], `weight_hh` [4 H, H], biases [4 H]: `output` [N, T, H], `hidden` and `cell` [N, H] after each row's last step; with
/// `keep`, for the gradient, the gates and the cells of all steps. Fails (kind Index) on a length outside of 0..=T.
pub fn lstm(
    cx: &mut Cx,
    x: &View,
    weight_ih: &View,
    weight_hh: &View,
    bias_ih: Option<&View>,
    bias_hh: Option<&View>,
    h0: Option<&View>,
    c0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    input_mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    keep: bool,
    output: &mut ViewMut,
    hidden: &mut ViewMut,
    cell: &mut ViewMut,
    saved: &mut ViewMut,
    cells: &mut ViewMut,
) -> Result {
    let x = Inputs {
        x,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        h0,
        c0,
        lengths,
        mask,
        input_mask,
        recurrent_mask,
        reverse,
        second: None,
        params: &[],
    };
    forward(
        cx,
        Lstm,
        &x,
        Outputs {
            output: Place::of(output),
            hidden: Place::of(hidden),
            cell: Some(Place::of(cell)),
            saved: keep.then(|| Place::of(saved)),
            cells: keep.then(|| Place::of(cells)),
        },
    )
}

/// Gradients of x (with `input_grad`), of the weights, of either bias, and of the first states.
pub fn lstm_grad(
    cx: &mut Cx,
    doutput: Option<&View>,
    dhidden: Option<&View>,
    dcell: Option<&View>,
    x: &View,
    weight_ih: &View,
    weight_hh: &View,
    output: &View,
    saved: &View,
    cells: &View,
    h0: Option<&View>,
    c0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    input_mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    input_grad: bool,
    dx: &mut ViewMut,
    dweight_ih: &mut ViewMut,
    dweight_hh: &mut ViewMut,
    dbias: &mut ViewMut,
    dh0: &mut ViewMut,
    dc0: &mut ViewMut,
) -> Result {
    let x = Inputs {
        x,
        weight_ih,
        weight_hh,
        bias_ih: None,
        bias_hh: None,
        h0,
        c0,
        lengths,
        mask,
        input_mask,
        recurrent_mask,
        reverse,
        second: None,
        params: &[],
    };
    let left = Left { doutput, dhidden, dcell, output, saved: Some(saved), cells: Some(cells) };
    let y = Gradients {
        dx: input_grad.then(|| Place::of(dx)),
        dweight_ih: Place::of(dweight_ih),
        dweight_hh: Place::of(dweight_hh),
        dbias_ih: Some(Place::of(dbias)),
        dbias_hh: None,
        dsecond: None,
        dparams: vec![],
        dh0: Place::of(dh0),
        dc0: Some(Place::of(dc0)),
    };
    backward(cx, Lstm, &x, &left, y)
}
