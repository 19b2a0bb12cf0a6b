//! Recurrent layers over whole sequences, one layer and one direction a call: x's projections [N, T, G H] come in, G blocks of H for a cell's gates, and the
//! recurrence h_t = cell(projection_t, h~_{t-1} W^T, h_{t-1}, c_{t-1}) runs for all T steps, h~ being h or, with a recurrent dropout mask, h times it.
//!
//! Rows of the batch do not depend on each other: a task takes a few of them through the whole sequence, with their states and gates in its cache,
//! and nobody waits for anybody. What follows from the gates of all steps (the gradients of weights and inputs) are large products, made outside.
mod gru;
mod lstm;
mod math;
mod product;
mod rnn;
#[cfg(test)]
mod tests;

pub use gru::{gru, gru_grad};
pub use lstm::{lstm, lstm_grad};
pub use rnn::{rnn, rnn_grad};

use crate::gemm::even_cut;
use ferrograd_tensor::{B8, Cx, Element, Error, Float, Meta, Result, SyncPtr, View, ViewMut};
use math::{Elementwise, Math, Real};
use product::{Multiply, Way, weights_scratch};

/// A cell's formula, a run of units at a time. `SAVED` blocks of H go from a step to its gradient.
trait Cell: Copy + Sync {
    /// Blocks of the projections and of the recurrent weights.
    const GATES: usize;
    const SAVED: usize;
    /// Blocks, from the first, whose recurrent part is added to x's projection before the cell sees them; the others come apart.
    const JOINED: usize;
    /// # Safety
    /// `n` units from `j` on lie in every block, `n <= LANES`.
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>, j: usize, n: usize);
    /// # Safety
    /// As for `forward`.
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>, j: usize, n: usize);
}

/// One row at one step.
struct Step<E> {
    hidden: usize,
    /// x's projections.
    projected: *const E,
    /// Sums of the gates.
    sums: *const E,
    /// The state, replaced.
    h: *mut E,
    c: *mut E,
    saved: *mut E,
}

/// The same backwards.
struct StepBack<E> {
    hidden: usize,
    saved: *const E,
    /// States after the step and before it.
    h: *const E,
    c: *const E,
    h_before: *const E,
    c_before: *const E,
    /// The gradient of the state after the step; becomes what reaches the state before it past the gates.
    dh: *mut E,
    dc: *mut E,
    /// Gradients of the projections, and of the recurrent parts.
    dprojected: *mut E,
    drecurrent: *mut E,
}

/// Which step of the sequence a row takes.
enum At {
    Step(usize),
    /// Masked: the state is carried over.
    Held(usize),
    /// Behind the row's end.
    Past(usize),
}

struct Walk<'a> {
    steps: usize,
    lengths: Option<&'a [i32]>,
    mask: Option<&'a [B8]>,
    reverse: bool,
}

impl<'a> Walk<'a> {
    fn new(steps: usize, lengths: Option<&View<'a>>, mask: Option<&View<'a>>, reverse: bool) -> Result<Walk<'a>> {
        let lengths = lengths.map(|v| v.slice::<i32>());
        if let Some((row, len)) = lengths.and_then(|all| all.iter().enumerate().find(|(_, l)| !(0..=steps as i32).contains(*l))) {
            return Err(Error::index(format!(
                "length {len} of row {row} does not fit.\n  The sequences have {steps} steps: lengths from 0 to {steps}.\n  Cut the row, or give its own length."
            )));
        }
        Ok(Walk { steps, lengths, mask: mask.map(|v| v.slice::<B8>()), reverse })
    }
    fn at(&self, row: usize, step: usize) -> At {
        let len = self.lengths.map_or(self.steps, |l| l[row] as usize);
        if step >= len {
            return At::Past(step);
        }
        let t = if self.reverse { len - 1 - step } else { step };
        match self.mask {
            Some(mask) if !mask[row * self.steps + t].get() => At::Held(t),
            _ => At::Step(t),
        }
    }
    /// Where the state before `step` was left: the time of the step before, none for the first.
    fn before(&self, row: usize, step: usize) -> Option<usize> {
        let before = step.checked_sub(1)?;
        let len = self.lengths.map_or(self.steps, |l| l[row] as usize);
        Some(if self.reverse { len - 1 - before } else { before })
    }
}

