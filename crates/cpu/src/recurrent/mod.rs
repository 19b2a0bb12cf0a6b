//! Recurrent layers over whole sequences, one layer and one direction a call: x [N, T, I] comes in, G blocks of H for a cell's gates are W_ih x_t plus
//! biases, and the recurrence h_t = cell(gates_t, h~_{t-1} W_hh^T, h_{t-1}, c_{t-1}) runs for all T steps, h~ being h or, with a recurrent dropout mask, h times it.
//!
//! Rows of the batch do not depend on each other: a task takes a few of them through the whole sequence, and nobody waits for anybody. It goes by
//! stretches of a few steps. Forward, the stretch's inputs are projected at once, then its steps are taken; backward, its steps give the gradients of the
//! gates, from which those of the inputs and of the weights follow at once. So neither projections nor gates' gradients leave the caches.
//!
//! Some cells multiply once more in a step ([`Second`]): what they put out, or the last gate's part of the state.
mod backward;
mod forward;
mod gru;
mod lstm;
mod lstm_variant;
mod math;
mod operand;
mod products;
mod rnn;
mod room;
mod stored;
#[cfg(test)]
mod tests;
mod walk;

pub use backward::{recurrent_grad_local, recurrent_grad_scratch};
pub use forward::{recurrent_local, recurrent_scratch};
pub use gru::{gru, gru_grad};
pub use lstm::{lstm, lstm_grad};
pub use lstm_variant::{lstm_variant, lstm_variant_grad};
pub use rnn::{rnn, rnn_grad};

use math::{Elementwise, Math, Real};

/// A cell's formula, a row of units at a time.
trait Cell: Copy + Sync {
    /// Blocks of the projections.
    const GATES: usize;
    /// Blocks of H that go from a step to its gradient.
    fn saved(self) -> usize;
    /// Blocks, from the first, whose recurrent part is added to x's projection before the cell sees them; the others come apart.
    fn joined(self) -> usize;
    /// Whether the recurrent parts have gradients of their own.
    fn apart(self) -> bool {
        self.joined() < Self::GATES
    }
    fn second(self) -> Second {
        Second::None
    }
    /// # Safety
    /// Every block and state of the row has `hidden` units.
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>);
    /// # Safety
    /// As for `forward`.
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>);
    /// What follows the product of [`Second::Candidate`].
    ///
    /// # Safety
    /// As for `forward`.
    unsafe fn finish<M: Math>(self, _: M, _: &Step<M::E>) {}
    /// The same backwards.
    ///
    /// # Safety
    /// As for `forward`.
    unsafe fn finish_backward<M: Math>(self, _: M, _: &StepBack<M::E>) {}
}

/// What a step multiplies by weights after the cell has seen its sums.
#[derive(Clone, Copy, PartialEq)]
enum Second {
    None,
    /// What the cell puts out, of H units: h is made of it by weights [P, H].
    Output,
    /// The last block that the cell saved, by the last gate's recurrent weights: added to that gate's projection. [`Cell::finish`] goes on from there.
    Candidate,
}

/// Units of a row, a vector's worth at a time: where they begin, and how many.
#[inline(always)]
fn runs<M: Math>(hidden: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..hidden).step_by(M::LANES).map(move |j| (j, M::LANES.min(hidden - j)))
}

/// One row at one step. Blocks that a cell has no use for may be null.
#[derive(Clone, Copy)]
struct Step<E> {
    hidden: usize,
    /// The cell's own parameters, one behind the other.
    params: *const E,
    /// x's projections.
    projected: *const E,
    /// Sums of the gates, and those of the candidate.
    sums: *mut E,
    candidate: *const E,
    /// Factors on h where it enters a product; null for none.
    factor: *const E,
    /// The states, replaced.
    h: *mut E,
    c: *mut E,
    saved: *mut E,
}

