//! All steps of a sequence, forward.
use super::math::Real;
use super::operand::{add_to, operand, stored_operand};
use super::products::{Dots, Plain, Products, Tiled, Way};
use super::room::{Room, bytes};
use super::stored::{Place, Stored};
use super::walk::{At, Walk};
use super::{Cell, MOST_ROWS, STRETCH, Second, Step, Steps, piece};
use crate::gemm::even_cut;
use ferrograd_tensor::{Cx, DType, Layout, Meta, Result, Shape, View};

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
    /// Weights of [`Second::Output`].
    pub second: Option<&'a View<'a>>,
    /// The cell's own parameters: how many blocks of H each has, and it, if there is one.
    pub params: &'a [(usize, Option<&'a View<'a>>)],
}

impl<'a> Inputs<'a> {
    /// The weights of a step's products.
    pub fn products<E>(&self, cell: &dyn Steps<E>) -> (View<'a>, Option<View<'a>>) {
        let whole = *self.weight_hh;
        match cell.second() {
            Second::None => (whole, None),
            Second::Output => (whole, self.second.copied()),
            Second::Candidate => {
                let (rows, width) = (whole.dims()[0], whole.dims()[1]);
                let cut = rows / cell.gates() * cell.joined();
                let part = |from: usize, to: usize| {
                    let layout = Layout::strided(Shape::of_words(&[(to - from) as u64, width as u64]), &[width as isize, 1], from * width);
                    // SAFETY: rows of the weights, which lie one behind the other.
                    unsafe { whole.with_layout(layout) }
                };
                (part(0, cut), Some(part(cut, rows)))
            }
        }
    }
}

/// What it writes: `output` [N, T, H], the last states, and for the gradient `saved` [N, T, SAVED H] and `cells` [N, T, H].
pub(super) struct Outputs {
    pub output: Place,
    pub hidden: Place,
    pub cell: Option<Place>,
    pub saved: Option<Place>,
    pub cells: Option<Place>,
}

/// Sizes of a layer of so many gates, from x [N, T, I] and the recurrent weights [G H, P].
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub rows: usize,
    pub steps: usize,
    pub input: usize,
    /// G H.
    pub gates: usize,
    /// H, of a gate.
    pub hidden: usize,
    /// P, of h: as many, but where what the cell puts out is projected.
    pub units: usize,
}

impl Sizes {
    pub fn of(count: usize, x: &Meta, weight_hh: &Meta) -> Option<Sizes> {
        match (x.dims(), weight_hh.dims()) {
            (&[rows, steps, input], &[gates, units]) => Some(Sizes { rows, steps, input, gates, hidden: gates / count, units }),
            _ => None,
        }
    }
    /// Rows of a task.
    pub fn piece(&self) -> usize {
        piece(self.gates, self.units)
    }
    /// Steps of a stretch for a task of so many rows.
    pub fn stretch(&self, rows: usize) -> usize {
        (STRETCH / rows.max(1)).clamp(1, self.steps.max(1))
    }
    /// Most rows of a stretch.
    pub fn most(&self) -> usize {
        STRETCH.min(self.piece() * self.steps).max(MOST_ROWS)
    }
    /// Units of the wider of both states.
    pub fn widest(&self) -> usize {
        self.hidden.max(self.units)
    }
}

/// Bytes that packed weights take, of any kind: float32, or the half types widened to it and packed.
pub(super) fn weights_scratch(weight: &Meta) -> usize {
    2 * (4 * weight.numel().next_multiple_of(16)).next_multiple_of(64) + 64
}

/// Scratch of a kernel in bytes; `second`: weights of a step's second product, if there is one.
pub fn recurrent_scratch(weight_ih: &Meta, weight_hh: &Meta, second: Option<&Meta>) -> usize {
    weights_scratch(weight_ih) + weights_scratch(weight_hh) + second.map_or(0, weights_scratch) + 192
}

/// Most blocks of H that a cell saves, and that its own parameters have.
pub(super) const MOST_SAVED: usize = 12;
pub(super) const MOST_PARAMS: usize = 17;

/// Bytes of room for a thread, for a cell of so many gates.
pub fn recurrent_local(count: usize, x: &Meta, weight_hh: &Meta) -> usize {
    let Some(s) = Sizes::of(count, x, weight_hh) else { return 0 };
    let (rows, most) = (s.piece(), s.most());
    let (g, h, i, state) = (s.gates, s.hidden, s.input, rows * s.widest());
    bytes(&[most * g, rows * g, most * i, state, state, state, state, rows * i, i.max(s.widest()), g, g, rows * MOST_SAVED * h])
        + bytes(&[MOST_PARAMS * h, state, state, state])
}

