//! Which steps of padded sequences are theirs, and which lengths fit at all.
use crate::strided::GRAIN;
use ferrograd_tensor::{B8, Cx, Error, Result, View, ViewMut};

/// Fails (kind Index) on the first length outside of 0..=steps.
pub(crate) fn check_lengths(lengths: &[i32], steps: usize) -> Result {
    match lengths.iter().enumerate().find(|(_, l)| !(0..=steps as i64).contains(&(**l as i64))) {
        None => Ok(()),
        Some((row, len)) => Err(Error::index(format!(
            "length {len} of row {row} does not fit.\n  The sequences have {steps} steps: lengths from 0 to {steps}.\n  Cut the row, or give its own length."
        ))),
    }
}

/// y [N, steps]: true at each row's first `lengths` [N] steps.
pub fn sequence_mask(cx: &mut Cx, lengths: &View, steps: i64, y: &mut ViewMut) -> Result {
    let (lengths, steps) = (lengths.slice::<i32>(), steps as usize);
    check_lengths(lengths, steps)?;
    if steps == 0 {
        return Ok(());
    }
    let chunk = (GRAIN / steps).max(1) * steps;
    cx.par_chunks_mut(y.slice_mut::<B8>(), chunk, |first, part| {
        for (row, &len) in part.chunks_exact_mut(steps).zip(&lengths[first / steps..]) {
            for (t, inside) in row.iter_mut().enumerate() {
                *inside = B8::from(t < len as usize);
            }
        }
    });
    Ok(())
}
