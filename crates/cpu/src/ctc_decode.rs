//! The labels that class scores spell: best-path decoding (the best class of each step, repeats merged, blanks left out), or prefix beam search (Graves
//! 2012, section 7.5; Hannun et al. 2014, without a language model), which adds up the probabilities of all ways to spell the same labels.
use ferrograd_tensor::{Cx, Element, Error, Meta, Result, SyncPtr, View, ViewMut, with_float};
use std::cmp::Ordering;

const NEVER: f64 = f64::NEG_INFINITY;

/// Bytes that [`ctc_decode`] needs for each thread.
pub fn ctc_decode_local(log_probs: &Meta, beam: i64) -> usize {
    let (&[_, steps, classes], beam) = (log_probs.dims(), beam.max(0) as usize) else { return 0 };
    2 * bytes::<Prefix>(beam) + bytes::<Letter>(steps * beam) + bytes::<u32>(classes)
}

/// The labels [N, T] of each row of log_probs [N, T, C], -1 behind them; how many they are, [N]; and the log of their probability, [N]: that of the best
/// path where `beam` is 0, else that of all ways which the search saw, keeping `beam` prefixes a step. `lengths` [N]: how many steps of a row count.
/// Fails (kind Index) on a length that is out of range.
pub fn ctc_decode(
    cx: &mut Cx,
    log_probs: &View,
    lengths: Option<&View>,
    blank: i64,
    beam: i64,
    labels: &mut ViewMut,
    counts: &mut ViewMut,
    scores: &mut ViewMut,
) -> Result {
    let &[rows, steps, classes] = log_probs.dims() else { unreachable!("the rule has seen to it") };
    let lengths = lengths.map(|l| l.slice::<i32>());
    if let Some((row, length)) = lengths.and_then(|l| l.iter().enumerate().find(|&(_, &length)| length < 0 || length as usize > steps)) {
        return Err(Error::index(format!(
            "inputLengths says {length} for row {row}, which has {steps} steps.\n  Give lengths from 0 to {steps}."
        )));
    }
    let local = ctc_decode_local(log_probs.meta(), beam);
    let (labels, counts) = (SyncPtr(labels.slice_mut::<i32>().as_mut_ptr()), SyncPtr(counts.slice_mut::<i32>().as_mut_ptr()));
    with_float!(log_probs.dtype(), T => {
        let x = log_probs.slice::<T>();
        let scores = SyncPtr(scores.slice_mut::<T>().as_mut_ptr());
        cx.par_local::<u8>(rows, local, |row, room| {
            let counted = lengths.map_or(steps, |l| l[row] as usize);
            let x = &x[row * steps * classes..][..counted * classes];
            // SAFETY: each row is one task's, and inside the outputs [N, T] and [N].
            let (labels, count, score) =
                unsafe { (std::slice::from_raw_parts_mut(labels.get().add(row * steps), steps), &mut *counts.get().add(row), &mut *scores.get().add(row)) };
            let (found, log_prob) = match beam {
                0 => best_path(x, classes, blank as usize, labels),
                beam => Search::new(room, steps, classes, beam as usize).run(x, classes, blank as usize, labels),
            };
            labels[found..].fill(-1);
            *count = found as i32;
            *score = T::from_f64(log_prob);
        });
        Ok(())
    })
}

fn best_path<T: Element>(x: &[T], classes: usize, blank: usize, labels: &mut [i32]) -> (usize, f64) {
    let (mut found, mut log_prob, mut before) = (0, 0.0, blank);
    for step in x.chunks_exact(classes.max(1)) {
        // The first of equals.
        let best = (1..classes).fold(0, |best, c| if step[c].to_f64() > step[best].to_f64() { c } else { best });
        log_prob += step[best].to_f64();
        if best != blank && best != before {
            labels[found] = best as i32;
            found += 1;
        }
        before = best;
    }
    (found, log_prob)
}

