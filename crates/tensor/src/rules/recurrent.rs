//! Rules of recurrent layers: x [N, T, I], weights [G H, I] and [G H, H], states [N, H].
use super::{need_float, show};
use crate::{DType, Error, Layout, Meta, Result, Shape};

/// Rows, steps, features and units; errors where x and the weights do not fit each other.
fn sizes(gates: usize, x: &Meta, weight_ih: &Meta, weight_hh: &Meta) -> Result<[usize; 4]> {
    need_float("x", x)?;
    let dtypes = weight_ih.dtype == x.dtype && weight_hh.dtype == x.dtype;
    match (x.dims(), weight_ih.dims(), weight_hh.dims()) {
        (&[n, t, i], &[rows, width], &[all, h]) if dtypes && width == i && rows == all && Some(rows) == h.checked_mul(gates) => {
            Ok([n, t, i, h])
        }
        _ => {
            let rows = if gates == 1 { "H".into() } else { format!("{gates} H") };
            Err(Error::shape(format!(
                "x [N, T, I] needs weights [{rows}, I] and [{rows}, H] of its dtype.\n  {}, {}, {}\n  \
                 Give x as [N, T, features], and both weights for as many units.",
                show("x", x),
                show("weightIh", weight_ih),
                show("weightHh", weight_hh)
            )))
        }
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

/// What a call may have besides x and the weights.
pub struct Recurrence<'a> {
    pub h0: Option<&'a Meta>,
    pub c0: Option<&'a Meta>,
    pub lengths: Option<&'a Meta>,
    pub mask: Option<&'a Meta>,
    pub input_mask: Option<&'a Meta>,
    pub recurrent_mask: Option<&'a Meta>,
}

impl Recurrence<'_> {
    fn check(&self, [n, t, i, h]: [usize; 4], dtype: DType) -> Result {
        need("h0", self.h0, dtype, &[n, h], "[N, H]")?;
        need("c0", self.c0, dtype, &[n, h], "[N, H]")?;
        need("lengths", self.lengths, DType::I32, &[n], "int32 [N]")?;
        need("mask", self.mask, DType::Bool, &[n, t], "bool [N, T]")?;
        need("inputMask", self.input_mask, dtype, &[n, i], "[N, I]")?;
        need("recurrentMask", self.recurrent_mask, dtype, &[n, h], "[N, H]")
    }
}

/// The states after every step, [N, T, H].
pub fn recurrent(gates: usize, x: &Meta, weight_ih: &Meta, weight_hh: &Meta, biases: [Option<&Meta>; 2], more: Recurrence) -> Result<Meta> {
    let [n, t, i, h] = sizes(gates, x, weight_ih, weight_hh)?;
    for (name, bias) in ["biasIh", "biasHh"].into_iter().zip(biases) {
        need(name, bias, x.dtype, &[gates * h], "one a gate and unit")?;
    }
    more.check([n, t, i, h], x.dtype)?;
    tensor(x.dtype, &[n, t, h])
}

/// Blocks of H for every step, [N, T, blocks H], or nothing.
pub fn recurrent_steps(x: &Meta, weight_hh: &Meta, blocks: usize, keep: bool) -> Result<Meta> {
    let (&[n, t, _], &[_, h]) = (x.dims(), weight_hh.dims()) else { return tensor(x.dtype, &[0]) };
    if keep { tensor(x.dtype, &[n, t, blocks * h]) } else { tensor(x.dtype, &[0]) }
}

/// A state of every row, [N, H].
pub fn recurrent_state(x: &Meta, weight_hh: &Meta) -> Result<Meta> {
    tensor(x.dtype, &[x.dims().first().copied().unwrap_or(0), weight_hh.dims().get(1).copied().unwrap_or(0)])
}

/// The gradient of a bias, [G H].
pub fn recurrent_bias(weight_hh: &Meta) -> Result<Meta> {
    tensor(weight_hh.dtype, &weight_hh.dims()[..1])
}

/// The gradient of x, [N, T, I], or nothing. `steps`: what was kept of every step, each [N, T, so many H]; `rows`: what belongs to a row, [N, H].
pub fn recurrent_grad(
    gates: usize,
    x: &Meta,
    weight_ih: &Meta,
    weight_hh: &Meta,
    steps: &[(&str, Option<&Meta>, usize)],
    rows: &[(&str, Option<&Meta>)],
    more: Recurrence,
    input_grad: bool,
) -> Result<Meta> {
    let [n, t, i, h] = sizes(gates, x, weight_ih, weight_hh)?;
    for &(name, kept, blocks) in steps {
        need(name, kept, x.dtype, &[n, t, blocks * h], "one block a step")?;
    }
    for &(name, state) in rows {
        need(name, state, x.dtype, &[n, h], "[N, H]")?;
    }
    more.check([n, t, i, h], x.dtype)?;
    if input_grad { tensor(x.dtype, &[n, t, i]) } else { tensor(x.dtype, &[0]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Recurrence = Recurrence { h0: None, c0: None, lengths: None, mask: None, input_mask: None, recurrent_mask: None };

    #[test]
    fn operands_must_fit() {
        let m = |d, dims: &[usize]| Meta::new(d, dims).unwrap();
        let (x, w, u) = (m(DType::F32, &[2, 5, 7]), m(DType::F32, &[12, 7]), m(DType::F32, &[12, 3]));
        let with = |more: Recurrence| recurrent(4, &x, &w, &u, [None; 2], more);
        assert_eq!(with(NONE).unwrap().dims(), [2, 5, 3]);
        let said = |more: Recurrence| with(more).unwrap_err().message;
        assert!(said(Recurrence { h0: Some(&m(DType::F32, &[2, 4])), ..NONE }).contains("h0 must be [N, H], here [2, 3]"));
        assert!(said(Recurrence { lengths: Some(&m(DType::I64, &[2])), ..NONE }).contains("lengths must be int32 [N]"));
        assert!(said(Recurrence { mask: Some(&m(DType::Bool, &[5, 2])), ..NONE }).contains("mask must be bool [N, T]"));
        assert!(said(Recurrence { input_mask: Some(&m(DType::F32, &[2, 3])), ..NONE }).contains("inputMask must be [N, I]"));
        let other = |gates, w: &Meta, u: &Meta| recurrent(gates, &x, w, u, [None; 2], NONE).unwrap_err().message;
        assert!(other(3, &w, &u).contains("[3 H, H]"));
        assert!(other(4, &w, &m(DType::F64, &[12, 3])).contains("of its dtype"));
        assert!(other(4, &m(DType::F32, &[12, 6]), &u).contains("weightIh [12, 6]"));
        let saved = m(DType::F32, &[2, 5, 12]);
        let grad = |dh: Option<&Meta>, input| recurrent_grad(4, &x, &w, &u, &[("saved", Some(&saved), 4)], &[("dhidden", dh)], NONE, input);
        assert_eq!(grad(None, true).unwrap().dims(), [2, 5, 7]);
        assert_eq!(grad(None, false).unwrap().dims(), [0]);
        assert!(grad(Some(&m(DType::F32, &[3, 3])), true).is_err());
        assert_eq!(recurrent_steps(&x, &u, 4, true).unwrap().dims(), [2, 5, 12]);
        assert_eq!(recurrent_steps(&x, &u, 4, false).unwrap().dims(), [0]);
        assert_eq!(recurrent_state(&x, &u).unwrap().dims(), [2, 3]);
        assert_eq!(recurrent_bias(&u).unwrap().dims(), [12]);
    }
}
