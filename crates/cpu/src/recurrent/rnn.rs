//! The plain recurrent layer (Elman 1990): h_t = tanh or ReLU of the sum.
use super::math::Math;
use super::{Cell, Inputs, InputsBack, Outputs, OutputsBack, Step, StepBack, backward, forward, target};
use ferrograd_tensor::{Cx, Result, View, ViewMut, with_float};

#[derive(Clone, Copy)]
struct Rnn {
    relu: bool,
}

impl Cell for Rnn {
    const GATES: usize = 1;
    const SAVED: usize = 0;
    const JOINED: usize = 1;

    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>, j: usize, n: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            let sum = m.load(at.sums.add(j), n);
            m.store(at.h.add(j), n, if self.relu { m.where_positive(sum, sum) } else { m.tanh(sum) });
        }
    }

    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>, j: usize, n: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            let (dh, h) = (m.load(at.dh.add(j), n), m.load(at.h.add(j), n));
            m.store(at.drecurrent.add(j), n, if self.relu { m.where_positive(h, dh) } else { m.through_tanh(dh, h) });
            m.store(at.dh.add(j), n, m.zero());
        }
    }
}

/// `projected` [N, T, H], `weight` [H, H]: `output` [N, T, H], `hidden` [N, H] after each row's last step; for the gradient the h~ that each step started
/// from. Fails (kind Index) on a length outside of 0..=T.
pub fn rnn(
    cx: &mut Cx,
    projected: &View,
    weight: &View,
    h0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    relu: bool,
    output: &mut ViewMut,
    hidden: &mut ViewMut,
    previous: &mut ViewMut,
) -> Result {
    let x = Inputs { projected, weight, bias: None, h0, c0: None, lengths, mask, recurrent_mask, reverse };
    with_float!(projected.dtype(), T => forward::<T, _>(cx, Rnn { relu }, &x, Outputs { output: target(output), hidden: target(hidden), cell: None, saved: None, cells: None, previous: target(previous) }))
}

/// Gradients of the sums and of the first state.
pub fn rnn_grad(
    cx: &mut Cx,
    doutput: Option<&View>,
    dhidden: Option<&View>,
    weight: &View,
    output: &View,
    lengths: Option<&View>,
    mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    relu: bool,
    dprojected: &mut ViewMut,
    dh0: &mut ViewMut,
) -> Result {
    let x = InputsBack {
        doutput,
        dhidden,
        dcell: None,
        weight,
        saved: None,
        output: Some(output),
        cells: None,
        h0: None,
        c0: None,
        lengths,
        mask,
        recurrent_mask,
        reverse,
    };
    with_float!(weight.dtype(), T => backward::<T, _>(cx, Rnn { relu }, &x, OutputsBack { dprojected: target(dprojected), drecurrent: None, dh0: target(dh0), dc0: None }))
}