/// A sequence of labels that the search keeps.
#[derive(Clone, Copy)]
struct Prefix {
    /// Of all labels, and of all but the last: equal sequences are found by them.
    hash: u64,
    shorter: u64,
    /// Logs of the probabilities of all ways to spell it that end in a blank, and that do not; and of both.
    blank: f64,
    label: f64,
    both: f64,
    /// Its last label (-1 where it is empty), and where that stands among the letters; of one that is new (1, else 0), where its last but one does.
    last: i32,
    letter: u32,
    new: u8,
}

/// A label, and the letter before it.
#[derive(Clone, Copy)]
struct Letter {
    label: i32,
    before: u32,
}
/// In front of all letters.
const START: u32 = u32::MAX;

/// What `len` of a kind take, in whole lines.
fn bytes<X>(len: usize) -> usize {
    (len * size_of::<X>()).next_multiple_of(64)
}

/// Cuts `len` of a kind off the room, and gives the rest.
///
/// # Safety
/// Every bit pattern is an X.
unsafe fn cut<X>(room: &mut [u8], len: usize) -> (&mut [X], &mut [u8]) {
    let (head, rest) = room.split_at_mut(bytes::<X>(len));
    // SAFETY: by the caller's promise; lines are aligned for every kind.
    let (_, all, _) = unsafe { head.align_to_mut::<X>() };
    (&mut all[..len], rest)
}

struct Search<'a> {
    /// Those of the last step and of this one, the most probable first.
    now: &'a mut [Prefix],
    next: &'a mut [Prefix],
    letters: &'a mut [Letter],
    /// A class that follows a prefix in another one which is kept has that one's mark.
    marks: &'a mut [u32],
}

impl Search<'_> {
    fn new(room: &mut [u8], steps: usize, classes: usize, beam: usize) -> Search<'_> {
        // SAFETY: all of them are numbers, or of numbers.
        unsafe {
            let (now, room) = cut(room, beam);
            let (next, room) = cut(room, beam);
            let (letters, room) = cut(room, steps * beam);
            let (marks, _) = cut(room, classes);
            Search { now, next, letters, marks }
        }
    }

    fn run<T: Element>(mut self, x: &[T], classes: usize, blank: usize, labels: &mut [i32]) -> (usize, f64) {
        let empty = 1;
        self.now[0] = Prefix { hash: empty, shorter: 0, blank: 0.0, label: NEVER, both: 0.0, last: -1, letter: START, new: 0 };
        let (mut kept, mut written) = (1, 0);
        for step in x.chunks_exact(classes.max(1)) {
            kept = self.step(kept, step, blank);
            for prefix in self.next[..kept].iter_mut().filter(|prefix| prefix.new == 1) {
                self.letters[written] = Letter { label: prefix.last, before: prefix.letter };
                (prefix.letter, prefix.new) = (written as u32, 0);
                written += 1;
            }
            std::mem::swap(&mut self.now, &mut self.next);
        }
        let Prefix { letter, both, .. } = self.now[0];
        let follow = |letter: u32| (letter != START).then_some(letter);
        let chain = || std::iter::successors(follow(letter), |&at| follow(self.letters[at as usize].before));
        let found = chain().count();
        for (to, at) in labels[..found].iter_mut().rev().zip(chain()) {
            *to = self.letters[at as usize].label;
        }
        (found, both)
    }

    /// Fills `next` with the best that become of the first `kept` of `now`; answers how many.
    fn step<T: Element>(&mut self, kept: usize, log_probs: &[T], blank: usize) -> usize {
        let mut count = 0;
        self.marks.fill(0);
        for (i, prefix) in self.now[..kept].iter().enumerate() {
            // What spells the same labels: a blank, the last label again, and that label behind the shorter prefix, where this too is kept.
            let last = if prefix.last >= 0 { log_probs[prefix.last as usize].to_f64() } else { NEVER };
            let shorter = self.now[..kept].iter().find(|other| other.hash == prefix.shorter);
            let label = log_add(prefix.label, shorter.map_or(NEVER, |other| other.before(prefix.last))) + last;
            let blank_too = prefix.both + log_probs[blank].to_f64();
            keep(self.next, &mut count, Prefix { blank: blank_too, label, both: log_add(blank_too, label), ..*prefix });
            // And all that it becomes by another label, but for those that are kept already.
            let mark = i as u32 + 1;
            for other in self.now[..kept].iter().filter(|other| other.last >= 0 && other.shorter == prefix.hash) {
                self.marks[other.last as usize] = mark;
            }
            for (class, log_prob) in log_probs.iter().enumerate() {
                if class == blank || self.marks[class] == mark {
                    continue;
                }
                let label = prefix.before(class as i32) + log_prob.to_f64();
                let hash = mixed(prefix.hash, class as u64);
                keep(
                    self.next,
                    &mut count,
                    Prefix {
                        hash,
                        shorter: prefix.hash,
                        blank: NEVER,
                        label,
                        both: label,
                        last: class as i32,
                        letter: prefix.letter,
                        new: 1,
                    },
                );
            }
        }
        count
    }
}

