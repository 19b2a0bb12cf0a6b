//! Rules of softmax and cross-entropy.
use super::{along, axis, like, need_float, show};
use crate::{DType, Error, Layout, Meta, Result, Shape};

/// A floating `x`, worked on along `dim`; the result is like it.
pub fn float_along(x: &Meta, dim: i64) -> Result<Meta> {
    need_float("x", x)?;
    along(x, dim)
}

/// The gradient of an op along `dim` from its result `y` and `dy`, which must agree in shape and dtype.
pub fn grad_along(y: &Meta, dy: &Meta, dim: i64) -> Result<Meta> {
    need_float("y", y)?;
    axis(dim, y.rank())?;
    if y.shape() != dy.shape() || y.dtype != dy.dtype {
        return Err(Error::shape(format!(
            "the gradient does not fit the result.\n  {}, {}\n  Give a gradient of the same shape and dtype.",
            show("y", y),
            show("dy", dy)
        )));
    }
    Ok(like(y))
}

/// logits [N, C], labels int32 [N], class_weight [C] of the logits' dtype: the loss of each row, [N].
pub fn cross_entropy(logits: &Meta, labels: &Meta, class_weight: Option<&Meta>) -> Result<Meta> {
    need_float("logits", logits)?;
    let &[rows, classes] = logits.dims() else {
        return Err(Error::shape(format!(
            "needs logits [N, C], one row a sample.\n  {}\n  Move the classes to the last dimension and flatten the others.",
            show("logits", logits)
        )));
    };
    if labels.dtype != DType::I32 {
        return Err(Error::dtype(format!("labels must be int32.\n  {}\n  Convert them with .to('int32').", show("labels", labels))));
    }
    if labels.dims() != [rows] {
        return Err(Error::shape(format!(
            "needs one label a row.\n  {} (N C), {} (N)\n  Give class indices, not one-hot rows, and as many as there are rows.",
            show("logits", logits),
            show("labels", labels)
        )));
    }
    if let Some(weight) = class_weight
        && (weight.dims() != [classes] || weight.dtype != logits.dtype)
    {
        return Err(Error::shape(format!(
            "needs one weight a class, of the logits' dtype.\n  {} (N C), {}\n  Give a weight of shape [{classes}].",
            show("logits", logits),
            show("class weight", weight)
        )));
    }
    Ok(row_stats(logits))
}

/// One number a row of `logits` [N, C].
pub fn row_stats(logits: &Meta) -> Meta {
    let rows = logits.dims().first().copied().unwrap_or(1);
    let mut shape = Shape::scalar();
    // A part of a valid shape is a valid shape.
    if let Ok(valid) = Shape::new(&[rows]) {
        shape = valid;
    }
    Meta { dtype: logits.dtype, layout: Layout::contiguous(shape) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_checks_its_operands() {
        let m = |d, dims: &[usize]| Meta::new(d, dims).unwrap();
        let logits = m(DType::F32, &[4, 3]);
        let labels = m(DType::I32, &[4]);
        assert_eq!(cross_entropy(&logits, &labels, None).unwrap().dims(), [4]);
        assert!(cross_entropy(&labels, &labels, None).is_err());
        assert!(cross_entropy(&m(DType::F32, &[4]), &labels, None).unwrap_err().message.contains("[N, C]"));
        assert!(cross_entropy(&logits, &m(DType::I64, &[4]), None).unwrap_err().message.contains("int32"));
        assert!(cross_entropy(&logits, &m(DType::I32, &[4, 3]), None).unwrap_err().message.contains("one-hot"));
        assert!(cross_entropy(&logits, &labels, Some(&m(DType::F32, &[4]))).is_err());
        assert!(cross_entropy(&logits, &labels, Some(&m(DType::F64, &[3]))).is_err());
        assert!(float_along(&labels, 0).is_err() && float_along(&logits, 2).is_err());
        assert!(grad_along(&logits, &m(DType::F32, &[4, 2]), 0).is_err());
    }
}
