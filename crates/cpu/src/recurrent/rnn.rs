//! The plain recurrent layer (Elman 1990): h_t = tanh or ReLU of the sum.
use super::backward::{Gradients, Left, backward};
use super::forward::{Inputs, Outputs, forward};
use super::math::Math;
use super::stored::Place;
use super::{Cell, Step, StepBack, runs};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

#[derive(Clone, Copy)]
struct Rnn {
    relu: bool,
}

impl Cell for Rnn {
    const GATES: usize = 1;
    fn saved(self) -> usize {
        0
    }
    fn joined(self) -> usize {
        1
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
            // SAFETY: by the caller's promise.
            unsafe {
                let sum = m.load(at.sums.add(j), n);
                m.store(at.h.add(j), n, if self.relu { m.where_positive(sum, sum) } else { m.tanh(sum) });
            }
        }
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
            // SAFETY: by the caller's promise.
            unsafe {
                let (dh, h) = (m.load(at.dh.add(j), n), m.load(at.h.add(j), n));
                m.store(at.drecurrent.add(j), n, if self.relu { m.where_positive(h, dh) } else { m.through_tanh(dh, h) });
                m.store(at.dh.add(j), n, m.zero());
            }
        }
    }
}

/// x [N, T, I], `weight_ih` [H, I], `weight_hh` [H, H], biases [H]: `output` [N, T, H], `hidden` [N, H] after each row's last step. Fails (kind Index) on a
/// length outside of 0..=T.
pub fn rnn(
    cx: &mut Cx,
    x: &View,
    weight_ih: &View,
    weight_hh: &View,
    bias_ih: Option<&View>,
    bias_hh: Option<&View>,
    h0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    input_mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    relu: bool,
    output: &mut ViewMut,
    hidden: &mut ViewMut,
) -> Result {
    let x = Inputs {
        x,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        h0,
        c0: None,
        lengths,
        mask,
        input_mask,
        recurrent_mask,
        reverse,
        second: None,
        params: &[],
    };
    forward(cx, Rnn { relu }, &x, Outputs { output: Place::of(output), hidden: Place::of(hidden), cell: None, saved: None, cells: None })
}

/// Gradients of x (with `input_grad`), of the weights, of either bias, and of the first state.
pub fn rnn_grad(
    cx: &mut Cx,
    doutput: Option<&View>,
    dhidden: Option<&View>,
    x: &View,
    weight_ih: &View,
    weight_hh: &View,
    output: &View,
    h0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    input_mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    relu: bool,
    input_grad: bool,
    dx: &mut ViewMut,
    dweight_ih: &mut ViewMut,
    dweight_hh: &mut ViewMut,
    dbias: &mut ViewMut,
    dh0: &mut ViewMut,
) -> Result {
    let x = Inputs {
        x,
        weight_ih,
        weight_hh,
        bias_ih: None,
        bias_hh: None,
        h0,
        c0: None,
        lengths,
        mask,
        input_mask,
        recurrent_mask,
        reverse,
        second: None,
        params: &[],
    };
    let left = Left { doutput, dhidden, dcell: None, output, saved: None, cells: None };
    let y = Gradients {
        dx: input_grad.then(|| Place::of(dx)),
        dweight_ih: Place::of(dweight_ih),
        dweight_hh: Place::of(dweight_hh),
        dbias_ih: Some(Place::of(dbias)),
        dbias_hh: None,
        dsecond: None,
        dparams: vec![],
        dh0: Place::of(dh0),
        dc0: None,
    };
    backward(cx, Rnn { relu }, &x, &left, y)
}
