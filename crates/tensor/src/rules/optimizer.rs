//! Rules of the optimizers' helpers.
use super::{need_float, scalar};
use crate::{DType, Meta, Result};

/// The norm of all elements of all tensors: float32, or float64 if any of them is.
pub fn grad_norm(xs: &[Meta]) -> Result<Meta> {
    for x in xs {
        need_float("gradient", x)?;
    }
    Ok(scalar(if xs.iter().any(|x| x.dtype == DType::F64) { DType::F64 } else { DType::F32 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float64_wins() {
        let m = |d| Meta::new(d, &[2]).unwrap();
        assert_eq!(grad_norm(&[m(DType::F32), m(DType::F64)]).unwrap().dtype, DType::F64);
        assert_eq!(grad_norm(&[]).unwrap().dtype, DType::F32);
        assert!(grad_norm(&[m(DType::I32)]).is_err());
    }
}