/// The same backwards.
#[derive(Clone, Copy)]
struct StepBack<E> {
    hidden: usize,
    params: *const E,
    /// Sums of the parameters' gradients, added to.
    dparams: *mut E,
    factor: *const E,
    saved: *const E,
    /// States after the step and before it.
    h: *const E,
    c: *const E,
    h_before: *const E,
    c_before: *const E,
    /// The gradient of what the cell put out; becomes what reaches the state before it past the gates.
    dh: *mut E,
    dc: *mut E,
    /// Gradients of the projections, and of the recurrent parts.
    dprojected: *mut E,
    drecurrent: *mut E,
    /// What the cell put out, made again for [`Second::Output`].
    out: *mut E,
    /// The gradient of what entered the product of [`Second::Candidate`].
    dentering: *const E,
}

/// Most rows of a task, and of a stretch: each of a task's rows has at least four steps in one.
const MOST_ROWS: usize = 16;
const STRETCH: usize = 128;

/// Rows of a task. More where the weights do not stay in a second-level cache, so that they are read less often.
fn piece(gates: usize, hidden: usize) -> usize {
    if gates * hidden <= 1 << 17 { 8 } else { MOST_ROWS }
}

/// A cell as the walk over a sequence sees it: all rows of a step at once, in numbers of type E. Behind a table, since the walks are long and would be
/// there once more for every cell.
trait Steps<E>: Sync {
    fn gates(&self) -> usize;
    fn saved(&self) -> usize;
    fn joined(&self) -> usize;
    fn apart(&self) -> bool;
    fn second(&self) -> Second;
    /// # Safety
    /// As for [`Cell::forward`], of every row; so for the others.
    unsafe fn forward(&self, rows: &[Step<E>]);
    // SAFETY: as above.
    unsafe fn finish(&self, rows: &[Step<E>]);
    // SAFETY: as above.
    unsafe fn backward(&self, rows: &[StepBack<E>]);
    // SAFETY: as above.
    unsafe fn finish_backward(&self, rows: &[StepBack<E>]);
}

macro_rules! steps {
    ($($work:ident $method:ident $step:ident;)*) => {
        $(
            struct $work<'a, C, E>(C, &'a [$step<E>]);

            impl<C: Cell, E: Copy> Elementwise<E> for $work<'_, C, E> {
                #[inline(always)]
                fn run<M: Math<E = E>>(self, m: M) {
                    for at in self.1 {
                        // SAFETY: whoever made the step gives blocks of `hidden` units.
                        unsafe { self.0.$method(m, at) };
                    }
                }
            }
        )*

        impl<C: Cell, E: Real> Steps<E> for C {
            fn gates(&self) -> usize {
                C::GATES
            }
            fn saved(&self) -> usize {
                Cell::saved(*self)
            }
            fn joined(&self) -> usize {
                Cell::joined(*self)
            }
            fn apart(&self) -> bool {
                Cell::apart(*self)
            }
            fn second(&self) -> Second {
                Cell::second(*self)
            }
            $(
                // SAFETY: as the trait says.
                unsafe fn $method(&self, rows: &[$step<E>]) {
                    E::each($work(*self, rows));
                }
            )*
        }
    };
}
steps! { Forward forward Step; Finish finish Step; Backward backward StepBack; FinishBackward finish_backward StepBack; }

/// to = a b + more, without b or more where there is none.
struct Masked<E> {
    a: *const E,
    b: Option<*const E>,
    more: Option<*const E>,
    to: *mut E,
    len: usize,
}

impl<E> Elementwise<E> for Masked<E> {
    #[inline(always)]
    fn run<M: Math<E = E>>(self, m: M) {
        for j in (0..self.len).step_by(M::LANES) {
            let n = M::LANES.min(self.len - j);
            // SAFETY: whoever made it gives `len` elements.
            unsafe {
                let a = m.load(self.a.add(j), n);
                let more = self.more.map_or(m.zero(), |p| m.load(p.add(j), n));
                let factor = self.b.map_or(m.one(), |p| m.load(p.add(j), n));
                m.store(self.to.add(j), n, m.fma(a, factor, more));
            }
        }
    }
}
