//! What is worked out once for all replays: which commands nobody needs, when each temporary is let go and where it lies, and what has to be copied
//! before it is overwritten.
use super::{Program, Slot};
use crate::command::Command;
use crate::storage::Tensor;
use std::collections::HashSet;
use std::rc::Rc;

/// Temporaries begin at cache lines.
const ALIGN: usize = 64;

/// The commands whose results leave the program, change what outlives it, or may fail on a value.
pub(super) fn needed(commands: Vec<Command>, outputs: &[Rc<Tensor>], made: &HashSet<*const Tensor>) -> Vec<Command> {
    let mut wanted: HashSet<*const Tensor> = outputs.iter().map(|t| Rc::as_ptr(t.root())).collect();
    let mut kept = Vec::with_capacity(commands.len());
    for command in commands.into_iter().rev() {
        let spec = command.op.spec();
        let mut written = Vec::new();
        let mut position = 0;
        for ((_, kind), &count) in spec.operands.iter().zip(&command.arity) {
            if kind.is_written() {
                written.extend(&command.operands[position..position + count as usize]);
            }
            position += count as usize;
        }
        let counts = |t: &Rc<Tensor>| {
            let root = Rc::as_ptr(t.root());
            wanted.contains(&root) || !made.contains(&root)
        };
        let leaves = command.outputs.iter().any(|t| wanted.contains(&Rc::as_ptr(t.root()))) || written.into_iter().any(counts);
        if leaves || spec.fallible || command.anomaly {
            wanted.extend(command.operands.iter().map(|t| Rc::as_ptr(t.root())));
            kept.push(command);
        }
    }
    kept.reverse();
    kept
}

impl Program {
    /// Each temporary is let go after the last command that names it, unless it leaves the program.
    pub(super) fn plan_frees(&mut self) {
        let mut live: HashSet<u32> = self.outputs.iter().map(|&(_, slot)| slot).collect();
        for step in self.steps.iter_mut().rev() {
            for &(_, slot) in step.operands.iter().chain(&step.outputs) {
                if live.insert(slot) && matches!(self.slots[slot as usize], Slot::Temporary { .. }) {
                    step.frees.push(slot);
                }
            }
        }
    }

    /// Gives each temporary its place in the one block that a replay takes for all of them: the largest first, each at the lowest place that no other
    /// has while it lives. What leaves the program has memory of its own.
    pub(super) fn plan_places(&mut self) {
        let lives = self.lives();
        let mut order: Vec<usize> = (0..self.slots.len()).filter(|&slot| lives[slot].is_some()).collect();
        order.sort_by_key(|&slot| std::cmp::Reverse(self.bytes(slot)));
        // Those placed so far: where from and to, and from which command to which.
        let mut placed: Vec<(usize, usize, (usize, usize))> = Vec::with_capacity(order.len());
        for slot in order {
            let (Some((first, last)), bytes) = (lives[slot], self.bytes(slot).next_multiple_of(ALIGN)) else { continue };
            let mut at = 0;
            for &(from, to, life) in &placed {
                let together = life.0 <= last && first <= life.1;
                if together && from < at + bytes && at < to {
                    at = to;
                }
            }
            let position = placed.partition_point(|&(from, ..)| from <= at);
            placed.insert(position, (at, at + bytes, (first, last)));
            self.room = self.room.max(at + bytes);
            if let Slot::Temporary { place, .. } = &mut self.slots[slot] {
                *place = Some(at);
            }
        }
    }

    fn bytes(&self, slot: usize) -> usize {
        match self.slots[slot] {
            Slot::Temporary { bytes, .. } => bytes,
            _ => 0,
        }
    }

    /// The first and the last command that names each temporary which does not leave the program.
    pub(super) fn lives(&self) -> Vec<Option<(usize, usize)>> {
        let mut lives: Vec<Option<(usize, usize)>> = vec![None; self.slots.len()];
        for (i, step) in self.steps.iter().enumerate() {
            for &(_, slot) in step.operands.iter().chain(&step.outputs) {
                if matches!(self.slots[slot as usize], Slot::Temporary { .. }) {
                    lives[slot as usize].get_or_insert((i, i)).1 = i;
                }
            }
        }
        for &(_, slot) in &self.outputs {
            lives[slot as usize] = None;
        }
        lives
    }

    /// An in-place write to a persistent buffer is copied beforehand only where something after it may still fail: for want of memory, or on a value.
    pub(super) fn plan_guards(&mut self) {
        let mut may_fail = false;
        for step in self.steps.iter_mut().rev() {
            if may_fail {
                let outliving = |&slot: &u32| !matches!(self.slots[slot as usize], Slot::Temporary { .. });
                step.guarded = step.written().into_iter().filter(outliving).collect();
            }
            may_fail |= !step.outputs.is_empty() || step.anomaly || step.op.spec().fallible;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Recorder, Step};
    use crate::{Op, Session};
    use ferrograd_tensor::{DType, Shape};

    fn session() -> Session {
        Session::new()
    }

    /// A program of `n` commands, each on what the one before gave, twice.
    fn chain(n: usize, elements: usize) -> Program {
        let mut session = session();
        let x = session.planned(DType::F32, &Shape::new(&[elements]).unwrap(), crate::Device::Cpu);
        let mut recorder = Recorder::new(vec![x.clone()]);
        let mut last = x;
        for _ in 0..n {
            let mut command = session.command(Op::matmul);
            command.operands.extend([last.clone(), last]);
            command.arity.extend([1, 1]);
            let y = session.planned(DType::F32, &Shape::new(&[elements]).unwrap(), crate::Device::Cpu);
            command.outputs.push(y.clone());
            recorder.record(*command);
            last = y;
        }
        recorder.plan(&[last]).0
    }

    #[test]
    fn a_chain_of_any_length_needs_the_room_of_two() {
        for (n, want) in [(1, 0), (2, 1), (3, 2), (50, 2)] {
            assert_eq!(chain(n, 1000).room, want * 4032, "{n}");
        }
    }

    #[test]
    fn temporaries_that_live_together_do_not_overlap() {
        let program = chain(40, 77);
        let lives = program.lives();
        let places: Vec<_> = program
            .slots
            .iter()
            .enumerate()
            .filter_map(|(i, slot)| match *slot {
                Slot::Temporary { bytes, place: Some(place) } => Some((place, place + bytes, lives[i].unwrap())),
                _ => None,
            })
            .collect();
        assert_eq!(places.len(), 39);
        for (i, a) in places.iter().enumerate() {
            assert!(a.1 <= program.room && a.0.is_multiple_of(ALIGN));
            for b in &places[..i] {
                let together = a.2.0 <= b.2.1 && b.2.0 <= a.2.1;
                assert!(!together || a.1 <= b.0 || b.1 <= a.0, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_nobody_needs_is_left_out() {
        let mut session = session();
        let mut one = || session.planned(DType::F32, &Shape::new(&[4]).unwrap(), crate::Device::Cpu);
        let (x, a, b, c) = (one(), one(), one(), one());
        let mut recorder = Recorder::new(vec![x.clone()]);
        for (from, to) in [(&x, &a), (&a, &b), (&a, &c)] {
            let mut command = session.command(Op::softmax);
            command.operands.push(from.clone());
            command.arity.push(1);
            command.outputs.push(to.clone());
            recorder.record(*command);
        }
        let (program, _) = recorder.plan(&[c]);
        assert_eq!(program.steps.iter().map(|step: &Step| step.op).collect::<Vec<_>>(), [Op::softmax, Op::softmax]);
        assert_eq!(program.left_out, 1);
    }
}
