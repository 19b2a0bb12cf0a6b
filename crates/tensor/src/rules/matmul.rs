//! Shapes of matrix products.
use super::show;
use crate::{DType, Error, MAX_RANK, Meta, Result, Shape};

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
    let y = linear_shape(x, weight)?;
    if let Some(bias) = bias {
        same_dtype(("x", x), ("bias", bias))?;
        one_an_output("bias", bias, weight)?;
    }
    Meta::new(x.dtype, y.dims())
}

/// Products of a uint8 and an int8 whose sum an int32 always holds: 255 * 128 * 65793 < 2^31.
pub const MAX_QUANTIZED_FEATURES: usize = 65_793;

/// x uint8 [..., in], weight int8 [out, in], weight_scale and bias float32 [out] -> float32 [..., out].
pub fn quantized_linear(
    x: &Meta,
    weight: &Meta,
    weight_scale: &Meta,
    bias: Option<&Meta>,
    x_scale: f64,
    x_zero_point: i64,
) -> Result<Meta> {
    need_dtype("x", x, DType::U8)?;
    need_dtype("weight", weight, DType::I8)?;
    let y = linear_shape(x, weight)?;
    let features = weight.dims()[1];
    if features > MAX_QUANTIZED_FEATURES {
        return Err(Error::shape(format!(
            "{features} features are more than an int32 sum holds.\n  {}, {} (out in)\n  \
             Split them into parts of at most {MAX_QUANTIZED_FEATURES}, and add the results.",
            show("x", x),
            show("weight", weight)
        )));
    }
    need_dtype("weight_scale", weight_scale, DType::F32)?;
    one_an_output("weight_scale", weight_scale, weight)?;
    if let Some(bias) = bias {
        need_dtype("bias", bias, DType::F32)?;
        one_an_output("bias", bias, weight)?;
    }
    if !(x_scale > 0.0 && x_scale.is_finite()) {
        return Err(Error::value(format!(
            "the scale of x must be a positive number.\n  x_scale {x_scale}\n  Use (max - min) / 255 of the values that x stands for."
        )));
    }
    if !(0..=255).contains(&x_zero_point) {
        return Err(Error::value(format!(
            "the zero point of x must be a uint8.\n  x_zero_point {x_zero_point}\n  Use a whole number from 0 to 255: the code of the value 0."
        )));
    }
    Meta::new(DType::F32, y.dims())
}

fn need_dtype(name: &str, x: &Meta, dtype: DType) -> Result {
    if x.dtype == dtype {
        return Ok(());
    }
    Err(Error::dtype(format!("{name} must be {dtype}.\n  {}\n  Convert it with .to('{dtype}').", show(name, x))))
}

/// The shape of x W^T.
fn linear_shape(x: &Meta, weight: &Meta) -> Result<Shape> {
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
    let mut y = x.shape();
    *y.dims_mut().last_mut().expect("not a scalar") = out;
    Ok(y)
}

/// Fails unless `v` has one element for each output of `weight`.
fn one_an_output(name: &str, v: &Meta, weight: &Meta) -> Result {
    let out = weight.dims()[0];
    if v.dims() == [out] {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{name} does not fit {out} outputs.\n  {}, {} (out in)\n  Use a {name} [{out}].",
        show(name, v),
        show("weight", weight)
    )))
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
    #[test]
    fn a_quantized_linear_names_the_dtype_and_the_range() {
        let of = |dtype: DType, dims: &[usize]| Meta::new(dtype, dims).unwrap();
        let (x, w, scale) = (of(DType::U8, &[2, 5, 3]), of(DType::I8, &[4, 3]), meta(&[4]));
        let y = quantized_linear(&x, &w, &scale, Some(&scale), 0.1, 255).unwrap();
        assert!(y.dims() == [2, 5, 4] && y.dtype == DType::F32);
        let fails = |x: &Meta, w: &Meta, scale: &Meta, bias: Option<&Meta>, x_scale: f64, zero: i64, with: &str| {
            let message = quantized_linear(x, w, scale, bias, x_scale, zero).unwrap_err().message;
            assert!(message.contains(with), "{message}");
        };
        fails(&of(DType::I8, &[2, 3]), &w, &scale, None, 0.1, 0, "x must be uint8");
        fails(&x, &of(DType::U8, &[4, 3]), &scale, None, 0.1, 0, "weight must be int8");
        fails(&x, &of(DType::I8, &[4, 5]), &scale, None, 0.1, 0, "weight expects 5");
        fails(&x, &w, &of(DType::F64, &[4]), None, 0.1, 0, "weight_scale must be float32");
        fails(&x, &w, &meta(&[3]), None, 0.1, 0, "Use a weight_scale [4]");
        fails(&x, &w, &scale, Some(&meta(&[4, 1])), 0.1, 0, "Use a bias [4]");
        fails(&x, &w, &scale, None, f64::NAN, 0, "x_scale NaN");
        fails(&x, &w, &scale, None, 0.1, 256, "x_zero_point 256");
        let long = MAX_QUANTIZED_FEATURES + 1;
        fails(&of(DType::U8, &[1, long]), &of(DType::I8, &[4, long]), &scale, None, 0.1, 0, "Split them");
    }
}
