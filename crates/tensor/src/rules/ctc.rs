//! Rules of connectionist temporal classification: log_probs [N, T, C], targets int32 [N, S], lengths int32 [N].
use super::{like, need_float, row_stats, show};
use crate::{DType, Error, Layout, Meta, Result, Shape};

fn need_lengths(name: &str, lengths: Option<&Meta>, rows: usize) -> Result {
    match lengths {
        Some(given) if given.dims() != [rows] || given.dtype != DType::I32 => {
            Err(Error::shape(format!("{name} must be int32 [N], here [{rows}].\n  {}\n  Give one length a row.", show(name, given))))
        }
        _ => Ok(()),
    }
}

fn need_blank(log_probs: &Meta, blank: i64) -> Result {
    let classes = log_probs.dims().last().copied().unwrap_or(0);
    if blank >= 0 && (blank as usize) < classes {
        return Ok(());
    }
    Err(Error::value(format!(
        "the blank {blank} is no class.\n  {} (N T C)\n  Name one of the {classes} classes, 0 to {}.",
        show("logProbs", log_probs),
        classes as i64 - 1
    )))
}

/// The loss of each row, [N].
pub fn ctc_loss(log_probs: &Meta, targets: &Meta, input_lengths: Option<&Meta>, target_lengths: Option<&Meta>, blank: i64) -> Result<Meta> {
    need_float("logProbs", log_probs)?;
    let (&[rows, _, _], &[targets_of, _]) = (log_probs.dims(), targets.dims()) else {
        return Err(Error::shape(format!(
            "needs log-probabilities [N, T, C] and targets [N, S].\n  {}, {}\n  Give targets one row a sequence, padded to the longest.",
            show("logProbs", log_probs),
            show("targets", targets)
        )));
    };
    if targets.dtype != DType::I32 {
        return Err(Error::dtype(format!("targets must be int32.\n  {}\n  Convert them with .to('int32').", show("targets", targets))));
    }
    if targets_of != rows {
        return Err(Error::shape(format!(
            "needs one row of targets a sequence.\n  {} (N T C), {} (N S)\n  Give as many rows; log-probabilities [T, N, C] go with batchFirst: false.",
            show("logProbs", log_probs),
            show("targets", targets)
        )));
    }
    need_blank(log_probs, blank)?;
    need_lengths("inputLengths", input_lengths, rows)?;
    need_lengths("targetLengths", target_lengths, rows)?;
    Ok(row_stats(log_probs))
}

/// The gradient of the log-probabilities, [N, T, C], or nothing.
pub fn ctc_loss_kept(log_probs: &Meta, keep: bool) -> Result<Meta> {
    if keep { Ok(like(log_probs)) } else { Ok(Meta { dtype: log_probs.dtype, layout: Layout::contiguous(Shape::new(&[0])?) }) }
}

/// The labels that log_probs [N, T, C] spell, int32 [N, T].
pub fn ctc_decode(log_probs: &Meta, lengths: Option<&Meta>, blank: i64, beam: i64) -> Result<Meta> {
    need_float("logProbs", log_probs)?;
    let &[rows, steps, _] = log_probs.dims() else {
        return Err(Error::shape(format!(
            "needs log-probabilities [N, T, C].\n  {}\n  Add the batch dimension with .unsqueeze(0).",
            show("logProbs", log_probs)
        )));
    };
    need_blank(log_probs, blank)?;
    need_lengths("inputLengths", lengths, rows)?;
    if !(0..=1 << 16).contains(&beam) {
        return Err(Error::value(format!("beamWidth is a number of prefixes from 1 to 65536, got {beam}.\n  Some 10 to 100 are usual.")));
    }
    Ok(Meta { dtype: DType::I32, layout: Layout::contiguous(Shape::new(&[rows, steps])?) })
}

/// How many labels each row of log_probs [N, T, C] spells, int32 [N].
pub fn ctc_counts(log_probs: &Meta) -> Meta {
    Meta { dtype: DType::I32, ..row_stats(log_probs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_must_fit() {
        let m = |d, dims: &[usize]| Meta::new(d, dims).unwrap();
        let (x, y, lengths) = (m(DType::F32, &[4, 9, 5]), m(DType::I32, &[4, 3]), m(DType::I32, &[4]));
        assert_eq!(ctc_loss(&x, &y, Some(&lengths), None, 0).unwrap().dims(), [4]);
        let said = |x: &Meta, y: &Meta, lengths: &Meta, blank| ctc_loss(x, y, None, Some(lengths), blank).unwrap_err().message;
        assert!(said(&x, &m(DType::I32, &[12]), &lengths, 0).contains("targets [N, S]"));
        assert!(said(&x, &m(DType::I64, &[4, 3]), &lengths, 0).contains("int32"));
        assert!(said(&x, &m(DType::I32, &[9, 3]), &lengths, 0).contains("batchFirst: false"));
        assert!(said(&x, &y, &m(DType::I32, &[3]), 0).contains("targetLengths must be int32 [N], here [4]"));
        assert!(said(&x, &y, &lengths, 5).contains("0 to 4"));
        assert!(ctc_loss(&y, &y, None, None, 0).is_err());
        let decoded = |x: &Meta, blank, beam| ctc_decode(x, Some(&lengths), blank, beam);
        assert_eq!(decoded(&x, 4, 0).unwrap().dims(), [4, 9]);
        assert_eq!((ctc_counts(&x).dims(), ctc_counts(&x).dtype), (&[4][..], DType::I32));
        assert!(decoded(&m(DType::F32, &[9, 5]), 0, 0).unwrap_err().message.contains("unsqueeze"));
        assert!(decoded(&x, 0, -1).unwrap_err().message.contains("beamWidth") && decoded(&x, -1, 0).is_err() && decoded(&y, 0, 0).is_err());
        assert_eq!(ctc_loss_kept(&x, true).unwrap().dims(), [4, 9, 5]);
        assert_eq!(ctc_loss_kept(&x, false).unwrap().dims(), [0]);
    }
}
