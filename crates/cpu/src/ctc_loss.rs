//! Connectionist temporal classification (Graves et al. 2006): minus the logarithm of the sum, over all ways to place a row's labels among its steps, of
//! the way's probability. A way is a path through the states blank, label 1, blank, label 2, ..., blank; it may stay, go on by one, or leave out the
//! blank between two labels that differ. Probabilities are float64 with an exponent of their own, whatever the operands' dtype.
use ferrograd_tensor::{Cx, Element, Error, Meta, Result, SyncPtr, View, ViewMut, with_float};
use std::ops::Range;

/// Bytes that [`ctc_loss`] needs for each thread.
pub fn ctc_loss_local(log_probs: &Meta, targets: &Meta, keep: bool) -> usize {
    let (&[_, steps, classes], &[_, labels]) = (log_probs.dims(), targets.dims()) else { return 0 };
    Room::sizes(steps, labels, classes, keep).1.next_multiple_of(64)
}

/// The loss of each row of log_probs [N, T, C], and with `keep` its gradient [N, T, C]. targets [N, S]; lengths [N] say how many steps and labels of a row
/// count, all of them where they are not given. A row with fewer steps than its labels need has an infinite loss and gradients NaN, or with
/// `zero_infinity` 0 and 0. Fails (kind Index) on a label that is no class or the blank, and on a length that is out of range.
pub fn ctc_loss(
    cx: &mut Cx,
    log_probs: &View,
    targets: &View,
    input_lengths: Option<&View>,
    target_lengths: Option<&View>,
    blank: i64,
    zero_infinity: bool,
    keep: bool,
    loss: &mut ViewMut,
    dlog_probs: &mut ViewMut,
) -> Result {
    let &[rows, steps, classes] = log_probs.dims() else { unreachable!("the rule has seen to it") };
    let (most, local) = (targets.dims()[1], ctc_loss_local(log_probs.meta(), targets.meta(), keep));
    let targets = targets.slice::<i32>();
    let [input_lengths, target_lengths] = [input_lengths, target_lengths].map(|lengths| lengths.map(|l| l.slice::<i32>()));
    check_lengths("inputLengths", "steps", input_lengths, steps)?;
    check_lengths("targetLengths", "labels", target_lengths, most)?;
    let [steps_of, labels_of] =
        [(input_lengths, steps), (target_lengths, most)].map(|(lengths, all)| move |row: usize| lengths.map_or(all, |l| l[row] as usize));
    for row in 0..rows {
        check_labels(&targets[row * most..][..labels_of(row)], row, classes, blank)?;
    }
    with_float!(log_probs.dtype(), T => {
        let x = log_probs.slice::<T>();
        let (loss, gradient) = (SyncPtr(loss.slice_mut::<T>().as_mut_ptr()), SyncPtr(dlog_probs.slice_mut::<T>().as_mut_ptr()));
        cx.par_local::<u8>(rows, local, |row, room| {
            let mut room = Room::of(room, steps, most, classes, keep);
            let of_row = Row { log_probs: &x[row * steps * classes..][..steps_of(row) * classes], labels: &targets[row * most..][..labels_of(row)], classes, blank: blank as usize };
            let (value, all) = of_row.loss(&mut room);
            let spared = zero_infinity && value == f64::INFINITY;
            // SAFETY: each row is one task's, and inside the output [N].
            unsafe { *loss.get().add(row) = T::from_f64(if spared { 0.0 } else { value }) };
            if keep {
                // SAFETY: each row is one task's, and inside the output [N, T, C].
                let to = unsafe { std::slice::from_raw_parts_mut(gradient.get().add(row * steps * classes), steps * classes) };
                let (counted, behind) = to.split_at_mut(of_row.log_probs.len());
                behind.fill(T::default());
                if value == f64::INFINITY {
                    counted.fill(T::from_f64(if spared { 0.0 } else { f64::NAN }));
                } else {
                    of_row.gradient(&mut room, all, counted);
                }
            }
        });
        Ok(())
    })
}

