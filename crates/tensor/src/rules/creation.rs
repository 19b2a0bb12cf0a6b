//! Rules of `full`, `arange`, `eye` and `orthogonal`.
use super::{like, need_float, show};
use crate::{DType, Error, MAX_RANK, Meta, Result};

/// A new tensor of `dims` and the dtype of code `dtype`.
pub fn new(dims: &[i64], dtype: i64) -> Result<Meta> {
    let mut sizes = [0usize; MAX_RANK];
    if dims.len() > MAX_RANK {
        return Err(Error::shape(format!("a tensor has at most {MAX_RANK} dimensions.\n  shape {dims:?}\n  Merge some of them.")));
    }
    for (to, &d) in sizes.iter_mut().zip(dims) {
        *to = usize::try_from(d).map_err(|_| Error::shape(format!("a size is negative.\n  shape {dims:?}\n  Use sizes of 0 or more.")))?;
    }
    Meta::new(DType::from_code(dtype)?, &sizes[..dims.len()])
}

/// Rows (the first dimension) or columns (all others) become orthonormal.
pub fn orthogonal(x: &Meta) -> Result<Meta> {
    need_float("x", x)?;
    if x.rank() < 2 {
        return Err(Error::shape(format!(
            "needs at least two dimensions: rows and columns.\n  {}\n  Use another initialiser for vectors.",
            show("x", x)
        )));
    }
    Ok(like(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_checks_sizes_and_dtype() {
        assert_eq!(new(&[2, 0], 4).unwrap(), Meta::new(DType::I64, &[2, 0]).unwrap());
        assert!(new(&[-1], 0).is_err() && new(&[1], 9).is_err() && new(&[1; 9], 0).is_err());
        assert!(new(&[], 0).unwrap().rank() == 0);
    }
}
