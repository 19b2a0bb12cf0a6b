//! Shapes of matrix products.
use super::show;
use crate::{DType, Error, MAX_RANK, Meta, Result};

fn same_dtype(a: (&str, &Meta), b: (&str, &Meta)) -> Result {
    if a.1.dtype == b.1.dtype {
        return Ok(());
    }
    Err(Error::dtype(format!(
        "{} is {}, {} is {}.\n  {}, {}\n  Bring both to one dtype, for instance with {}.to('{}').",
        a.0,
        a.1.dtype,
        b.0,
        b.1.dtype,
        show(a.0, a.1),
        show(b.0, b.1),
        b.0,
        a.1.dtype
    )))
}

fn product_dtype(dtype: DType) -> Result {
    if dtype == DType::Bool {
        return Err(Error::dtype("there is no product of bool tensors.\n  Use x.to('int32'), or logicalAnd for elements."));
    }
    Ok(())
}

/// The product over the last two dimensions with the leading ones broadcast; a 1-D operand is a row on the left and a column on the right,
/// and its dimension goes from the result.
pub fn matmul(a: &Meta, b: &Meta) -> Result<Meta> {
    let (ad, bd) = (a.dims(), b.dims());
    let dtype = crate::promote(a.dtype, b.dtype);
    product_dtype(dtype)?;
    if ad.is_empty() || bd.is_empty() {
        let which = if ad.is_empty() { "left" } else { "right" };
        return Err(Error::shape(format!(
            "the {which} operand is a scalar.\n  {}, {}\n  Use a.mul(b) for a product with a number.",
            show("left", a),
            show("right", b)
        )));
    }
    let k = ad[ad.len() - 1];
    let inner = bd[bd.len().max(2) - 2];
    if k != inner {
        let hint = if bd.len() > 1 && bd[bd.len() - 1] == k {
            "Transpose the right operand: a.matmul(b.transpose(-2, -1))."
        } else if ad.len() > 1 && ad[ad.len() - 2] == inner {
            "Transpose the left operand: a.transpose(-2, -1).matmul(b)."
        } else {
            "The last size of the left operand must be the last but one of the right."
        };
        return Err(Error::shape(format!(
            "left has {k} columns, right has {inner} rows.\n  {} (... M K), {} (... K N)\n  {hint}",
            show("left", a),
            show("right", b)
        )));
    }
    let (a_lead, b_lead) = (ad.len().max(2) - 2, bd.len().max(2) - 2);
    let lead = a_lead.max(b_lead);
    let mut dims = [1usize; MAX_RANK];
    for (i, dim) in dims[..lead].iter_mut().enumerate() {
        let x = if i + a_lead >= lead { ad[i + a_lead - lead] } else { 1 };
        let y = if i + b_lead >= lead { bd[i + b_lead - lead] } else { 1 };
        *dim = if x == 1 { y } else { x };
        if x != y && x != 1 && y != 1 {
            return Err(Error::shape(format!(
                "stacks of {x} and {y} matrices do not broadcast.\n  {}, {}\n  Leading sizes must be equal, or 1.",
                show("left", a),
                show("right", b)
            )));
        }
    }
    let mut rank = lead;
    if ad.len() > 1 {
        dims[rank] = ad[ad.len() - 2];
        rank += 1;
    }
    if bd.len() > 1 {
        dims[rank] = bd[bd.len() - 1];
        rank += 1;
    }
    Meta::new(dtype, &dims[..rank])
}

/// x [..., in], weight [out, in], bias [out] -> [..., out].
pub fn linear(x: &Meta, weight: &Meta, bias: Option<&Meta>) -> Result<Meta> {
    product_dtype(x.dtype)?;
    same_dtype(("x", x), ("weight", weight))?;
    let (xd, wd) = (x.dims(), weight.dims());
    let [out, features] = wd[..] else {
        return Err(Error::shape(format!("weight must be a matrix.\n  {} (out in)\n  Use a weight [out, in].", show("weight", weight))));
    };
    let Some(&last) = xd.last() else {
        return Err(Error::shape(format!("x is a scalar.\n  {}\n  Use an x [..., {features}].", show("x", x))));
    };
    if last != features {
        let flat: usize = xd[1..].iter().product();
        let hint = if xd.len() > 2 && flat == features {
            "Flatten it first: x.flatten(1).".to_string()
        } else {
            format!("Use new Linear({last}, {out}).")
        };
        return Err(Error::shape(format!(
            "x has {last} features, weight expects {features}.\n  {}, {} (out in)\n  {hint}",
            show("x", x),
            show("weight", weight)
        )));
    }
    if let Some(bias) = bias {
        same_dtype(("x", x), ("bias", bias))?;
        if bias.dims() != [out] {
            return Err(Error::shape(format!(
                "bias does not fit {out} outputs.\n  {}, {} (out in)\n  Use a bias [{out}].",
                show("bias", bias),
                show("weight", weight)
            )));
        }
    }
    let mut y = x.shape();
    *y.dims_mut().last_mut().expect("not a scalar") = out;
    Meta::new(x.dtype, y.dims())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }

    #[test]
    fn vectors_and_stacks_follow_pytorch() {
        let cases: [(&[usize], &[usize], &[usize]); 9] = [
            (&[3], &[3], &[]),
            (&[2, 3], &[3], &[2]),
            (&[3], &[3, 4], &[4]),
            (&[2, 3], &[3, 4], &[2, 4]),
            (&[5, 1, 2, 3], &[7, 3, 4], &[5, 7, 2, 4]),
            (&[3], &[7, 3, 4], &[7, 4]),
            (&[7, 2, 3], &[3], &[7, 2]),
            (&[0, 3], &[3, 4], &[0, 4]),
            (&[2, 0], &[0, 4], &[2, 4]),
        ];
        for (a, b, y) in cases {
            assert_eq!(matmul(&meta(a), &meta(b)).unwrap().dims(), y, "{a:?} {b:?}");
        }
        for (a, b) in [(&[2, 3][..], &[2, 3][..]), (&[][..], &[1][..]), (&[2, 2, 3][..], &[3, 3, 4][..])] {
            assert!(matmul(&meta(a), &meta(b)).is_err(), "{a:?} {b:?}");
        }
        let message = matmul(&meta(&[2, 3]), &meta(&[4, 3])).unwrap_err().message;
        assert!(message.starts_with("left has 3 columns, right has 4 rows.\n") && message.contains("b.transpose(-2, -1)"), "{message}");
    }

    #[test]
    fn linear_names_the_layer_that_fits() {
        assert_eq!(linear(&meta(&[2, 5, 3]), &meta(&[4, 3]), Some(&meta(&[4]))).unwrap().dims(), &[2, 5, 4]);
        let message = linear(&meta(&[2, 1024]), &meta(&[10, 1600]), None).unwrap_err().message;
        assert!(message.contains("x has 1024 features, weight expects 1600.") && message.contains("new Linear(1024, 10)"), "{message}");
        assert!(linear(&meta(&[2, 4, 4, 3]), &meta(&[10, 48]), None).unwrap_err().message.contains("x.flatten(1)"));
        assert!(linear(&meta(&[2, 3]), &meta(&[4, 3]), Some(&meta(&[3]))).is_err());
        let double = Meta::new(DType::F64, &[4, 3]).unwrap();
        assert!(linear(&meta(&[2, 3]), &double, None).unwrap_err().message.contains("weight.to('float32')"));
    }
}
