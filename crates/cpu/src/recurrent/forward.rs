//! All steps of a sequence, forward.
use super::math::Real;
use super::operand::{add_to, operand, stored_operand};
use super::products::{Dots, Plain, Products, Tiled, Way};
use super::room::{Room, bytes};
use super::stored::{Place, Stored};
use super::walk::{At, Walk};
use super::{Cell, Forward, MOST_ROWS, STRETCH, Step, piece};
use crate::gemm::even_cut;
use ferrograd_tensor::{Cx, DType, Meta, Result, View};

/// What every recurrent kernel reads.
pub(super) struct Inputs<'a> {
    pub x: &'a View<'a>,
    pub weight_ih: &'a View<'a>,
    pub weight_hh: &'a View<'a>,
    pub bias_ih: Option<&'a View<'a>>,
    pub bias_hh: Option<&'a View<'a>>,
    pub h0: Option<&'a View<'a>>,
    pub c0: Option<&'a View<'a>>,
    pub lengths: Option<&'a View<'a>>,
    pub mask: Option<&'a View<'a>>,
    pub input_mask: Option<&'a View<'a>>,
    pub recurrent_mask: Option<&'a View<'a>>,
    pub reverse: bool,
}

/// What it writes: `output` [N, T, H], the last states, and for the gradient `saved` [N, T, SAVED H] and `cells` [N, T, H].
pub(super) struct Outputs {
    pub output: Place,
    pub hidden: Place,
    pub cell: Option<Place>,
    pub saved: Option<Place>,
    pub cells: Option<Place>,
}

/// Sizes of a layer, from x [N, T, I] and the recurrent weights [G H, H].
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub rows: usize,
    pub steps: usize,
    pub input: usize,
    pub gates: usize,
    pub hidden: usize,
}

impl Sizes {
    pub fn of(x: &Meta, weight_hh: &Meta) -> Option<Sizes> {
        match (x.dims(), weight_hh.dims()) {
            (&[rows, steps, input], &[gates, hidden]) => Some(Sizes { rows, steps, input, gates, hidden }),
            _ => None,
        }
    }
    /// Rows of a task.
    pub fn piece(&self) -> usize {
        piece(self.gates, self.hidden)
    }
    /// Steps of a stretch for a task of so many rows.
    pub fn stretch(&self, rows: usize) -> usize {
        (STRETCH / rows.max(1)).clamp(1, self.steps.max(1))
    }
    /// Most rows of a stretch.
    pub fn most(&self) -> usize {
        STRETCH.min(self.piece() * self.steps).max(MOST_ROWS)
    }
}

/// Bytes that packed weights take, of any kind: float32, or the half types widened to it and packed.
pub(super) fn weights_scratch(weight: &Meta) -> usize {
    2 * (4 * weight.numel().next_multiple_of(16)).next_multiple_of(64) + 64
}

/// Scratch of a kernel in bytes.
pub fn recurrent_scratch(weight_ih: &Meta, weight_hh: &Meta) -> usize {
    weights_scratch(weight_ih) + weights_scratch(weight_hh) + 128
}

/// Bytes of room for a thread.
pub fn recurrent_local(x: &Meta, weight_hh: &Meta) -> usize {
    let Some(s) = Sizes::of(x, weight_hh) else { return 0 };
    let (rows, most) = (s.piece(), s.most());
    let states = rows * s.hidden;
    let (g, h) = (s.gates, s.hidden);
    bytes(&[most * g, rows * g, most * s.input, states, states, states, states, rows * s.input, s.input.max(h), g, g, rows * 4 * h, states])
}

/// The kernel of x's dtype.
pub(super) fn forward<C: Cell>(cx: &mut Cx, cell: C, x: &Inputs, y: Outputs) -> Result {
    match (x.x.dtype(), Dots::new()) {
        (DType::F64, _) => run(Plain, cx, cell, x, y),
        (DType::BF16, Some(dots)) => run(dots, cx, cell, x, y),
        _ => run(Tiled::new(), cx, cell, x, y),
    }
}