/// Rows of a task. More where the weights do not stay in a second-level cache, so that they are read less often.
fn piece(gates: usize, hidden: usize) -> usize {
    if gates * hidden <= 1 << 17 { 8 } else { 16 }
}

/// Elements of room that a task wants.
fn room(gates: usize, hidden: usize) -> usize {
    let rows = piece(gates, hidden);
    rows * (gates + 5 * hidden) + 3 * gates + 8 * hidden
}

/// Scratch of a kernel in bytes, from the recurrent weights.
pub fn recurrent_scratch(weight: &Meta) -> usize {
    weights_scratch(weight.numel()) + 128
}

/// Bytes of room for a thread, from the recurrent weights [G H, H].
pub fn recurrent_local(weight: &Meta) -> usize {
    match weight.dims() {
        &[gates, hidden] => 8 * room(gates, hidden),
        _ => 0,
    }
}

/// A part of a task's room.
struct Room<'a, E>(&'a mut [E]);

impl<'a, E> Room<'a, E> {
    fn take(&mut self, len: usize) -> *mut E {
        let (head, tail) = std::mem::take(&mut self.0).split_at_mut(len);
        self.0 = tail;
        head.as_mut_ptr()
    }
}

/// # Safety
/// `len` elements can be read from `from` and written to `to`.
#[inline]
unsafe fn widen<T: Float>(from: *const T, to: *mut T::Acc, len: usize) {
    if T::DTYPE == T::Acc::DTYPE {
        // SAFETY: by the caller's promise; the types are the same.
        return unsafe { to.copy_from_nonoverlapping(from.cast(), len) };
    }
    for i in 0..len {
        // SAFETY: by the caller's promise.
        unsafe { *to.add(i) = (*from.add(i)).acc() };
    }
}

/// # Safety
/// As for [`widen`].
#[inline]
unsafe fn narrow<T: Float>(from: *const T::Acc, to: *mut T, len: usize) {
    if T::DTYPE == T::Acc::DTYPE {
        // SAFETY: as in `widen`.
        return unsafe { to.copy_from_nonoverlapping(from.cast(), len) };
    }
    for i in 0..len {
        // SAFETY: by the caller's promise.
        unsafe { *to.add(i) = T::from_acc(*from.add(i)) };
    }
}

/// # Safety
/// `len` elements can be written.
#[inline]
unsafe fn clear<E: Element>(to: *mut E, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(to, len) }.fill(E::default());
}

struct Forward<C, E> {
    cell: C,
    at: Step<E>,
}

impl<C: Cell, E> Elementwise<E> for Forward<C, E> {
    #[inline(always)]
    fn run<M: Math<E = E>>(self, m: M) {
        for j in (0..self.at.hidden).step_by(M::LANES) {
            // SAFETY: whoever made the step gives blocks of `hidden` units.
            unsafe { self.cell.forward(m, &self.at, j, M::LANES.min(self.at.hidden - j)) };
        }
    }
}

struct Backward<C, E> {
    cell: C,
    at: StepBack<E>,
}

impl<C: Cell, E> Elementwise<E> for Backward<C, E> {
    #[inline(always)]
    fn run<M: Math<E = E>>(self, m: M) {
        for j in (0..self.at.hidden).step_by(M::LANES) {
            // SAFETY: as in `Forward`.
            unsafe { self.cell.backward(m, &self.at, j, M::LANES.min(self.at.hidden - j)) };
        }
    }
}

/// to = a b, or a where there is no b.
struct Masked<E> {
    a: *const E,
    b: Option<*const E>,
    /// Added.
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

/// What every recurrent kernel reads.
struct Inputs<'a> {
    projected: &'a View<'a>,
    weight: &'a View<'a>,
    /// Added to the recurrent part: [G H].
    bias: Option<&'a View<'a>>,
    h0: Option<&'a View<'a>>,
    c0: Option<&'a View<'a>>,
    lengths: Option<&'a View<'a>>,
    mask: Option<&'a View<'a>>,
    recurrent_mask: Option<&'a View<'a>>,
    reverse: bool,
}

