//! Rules of the normalisations. Statistics are float32, or float64 for float64 inputs.
use super::{like, need_float, show};
use crate::{DType, Error, MAX_RANK, Meta, Result};

/// The dtype of means and variances of `x`.
fn stats_dtype(x: &Meta) -> DType {
    if x.dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

/// One statistic a channel: [C], C the last dimension.
pub fn channel_stats(x: &Meta) -> Meta {
    let c = x.dims().last().copied().unwrap_or(1);
    Meta::new(stats_dtype(x), &[c]).unwrap_or(super::scalar(stats_dtype(x)))
}

/// An affine parameter: floating, of the shape `dims`.
fn need_params(x: &Meta, what: &str, params: [(&str, Option<&Meta>); 2], dims: &[usize]) -> Result {
    need_float("x", x)?;
    for (name, p) in params {
        let Some(p) = p else { continue };
        need_float(name, p)?;
        if p.dims() != dims {
            return Err(Error::shape(format!(
                "{name} must have the shape {dims:?}, {what}.\n  {}, {}\n  Make the layer for this many features.",
                show("x", x),
                show(name, p)
            )));
        }
    }
    Ok(())
}

/// What is added to a result must have its shape and dtype.
fn need_residual(x: &Meta, residual: Option<&Meta>) -> Result {
    match residual {
        Some(r) if r.dims() != x.dims() || r.dtype != x.dtype => Err(Error::shape(format!(
            "the residual must have x's shape and dtype.\n  {}, {}\n  Add another with y.add(residual), which broadcasts.",
            show("x", x),
            show("residual", r)
        ))),
        _ => Ok(()),
    }
}

/// x [..., C] with weight, bias and statistics [C].
pub fn batch_norm_fixed(
    x: &Meta,
    mean: &Meta,
    variance: &Meta,
    weight: Option<&Meta>,
    bias: Option<&Meta>,
    residual: Option<&Meta>,
) -> Result<Meta> {
    need_float("x", x)?;
    let channels = &x.dims()[x.rank().saturating_sub(1)..];
    let what = "one a channel, the last dimension of x";
    need_params(x, what, [("mean", Some(mean)), ("variance", Some(variance))], channels)?;
    need_params(x, what, [("weight", weight), ("bias", bias)], channels)?;
    need_residual(x, residual)?;
    Ok(like(x))
}

/// x [..., C] with weight and bias [C].
pub fn batch_norm(x: &Meta, weight: Option<&Meta>, bias: Option<&Meta>, residual: Option<&Meta>) -> Result<Meta> {
    need_float("x", x)?;
    if x.rank() < 2 {
        return Err(Error::shape(format!(
            "x must have at least two dimensions, N ... C.\n  {}\n  Add the batch dimension with reshape.",
            show("x", x)
        )));
    }
    if x.dims()[..x.rank() - 1].contains(&0) {
        return Err(Error::shape(format!("no rows have no statistics.\n  {} (N ... C)\n  Leave out empty batches.", show("x", x))));
    }
    need_params(x, "one a channel, the last dimension of x", [("weight", weight), ("bias", bias)], &x.dims()[x.rank() - 1..])?;
    need_residual(x, residual)?;
    Ok(like(x))
}

/// How many leading dimensions are left when the last `dims` are normalised.
fn layer_split(x: &Meta, dims: i64) -> Result<usize> {
    match usize::try_from(dims) {
        Ok(d) if d >= 1 && d <= x.rank() => Ok(x.rank() - d),
        _ => Err(Error::shape(format!(
            "cannot normalise over the last {dims} dimensions.\n  {}\n  The normalised shape must be the end of x's shape.",
            show("x", x)
        ))),
    }
}

/// `x` normalised over its last `dims` dimensions, with weight and bias of their shape.
pub fn layer_norm(x: &Meta, weight: Option<&Meta>, bias: Option<&Meta>, dims: i64) -> Result<Meta> {
    let lead = layer_split(x, dims)?;
    need_params(x, "the normalised end of x's shape", [("weight", weight), ("bias", bias)], &x.dims()[lead..])?;
    Ok(like(x))
}

/// One statistic for each index of the leading dimensions.
pub fn layer_stats(x: &Meta, dims: i64) -> Result<Meta> {
    Meta::new(stats_dtype(x), &x.dims()[..layer_split(x, dims)?])
}

/// Gradients of layer_norm's weight and bias.
pub fn layer_params(x: &Meta, dims: i64) -> Result<Meta> {
    Meta::new(stats_dtype(x), &x.dims()[layer_split(x, dims)?..])
}

fn need_groups(x: &Meta, groups: i64) -> Result {
    if x.rank() < 2 || x.rank() > MAX_RANK {
        return Err(Error::shape(format!(
            "x must have at least two dimensions, N ... C.\n  {}\n  Add the batch dimension with reshape.",
            show("x", x)
        )));
    }
    let c = x.dims()[x.rank() - 1];
    if groups < 1 || !c.is_multiple_of(groups as usize) {
        return Err(Error::shape(format!(
            "{groups} groups do not divide {c} channels.\n  {} (N ... C)\n  Choose a number of groups that divides the last dimension.",
            show("x", x)
        )));
    }
    Ok(())
}

/// x [N, ..., C], normalised over each of `groups` runs of channels and all positions; weight and bias [C].
pub fn group_norm(x: &Meta, weight: Option<&Meta>, bias: Option<&Meta>, groups: i64) -> Result<Meta> {
    need_float("x", x)?;
    need_groups(x, groups)?;
    need_params(x, "one a channel, the last dimension of x", [("weight", weight), ("bias", bias)], &x.dims()[x.rank() - 1..])?;
    Ok(like(x))
}

/// [N, groups].
pub fn group_stats(x: &Meta, groups: i64) -> Result<Meta> {
    need_groups(x, groups)?;
    Meta::new(stats_dtype(x), &[x.dims()[0], groups as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }

    #[test]
    fn parameters_must_match_the_normalised_dimensions() {
        let x = meta(&[8, 4, 4, 6]);
        assert!(batch_norm(&x, Some(&meta(&[6])), None, None).is_ok());
        assert_eq!(
            batch_norm(&x, Some(&meta(&[5])), None, None).unwrap_err().message,
            "weight must have the shape [6], one a channel, the last dimension of x.\n  x [8, 4, 4, 6] float32, weight [5] float32\n  \
             Make the layer for this many features."
        );
        assert!(batch_norm(&meta(&[6]), None, None, None).is_err() && batch_norm(&meta(&[0, 6]), None, None, None).is_err());
        let half = Meta::new(DType::BF16, &[8, 4, 4, 6]).unwrap();
        assert!(batch_norm(&x, None, None, Some(&x)).is_ok() && batch_norm(&x, None, None, Some(&half)).is_err());
        assert!(batch_norm_fixed(&x, &meta(&[6]), &meta(&[6]), None, None, Some(&meta(&[6]))).is_err());
        assert!(layer_norm(&x, Some(&meta(&[4, 6])), None, 2).is_ok() && layer_norm(&x, None, None, 5).is_err());
        assert_eq!(layer_stats(&x, 2).unwrap().dims(), [8, 4]);
        assert_eq!(layer_params(&x, 1).unwrap().dims(), [6]);
        assert!(group_norm(&x, None, None, 4).is_err());
        assert_eq!(group_stats(&x, 3).unwrap().dims(), [8, 3]);
    }

    #[test]
    fn statistics_are_float32_but_for_float64() {
        let half = Meta::new(DType::BF16, &[2, 3]).unwrap();
        assert_eq!(channel_stats(&half), meta(&[3]));
        assert_eq!(channel_stats(&Meta::new(DType::F64, &[2, 3]).unwrap()).dtype, DType::F64);
        assert!(layer_norm(&Meta::new(DType::I32, &[2]).unwrap(), None, None, 1).is_err());
    }
}
