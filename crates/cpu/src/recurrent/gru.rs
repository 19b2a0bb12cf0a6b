//! GRU (Cho et al. 2014, in the form of cuDNN, PyTorch and Keras' reset_after): r, z = sigmoid of their sums, n = tanh(projection + r (recurrent part + bias)),
//! h_t = (1 - z) n + z h_{t-1}. Gates in PyTorch's order r, z, n.
use super::math::Math;
use super::{Cell, Inputs, InputsBack, Outputs, OutputsBack, Step, StepBack, backward, forward, target};
use ferrograd_tensor::{Cx, Result, View, ViewMut, with_float};

#[derive(Clone, Copy)]
struct Gru;

impl Cell for Gru {
    const GATES: usize = 3;
    /// r, z, n, and the recurrent part of n.
    const SAVED: usize = 4;
    const JOINED: usize = 2;

    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>, j: usize, n: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            let sum = |block: usize| m.load(at.sums.add(block * at.hidden + j), n);
            let (r, z, part) = (m.sigmoid(sum(0)), m.sigmoid(sum(1)), sum(2));
            let new = m.tanh(m.fma(r, part, m.load(at.projected.add(2 * at.hidden + j), n)));
            let h = m.load(at.h.add(j), n);
            m.store(at.h.add(j), n, m.fma(z, m.sub(h, new), new));
            for (block, value) in [r, z, new, part].into_iter().enumerate() {
                m.store(at.saved.add(block * at.hidden + j), n, value);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>, j: usize, n: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            let saved = |block: usize| m.load(at.saved.add(block * at.hidden + j), n);
            let (r, z, new, part) = (saved(0), saved(1), saved(2), saved(3));
            let dh = m.load(at.dh.add(j), n);
            let dnew = m.through_tanh(m.mul(dh, m.sub(m.one(), z)), new);
            let dr = m.through_sigmoid(m.mul(dnew, part), r);
            let dz = m.through_sigmoid(m.mul(dh, m.sub(m.load(at.h_before.add(j), n), new)), z);
            for (to, last) in [(at.dprojected, dnew), (at.drecurrent, m.mul(dnew, r))] {
                for (block, value) in [dr, dz, last].into_iter().enumerate() {
                    m.store(to.add(block * at.hidden + j), n, value);
                }
            }
            m.store(at.dh.add(j), n, m.mul(dh, z));
        }
    }
}

/// `projected` [N, T, 3 H], `weight` [3 H, H], `bias` [3 H] of the recurrent part: `output` [N, T, H], `hidden` [N, H] after each row's last step; for the
/// gradient the gates with n's recurrent part, and the h~ that each step started from. Fails (kind Index) on a length outside of 0..=T.
pub fn gru(
    cx: &mut Cx,
    projected: &View,
    weight: &View,
    bias: Option<&View>,
    h0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    output: &mut ViewMut,
    hidden: &mut ViewMut,
    saved: &mut ViewMut,
    previous: &mut ViewMut,
) -> Result {
    let x = Inputs { projected, weight, bias, h0, c0: None, lengths, mask, recurrent_mask, reverse };
    with_float!(projected.dtype(), T => forward::<T, _>(cx, Gru, &x, Outputs { output: target(output), hidden: target(hidden), cell: None, saved: Some(target(saved)), cells: None, previous: target(previous) }))
}

/// Gradients of the projections, of the recurrent parts, and of the first state.
pub fn gru_grad(
    cx: &mut Cx,
    doutput: Option<&View>,
    dhidden: Option<&View>,
    weight: &View,
    saved: &View,
    output: &View,
    h0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    dprojected: &mut ViewMut,
    drecurrent: &mut ViewMut,
    dh0: &mut ViewMut,
) -> Result {
    let x = InputsBack {
        doutput,
        dhidden,
        dcell: None,
        weight,
        saved: Some(saved),
        output: Some(output),
        cells: None,
        h0,
        c0: None,
        lengths,
        mask,
        recurrent_mask,
        reverse,
    };
    with_float!(weight.dtype(), T => backward::<T, _>(cx, Gru, &x, OutputsBack { dprojected: target(dprojected), drecurrent: Some(target(drecurrent)), dh0: target(dh0), dc0: None }))
}