/// What it writes: `output`, `hidden` and, for the gradient, `saved` [N, T, SAVED H], `cells` and `previous` [N, T, H], the h~ that each step started from.
struct Outputs<T> {
    output: SyncPtr<T>,
    hidden: SyncPtr<T>,
    cell: Option<SyncPtr<T>>,
    saved: Option<SyncPtr<T>>,
    cells: Option<SyncPtr<T>>,
    previous: SyncPtr<T>,
}

fn pointer<T: Element>(v: Option<&View>) -> Option<SyncPtr<T>> {
    v.map(|v| SyncPtr(v.ptr::<T>().cast_mut()))
}

fn target<T: Element>(v: &mut ViewMut) -> SyncPtr<T> {
    SyncPtr(v.slice_mut::<T>().as_mut_ptr())
}

fn forward<T: Float, C: Cell>(cx: &mut Cx, cell: C, x: &Inputs, y: Outputs<T>) -> Result
where
    T::Acc: Multiply,
{
    let [rows, steps] = [x.projected.dims()[0], x.projected.dims()[1]];
    let hidden = x.weight.dims()[1];
    let (gates, joined, keep) = (C::GATES * hidden, C::JOINED * hidden, C::SAVED * hidden);
    let walk = Walk::new(steps, x.lengths, x.mask, x.reverse)?;
    let projected = SyncPtr(x.projected.ptr::<T>().cast_mut());
    let [bias, h0, c0, factors] = [x.bias, x.h0, x.c0, x.recurrent_mask].map(pointer::<T>);
    let Outputs { output, hidden: final_h, cell: final_c, saved, cells, previous } = y;
    let (weights, mut cx) = <T::Acc as Multiply>::weights::<T>(cx, x.weight, Way::Forward);
    let pieces = rows.div_ceil(piece(gates, hidden));
    cx.par_local::<T::Acc>(pieces, room(gates, hidden), |task, room| {
        let (first, count) = even_cut(rows, pieces, task);
        let mut room = Room(room);
        let (sums, before) = (room.take(count * gates), room.take(count * hidden));
        let (h, c, factor) = (room.take(count * hidden), room.take(count * hidden), room.take(count * hidden));
        let (project, biases, kept) = (room.take(gates), room.take(gates), room.take(keep));
        // SAFETY: everything below stays inside the room, whose parts are apart, and inside operands and outputs of the shapes that the rule
        // gave them; the rows are this task's alone.
        unsafe {
            match &bias {
                Some(p) => widen(p.get(), biases, gates),
                None => clear(biases, gates),
            }
            for (start, to) in [(&h0, h), (&c0, c)] {
                match start {
                    Some(p) => widen(p.get().add(first * hidden), to, count * hidden),
                    None => clear(to, count * hidden),
                }
            }
            if let Some(p) = &factors {
                widen(p.get().add(first * hidden), factor, count * hidden);
            }
            // Rows that take a step lie together, in the order of the batch.
            let mut active = [(0usize, 0usize); 16];
            for step in 0..steps {
                let mut some = 0;
                for i in 0..count {
                    match walk.at(first + i, step) {
                        At::Step(t) => {
                            active[some] = (i, t);
                            let at = (first + i) * steps + t;
                            let (to, sum) = (before.add(some * hidden), sums.add(some * gates));
                            let b = factors.is_some().then_some(factor.add(i * hidden).cast_const());
                            T::Acc::each(Masked { a: h.add(i * hidden), b, more: None, to, len: hidden });
                            narrow(to, previous.get().add(at * hidden), hidden);
                            widen(projected.get().add(at * gates), sum, joined);
                            if bias.is_some() {
                                T::Acc::each(Masked {
                                    a: sum.cast_const(),
                                    b: None,
                                    more: Some(biases.cast_const()),
                                    to: sum,
                                    len: joined,
                                });
                            }
                            sum.add(joined).copy_from_nonoverlapping(biases.add(joined), gates - joined);
                            some += 1;
                        }
                        At::Held(t) | At::Past(t) => {
                            let at = (first + i) * steps + t;
                            let held = matches!(walk.at(first + i, step), At::Held(_));
                            clear(previous.get().add(at * hidden), hidden);
                            saved.inspect(|p| clear(p.get().add(at * keep), keep));
                            let leave = |state: *const T::Acc, to: *mut T| if held { narrow(state, to, hidden) } else { clear(to, hidden) };
                            leave(h.add(i * hidden), output.get().add(at * hidden));
                            if let Some(p) = &cells {
                                leave(c.add(i * hidden), p.get().add(at * hidden));
                            }
                        }
                    }
                }
                T::Acc::product(&weights, some, before, sums, true);
                for (place, &(i, t)) in active[..some].iter().enumerate() {
                    let at = (first + i) * steps + t;
                    if C::JOINED < C::GATES {
                        widen(projected.get().add(at * gates), project, gates);
                    }
                    let (h, c) = (h.add(i * hidden), c.add(i * hidden));
                    T::Acc::each(Forward {
                        cell,
                        at: Step { hidden, projected: project, sums: sums.add(place * gates), h, c, saved: kept },
                    });
                    narrow(h, output.get().add(at * hidden), hidden);
                    if let Some(p) = &saved {
                        narrow(kept, p.get().add(at * keep), keep);
                    }
                    if let Some(p) = &cells {
                        narrow(c, p.get().add(at * hidden), hidden);
                    }
                }
            }
            narrow(h, final_h.get().add(first * hidden), count * hidden);
            if let Some(p) = &final_c {
                narrow(c, p.get().add(first * hidden), count * hidden);
            }
        }
    });
    Ok(())
}

