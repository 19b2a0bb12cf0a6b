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
    /// `units`, of h, and by which letter they go, may differ from the cells'.
    fn check(&self, [n, t, i, h]: [usize; 4], dtype: DType, (units, letters): (usize, &str)) -> Result {
        need("h0", self.h0, dtype, &[n, units], letters)?;
        need("c0", self.c0, dtype, &[n, h], "[N, H]")?;
        need("lengths", self.lengths, DType::I32, &[n], "int32 [N]")?;
        need("mask", self.mask, DType::Bool, &[n, t], "bool [N, T]")?;
        need("inputMask", self.input_mask, dtype, &[n, i], "[N, I]")?;
        need("recurrentMask", self.recurrent_mask, dtype, &[n, units], letters)
    }
}

/// The states after every step, [N, T, H].
pub fn recurrent(gates: usize, x: &Meta, weight_ih: &Meta, weight_hh: &Meta, biases: [Option<&Meta>; 2], more: Recurrence) -> Result<Meta> {
    let [n, t, i, h] = sizes(gates, x, weight_ih, weight_hh)?;
    for (name, bias) in ["biasIh", "biasHh"].into_iter().zip(biases) {
        need(name, bias, x.dtype, &[gates * h], "one a gate and unit")?;
    }
    more.check([n, t, i, h], x.dtype, (h, "[N, H]"))?;
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
    more.check([n, t, i, h], x.dtype, (h, "[N, H]"))?;
    if input_grad { tensor(x.dtype, &[n, t, i]) } else { tensor(x.dtype, &[0]) }
}

/// What makes an LSTM another than the common one.
pub struct LstmVariant<'a> {
    pub weight_hr: Option<&'a Meta>,
    pub peephole: Option<&'a Meta>,
    pub norm_ih: Option<&'a Meta>,
    pub norm_hh: Option<&'a Meta>,
    pub norm_c: Option<&'a Meta>,
    pub bias_c: Option<&'a Meta>,
    pub bias: Option<&'a Meta>,
}

impl LstmVariant<'_> {
    /// Rows, steps, features, cells, and units of h.
    fn sizes(&self, x: &Meta, weight_ih: &Meta, weight_hh: &Meta) -> Result<[usize; 5]> {
        need_float("x", x)?;
        let h = weight_ih.dims().first().map_or(0, |rows| rows / 4);
        let p = self.weight_hr.map_or(Some(h), |w| w.dims().first().copied()).unwrap_or(0);
        let &[n, t, i] = x.dims() else {
            return Err(Error::shape(format!("x must be [N, T, I].\n  {}\n  Add the batch dimension with x.unsqueeze(0).", show("x", x))));
        };
        need("weightIh", Some(weight_ih), x.dtype, &[4 * h, i], "[4 H, I]")?;
        need("weightHr", self.weight_hr, x.dtype, &[p, h], "[P, H]")?;
        need("weightHh", Some(weight_hh), x.dtype, &[4 * h, p], "[4 H, P]")?;
        let own = [
            ("peephole", self.peephole, 3, "[3 H]"),
            ("normIh", self.norm_ih, 4, "[4 H]"),
            ("normHh", self.norm_hh, 4, "[4 H]"),
            ("normC", self.norm_c, 1, "[H]"),
            ("biasC", self.bias_c, 1, "[H]"),
            ("bias", self.bias, 4, "[4 H]"),
        ];
        for (name, given, blocks, letters) in own {
            need(name, given, x.dtype, &[blocks * h], letters)?;
        }
        Ok([n, t, i, h, p])
    }
    /// Blocks of H that a step keeps: the gates, and the sums where they are normalised.
    pub fn saved(&self) -> usize {
        if self.norm_ih.is_some() || self.norm_hh.is_some() { 12 } else { 4 }
    }
    /// The states after every step, [N, T, P].
    pub fn output(&self, x: &Meta, weight_ih: &Meta, weight_hh: &Meta, more: Recurrence) -> Result<Meta> {
        let [n, t, i, h, p] = self.sizes(x, weight_ih, weight_hh)?;
        more.check([n, t, i, h], x.dtype, (p, "[N, P]"))?;
        tensor(x.dtype, &[n, t, p])
    }
    /// The gradient of x, [N, T, I], or nothing. `output`: what is as h is; `cells`: as c, with so many blocks.
    pub fn grad(
        &self,
        x: &Meta,
        weight_ih: &Meta,
        weight_hh: &Meta,
        output: [(&str, Option<&Meta>); 3],
        cells: [(&str, Option<&Meta>, usize); 3],
        more: Recurrence,
        input_grad: bool,
    ) -> Result<Meta> {
        let [n, t, i, h, p] = self.sizes(x, weight_ih, weight_hh)?;
        let whole = |last: bool| if last { vec![n] } else { vec![n, t] };
        for (name, given) in output {
            need(name, given, x.dtype, &[whole(name == "dhidden"), vec![p]].concat(), "as h is")?;
        }
        for (name, given, blocks) in cells {
            need(name, given, x.dtype, &[whole(name == "dcell"), vec![blocks * h]].concat(), "as the cells are")?;
        }
        more.check([n, t, i, h], x.dtype, (p, "[N, P]"))?;
        if input_grad { tensor(x.dtype, &[n, t, i]) } else { tensor(x.dtype, &[0]) }
    }
}