impl Prefix {
    /// The ways to spell it that a step of `label` makes longer: behind the same label only those that end in a blank.
    fn before(&self, label: i32) -> f64 {
        if label == self.last { self.blank } else { self.both }
    }
}

/// Puts a prefix among the first `count` of the list, which are in order, the better first; the worst falls out where there is no room. Of equals the
/// earlier stays in front.
fn keep(list: &mut [Prefix], count: &mut usize, prefix: Prefix) {
    if *count == list.len() {
        if prefix.both.partial_cmp(&list[*count - 1].both) != Some(Ordering::Greater) {
            return;
        }
    } else {
        *count += 1;
    }
    let mut at = *count - 1;
    while at > 0 && prefix.both > list[at - 1].both {
        list[at] = list[at - 1];
        at -= 1;
    }
    list[at] = prefix;
}

/// log(e^a + e^b); NaN where one is.
fn log_add(a: f64, b: f64) -> f64 {
    let most = a.max(b);
    if most == NEVER { a + b } else { most + ((a - most).exp() + (b - most).exp()).ln() }
}

/// Another number for every number and label (splitmix64).
fn mixed(hash: u64, label: u64) -> u64 {
    let mut z = hash.rotate_left(23).wrapping_add(label.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, noise, run};
    use std::collections::BTreeMap;

    fn decode<T: Element>(x: &[T], dims: [usize; 3], lengths: Option<&[i32]>, beam: i64) -> Result<Vec<(Vec<i32>, f64)>> {
        let [rows, steps, _] = dims;
        let (mut labels, mut counts, mut scores) = (vec![7; rows * steps], vec![7; rows], vec![T::default(); rows]);
        let x = View::of(x, &dims);
        let lengths = lengths.map(|l| View::of(l, &[rows]));
        let local = ctc_decode_local(x.meta(), beam);
        let (mut a, mut b, mut c) =
            (ViewMut::of(&mut labels, &[rows, steps]), ViewMut::of(&mut counts, &[rows]), ViewMut::of(&mut scores, &[rows]));
        run(local, |cx| {
            let mut cx = Cx::new(cx.pool(), cx.scratch(local), local);
            ctc_decode(&mut cx, &x, lengths.as_ref(), 0, beam, &mut a, &mut b, &mut c)
        })?;
        Ok((0..rows)
            .map(|row| {
                let (found, behind) = labels[row * steps..][..steps].split_at(counts[row] as usize);
                assert!(behind.iter().all(|&label| label == -1));
                (found.to_vec(), scores[row].to_f64())
            })
            .collect())
    }

    /// Every path of one row, and the labels it spells, with the sum of their probabilities.
    fn all(x: &[f64], classes: usize) -> BTreeMap<Vec<i32>, f64> {
        let steps = x.len() / classes;
        let mut found = BTreeMap::new();
        for code in 0..classes.pow(steps as u32) {
            let path: Vec<usize> = (0..steps).map(|t| code / classes.pow(t as u32) % classes).collect();
            let spelt: Vec<i32> =
                (0..steps).filter(|&t| path[t] != 0 && (t == 0 || path[t] != path[t - 1])).map(|t| path[t] as i32).collect();
            *found.entry(spelt).or_insert(0.0) += path.iter().enumerate().map(|(t, &c)| x[t * classes + c]).sum::<f64>().exp();
        }
        found
    }

    #[test]
    fn a_beam_that_holds_all_finds_the_most_probable_labels_and_their_whole_probability() {
        for (dims, seed) in [([3, 5, 3], 1), ([2, 4, 4], 2), ([4, 6, 2], 3), ([1, 1, 5], 4)] {
            let [rows, steps, classes] = dims;
            let x: Vec<f64> = noise(seed, rows * steps * classes).iter().map(|v| 2.0 * v - 1.0).collect();
            for (row, (labels, score)) in decode(&x, dims, None, 400).unwrap().into_iter().enumerate() {
                let best =
                    all(&x[row * steps * classes..][..steps * classes], classes).into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
                assert_eq!(labels, best.0, "{dims:?}, row {row}");
                assert_close(&[score], &[best.1.ln()], 1e-12, 1e-12, "score");
            }
        }
    }

    #[test]
    fn the_sum_of_ways_beats_the_best_path() {
        // Graves' example: two blanks are the best path, 0.36; but label 1 is spelt in three ways, 0.64 in all.
        let x = [0.6f64, 0.4, 0.6, 0.4].map(f64::ln);
        assert_eq!(decode(&x, [1, 2, 2], None, 0).unwrap(), [(vec![], 2.0 * 0.6f64.ln())]);
        let found = decode(&x, [1, 2, 2], None, 3).unwrap();
        assert_eq!(found[0].0, [1]);
        assert_close(&[found[0].1], &[0.64f64.ln()], 1e-12, 0.0, "score");
    }

    #[test]
    fn repeats_need_a_blank_between_and_lengths_end_a_row() {
        let path = |classes: &[usize]| -> Vec<f64> {
            classes.iter().flat_map(|&best| (0..3).map(move |c| if c == best { -0.01 } else { -9.0 })).collect()
        };
        let x = path(&[1, 1, 0, 1, 2, 2, 0, 0]);
        for beam in [0, 1, 8] {
            assert_eq!(decode(&x, [1, 8, 3], None, beam).unwrap()[0].0, [1, 1, 2], "beam {beam}");
            assert_eq!(decode(&x, [1, 8, 3], Some(&[4]), beam).unwrap()[0].0, [1, 1], "beam {beam}");
            assert_eq!(decode(&x, [1, 8, 3], Some(&[0]), beam).unwrap(), [(vec![], 0.0)], "beam {beam}");
            assert!(decode(&x, [1, 8, 3], Some(&[9]), beam).unwrap_err().message.contains("inputLengths says 9"));
            assert_eq!(decode::<f32>(&[], [0, 8, 3], None, beam).unwrap(), []);
        }
    }

    #[test]
    fn a_prefix_that_fell_out_and_came_back_is_one_with_what_it_had_become() {
        // Narrow beams never count a way twice: no score is above that of all ways.
        let dims = [1, 7, 3];
        for seed in 1..200 {
            let x: Vec<f64> = noise(seed, 21).iter().map(|v| 3.0 * v - 1.0).collect();
            let exact = all(&x, 3);
            for beam in 1..8 {
                let (labels, score) = decode(&x, dims, None, beam).unwrap().remove(0);
                assert!(score <= exact[&labels].ln() + 1e-9, "seed {seed}, beam {beam}");
            }
        }
    }
}