/// The kernel of x's dtype.
pub(super) fn forward<C: Cell>(cx: &mut Cx, cell: C, x: &Inputs, y: Outputs) -> Result {
    match (x.x.dtype(), Dots::new()) {
        (DType::F64, _) => run(Plain, cx, &cell, x, y),
        (DType::BF16, Some(dots)) => run(dots, cx, &cell, x, y),
        _ => run(Tiled::new(), cx, &cell, x, y),
    }
}

fn run<P: Products>(products: P, cx: &mut Cx, cell: &dyn Steps<P::Acc>, x: &Inputs, y: Outputs) -> Result {
    let s = Sizes::of(cell.gates(), x.x.meta(), x.weight_hh.meta()).expect("the rule has seen the shapes");
    let Sizes { rows, steps, input, gates, hidden, units } = s;
    let (joined, keep) = (cell.joined() * hidden, cell.saved() * hidden);
    let walk = Walk::new(steps, x.lengths, x.mask, x.reverse)?;
    let from = Stored::<P::Acc>::of(x.x);
    let [bias_ih, bias_hh, h0, c0, input_mask, recurrent_mask] =
        [x.bias_ih, x.bias_hh, x.h0, x.c0, x.input_mask, x.recurrent_mask].map(|v| v.map(Stored::<P::Acc>::of));
    let (output, final_h) = (Stored::<P::Acc>::to(y.output), Stored::<P::Acc>::to(y.hidden));
    let [final_c, saved, cells] = [y.cell, y.saved, y.cells].map(|v| v.map(Stored::<P::Acc>::to));
    let (first_weight, second_weight) = x.products(cell);
    let (weight_ih, mut cx) = products.weights(cx, x.weight_ih, Way::Forward);
    let (weight_hh, mut cx) = products.weights(&mut cx, &first_weight, Way::Forward);
    let (second, mut cx) = match &second_weight {
        Some(weight) => {
            let (w, cx) = products.weights(&mut cx, weight, Way::Forward);
            (Some(w), cx)
        }
        None => (None, cx),
    };
    // Sums of the gates that the first product makes.
    let summed = weight_hh.n;
    let pieces = rows.div_ceil(s.piece());
    let local = recurrent_local(cell.gates(), x.x.meta(), x.weight_hh.meta());
    cx.par_local::<u8>(pieces, local, |task, room| {
        let (first, count) = even_cut(rows, pieces, task);
        let (stretch, most) = (s.stretch(count), s.most());
        let mut room = Room::of(room);
        let (projected, split) = (room.take::<P::Acc>(most * gates), room.take::<P::Acc>(count * gates));
        let (inputs, before) = (room.take::<P::Row>(most * input), room.take::<P::Row>(count * units));
        let (h, c, factor) = (room.take::<P::Acc>(count * units), room.take::<P::Acc>(count * hidden), room.take::<P::Acc>(count * units));
        let (input_factor, wide) = (room.take::<P::Acc>(count * input), room.take::<P::Acc>(input.max(s.widest())));
        let (bias, apart) = (room.take::<P::Acc>(gates), room.take::<P::Acc>(gates));
        let kept = room.take::<P::Acc>(count * keep);
        // What enters the second product, as it is and as products read it, and what comes out.
        let (params, made) = (room.take::<P::Acc>(MOST_PARAMS * hidden), room.take::<P::Acc>(count * hidden));
        let (entering, results) = (room.take::<P::Row>(count * hidden), room.take::<P::Acc>(count * units));
        // SAFETY: everything below stays inside the room, whose parts are apart, and inside operands and outputs of the shapes that the rule
        // gave them; the rows are this task's alone.
        unsafe {
            let read = Stored::<P::Acc>::read_or_zeros;
            read(&h0, first * units, h, count * units);
            read(&c0, first * hidden, c, count * hidden);
            read(&recurrent_mask, first * units, factor, count * units);
            read(&input_mask, first * input, input_factor, count * input);
            read_params(x.params, params, hidden);
            // The recurrent biases of joined blocks go to the projections, those of the others to the recurrent parts.
            read(&bias_ih, 0, bias, gates);
            read(&bias_hh, 0, apart, gates);
            add_to(apart, bias, if cell.apart() { joined } else { gates });
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
                    let taken = rows_now.len();
                    let whole = joined == gates;
                    let sums = if whole { projected.add(begin * gates) } else { split };
                    let mut lines = [std::ptr::null::<P::Row>(); MOST_ROWS];
                    let mut now = [Step {
                        hidden,
                        params: params.cast_const(),
                        projected: bias.cast_const(),
                        sums: bias,
                        candidate: bias.cast_const(),
                        factor: std::ptr::null(),
                        h,
                        c,
                        saved: kept,
                    }; MOST_ROWS];
                    for (place, &(i, t)) in rows_now.iter().enumerate() {
                        let at = (first + i) * steps + t;
                        let (h, c, sum) = (h.add(i * units), c.add(i * hidden), sums.add(place * summed));
                        let factor = recurrent_mask.map(|_| factor.add(i * units).cast_const());
                        lines[place] = operand::<P>(h, factor, wide, before.add(place * units), units);
                        let project = projected.add((begin + place) * gates);
                        if !whole {
                            sum.copy_from_nonoverlapping(project, joined);
                            sum.add(joined).copy_from_nonoverlapping(apart.add(joined), summed - joined);
                        }
                        let saved = saved.and_then(|p| p.direct::<P::Acc>(at * keep)).unwrap_or(kept.add(place * keep));
                        let out = made.add(place * hidden);
                        now[place] = Step {
                            hidden,
                            params,
                            projected: project,
                            sums: sum,
                            candidate: out,
                            factor: factor.unwrap_or(std::ptr::null()),
                            h: if cell.second() == Second::Output { out } else { h },
                            c,
                            saved,
                        };
                    }
                    products.product(&weight_hh, &lines[..taken], sums, true);
                    cell.forward(&now[..taken]);
                    if let Some(second) = &second {
                        let candidate = cell.second() == Second::Candidate;
                        for (place, at) in now[..taken].iter().enumerate() {
                            let from = if candidate { at.saved.add(keep - hidden).cast_const() } else { at.h.cast_const() };
                            lines[place] = operand::<P>(from, None, wide, entering.add(place * hidden), hidden);
                            if candidate {
                                made.add(place * hidden).copy_from_nonoverlapping(at.projected.add(joined), hidden);
                            }
                        }
                        if candidate {
                            products.product(second, &lines[..taken], made, true);
                            cell.finish(&now[..taken]);
                        } else {
                            products.product(second, &lines[..taken], results, false);
                            for (place, &(i, _)) in rows_now.iter().enumerate() {
                                h.add(i * units).copy_from_nonoverlapping(results.add(place * units), units);
                            }
                        }
                    }
                    for (place, &(i, t)) in rows_now.iter().enumerate() {
                        let at = (first + i) * steps + t;
                        output.write(h.add(i * units), at * units, units);
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
                    if taken < count {
                        for i in 0..count {
                            let (t, held) = match walk.at(first + i, step) {
                                At::Step(_) => continue,
                                At::Held(t) => (t, true),
                                At::Past(t) => (t, false),
                            };
                            let at = (first + i) * steps + t;
                            let leave = |state: *mut P::Acc, to: &Stored<P::Acc>, width: usize| {
                                if held { to.write(state, at * width, width) } else { to.clear(at * width, width) }
                            };
                            leave(h.add(i * units), &output, units);
                            if let Some(p) = &cells {
                                leave(c.add(i * hidden), p, hidden);
                            }
                            if let Some(p) = &saved {
                                p.clear(at * keep, keep);
                            }
                        }
                    }
                }
            }
            final_h.write(h, first * units, count * units);
            if let Some(p) = &final_c {
                p.write(c, first * hidden, count * hidden);
            }
        }
    });
    Ok(())
}

/// A cell's own parameters, one behind the other; zeros for what is not there.
///
/// # Safety
/// `to` has room for all their blocks of `hidden`.
pub(super) unsafe fn read_params<A: Real>(params: &[(usize, Option<&View>)], mut to: *mut A, hidden: usize) {
    for (blocks, given) in params {
        // SAFETY: by the caller's promise.
        unsafe {
            Stored::read_or_zeros(&given.map(Stored::<A>::of), 0, to, blocks * hidden);
            to = to.add(blocks * hidden);
        }
    }
}
