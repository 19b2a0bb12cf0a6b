//! The gradient: all steps of a sequence, backward.
use super::forward::{Inputs, MOST_PARAMS, MOST_SAVED, Sizes, read_params, recurrent_scratch};
use super::math::{Elementwise, Math, Real};
use super::operand::{add_to, operand, stored_operand};
use super::products::{Dots, Plain, Products, Side, Tiled, Way};
use super::room::{Room, bytes};
use super::stored::{Place, Stored};
use super::walk::{At, Walk};
use super::{Cell, MOST_ROWS, Masked, STRETCH, Second, StepBack, Steps};
use crate::copy::convert_run;
use crate::gemm::even_cut;
use ferrograd_tensor::{Cx, DType, Element, Meta, Result, SyncPtr, View};

/// What the gradient reads besides the operands: gradients of output, hidden and cell, where there are any, and what the forward pass left.
pub(super) struct Left<'a> {
    pub doutput: Option<&'a View<'a>>,
    pub dhidden: Option<&'a View<'a>>,
    pub dcell: Option<&'a View<'a>>,
    pub output: &'a View<'a>,
    pub saved: Option<&'a View<'a>>,
    pub cells: Option<&'a View<'a>>,
}

/// What it writes.
pub(super) struct Gradients {
    /// None where nobody asks for it.
    pub dx: Option<Place>,
    pub dweight_ih: Place,
    pub dweight_hh: Place,
    pub dbias_ih: Option<Place>,
    pub dbias_hh: Option<Place>,
    /// Of the weights of [`Second::Output`].
    pub dsecond: Option<Place>,
    /// Of the cell's own parameters that there are: the first block of each, how many it has, and where its gradient goes.
    pub dparams: Vec<(usize, usize, Place)>,
    pub dh0: Place,
    pub dc0: Option<Place>,
}

impl Sizes {
    /// Elements of the gradients of weights and biases, of which each group of tasks sums up its own.
    fn sums(&self) -> usize {
        (self.gates * (self.input + self.units + 2) + (self.units + MOST_PARAMS) * self.hidden).next_multiple_of(16)
    }
    /// Groups of rows that sum up together: one a piece, but neither more than nominal threads nor more sums than 128 MiB of float32.
    fn groups(&self) -> usize {
        let most = ((1 << 25) / self.sums().max(1)).clamp(1, 16);
        self.rows.div_ceil(self.piece()).clamp(1, most)
    }
}

/// Scratch of a gradient in bytes, for a cell of so many gates; `second` as in [`recurrent_scratch`].
pub fn recurrent_grad_scratch(count: usize, x: &Meta, weight_ih: &Meta, weight_hh: &Meta, second: Option<&Meta>) -> usize {
    let Some(s) = Sizes::of(count, x, weight_hh) else { return 0 };
    let size = if x.dtype == DType::F64 { 8 } else { 4 };
    recurrent_scratch(weight_ih, weight_hh, second) + (s.groups() * s.sums() * size).next_multiple_of(64) + 64
}

/// Bytes of room for a thread, for a cell of so many gates.
pub fn recurrent_grad_local(count: usize, x: &Meta, weight_hh: &Meta) -> usize {
    let Some(s) = Sizes::of(count, x, weight_hh) else { return 0 };
    let (rows, most) = (s.piece(), s.most());
    let (state, g, h, i) = (rows * s.widest(), s.gates, s.hidden, s.input);
    let (gates, wide) = ([most * g; 4], most * s.widest());
    let rest = [most * g.max(s.units), most * i, wide, most * i.max(s.widest()), most * i, state, state, state, state, rows * i];
    let more = [i.max(s.widest()), g.max(s.widest()), rows * MOST_SAVED * h, state, state, state, state, state];
    bytes(&gates) + bytes(&rest) + bytes(&more) + bytes(&[MOST_PARAMS * h, state, wide, wide, wide, wide])
}

/// The kernel of x's dtype.
pub(super) fn backward<C: Cell>(cx: &mut Cx, cell: C, x: &Inputs, left: &Left, y: Gradients) -> Result {
    match (x.x.dtype(), Dots::new()) {
        (DType::F64, _) => run(Plain, cx, &cell, x, left, y),
        (DType::BF16, Some(dots)) => run(dots, cx, &cell, x, left, y),
        _ => run(Tiled::new(), cx, &cell, x, left, y),
    }
}

/// The sums of a group, one behind the other.
struct Sums<A> {
    weight_ih: *mut A,
    weight_hh: *mut A,
    bias_ih: *mut A,
    bias_hh: *mut A,
    second: *mut A,
    params: *mut A,
}