/// What every gradient reads.
struct InputsBack<'a> {
    /// Gradients of output, hidden and cell, where there are any.
    doutput: Option<&'a View<'a>>,
    dhidden: Option<&'a View<'a>>,
    dcell: Option<&'a View<'a>>,
    weight: &'a View<'a>,
    saved: Option<&'a View<'a>>,
    output: Option<&'a View<'a>>,
    cells: Option<&'a View<'a>>,
    h0: Option<&'a View<'a>>,
    c0: Option<&'a View<'a>>,
    lengths: Option<&'a View<'a>>,
    mask: Option<&'a View<'a>>,
    recurrent_mask: Option<&'a View<'a>>,
    reverse: bool,
}

/// What it writes; `dprojected` [N, T, G H] and, where it differs, the gradient of the recurrent parts.
struct OutputsBack<T> {
    dprojected: SyncPtr<T>,
    drecurrent: Option<SyncPtr<T>>,
    dh0: SyncPtr<T>,
    dc0: Option<SyncPtr<T>>,
}

fn backward<T: Float, C: Cell>(cx: &mut Cx, cell: C, x: &InputsBack, y: OutputsBack<T>) -> Result
where
    T::Acc: Multiply,
{
    let hidden = x.weight.dims()[1];
    let (gates, keep) = (C::GATES * hidden, C::SAVED * hidden);
    let kept_steps = x.saved.or(x.output).expect("every cell keeps something of its steps").dims();
    let [rows, steps] = [kept_steps[0], kept_steps[1]];
    let walk = Walk::new(steps, x.lengths, x.mask, x.reverse)?;
    let [doutput, dhidden, dcell] = [x.doutput, x.dhidden, x.dcell].map(pointer::<T>);
    let [saved, output, cells, h0, c0, factors] = [x.saved, x.output, x.cells, x.h0, x.c0, x.recurrent_mask].map(pointer::<T>);
    let OutputsBack { dprojected, drecurrent, dh0, dc0 } = y;
    let (weights, mut cx) = <T::Acc as Multiply>::weights::<T>(cx, x.weight, Way::Backward);
    let pieces = rows.div_ceil(piece(gates, hidden));
    cx.par_local::<T::Acc>(pieces, room(gates, hidden), |task, room| {
        let (first, count) = even_cut(rows, pieces, task);
        let mut room = Room(room);
        let (gate, dbefore) = (room.take(count * gates), room.take(count * hidden));
        let (dh, dc, factor) = (room.take(count * hidden), room.take(count * hidden), room.take(count * hidden));
        let (project, kept) = (room.take(gates), room.take(keep));
        let [h, c, h_before, c_before] = [(); 4].map(|()| room.take(hidden));
        // SAFETY: as in `forward`.
        unsafe {
            for (start, to) in [(&dhidden, dh), (&dcell, dc)] {
                match start {
                    Some(p) => widen(p.get().add(first * hidden), to, count * hidden),
                    None => clear(to, count * hidden),
                }
            }
            if let Some(p) = &factors {
                widen(p.get().add(first * hidden), factor, count * hidden);
            }
            // A state at a time of row `i`, or the one that the sequence starts from.
            let state =
                |all: &Option<SyncPtr<T>>, start: &Option<SyncPtr<T>>, i: usize, t: Option<usize>, to: *mut T::Acc| match (t, all, start) {
                    (Some(t), Some(p), _) => widen(p.get().add(((first + i) * steps + t) * hidden), to, hidden),
                    (None, _, Some(p)) => widen(p.get().add((first + i) * hidden), to, hidden),
                    _ => clear(to, hidden),
                };
            let mut active = [0usize; 16];
            for step in (0..steps).rev() {
                let mut some = 0;
                for i in 0..count {
                    let dh = dh.add(i * hidden);
                    let arrive = |t: usize| {
                        if let Some(p) = &doutput {
                            widen(p.get().add(((first + i) * steps + t) * hidden), h, hidden);
                            T::Acc::each(Masked { a: dh.cast_const(), b: None, more: Some(h.cast_const()), to: dh, len: hidden });
                        }
                    };
                    match walk.at(first + i, step) {
                        At::Step(t) => {
                            arrive(t);
                            let at = (first + i) * steps + t;
                            if let Some(p) = &saved {
                                widen(p.get().add(at * keep), kept, keep);
                            }
                            let before = walk.before(first + i, step);
                            state(&output, &None, i, Some(t), h);
                            state(&output, &h0, i, before, h_before);
                            state(&cells, &None, i, Some(t), c);
                            state(&cells, &c0, i, before, c_before);
                            let recurrent = gate.add(some * gates);
                            let input = if drecurrent.is_some() { project } else { recurrent };
                            let dc = dc.add(i * hidden);
                            let at_step = StepBack {
                                hidden,
                                saved: kept,
                                h,
                                c,
                                h_before,
                                c_before,
                                dh,
                                dc,
                                dprojected: input,
                                drecurrent: recurrent,
                            };
                            T::Acc::each(Backward { cell, at: at_step });
                            narrow(input, dprojected.get().add(at * gates), gates);
                            if let Some(p) = &drecurrent {
                                narrow(recurrent, p.get().add(at * gates), gates);
                            }
                            active[some] = i;
                            some += 1;
                        }
                        At::Held(t) | At::Past(t) => {
                            if matches!(walk.at(first + i, step), At::Held(_)) {
                                arrive(t);
                            }
                            let at = ((first + i) * steps + t) * gates;
                            clear(dprojected.get().add(at), gates);
                            drecurrent.inspect(|p| clear(p.get().add(at), gates));
                        }
                    }
                }
                T::Acc::product(&weights, some, gate, dbefore, false);
                for (place, &i) in active[..some].iter().enumerate() {
                    let dh = dh.add(i * hidden);
                    let b = factors.is_some().then_some(factor.add(i * hidden).cast_const());
                    T::Acc::each(Masked {
                        a: dbefore.add(place * hidden).cast_const(),
                        b,
                        more: Some(dh.cast_const()),
                        to: dh,
                        len: hidden,
                    });
                }
            }
            narrow(dh, dh0.get().add(first * hidden), count * hidden);
            if let Some(p) = &dc0 {
                narrow(dc, p.get().add(first * hidden), count * hidden);
            }
        }
    });
    Ok(())
}
