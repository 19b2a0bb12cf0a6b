//! Rules of recurrent layers: projections [N, T, G H], recurrent weights [G H, H], states [N, H].
use super::{need_float, show};
use crate::{DType, Error, Layout, Meta, Result, Shape};

/// Rows, steps and units; errors where projections and weights do not fit each other.
fn sizes(gates: usize, projected: &Meta, weight: &Meta) -> Result<[usize; 3]> {
    need_float("projections", projected)?;
    let fits = |rows: usize, hidden: usize| Some(rows) == hidden.checked_mul(gates);
    match (projected.dims(), weight.dims()) {
        (&[n, t, width], &[rows, hidden]) if width == rows && fits(rows, hidden) && weight.dtype == projected.dtype => Ok([n, t, hidden]),
        _ => Err(Error::shape(format!(
            "the recurrent weight must be [{gates} H, H] beside projections [N, T, {gates} H] of the same dtype.\n  {}, {}\n  \
             Give x as [N, T, features], and weights for as many units.",
            show("projections", projected),
            show("recurrent weight", weight)
        ))),
    }
}

fn need(name: &str, x: Option<&Meta>, dtype: DType, dims: &[usize], letters: &str) -> Result {
    match x {
        Some(x) if x.dims() != dims || x.dtype != dtype => Err(Error::shape(format!(
            "{name} must be {letters}, here {} {dtype}.\n  {}",
            Shape::new(dims).map_or_else(|_| String::new(), |s| s.to_string()),
            show(name, x)
        ))),
        _ => Ok(()),
    }
}

fn tensor(dtype: DType, dims: &[usize]) -> Result<Meta> {
    Ok(Meta { dtype, layout: Layout::contiguous(Shape::new(dims)?) })
}

/// What tells which steps a row takes, and what multiplies its states.
fn need_walk([n, t, h]: [usize; 3], dtype: DType, lengths: Option<&Meta>, mask: Option<&Meta>, recurrent_mask: Option<&Meta>) -> Result {
    need("lengths", lengths, DType::I32, &[n], "int32 [N]")?;
    need("mask", mask, DType::Bool, &[n, t], "bool [N, T]")?;
    need("the recurrent mask", recurrent_mask, dtype, &[n, h], "[N, H]")
}

/// The states after every step, [N, T, H].
pub fn recurrent(
    gates: usize,
    projected: &Meta,
    weight: &Meta,
    bias: Option<&Meta>,
    states: [Option<&Meta>; 2],
    lengths: Option<&Meta>,
    mask: Option<&Meta>,
    recurrent_mask: Option<&Meta>,
) -> Result<Meta> {
    let [n, t, h] = sizes(gates, projected, weight)?;
    need("the recurrent bias", bias, projected.dtype, &[gates * h], "one a gate and unit")?;
    for (name, state) in ["h0", "c0"].into_iter().zip(states) {
        need(name, state, projected.dtype, &[n, h], "[N, H]")?;
    }
    need_walk([n, t, h], projected.dtype, lengths, mask, recurrent_mask)?;
    tensor(projected.dtype, &[n, t, h])
}

/// Blocks of H for every step, [N, T, blocks H].
pub fn recurrent_steps(projected: &Meta, weight: &Meta, blocks: usize) -> Result<Meta> {
    let h = weight.dims().get(1).copied().unwrap_or(0);
    let lead = projected.dims();
    tensor(projected.dtype, &[lead.first().copied().unwrap_or(0), lead.get(1).copied().unwrap_or(0), blocks * h])
}

/// A state of every row, [N, H].
pub fn recurrent_state(projected: &Meta, weight: &Meta) -> Result<Meta> {
    tensor(projected.dtype, &[projected.dims().first().copied().unwrap_or(0), weight.dims().get(1).copied().unwrap_or(0)])
}

/// The gradient of the projections, [N, T, G H]. `steps`: what was kept of every step, each [N, T, so many H]; `rows`: what belongs to a row, [N, H].
pub fn recurrent_grad(
    gates: usize,
    weight: &Meta,
    steps: &[(&str, Option<&Meta>, usize)],
    rows: &[(&str, Option<&Meta>)],
    lengths: Option<&Meta>,
    mask: Option<&Meta>,
    recurrent_mask: Option<&Meta>,
) -> Result<Meta> {
    let (&[width, h], Some(&[n, t, _])) = (weight.dims(), steps.iter().find_map(|s| s.1).map(|m| m.dims())) else {
        return Err(Error::shape(format!("needs what the forward pass kept.\n  {}", show("recurrent weight", weight))));
    };
    for &(name, x, blocks) in steps {
        need(name, x, weight.dtype, &[n, t, blocks * h], "one block a step")?;
    }
    for &(name, x) in rows {
        need(name, x, weight.dtype, &[n, h], "[N, H]")?;
    }
    need_walk([n, t, h], weight.dtype, lengths, mask, recurrent_mask)?;
    if Some(width) != h.checked_mul(gates) {
        return Err(Error::shape(format!("the recurrent weight must be [{gates} H, H].\n  {}", show("recurrent weight", weight))));
    }
    tensor(weight.dtype, &[n, t, width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_must_fit() {
        let m = |d, dims: &[usize]| Meta::new(d, dims).unwrap();
        let (p, w) = (m(DType::F32, &[2, 5, 12]), m(DType::F32, &[12, 3]));
        fn ok(p: &Meta, w: &Meta, h0: Option<&Meta>, lengths: Option<&Meta>, mask: Option<&Meta>) -> Result<Meta> {
            recurrent(4, p, w, None, [h0, None], lengths, mask, None)
        }
        assert_eq!(ok(&p, &w, None, None, None).unwrap().dims(), [2, 5, 3]);
        assert!(ok(&p, &w, Some(&m(DType::F32, &[2, 4])), None, None).unwrap_err().message.contains("h0 must be [N, H], here [2, 3]"));
        assert!(ok(&p, &w, None, Some(&m(DType::I64, &[2])), None).unwrap_err().message.contains("lengths must be int32 [N]"));
        assert!(ok(&p, &w, None, None, Some(&m(DType::Bool, &[5, 2]))).is_err());
        assert!(recurrent(3, &p, &w, None, [None; 2], None, None, None).unwrap_err().message.contains("[3 H, H]"));
        assert!(recurrent(4, &p, &m(DType::F64, &[12, 3]), None, [None; 2], None, None, None).is_err());
        let saved = m(DType::F32, &[2, 5, 12]);
        fn grad(w: &Meta, saved: &Meta, dh: Option<&Meta>) -> Result<Meta> {
            recurrent_grad(4, w, &[("saved", Some(saved), 4)], &[("dhidden", dh)], None, None, None)
        }
        assert_eq!(grad(&w, &saved, None).unwrap().dims(), [2, 5, 12]);
        assert!(grad(&w, &saved, Some(&m(DType::F32, &[3, 3]))).is_err());
        assert_eq!(recurrent_steps(&p, &w, 4).unwrap().dims(), [2, 5, 12]);
        assert_eq!(recurrent_state(&p, &w).unwrap().dims(), [2, 3]);
    }
}
