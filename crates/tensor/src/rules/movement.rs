//! Rules of the ops that move elements without changing them.
use super::{axes, axis, broadcast, like, show};
use crate::{DType, Error, Meta, Result, Shape, common_dtype, promote};

/// `x`'s shape in the dtype of code `dtype`.
pub fn with_dtype(x: &Meta, dtype: i64) -> Result<Meta> {
    Ok(Meta { dtype: DType::from_code(dtype)?, ..like(x) })
}

/// The tensors one after another along `dim`; other sizes must agree. Dtypes are promoted.
pub fn concat(xs: &[Meta], dim: i64) -> Result<Meta> {
    let Some(first) = xs.first() else {
        return Err(Error::value("needs at least one tensor.\n  The list is empty.\n  Pass the tensors as an array."));
    };
    if first.rank() == 0 {
        return Err(Error::shape(format!(
            "scalars cannot be concatenated.\n  {}\n  Use stack, or reshape them to [1].",
            show("xs[0]", first)
        )));
    }
    let i = axis(dim, first.rank())?;
    let mut shape = first.shape();
    let mut dtype = first.dtype;
    let mut total = first.dims()[i];
    for (k, x) in xs.iter().enumerate().skip(1) {
        let fits = x.rank() == first.rank() && (0..x.rank()).all(|d| d == i || x.dims()[d] == first.dims()[d]);
        if !fits {
            return Err(Error::shape(format!(
                "sizes differ outside dim {i}.\n  {}, {}\n  Only dim {i} may differ; pad or slice the others.",
                show("xs[0]", first),
                show(&format!("xs[{k}]"), x)
            )));
        }
        total = total.saturating_add(x.dims()[i]);
        dtype = promote(dtype, x.dtype);
    }
    shape.dims_mut()[i] = total;
    Meta::new(dtype, shape.dims())
}

/// `pads` as PyTorch's `F.pad`: before and after the last dimension, then the one before it, and so on. Negative ones crop.
pub fn pad(x: &Meta, pads: &[i64]) -> Result<Meta> {
    if !pads.len().is_multiple_of(2) || pads.len() / 2 > x.rank() {
        return Err(Error::shape(format!(
            "pads come in pairs, at most one a dimension.\n  pads {pads:?}, {}\n  \
             Give [before, after] of the last dimension, then of the one before it.",
            show("x", x)
        )));
    }
    let mut shape = x.shape();
    for (k, pair) in pads.chunks_exact(2).enumerate() {
        let d = x.rank() - 1 - k;
        let n = x.dims()[d] as i64;
        let padded = n.checked_add(pair[0]).and_then(|m| m.checked_add(pair[1]));
        // A crop may not take more than there is from either side.
        let Some(m) = padded.filter(|&m| m >= 0 && n + pair[0].min(0) >= 0 && n + pair[1].min(0) >= 0) else {
            return Err(Error::shape(format!(
                "pads {pair:?} leave no valid size for dim {d}.\n  {}\n  A negative pad crops, at most the size itself.",
                show("x", x)
            )));
        };
        shape.dims_mut()[d] = m as usize;
    }
    Meta::new(x.dtype, shape.dims())
}

/// `a` where `condition` holds, else `b`; all three broadcast.
pub fn where_(condition: &Meta, a: &Meta, b: &Meta) -> Result<Meta> {
    if condition.dtype != DType::Bool {
        return Err(Error::dtype(format!(
            "the condition must be bool.\n  {}\n  Compare it first, as condition.ne(0).",
            show("condition", condition)
        )));
    }
    let shape: Shape = broadcast(&[condition, a, b])?;
    Meta::new(common_dtype([a, b].into_iter()).unwrap_or(a.dtype), shape.dims())
}

/// The elements of `dims` in reverse order.
pub fn flip(x: &Meta, dims: &[i64]) -> Result<Meta> {
    axes(dims, x.rank())?;
    Ok(like(x))
}

/// Checks `target.assign_(source)`: the source must broadcast to the target's shape.
pub fn assign(target: &Meta, source: &Meta) -> Result {
    if source.layout.broadcast_to(target.shape()).is_none() {
        return Err(Error::shape(format!(
            "the source does not broadcast to the target.\n  {}, {}\n  Reshape the source, or slice the target.",
            show("target", target),
            show("source", source)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }

    #[test]
    fn concat_adds_sizes_and_promotes() {
        let int = Meta::new(DType::I32, &[2, 5]).unwrap();
        assert_eq!(concat(&[int, meta(&[2, 0]), meta(&[2, 1])], -1).unwrap(), meta(&[2, 6]));
        let e = concat(&[meta(&[2, 3]), meta(&[3, 3])], 1).unwrap_err().message;
        assert_eq!(
            e,
            "sizes differ outside dim 1.\n  xs[0] [2, 3] float32, xs[1] [3, 3] float32\n  Only dim 1 may differ; pad or slice the others."
        );
        assert!(concat(&[], 0).is_err() && concat(&[meta(&[])], 0).is_err() && concat(&[meta(&[2])], 1).is_err());
    }

    #[test]
    fn pads_count_from_the_last_dimension_and_may_crop() {
        assert_eq!(pad(&meta(&[2, 3]), &[1, 2, 0, 4]).unwrap().dims(), [6, 6]);
        assert_eq!(pad(&meta(&[2, 3]), &[-1, -2]).unwrap().dims(), [2, 0]);
        assert!(pad(&meta(&[2, 3]), &[-4, 5]).is_err() && pad(&meta(&[3]), &[1]).is_err() && pad(&meta(&[3]), &[0; 4]).is_err());
        assert!(pad(&meta(&[3]), &[i64::MAX, 1]).is_err() && pad(&meta(&[3]), &[i64::MIN, 0]).is_err());
    }

    #[test]
    fn where_wants_a_bool() {
        let c = Meta::new(DType::Bool, &[3, 1]).unwrap();
        assert_eq!(where_(&c, &meta(&[]), &meta(&[2])).unwrap(), meta(&[3, 2]));
        assert!(where_(&meta(&[3]), &meta(&[]), &meta(&[])).unwrap_err().message.contains("condition.ne(0)"));
        assert!(where_(&c, &meta(&[4, 1]), &meta(&[])).is_err());
        assert!(assign(&meta(&[2, 3]), &meta(&[3])).is_ok() && assign(&meta(&[3]), &meta(&[2, 3])).is_err());
    }
}