fn run<P: Products, C: Cell>(products: P, cx: &mut Cx, cell: C, x: &Inputs, y: Outputs) -> Result {
    let s = Sizes::of(x.x.meta(), x.weight_hh.meta()).expect("the rule has seen the shapes");
    let Sizes { rows, steps, input, gates, hidden } = s;
    let (joined, keep) = (C::JOINED * hidden, C::SAVED * hidden);
    let walk = Walk::new(steps, x.lengths, x.mask, x.reverse)?;
    let from = Stored::<P::Acc>::of(x.x);
    let [bias_ih, bias_hh, h0, c0, input_mask, recurrent_mask] =
        [x.bias_ih, x.bias_hh, x.h0, x.c0, x.input_mask, x.recurrent_mask].map(|v| v.map(Stored::<P::Acc>::of));
    let (output, final_h) = (Stored::<P::Acc>::to(y.output), Stored::<P::Acc>::to(y.hidden));
    let [final_c, saved, cells] = [y.cell, y.saved, y.cells].map(|v| v.map(Stored::<P::Acc>::to));
    let (weight_ih, mut cx) = products.weights(cx, x.weight_ih, Way::Forward);
    let (weight_hh, mut cx) = products.weights(&mut cx, x.weight_hh, Way::Forward);
    let pieces = rows.div_ceil(s.piece());
    let local = recurrent_local(x.x.meta(), x.weight_hh.meta());
    cx.par_local::<u8>(pieces, local, |task, room| {
        let (first, count) = even_cut(rows, pieces, task);
        let (stretch, most) = (s.stretch(count), s.most());
        let mut room = Room::of(room);
        let (projected, split) = (room.take::<P::Acc>(most * gates), room.take::<P::Acc>(count * gates));
        let (inputs, before) = (room.take::<P::Row>(most * input), room.take::<P::Row>(count * hidden));
        let (h, c, factor) =
            (room.take::<P::Acc>(count * hidden), room.take::<P::Acc>(count * hidden), room.take::<P::Acc>(count * hidden));
        let (input_factor, wide) = (room.take::<P::Acc>(count * input), room.take::<P::Acc>(input.max(hidden)));
        let (bias, apart) = (room.take::<P::Acc>(gates), room.take::<P::Acc>(gates));
        let kept = room.take::<P::Acc>(count * keep);
        // SAFETY: everything below stays inside the room, whose parts are apart, and inside operands and outputs of the shapes that the rule
        // gave them; the rows are this task's alone.
        unsafe {
            let read = Stored::<P::Acc>::read_or_zeros;
            read(&h0, first * hidden, h, count * hidden);
            read(&c0, first * hidden, c, count * hidden);
            read(&recurrent_mask, first * hidden, factor, count * hidden);
            read(&input_mask, first * input, input_factor, count * input);
            // The recurrent biases of joined blocks go to the projections, those of the others to the recurrent parts.
            read(&bias_ih, 0, bias, gates);
            read(&bias_hh, 0, apart, gates);
            add_to(apart, bias, joined);
            let biased = bias_ih.is_some() || bias_hh.is_some();
            // Rows that take a step lie together, in the order of the batch.
            let mut active = [(0usize, 0usize); STRETCH];
            let mut ends = [0usize; STRETCH];
            for start in (0..steps).step_by(stretch) {
                let stretch = stretch.min(steps - start);
                let mut some = 0;
                let mut lines = [std::ptr::null::<P::Row>(); STRETCH];
                for step in start..start + stretch {
                    for i in 0..count {
                        if let At::Step(t) = walk.at(first + i, step) {
                            let at = ((first + i) * steps + t) * input;
                            let factor = input_mask.map(|_| input_factor.add(i * input).cast_const());
                            let room = inputs.add(some * input);
                            lines[some] = stored_operand::<P>(&from, at, factor, wide, room, input);
                            if biased {
                                projected.add(some * gates).copy_from_nonoverlapping(bias, gates);
                            }
                            active[some] = (i, t);
                            some += 1;
                        }
                    }
                    ends[step - start] = some;
                }
                products.product(&weight_ih, &lines[..some], projected, biased);
                let mut begin = 0;
                for step in start..start + stretch {
                    let rows_now = &active[begin..ends[step - start]];
                    let sums = if C::JOINED < C::GATES { split } else { projected.add(begin * gates) };
                    let mut lines = [std::ptr::null::<P::Row>(); MOST_ROWS];
                    let mut now = [Step { hidden, projected: bias.cast_const(), sums: bias.cast_const(), h, c, saved: kept }; MOST_ROWS];
                    for (place, &(i, t)) in rows_now.iter().enumerate() {
                        let at = (first + i) * steps + t;
                        let (h, c, sum) = (h.add(i * hidden), c.add(i * hidden), sums.add(place * gates));
                        let factor = recurrent_mask.map(|_| factor.add(i * hidden).cast_const());
                        lines[place] = operand::<P>(h, factor, wide, before.add(place * hidden), hidden);
                        let project = projected.add((begin + place) * gates);
                        if C::JOINED < C::GATES {
                            sum.copy_from_nonoverlapping(project, joined);
                            sum.add(joined).copy_from_nonoverlapping(apart.add(joined), gates - joined);
                        }
                        let saved = saved.and_then(|p| p.direct::<P::Acc>(at * keep)).unwrap_or(kept.add(place * keep));
                        now[place] = Step { hidden, projected: project, sums: sum, h, c, saved };
                    }
                    products.product(&weight_hh, &lines[..rows_now.len()], sums, true);
                    P::Acc::each(Forward(cell, &now[..rows_now.len()]));
                    for (place, &(i, t)) in rows_now.iter().enumerate() {
                        let at = (first + i) * steps + t;
                        output.write(h.add(i * hidden), at * hidden, hidden);
                        if let Some(p) = &saved
                            && p.direct::<P::Acc>(0).is_none()
                        {
                            p.write(kept.add(place * keep), at * keep, keep);
                        }
                        if let Some(p) = &cells {
                            p.write(c.add(i * hidden), at * hidden, hidden);
                        }
                    }
                    begin = ends[step - start];
                    if rows_now.len() < count {
                        for i in 0..count {
                            let (t, held) = match walk.at(first + i, step) {
                                At::Step(_) => continue,
                                At::Held(t) => (t, true),
                                At::Past(t) => (t, false),
                            };
                            let at = (first + i) * steps + t;
                            let leave = |state: *mut P::Acc, to: &Stored<P::Acc>| {
                                if held { to.write(state, at * hidden, hidden) } else { to.clear(at * hidden, hidden) }
                            };
                            leave(h.add(i * hidden), &output);
                            if let Some(p) = &cells {
                                leave(c.add(i * hidden), p);
                            }
                            if let Some(p) = &saved {
                                p.clear(at * keep, keep);
                            }
                        }
                    }
                }
            }
            final_h.write(h, first * hidden, count * hidden);
            if let Some(p) = &final_c {
                p.write(c, first * hidden, count * hidden);
            }
        }
    });
    Ok(())
}