impl Sizes {
    /// # Safety
    /// `all` has room for all groups.
    unsafe fn group<A>(&self, all: SyncPtr<A>, group: usize) -> Sums<A> {
        // SAFETY: by the caller's promise.
        unsafe {
            let weight_ih = all.get().add(group * self.sums());
            let weight_hh = weight_ih.add(self.gates * self.input);
            let bias_ih = weight_hh.add(self.gates * self.units);
            let bias_hh = bias_ih.add(self.gates);
            let second = bias_hh.add(self.gates);
            Sums { weight_ih, weight_hh, bias_ih, bias_hh, second, params: second.add(self.units * self.hidden) }
        }
    }
}

/// Gradients of gates as products read them: as they were summed up, or rounded into `room`.
///
/// # Safety
/// `len` elements can be read and written.
unsafe fn rounded<P: Products>(from: *const P::Acc, room: *mut P::Row, len: usize) -> *const P::Row {
    if P::Row::DTYPE == P::Acc::DTYPE {
        return from.cast();
    }
    // SAFETY: by the caller's promise.
    unsafe { convert_run(from, room, len) };
    room
}

/// `to` (+)= the sum of `rows` rows of `len` elements.
struct Columns<E> {
    from: *const E,
    rows: usize,
    len: usize,
    to: *mut E,
    add: bool,
}

impl<E> Elementwise<E> for Columns<E> {
    #[inline(always)]
    fn run<M: Math<E = E>>(self, m: M) {
        for j in (0..self.len).step_by(M::LANES) {
            let n = M::LANES.min(self.len - j);
            // SAFETY: whoever made it gives the rows.
            unsafe {
                let mut sum = m.zero();
                for row in 0..self.rows {
                    sum = m.fma(m.load(self.from.add(row * self.len + j), n), m.one(), sum);
                }
                let start = if self.add { m.load(self.to.add(j), n) } else { m.zero() };
                m.store(self.to.add(j), n, m.fma(sum, m.one(), start));
            }
        }
    }
}

