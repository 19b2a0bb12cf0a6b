//! Which step of its sequence each row takes.
use crate::sequence_mask::check_lengths;
use ferrograd_tensor::{B8, Result, View};

/// What a row does at a step.
pub(super) enum At {
    /// It takes the step of this time.
    Step(usize),
    /// Masked: the state is carried over.
    Held(usize),
    /// Behind the row's end.
    Past(usize),
}

pub(super) struct Walk<'a> {
    steps: usize,
    lengths: Option<&'a [i32]>,
    mask: Option<&'a [B8]>,
    reverse: bool,
}

impl<'a> Walk<'a> {
    pub fn new(steps: usize, lengths: Option<&View<'a>>, mask: Option<&View<'a>>, reverse: bool) -> Result<Walk<'a>> {
        let lengths = lengths.map(|v| v.slice::<i32>());
        check_lengths(lengths.unwrap_or_default(), steps)?;
        Ok(Walk { steps, lengths, mask: mask.map(|v| v.slice::<B8>()), reverse })
    }
    pub fn at(&self, row: usize, step: usize) -> At {
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
    pub fn before(&self, row: usize, step: usize) -> Option<usize> {
        let before = step.checked_sub(1)?;
        let len = self.lengths.map_or(self.steps, |l| l[row] as usize);
        Some(if self.reverse { len - 1 - before } else { before })
    }
}