fn check_lengths(name: &str, of: &str, lengths: Option<&[i32]>, most: usize) -> Result {
    let wrong = lengths.and_then(|lengths| lengths.iter().enumerate().find(|&(_, &length)| length < 0 || length as usize > most));
    wrong.map_or(Ok(()), |(row, length)| {
        Err(Error::index(format!("{name} says {length} for row {row}, which has {most} {of}.\n  Give lengths from 0 to {most}.")))
    })
}

fn check_labels(labels: &[i32], row: usize, classes: usize, blank: i64) -> Result {
    match labels.iter().find(|&&label| label < 0 || label as usize >= classes || label as i64 == blank) {
        None => Ok(()),
        Some(&label) if label as i64 == blank => Err(Error::index(format!(
            "row {row} has the label {label}, which is the blank.\n  Leave blanks out of the targets, or name another class as blank."
        ))),
        Some(label) => {
            let last = classes as i64 - 1;
            Err(Error::index(format!(
                "label {label} of row {row} is no class.\n  There are {classes} classes: 0 to {last}.\n  Correct the label, or say in targetLengths where the row's labels end."
            )))
        }
    }
}

/// m · 2^(256 e): a probability of any size, or 0 with e of minus infinity. Products and sums of logarithms, which have the same range, would take an
/// exponential and a logarithm each. Settled, m lies from 2^-128 to 2^128: a sum of three, times another, is within reach of one step.
#[derive(Clone, Copy)]
#[repr(C)]
struct Scaled {
    m: f64,
    e: f64,
}

/// log 2^256
const UNIT: f64 = 256.0 * std::f64::consts::LN_2;

/// 2^(256 e), for e from -3 to 3.
const fn power(e: i64) -> f64 {
    f64::from_bits(((1023 + 256 * e) as u64) << 52)
}

impl Scaled {
    const ZERO: Scaled = Scaled { m: 0.0, e: f64::NEG_INFINITY };
    const ONE: Scaled = Scaled { m: 1.0, e: 0.0 };

    fn exp(x: f64) -> Scaled {
        if x == f64::NEG_INFINITY {
            return Scaled::ZERO;
        }
        let e = (x / UNIT + 0.5).floor();
        Scaled { m: (x - e * UNIT).exp(), e }
    }
    fn ln(self) -> f64 {
        self.m.ln() + self.e * UNIT
    }
    #[inline(always)]
    fn add(self, other: Scaled) -> Scaled {
        let e = if self.e > other.e { self.e } else { other.e };
        // Two steps below, nothing of a number is left beside the other.
        let near = |own: f64| {
            if own == e {
                1.0
            } else if own == e - 1.0 {
                power(-1)
            } else {
                0.0
            }
        };
        Scaled { m: self.m * near(self.e) + other.m * near(other.e), e }
    }
    #[inline(always)]
    fn times(self, other: Scaled) -> Scaled {
        let (m, e) = (self.m * other.m, self.e + other.e);
        let (factor, steps) = if m > f64::from_bits((1023 + 128) << 52) {
            (power(-1), 1.0)
        } else if m < f64::from_bits((1023 - 128) << 52) {
            (power(1), -1.0)
        } else {
            (1.0, 0.0)
        };
        Scaled { m: m * factor, e: e + steps }
    }
    /// self · other / all, which is at most 1.
    #[inline(always)]
    fn share(self, other: Scaled, all: Scaled) -> f64 {
        let (m, e) = (self.m * other.m / all.m, self.e + other.e - all.e);
        if e < -3.0 { 0.0 } else { m * power((e as i64).min(3)) }
    }
}

/// A blank, and the label in front of it: entry i of a row is label i - 1 and the blank behind it. Entry 0 has no label.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    label: Scaled,
    blank: Scaled,
}
const NOWHERE: Entry = Entry { label: Scaled::ZERO, blank: Scaled::ZERO };

