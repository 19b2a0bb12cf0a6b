//! Rules of the reductions and the cumulative ops. `dims` empty means all dimensions.
use super::{along, axes, axis, show};
use crate::{DType, Error, MAX_RANK, Meta, Result};

/// `x` without the dimensions `dims`, or with them as 1.
fn reduced(x: &Meta, dims: &[i64], keepdim: bool, dtype: DType) -> Result<Meta> {
    let gone = axes(dims, x.rank())?;
    let (mut sizes, mut rank) = ([1usize; MAX_RANK], 0);
    for (&d, &gone) in x.dims().iter().zip(&gone) {
        if !gone || keepdim {
            sizes[rank] = if gone { 1 } else { d };
            rank += 1;
        }
    }
    Meta::new(dtype, &sizes[..rank])
}

/// Sums and products: floats keep their dtype, integers and bools give int64.
pub fn sum(x: &Meta, dims: &[i64], keepdim: bool) -> Result<Meta> {
    reduced(x, dims, keepdim, if x.dtype.is_float() { x.dtype } else { DType::I64 })
}

/// Means of floats.
pub fn mean(x: &Meta, dims: &[i64], keepdim: bool) -> Result<Meta> {
    if !x.dtype.is_float() {
        return Err(Error::dtype(format!(
            "a mean of integers has no dtype to be in.\n  {}\n  Convert it first, as x.to('float32').mean().",
            show("x", x)
        )));
    }
    reduced(x, dims, keepdim, x.dtype)
}

/// Largest or smallest elements; of no elements there is none.
pub fn extremum(x: &Meta, dims: &[i64], keepdim: bool) -> Result<Meta> {
    let gone = axes(dims, x.rank())?;
    if let Some(i) = (0..x.rank()).find(|&i| gone[i] && x.dims()[i] == 0) {
        return Err(no_elements(x, i));
    }
    reduced(x, dims, keepdim, x.dtype)
}

fn no_elements(x: &Meta, dim: usize) -> Error {
    Error::shape(format!(
        "no elements have no largest or smallest.\n  {}: dim {dim} is empty\n  Reduce over dimensions that are not empty.",
        show("x", x)
    ))
}

/// `any` and `all`: bool.
pub fn predicate(x: &Meta, dims: &[i64], keepdim: bool) -> Result<Meta> {
    reduced(x, dims, keepdim, DType::Bool)
}

/// Positions of the largest or smallest along `dim`: int32.
pub fn arg_extremum(x: &Meta, dim: i64, keepdim: bool) -> Result<Meta> {
    let i = axis(dim, x.rank())?;
    if x.dims().get(i) == Some(&0) {
        return Err(no_elements(x, i));
    }
    reduced(x, if x.rank() == 0 { &[] } else { std::slice::from_ref(&dim) }, keepdim, DType::I32)
}

/// Running sums and products along `dim`: floats keep their dtype, integers and bools give int64.
pub fn cumulative(x: &Meta, dim: i64) -> Result<Meta> {
    Ok(Meta { dtype: if x.dtype.is_float() { x.dtype } else { DType::I64 }, ..along(x, dim)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dims_go_or_stay_as_one() {
        let x = Meta::new(DType::F32, &[2, 3, 4]).unwrap();
        assert_eq!(sum(&x, &[1], false).unwrap().dims(), [2, 4]);
        assert_eq!(sum(&x, &[0, -1], true).unwrap().dims(), [1, 3, 1]);
        assert_eq!(sum(&x, &[], false).unwrap().rank(), 0);
        assert!(sum(&x, &[1, 1], false).is_err() && sum(&x, &[3], false).is_err());
        assert_eq!(arg_extremum(&x, -1, true).unwrap(), Meta::new(DType::I32, &[2, 3, 1]).unwrap());
        assert_eq!(arg_extremum(&Meta::new(DType::F32, &[]).unwrap(), -1, false).unwrap().rank(), 0);
    }

    #[test]
    fn dtypes_follow_pytorch() {
        let ints = Meta::new(DType::U8, &[2]).unwrap();
        assert_eq!(sum(&ints, &[], false).unwrap().dtype, DType::I64);
        assert_eq!(cumulative(&ints, 0).unwrap().dtype, DType::I64);
        assert_eq!(extremum(&ints, &[], false).unwrap().dtype, DType::U8);
        assert_eq!(predicate(&ints, &[], false).unwrap().dtype, DType::Bool);
        assert_eq!(
            mean(&ints, &[], false).unwrap_err().message,
            "a mean of integers has no dtype to be in.\n  x [2] uint8\n  Convert it first, as x.to('float32').mean()."
        );
    }

    #[test]
    fn nothing_has_no_extremum() {
        let x = Meta::new(DType::F32, &[2, 0]).unwrap();
        assert!(extremum(&x, &[1], false).is_err() && arg_extremum(&x, 1, false).is_err());
        assert_eq!(extremum(&x, &[0], false).unwrap().dims(), [0]);
    }
}