fn run<P: Products>(products: P, cx: &mut Cx, cell: &dyn Steps<P::Acc>, x: &Inputs, left: &Left, y: Gradients) -> Result {
    let s = Sizes::of(cell.gates(), x.x.meta(), x.weight_hh.meta()).expect("the rule has seen the shapes");
    let Sizes { rows, steps, input, gates, hidden, units } = s;
    let keep = cell.saved() * hidden;
    let apart = cell.apart();
    let (projects, candidate) = (cell.second() == Second::Output, cell.second() == Second::Candidate);
    let walk = Walk::new(steps, x.lengths, x.mask, x.reverse)?;
    let (from, output) = (Stored::<P::Acc>::of(x.x), Stored::<P::Acc>::of(left.output));
    let [doutput, dhidden, dcell, saved, cells] =
        [left.doutput, left.dhidden, left.dcell, left.saved, left.cells].map(|v| v.map(Stored::<P::Acc>::of));
    let [h0, c0, input_mask, recurrent_mask] = [x.h0, x.c0, x.input_mask, x.recurrent_mask].map(|v| v.map(Stored::<P::Acc>::of));
    let [dx, dc0] = [y.dx, y.dc0].map(|v| v.map(Stored::<P::Acc>::to));
    let dh0 = Stored::<P::Acc>::to(y.dh0);
    let (first_weight, second_weight) = x.products(cell);
    // Sums of the gates that the first product makes.
    let summed = first_weight.dims()[0];
    let (weight_hh, mut cx) = products.weights(cx, &first_weight, Way::Backward);
    let (second, mut cx) = match &second_weight {
        Some(weight) => {
            let (w, cx) = products.weights(&mut cx, weight, Way::Backward);
            (Some(w), cx)
        }
        None => (None, cx),
    };
    let (weight_ih, mut cx) = match &dx {
        Some(_) => {
            let (w, cx) = products.weights(&mut cx, x.weight_ih, Way::Backward);
            (Some(w), cx)
        }
        None => (None, cx),
    };
    let (pieces, groups) = (rows.div_ceil(s.piece()), s.groups());
    let (sums, mut cx) = cx.split_scratch::<P::Acc>(groups * s.sums());
    let sums = SyncPtr(sums.as_mut_ptr());
    let local = recurrent_grad_local(cell.gates(), x.x.meta(), x.weight_hh.meta());
    cx.par_local::<u8>(groups, local, |group, room| {
        let mut room = Room::of(room);
        let (most, count) = (s.most(), s.piece());
        // Gradients of projections, of recurrent parts where they differ, both rounded; a side of outer products.
        let (projected, recurrent) = (room.take::<P::Acc>(most * gates), room.take::<P::Acc>(most * gates));
        let (rounded_in, rounded_rec) = (room.take::<P::Row>(most * gates), room.take::<P::Row>(most * gates));
        let gates_side = room.take::<f64>(most * gates.max(units)).cast::<u8>();
        let (inputs, befores) = (room.take::<P::Row>(most * input), room.take::<P::Row>(most * units));
        let side = room.take::<f64>(most * input.max(s.widest())).cast::<u8>();
        let dinputs = room.take::<P::Acc>(most * input);
        let dbefore = room.take::<P::Acc>(count * units);
        let (dh, dc, factor) =
            (room.take::<P::Acc>(count * units), room.take::<P::Acc>(count * hidden), room.take::<P::Acc>(count * units));
        let (input_factor, wide) = (room.take::<P::Acc>(count * input), room.take::<P::Acc>(input.max(s.widest())));
        let zeros = room.take::<P::Acc>(gates.max(s.widest()));
        let kept = room.take::<P::Acc>(count * keep);
        let states = [(); 5].map(|()| room.take::<P::Acc>(count * s.widest()));
        let [h, c, h_before, c_before, coming] = states;
        // Of the second product: what reaches the cell through it, and by step what entered it and the gradient of what came out.
        let (params, through) = (room.take::<P::Acc>(MOST_PARAMS * hidden), room.take::<P::Acc>(count * hidden));
        let (outs, douts) = (room.take::<P::Acc>(most * hidden), room.take::<P::Acc>(most * units));
        let (entered, left) = (room.take::<P::Row>(most * hidden), room.take::<P::Row>(most * s.widest()));
        // SAFETY: as in `forward`; the sums are this group's alone.
        unsafe {
            std::slice::from_raw_parts_mut(zeros, gates.max(s.widest())).fill(P::Acc::default());
            let sums = s.group(sums, group);
            read_params(x.params, params, hidden);
            std::slice::from_raw_parts_mut(sums.params, MOST_PARAMS * hidden).fill(P::Acc::default());
            let mut started = false;
            let (begin, own) = even_cut(pieces, groups, group);
            for piece in begin..begin + own {
                let (first, count) = even_cut(rows, pieces, piece);
                let stretch = s.stretch(count);
                let read = Stored::<P::Acc>::read_or_zeros;
                read(&dhidden, first * units, dh, count * units);
                read(&dcell, first * hidden, dc, count * hidden);
                read(&recurrent_mask, first * units, factor, count * units);
                read(&input_mask, first * input, input_factor, count * input);
                // A state of row `i`, or the one that its sequence starts from.
                let state = |all: &Option<Stored<P::Acc>>,
                             start: &Option<Stored<P::Acc>>,
                             i: usize,
                             t: Option<usize>,
                             room: *mut P::Acc,
                             width: usize| {
                    let room = room.add(i * width);
                    match (t, all, start) {
                        (Some(t), Some(p), _) => p.here(((first + i) * steps + t) * width, width, room),
                        (None, _, Some(p)) => p.here((first + i) * width, width, room),
                        _ => zeros.cast_const(),
                    }
                };
                let outputs = Some(output);
                let mut end = steps;
                while end > 0 {
                    let start = end.saturating_sub(stretch);
                    let mut active = [(0usize, 0usize); STRETCH];
                    let (mut x_rows, mut h_rows) = ([std::ptr::null::<P::Row>(); STRETCH], [std::ptr::null::<P::Row>(); STRETCH]);
                    let mut entered_rows = [std::ptr::null::<P::Row>(); STRETCH];
                    let mut some = 0;
                    for step in (start..end).rev() {
                        let begin = some;
                        let mut now = [StepBack {
                            hidden,
                            params: params.cast_const(),
                            dparams: sums.params,
                            factor: std::ptr::null(),
                            saved: kept,
                            h,
                            c,
                            h_before,
                            c_before,
                            dh,
                            dc,
                            dprojected: projected,
                            drecurrent: recurrent,
                            out: outs,
                            dentering: through.cast_const(),
                        }; MOST_ROWS];
                        for i in 0..count {
                            let (dh, dc) = (dh.add(i * units), dc.add(i * hidden));
                            let arrive = |t: usize| {
                                if let Some(p) = &doutput {
                                    add_to(p.here(((first + i) * steps + t) * units, units, coming), dh, units);
                                }
                            };
                            match walk.at(first + i, step) {
                                At::Step(t) => {
                                    arrive(t);
                                    let at = (first + i) * steps + t;
                                    let before = walk.before(first + i, step);
                                    let h_before = state(&outputs, &h0, i, before, h_before, units);
                                    let to = projected.add(some * gates);
                                    let factor = recurrent_mask.map(|_| factor.add(i * units).cast_const());
                                    let through = through.add((some - begin) * hidden);
                                    if projects {
                                        // What reaches the cell comes through the product; the state before is reached through the gates alone.
                                        douts.add(some * units).copy_from_nonoverlapping(dh, units);
                                        std::slice::from_raw_parts_mut(dh, units).fill(P::Acc::default());
                                    }
                                    now[some - begin] = StepBack {
                                        hidden,
                                        params,
                                        dparams: sums.params,
                                        factor: factor.unwrap_or(std::ptr::null()),
                                        saved: match &saved {
                                            Some(p) => p.here(at * keep, keep, kept.add(i * keep)),
                                            None => kept,
                                        },
                                        h: state(&outputs, &None, i, Some(t), h, units),
                                        c: state(&cells, &None, i, Some(t), c, hidden),
                                        h_before,
                                        c_before: state(&cells, &c0, i, before, c_before, hidden),
                                        dh: if projects { through } else { dh },
                                        dc,
                                        dprojected: to,
                                        drecurrent: if apart { recurrent.add(some * gates) } else { to },
                                        out: outs.add(some * hidden),
                                        dentering: through,
                                    };
                                    if candidate && let Some(p) = &saved {
                                        let to = entered.add(some * hidden);
                                        entered_rows[some] = stored_operand::<P>(p, (at + 1) * keep - hidden, None, wide, to, hidden);
                                    }
                                    let to = befores.add(some * units);
                                    h_rows[some] = match (before, &h0) {
                                        (Some(t), _) => {
                                            stored_operand::<P>(&output, ((first + i) * steps + t) * units, factor, wide, to, units)
                                        }
                                        (None, Some(h0)) => stored_operand::<P>(h0, (first + i) * units, factor, wide, to, units),
                                        (None, None) => zeros.cast(),
                                    };
                                    let factor = input_mask.map(|_| input_factor.add(i * input).cast_const());
                                    x_rows[some] = stored_operand::<P>(&from, at * input, factor, wide, inputs.add(some * input), input);
                                    active[some] = (i, t);
                                    some += 1;
                                }
                                At::Held(t) => {
                                    arrive(t);
                                    if let Some(p) = &dx {
                                        p.clear(((first + i) * steps + t) * input, input);
                                    }
                                }
                                At::Past(t) => {
                                    if let Some(p) = &dx {
                                        p.clear(((first + i) * steps + t) * input, input);
                                    }
                                }
                            }
                        }
                        let taken = some - begin;
                        let mut lines = [std::ptr::null::<P::Row>(); MOST_ROWS];
                        if let (Some(weight), true) = (&second, projects) {
                            let from = rounded::<P>(douts.add(begin * units), left.add(begin * units), taken * units);
                            lines.iter_mut().enumerate().for_each(|(place, line)| *line = from.wrapping_add(place * units));
                            products.product(weight, &lines[..taken], through, false);
                        }
                        cell.backward(&now[..taken]);
                        if let (Some(weight), true) = (&second, candidate) {
                            for (place, at) in now[..taken].iter().enumerate() {
                                lines[place] = operand::<P>(at.dprojected.add(summed), None, wide, left.add(place * hidden), hidden);
                            }
                            products.product(weight, &lines[..taken], through, false);
                            cell.finish_backward(&now[..taken]);
                        }
                        let (gate, rounds) = if apart { (recurrent, rounded_rec) } else { (projected, rounded_in) };
                        let at = begin * gates;
                        let gate = rounded::<P>(gate.add(at), rounds.add(at), taken * gates);
                        lines.iter_mut().enumerate().for_each(|(place, line)| *line = gate.wrapping_add(place * gates));
                        products.product(&weight_hh, &lines[..taken], dbefore, false);
                        for (place, &(i, _)) in active[begin..some].iter().enumerate() {
                            let dh = dh.add(i * units);
                            let b = recurrent_mask.map(|_| factor.add(i * units).cast_const());
                            P::Acc::each(Masked {
                                a: dbefore.add(place * units).cast_const(),
                                b,
                                more: Some(dh.cast_const()),
                                to: dh,
                                len: units,
                            });
                        }
                    }
                    end = start;
                    if some == 0 {
                        continue;
                    }
                    let input_gates =
                        if apart { rounded::<P>(projected, rounded_in, some * gates) } else { rows_of::<P>(projected, rounded_in) };
                    let line = |base: *const P::Row, width: usize| {
                        let mut lines = [base; STRETCH];
                        lines.iter_mut().enumerate().for_each(|(row, line)| *line = base.wrapping_add(row * width));
                        lines
                    };
                    let lines = line(input_gates, gates);
                    if let (Some(weight), Some(p)) = (&weight_ih, &dx) {
                        products.product(weight, &lines[..some], dinputs, false);
                        for (row, &(i, t)) in active[..some].iter().enumerate() {
                            let dinput = dinputs.add(row * input);
                            if input_mask.is_some() {
                                P::Acc::each(Masked {
                                    a: dinput.cast_const(),
                                    b: Some(input_factor.add(i * input)),
                                    more: None,
                                    to: dinput,
                                    len: input,
                                });
                            }
                            p.write(dinput, ((first + i) * steps + t) * input, input);
                        }
                    }
                    products.pack(&lines[..some], gates, Side::Left, gates_side);
                    products.pack(&x_rows[..some], input, Side::Right, side);
                    products.outer(some, gates_side, gates, side, input, sums.weight_ih, started);
                    P::Acc::each(Columns { from: projected.cast_const(), rows: some, len: gates, to: sums.bias_ih, add: started });
                    if apart {
                        products.pack(&line(rows_of::<P>(recurrent, rounded_rec), gates)[..some], gates, Side::Left, gates_side);
                        P::Acc::each(Columns { from: recurrent.cast_const(), rows: some, len: gates, to: sums.bias_hh, add: started });
                    }
                    if summed < gates {
                        products.pack(&lines[..some], summed, Side::Left, gates_side);
                    }
                    products.pack(&h_rows[..some], units, Side::Right, side);
                    products.outer(some, gates_side, summed, side, units, sums.weight_hh, started);
                    // The weights of the second product.
                    if projects {
                        products.pack(&line(rows_of::<P>(douts, left), units)[..some], units, Side::Left, gates_side);
                        let outs = rounded::<P>(outs, entered, some * hidden);
                        products.pack(&line(outs, hidden)[..some], hidden, Side::Right, side);
                        products.outer(some, gates_side, units, side, hidden, sums.second, started);
                    } else if candidate {
                        products.pack(&line(input_gates.wrapping_add(summed), gates)[..some], hidden, Side::Left, gates_side);
                        products.pack(&entered_rows[..some], hidden, Side::Right, side);
                        products.outer(some, gates_side, hidden, side, hidden, sums.weight_hh.add(summed * units), started);
                    }
                    started = true;
                }
                dh0.write(dh, first * units, count * units);
                if let Some(p) = &dc0 {
                    p.write(dc, first * hidden, count * hidden);
                }
            }
            if !started {
                std::slice::from_raw_parts_mut(sums.weight_ih, s.sums()).fill(P::Acc::default());
            }
        }
    });
    // The groups' sums, in their order.
    let (bias_ih, second) = (gates * (input + units), gates * (input + units + 2));
    let params = second + units * hidden;
    let one = |to: Option<Place>| to.into_iter().collect::<Vec<_>>();
    let mut totals = vec![(vec![y.dweight_ih], 0, gates * input), (vec![y.dweight_hh], gates * input, gates * units)];
    if apart {
        totals.push((one(y.dbias_ih), bias_ih, gates));
        totals.push((one(y.dbias_hh), bias_ih + gates, gates));
    } else {
        totals.push((y.dbias_ih.into_iter().chain(y.dbias_hh).collect(), bias_ih, gates));
    }
    totals.push((one(y.dsecond), second, units * hidden));
    totals.extend(y.dparams.into_iter().map(|(block, blocks, to)| (vec![to], params + block * hidden, blocks * hidden)));
    for (to, offset, len) in totals {
        if to.is_empty() {
            continue;
        }
        let to: Vec<_> = to.into_iter().map(Stored::<P::Acc>::to).collect();
        cx.par_ranges(len, 1 << 12, |range| {
            // SAFETY: a range of every group's sums, and of the results; each is one task's.
            unsafe {
                let own = sums.get().add(offset + range.start);
                for group in 1..groups {
                    add_to(own.add(group * s.sums()), own, range.len());
                }
                to.iter().for_each(|to| to.write(own, range.start, range.len()));
            }
        });
    }
    Ok(())
}

/// Gradients of gates that were rounded step by step.
fn rows_of<P: Products>(from: *const P::Acc, rounded: *const P::Row) -> *const P::Row {
    if P::Row::DTYPE == P::Acc::DTYPE { from.cast() } else { rounded }
}