/// Room of a row.
struct Room<'a> {
    /// Probabilities of all ways to come to each state: before the first step, and after each; of the last two alone where no gradient follows.
    ways: &'a mut [Entry],
    /// Probabilities of the classes of each entry's states at each step, or of the last.
    probs: &'a mut [Entry],
    /// Probabilities of all ways from each state to the end, and one entry of none behind.
    rest: &'a mut [Entry],
    /// A sum a class.
    shares: &'a mut [f64],
    keep: bool,
}

impl Room<'_> {
    /// How many entries, and bytes, a row of so many labels takes.
    fn sizes(steps: usize, labels: usize, classes: usize, keep: bool) -> ([usize; 3], usize) {
        let count = labels + 1;
        let entries = if keep { [(steps + 1) * count, steps * count, count + 1] } else { [2 * count, count, 0] };
        (entries, entries.iter().sum::<usize>() * size_of::<Entry>() + if keep { classes * size_of::<f64>() } else { 0 })
    }
    fn of(room: &mut [u8], steps: usize, labels: usize, classes: usize, keep: bool) -> Room<'_> {
        let ([ways, probs, rest], _) = Room::sizes(steps, labels, classes, keep);
        let (entries, room) = room.split_at_mut((ways + probs + rest) * size_of::<Entry>());
        // SAFETY: entries and sums are numbers alone, which take every bit pattern; rooms are aligned for all of them.
        let (entries, shares) = unsafe { (entries.align_to_mut::<Entry>().1, room.align_to_mut::<f64>().1) };
        let (ways, entries) = entries.split_at_mut(ways);
        let (probs, rest) = entries.split_at_mut(probs);
        Room { ways, probs, rest, shares: &mut shares[..if keep { classes } else { 0 }], keep }
    }
}

/// One row: as many steps as count, and the labels that they are to spell.
struct Row<'a, T> {
    log_probs: &'a [T],
    labels: &'a [i32],
    classes: usize,
    blank: usize,
}