/// As [`recurrent_steps`], of an LSTM whose h may have fewer units.
pub fn lstm_steps(x: &Meta, weight_ih: &Meta, blocks: usize, keep: bool) -> Result<Meta> {
    let (&[n, t, _], &[gates, _]) = (x.dims(), weight_ih.dims()) else { return tensor(x.dtype, &[0]) };
    if keep { tensor(x.dtype, &[n, t, blocks * (gates / 4)]) } else { tensor(x.dtype, &[0]) }
}

/// The cell of every row, [N, H].
pub fn lstm_cell(x: &Meta, weight_ih: &Meta) -> Result<Meta> {
    tensor(x.dtype, &[x.dims().first().copied().unwrap_or(0), weight_ih.dims().first().map_or(0, |gates| gates / 4)])
}

/// As an operand, or nothing where there is none.
pub fn like_or_nothing(dtype: DType, x: Option<&Meta>) -> Result<Meta> {
    tensor(dtype, x.map_or(&[0], |x| x.dims()))
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

    #[test]
    fn operands_of_variants_must_fit() {
        let m = |dims: &[usize]| Meta::new(DType::F32, dims).unwrap();
        let (x, w, u, r, p) = (m(&[2, 5, 7]), m(&[12, 7]), m(&[12, 2]), m(&[2, 3]), m(&[9]));
        let (wide, narrow) = (m(&[2, 3]), m(&[2, 2]));
        let none = || LstmVariant { weight_hr: None, peephole: None, norm_ih: None, norm_hh: None, norm_c: None, bias_c: None, bias: None };
        let projected = || LstmVariant { weight_hr: Some(&r), ..none() };
        assert_eq!(projected().output(&x, &w, &u, NONE).unwrap().dims(), [2, 5, 2]);
        assert_eq!(LstmVariant { peephole: Some(&p), ..projected() }.output(&x, &w, &u, NONE).unwrap().dims(), [2, 5, 2]);
        let said = |variant: LstmVariant, u: &Meta, more| variant.output(&x, &w, u, more).unwrap_err().message;
        assert!(said(none(), &u, NONE).contains("weightHh must be [4 H, P], here [12, 3]"));
        assert!(said(LstmVariant { peephole: Some(&r), ..projected() }, &u, NONE).contains("peephole must be [3 H], here [9]"));
        assert!(said(LstmVariant { norm_c: Some(&p), ..projected() }, &u, NONE).contains("normC must be [H], here [3]"));
        assert!(said(projected(), &u, Recurrence { h0: Some(&wide), ..NONE }).contains("h0 must be [N, P], here [2, 2]"));
        assert!(said(projected(), &u, Recurrence { c0: Some(&narrow), ..NONE }).contains("c0 must be [N, H], here [2, 3]"));
        assert_eq!(lstm_steps(&x, &w, 4, true).unwrap().dims(), [2, 5, 12]);
        assert_eq!(lstm_cell(&x, &w).unwrap().dims(), [2, 3]);
        let (output, cells, saved) = (m(&[2, 5, 2]), m(&[2, 5, 3]), m(&[2, 5, 12]));
        let grad = |output: &Meta, saved: &Meta, dcell: Option<&Meta>| {
            let kept = [("saved", Some(saved), 4), ("cells", Some(&cells), 1), ("dcell", dcell, 1)];
            projected().grad(&x, &w, &u, [("output", Some(output)), ("doutput", None), ("dhidden", None)], kept, NONE, true)
        };
        assert_eq!(grad(&output, &saved, None).unwrap().dims(), [2, 5, 7]);
        assert!(grad(&cells, &saved, None).is_err());
        assert!(grad(&output, &cells, None).is_err());
        assert!(grad(&output, &saved, Some(&narrow)).is_err());
    }
}
