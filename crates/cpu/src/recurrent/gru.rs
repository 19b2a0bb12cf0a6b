//! GRU (Cho et al. 2014, in the form of cuDNN, PyTorch and Keras' reset_after): r, z = sigmoid of their sums, n = tanh(projection + r (recurrent part + bias)),
//! h_t = (1 - z) n + z h_{t-1}. Gates in PyTorch's order r, z, n. Or with r before the product ([`ResetBefore`]).
use super::backward::{Gradients, Left, backward};
use super::forward::{Inputs, Outputs, forward};
use super::math::Math;
use super::stored::Place;
use super::{Cell, Second, Step, StepBack, runs};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

#[derive(Clone, Copy)]
struct Gru;

impl Cell for Gru {
    const GATES: usize = 3;
    /// r, z, n, and the recurrent part of n.
    fn saved(self) -> usize {
        4
    }
    fn joined(self) -> usize {
        2
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
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
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
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
}

/// The GRU of Cho et al. 2014, whose r multiplies the state before the product: n = tanh(projection + W (r h~)), biases and all in the projection.
#[derive(Clone, Copy)]
struct ResetBefore;

impl Cell for ResetBefore {
    const GATES: usize = 3;
    /// r, z, n, and r h~.
    fn saved(self) -> usize {
        4
    }
    fn joined(self) -> usize {
        2
    }
    fn apart(self) -> bool {
        false
    }
    fn second(self) -> Second {
        Second::Candidate
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
            // SAFETY: by the caller's promise.
            unsafe {
                let [r, z] = [0, 1].map(|block| m.sigmoid(m.load(at.sums.add(block * at.hidden + j), n)));
                let entering = m.mul(m.load(at.h.add(j), n), factor(m, at.factor, j, n));
                for (block, value) in [(0, r), (1, z), (3, m.mul(r, entering))] {
                    m.store(at.saved.add(block * at.hidden + j), n, value);
                }
            }
        }
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn finish<M: Math>(self, m: M, at: &Step<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
            // SAFETY: by the caller's promise.
            unsafe {
                let new = m.tanh(m.load(at.candidate.add(j), n));
                let (z, h) = (m.load(at.saved.add(at.hidden + j), n), m.load(at.h.add(j), n));
                m.store(at.saved.add(2 * at.hidden + j), n, new);
                m.store(at.h.add(j), n, m.fma(z, m.sub(h, new), new));
            }
        }
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
            // SAFETY: by the caller's promise.
            unsafe {
                let [z, new] = [1, 2].map(|block| m.load(at.saved.add(block * at.hidden + j), n));
                let dh = m.load(at.dh.add(j), n);
                let dz = m.through_sigmoid(m.mul(dh, m.sub(m.load(at.h_before.add(j), n), new)), z);
                let dnew = m.through_tanh(m.mul(dh, m.sub(m.one(), z)), new);
                m.store(at.dprojected.add(at.hidden + j), n, dz);
                m.store(at.dprojected.add(2 * at.hidden + j), n, dnew);
                m.store(at.dh.add(j), n, m.mul(dh, z));
            }
        }
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn finish_backward<M: Math>(self, m: M, at: &StepBack<M::E>) {
        for (j, n) in runs::<M>(at.hidden) {
            // SAFETY: by the caller's promise.
            unsafe {
                let [r, entered] = [0, 3].map(|block| m.load(at.saved.add(block * at.hidden + j), n));
                let dentering = m.load(at.dentering.add(j), n);
                // (r h~)' is r (1 - r) h~ in r's sum.
                m.store(at.dprojected.add(j), n, m.mul(dentering, m.mul(entered, m.sub(m.one(), r))));
                let through = m.mul(m.mul(dentering, r), factor(m, at.factor, j, n));
                m.store(at.dh.add(j), n, m.fma(through, m.one(), m.load(at.dh.add(j), n)));
            }
        }
    }
}

/// Factors on the state, where there are any.
///
/// # Safety
/// `n` of them can be read from `j` on.
#[inline(always)]
unsafe fn factor<M: Math>(m: M, of: *const M::E, j: usize, n: usize) -> M::V {
    // SAFETY: by the caller's promise.
    if of.is_null() { m.one() } else { unsafe { m.load(of.add(j), n) } }
}

/// x [N, T, I], `weight_ih` [3 H, I], `weight_hh` [3 H, H], biases [3 H]: `output` [N, T, H], `hidden` [N, H] after each row's last step; with `keep`, for
/// the gradient, the gates with n's recurrent part. `before`: r multiplies the state before the product. Fails (kind Index) on a length outside of 0..=T.
pub fn gru(
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
    before: bool,
    keep: bool,
    output: &mut ViewMut,
    hidden: &mut ViewMut,
    saved: &mut ViewMut,
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
    let y =
        Outputs { output: Place::of(output), hidden: Place::of(hidden), cell: None, saved: keep.then(|| Place::of(saved)), cells: None };
    if before { forward(cx, ResetBefore, &x, y) } else { forward(cx, Gru, &x, y) }
}

/// Gradients of x (with `input_grad`), of the weights, of both biases, and of the first state.
pub fn gru_grad(
    cx: &mut Cx,
    doutput: Option<&View>,
    dhidden: Option<&View>,
    x: &View,
    weight_ih: &View,
    weight_hh: &View,
    output: &View,
    saved: &View,
    h0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    input_mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    before: bool,
    input_grad: bool,
    dx: &mut ViewMut,
    dweight_ih: &mut ViewMut,
    dweight_hh: &mut ViewMut,
    dbias_ih: &mut ViewMut,
    dbias_hh: &mut ViewMut,
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
    let left = Left { doutput, dhidden, dcell: None, output, saved: Some(saved), cells: None };
    let y = Gradients {
        dx: input_grad.then(|| Place::of(dx)),
        dweight_ih: Place::of(dweight_ih),
        dweight_hh: Place::of(dweight_hh),
        dbias_ih: Some(Place::of(dbias_ih)),
        dbias_hh: Some(Place::of(dbias_hh)),
        dsecond: None,
        dparams: vec![],
        dh0: Place::of(dh0),
        dc0: None,
    };
    if before { backward(cx, ResetBefore, &x, &left, y) } else { backward(cx, Gru, &x, &left, y) }
}