impl<T: Element> Row<'_, T> {
    fn steps(&self) -> usize {
        self.log_probs.len() / self.classes.max(1)
    }
    /// Steps that the labels need: one each, and a blank between equal ones.
    fn needed(&self) -> usize {
        self.labels.len() + self.labels.windows(2).filter(|pair| pair[0] == pair[1]).count()
    }
    /// Entries that lie on some path: can be reached by `step`, and the end from them. Not empty where there are steps enough.
    fn open(&self, step: usize) -> Range<usize> {
        let count = self.labels.len() + 1;
        count.saturating_sub(self.steps() - step)..(step + 2).min(count)
    }
    /// The label of an entry, if a path may come to it from the label before.
    fn after(&self, entry: usize, label: Scaled) -> Scaled {
        let leaps = entry >= 2 && entry <= self.labels.len() && self.labels[entry - 1] != self.labels[entry - 2];
        if leaps { label } else { Scaled::ZERO }
    }

    /// Minus the log of the probability of all paths, and that itself; fills `ways` and `probs`.
    #[inline(always)]
    fn loss(&self, room: &mut Room) -> (f64, Scaled) {
        let (steps, count) = (self.steps(), self.labels.len() + 1);
        if steps < self.needed() {
            return (f64::INFINITY, Scaled::ZERO);
        }
        let place = |row: usize| if room.keep { row } else { row % 2 } * count;
        room.ways[..count].fill(NOWHERE);
        room.ways[0].blank = Scaled::ONE;
        for step in 0..steps {
            let (from, to) = (place(step), place(step + 1));
            let (low, high) = room.ways.split_at_mut(from.max(to));
            let (before, now) = if from < to { (&low[from..], high) } else { (&high[..], low) };
            let (before, now) = (&before[..count], &mut now[..count]);
            let probs = &mut room.probs[if room.keep { step * count } else { 0 }..][..count];
            let log_probs = &self.log_probs[step * self.classes..][..self.classes];
            let blank = Scaled::exp(log_probs[self.blank].to_f64());
            let open = self.open(step);
            for i in open.clone() {
                let Entry { label: own, blank: behind } = before[i];
                probs[i].blank = blank;
                now[i].blank = own.add(behind).times(blank);
                if i == 0 {
                    now[i].label = Scaled::ZERO;
                    continue;
                }
                probs[i].label = Scaled::exp(log_probs[self.labels[i - 1] as usize].to_f64());
                let Entry { label: other, blank: front } = before[i - 1];
                now[i].label = own.add(front).add(self.after(i, other)).times(probs[i].label);
            }
            // The next step can come from there.
            if open.end < count {
                now[open.end] = NOWHERE;
            }
        }
        let end = room.ways[place(steps)..][count - 1];
        let all = end.label.add(end.blank);
        (0.0 - all.ln(), all)
    }

    /// Minus the share of each class at each step, d loss / d log_probs, by the `room` that `loss` filled; `all` is the probability of all paths.
    #[inline(always)]
    fn gradient(&self, room: &mut Room, all: Scaled, to: &mut [T]) {
        let (steps, count) = (self.steps(), self.labels.len() + 1);
        let (rest, shares) = (&mut room.rest[..=count], &mut *room.shares);
        rest.fill(NOWHERE);
        rest[count - 1] = Entry { label: if count > 1 { Scaled::ONE } else { Scaled::ZERO }, blank: Scaled::ONE };
        for step in (0..steps).rev() {
            let (now, probs) = (&room.ways[(step + 1) * count..][..count], &room.probs[step * count..][..count]);
            shares.fill(0.0);
            for i in self.open(step) {
                shares[self.blank] -= now[i].blank.share(rest[i].blank, all);
                rest[i].blank = rest[i].blank.times(probs[i].blank);
                if i > 0 {
                    shares[self.labels[i - 1] as usize] -= now[i].label.share(rest[i].label, all);
                    rest[i].label = rest[i].label.times(probs[i].label);
                }
            }
            for (to, &share) in to[step * self.classes..].iter_mut().zip(&*shares) {
                *to = T::from_f64(share);
            }
            if step > 0 {
                for i in self.open(step - 1) {
                    let (Entry { label, blank }, behind) = (rest[i], rest[i + 1].label);
                    rest[i].blank = blank.add(behind);
                    rest[i].label = if i == 0 { Scaled::ZERO } else { label.add(blank).add(self.after(i + 1, behind)) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, noise, run};
    use ferrograd_tensor::{ErrorKind, bf16};

    struct Case {
        dims: [usize; 3],
        most: usize,
        x: Vec<f64>,
        targets: Vec<i32>,
        lengths: Option<(Vec<i32>, Vec<i32>)>,
        blank: i64,
    }

    impl Case {
        fn new(dims: [usize; 3], most: usize, lengths: Option<(&[i32], &[i32])>) -> Case {
            let [rows, steps, classes] = dims;
            let x = noise(3, rows * steps * classes).iter().map(|v| 2.0 * v - 1.5).collect();
            // The blank is class 1; equal labels side by side every now and then.
            let targets =
                (0..rows * most).map(|i| [0, 2, 2, 3, 0, 0, 2][i % 7] % classes as i32).map(|c| if c == 1 { 0 } else { c }).collect();
            Case { dims, most, x, targets, lengths: lengths.map(|(a, b)| (a.to_vec(), b.to_vec())), blank: 1 }
        }
        fn run<T: Element>(&self, x: &[T], zero_infinity: bool, keep: bool) -> Result<(Vec<f64>, Vec<f64>)> {
            let [rows, steps, classes] = self.dims;
            let (mut loss, mut gradient) = (vec![T::from_f64(7.0); rows], vec![T::from_f64(7.0); if keep { x.len() } else { 0 }]);
            let (x, targets) = (View::of(x, &[rows, steps, classes]), View::of(&self.targets, &[rows, self.most]));
            let local = ctc_loss_local(x.meta(), targets.meta(), keep);
            let lengths = self.lengths.as_ref().map(|(a, b)| [View::of(a, &[rows]), View::of(b, &[rows])]);
            let [inputs, labels] = [0, 1].map(|i| lengths.as_ref().map(|l| &l[i]));
            let dims: &[usize] = if keep { &[rows, steps, classes] } else { &[0] };
            let (mut to, mut d) = (ViewMut::of(&mut loss, &[rows]), ViewMut::of(&mut gradient, dims));
            run(local, |cx| {
                let mut cx = Cx::new(cx.pool(), cx.scratch(local), local);
                ctc_loss(&mut cx, &x, &targets, inputs, labels, self.blank, zero_infinity, keep, &mut to, &mut d)
            })?;
            Ok((loss.iter().map(|v| v.to_f64()).collect(), gradient.iter().map(|v| v.to_f64()).collect()))
        }
        /// The definition: every sequence of classes that becomes the labels when repeats are merged and blanks left out.
        fn reference(&self, x: &[f64]) -> Vec<f64> {
            let [rows, steps, classes] = self.dims;
            (0..rows)
                .map(|row| {
                    let (steps_here, labels) =
                        self.lengths.as_ref().map_or((steps, self.most), |(a, b)| (a[row] as usize, b[row] as usize));
                    let wanted = &self.targets[row * self.most..][..labels];
                    let mut ways = Vec::new();
                    for code in 0..classes.pow(steps_here as u32) {
                        let path: Vec<usize> = (0..steps_here).map(|t| code / classes.pow(t as u32) % classes).collect();
                        let spelt = (0..steps_here)
                            .filter(|&t| path[t] as i64 != self.blank && (t == 0 || path[t] != path[t - 1]))
                            .map(|t| path[t] as i32);
                        if spelt.eq(wanted.iter().copied()) {
                            ways.push(path.iter().enumerate().map(|(t, &c)| x[(row * steps + t) * classes + c]).sum::<f64>());
                        }
                    }
                    let most = ways.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    if most == f64::NEG_INFINITY {
                        f64::INFINITY
                    } else {
                        -(most + ways.iter().map(|way| (way - most).exp()).sum::<f64>().ln())
                    }
                })
                .collect()
        }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new([2, 5, 4], 3, None),
            Case::new([3, 6, 4], 3, Some((&[6, 4, 0], &[3, 1, 0]))),
            // No labels at all; a single class, the blank among two; too few steps for a repeat.
            Case::new([2, 4, 3], 0, None),
            Case::new([1, 4, 2], 2, None),
            Case::new([3, 5, 4], 4, Some((&[2, 5, 3], &[3, 4, 0]))),
            Case::new([0, 5, 4], 2, None),
            Case::new([1, 0, 4], 0, None),
        ]
    }

    #[test]
    fn losses_are_the_sums_over_all_alignments_and_gradients_their_slopes() {
        for case in cases() {
            let (loss, gradient) = case.run(&case.x, false, true).unwrap();
            let what = format!("{:?}", case.dims);
            assert_close(&loss, &case.reference(&case.x), 1e-12, 1e-12, &what);
            assert_eq!(case.run(&case.x, false, false).unwrap().0, loss, "{what}: without a gradient");
            let per_row = case.dims[1] * case.dims[2];
            for (i, &got) in gradient.iter().enumerate() {
                let at = |by: f64| {
                    let mut x = case.x.clone();
                    x[i] += by;
                    case.reference(&x)[i / per_row]
                };
                let counts = case.lengths.as_ref().is_none_or(|(a, _)| i % per_row / case.dims[2] < a[i / per_row] as usize);
                let want = if !counts {
                    0.0
                } else if loss[i / per_row].is_infinite() {
                    f64::NAN
                } else {
                    (at(1e-5) - at(-1e-5)) / 2e-5
                };
                assert_close(&[got], &[want], 1e-7, 1e-8, &format!("{what}, gradient {i}"));
            }
        }
    }

    #[test]
    fn narrow_dtypes_are_rounded_once() {
        for case in cases() {
            let narrow: Vec<bf16> = case.x.iter().map(|&v| bf16::from_f64(v)).collect();
            let single: Vec<f32> = narrow.iter().map(|v| v.to_f32()).collect();
            let wide: Vec<f64> = narrow.iter().map(|v| v.to_f64()).collect();
            let (loss, gradient) = case.run(&wide, true, true).unwrap();
            for ((l, g), tolerance) in [(case.run(&narrow, true, true).unwrap(), 4e-3), (case.run(&single, true, true).unwrap(), 1e-7)] {
                assert_close(&l, &loss, tolerance, 0.0, "loss");
                assert_close(&g, &gradient, tolerance, 1e-30, "gradient");
            }
        }
    }

    #[test]
    fn thousands_of_steps_neither_underflow_nor_overflow() {
        let mut case = Case::new([1, 3000, 4], 400, None);
        case.targets = (0..400).map(|i| [0, 2, 3][i % 3]).collect();
        case.x.fill(-20.0);
        let (loss, gradient) = case.run(&case.x, false, true).unwrap();
        // All ways are equally likely: the loss is 20 T less the log of their number, which is C(T + S, 2 S) as no labels are equal side by side.
        let count: f64 = (0..800).map(|i| ((3400 - i) as f64 / (800 - i) as f64).ln()).sum();
        assert_close(&loss, &[60_000.0 - count], 1e-12, 0.0, "loss");
        for step in gradient.chunks(4) {
            assert_close(&[step.iter().sum()], &[-1.0], 1e-9, 0.0, "shares of a step");
        }
    }

    #[test]
    fn probabilities_of_any_size_count() {
        for scale in [1.0, 30.0, 90.0, 180.0, 400.0, 3000.0] {
            for shift in [0.0, -1000.0, 500.0] {
                let mut case = Case::new([3, 6, 4], 3, None);
                case.x = noise(5, 72).iter().map(|v| scale * v + shift).collect();
                // A class that cannot be, at some steps.
                (0..72).step_by(17).for_each(|i| case.x[i] = f64::NEG_INFINITY);
                let (loss, gradient) = case.run(&case.x, false, true).unwrap();
                assert_close(&loss, &case.reference(&case.x), 1e-12, 1e-12, &format!("scale {scale}, shift {shift}"));
                for (step, row) in gradient.chunks(4).zip(loss.iter().flat_map(|v| [v; 6])) {
                    assert!(row.is_infinite() || (step.iter().sum::<f64>() + 1.0).abs() < 1e-9, "scale {scale}, shift {shift}: {step:?}");
                }
            }
        }
    }

    #[test]
    fn nan_comes_through_and_zero_infinity_spares_what_cannot_be() {
        let mut case = Case::new([2, 2, 4], 3, None);
        assert_eq!(case.run(&case.x, false, true).unwrap().0, [f64::INFINITY; 2]);
        let (loss, gradient) = case.run(&case.x, true, true).unwrap();
        assert!(loss.iter().chain(&gradient).all(|&v| v == 0.0));
        case = Case::new([1, 3, 4], 1, None);
        case.x[4 + 1] = f64::NAN;
        assert!(case.run(&case.x, true, false).unwrap().0[0].is_nan());
    }

    #[test]
    fn labels_and_lengths_out_of_range_are_errors() {
        let message = |change: fn(&mut Case)| {
            let mut case = Case::new([2, 5, 4], 2, Some((&[5, 5], &[2, 1])));
            change(&mut case);
            let error = case.run(&case.x, false, true).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Index);
            error.message
        };
        assert!(message(|c| c.targets[0] = 4).contains("label 4 of row 0 is no class"));
        assert!(message(|c| c.targets[2] = -1).contains("label -1 of row 1"));
        assert!(message(|c| c.targets[1] = 1).contains("which is the blank"));
        assert!(message(|c| c.lengths.as_mut().unwrap().0[1] = 6).contains("inputLengths says 6 for row 1, which has 5 steps"));
        assert!(message(|c| c.lengths.as_mut().unwrap().1[0] = 3).contains("targetLengths says 3 for row 0, which has 2 labels"));
        // What lies behind a row's labels is not looked at.
        let mut case = Case::new([2, 5, 4], 2, Some((&[5, 5], &[2, 1])));
        case.targets[3] = -1;
        case.run(&case.x, false, true).unwrap();
    }
}
