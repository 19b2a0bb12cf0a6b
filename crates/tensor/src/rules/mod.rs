//! Shape and dtype rules of the ops, one language and one place for every device. A rule checks its arguments and gives an output's `Meta`
//! (contiguous), or an error whose message states the fault, the shapes that came with their letters, and the way out.
//! The runtime puts the op's name before it.
mod conv2d;
mod creation;
mod ctc;
mod dense_block;
mod images;
mod indexing;
mod matmul;
mod movement;
mod norm;
mod optimizer;
mod pointwise;
mod pool2d;
mod random;
mod recurrent;
mod reduce;
mod softmax;
mod views;

pub use conv2d::*;
pub use creation::*;
pub use ctc::*;
pub use dense_block::*;
// By name: other rules have an inner helper of the same name.
pub use images::{images, resize};
pub use indexing::*;
pub use matmul::*;
pub use movement::*;
pub use norm::*;
pub use optimizer::*;
pub use pointwise::*;
pub use pool2d::*;
pub use random::*;
pub use recurrent::*;
pub use reduce::*;
pub use softmax::*;
pub use views::*;

use crate::{DType, Error, MAX_RANK, Meta, Result, Shape};

/// `dim` counted from the front: -1 is the last of `rank` dimensions. A rank of 0 has the dimensions 0 and -1, as in PyTorch;
/// both answer 0, so callers that index `dims()` with it must look at the rank first.
pub fn axis(dim: i64, rank: usize) -> Result<usize> {
    let n = rank.max(1) as i64;
    if !(-n..n).contains(&dim) {
        return Err(Error::value(format!(
            "dim {dim} does not exist.\n  The tensor has {rank} dimensions.\n  Use a dim from {} to {}.",
            -n,
            n - 1
        )));
    }
    Ok(dim.rem_euclid(n) as usize)
}

/// Which of `rank` dimensions `dims` names (negative ones count from the end); all of them where it is empty. A dimension named twice
/// is an error.
pub fn axes(dims: &[i64], rank: usize) -> Result<[bool; MAX_RANK]> {
    let mut named = [false; MAX_RANK];
    if dims.is_empty() {
        named[..rank].fill(true);
        return Ok(named);
    }
    for &dim in dims {
        let i = axis(dim, rank)?;
        if rank > 0 && std::mem::replace(&mut named[i], true) {
            return Err(Error::value(format!(
                "dim {dim} is named twice.\n  dims {dims:?} of a tensor with {rank} dimensions.\n  Name each dimension once."
            )));
        }
    }
    Ok(named)
}

/// The shape that all of `metas` broadcast to: sizes are compared from the last dimension, and a 1 repeats.
pub fn broadcast(metas: &[&Meta]) -> Result<Shape> {
    let rank = metas.iter().map(|m| m.rank()).max().unwrap_or(0);
    let mut dims = [1usize; MAX_RANK];
    for m in metas {
        let lead = rank - m.rank();
        for (i, &d) in m.dims().iter().enumerate() {
            let to = &mut dims[lead + i];
            if *to == 1 {
                *to = d;
            } else if d != 1 && d != *to {
                let shapes: Vec<String> = metas.iter().map(|m| m.shape().to_string()).collect();
                return Err(Error::shape(format!(
                    "shapes do not broadcast.\n  {}: sizes {} and {d} meet at dim -{}.\n  \
                     Sizes must be equal or 1, counted from the last dimension; \
                     reshape or expand one of them.",
                    shapes.join(" and "),
                    *to,
                    rank - (lead + i)
                )));
            }
        }
    }
    Shape::new(&dims[..rank])
}

/// A contiguous tensor of `x`'s shape and dtype.
pub fn like(x: &Meta) -> Meta {
    Meta { dtype: x.dtype, layout: crate::Layout::contiguous(x.shape()) }
}

/// A tensor without dimensions.
pub fn scalar(dtype: DType) -> Meta {
    Meta { dtype, layout: crate::Layout::contiguous(Shape::scalar()) }
}

/// As [`like`], for an op that works along `dim`.
pub fn along(x: &Meta, dim: i64) -> Result<Meta> {
    axis(dim, x.rank())?;
    Ok(like(x))
}

/// As [`like`], for an op over the last two dimensions.
pub fn matrix(x: &Meta) -> Result<Meta> {
    if x.rank() < 2 {
        return Err(Error::shape(format!(
            "needs a matrix, or a batch of them.\n  {}\n  Reshape it to at least two dimensions.",
            show("x", x)
        )));
    }
    Ok(like(x))
}

/// `x [2, 3] float32`: an operand as messages show it.
pub(crate) fn show(name: &str, m: &Meta) -> String {
    format!("{name} {} {}", m.shape(), m.dtype)
}

/// A size from an attribute: an error where it is negative.
pub(crate) fn size(name: &str, value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Error::value(format!("{name} is negative.\n  {name} {value}\n  Use 0 or more.")))
}

/// Fails unless `x` has a floating dtype.
pub(crate) fn need_float(name: &str, x: &Meta) -> Result {
    if x.dtype.is_float() {
        return Ok(());
    }
    Err(Error::dtype(format!("needs a floating dtype.\n  {}\n  Convert it with .to('float32').", show(name, x))))
}

/// Fails unless `x` holds indices: int32 or int64.
pub(crate) fn need_index(name: &str, x: &Meta) -> Result {
    if matches!(x.dtype, DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(Error::dtype(format!("{name} must be int32 or int64.\n  {}\n  Convert it with .to('int32').", show(name, x))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_either_end_and_are_named_once() {
        assert_eq!(axis(-1, 3).unwrap(), 2);
        assert_eq!(axis(0, 0).unwrap(), 0);
        assert!(axis(3, 3).is_err() && axis(-4, 3).is_err() && axis(1, 0).is_err());
        assert_eq!(axes(&[-1, 0], 3).unwrap()[..3], [true, false, true]);
        assert_eq!(axes(&[], 2).unwrap()[..3], [true, true, false]);
        assert!(axes(&[1, -1], 2).is_err());
    }

    #[test]
    fn broadcasting_compares_from_the_end() {
        let m = |d: &[usize]| Meta::new(DType::F32, d).unwrap();
        assert_eq!(broadcast(&[&m(&[4, 1, 3]), &m(&[2, 1])]).unwrap().dims(), [4, 2, 3]);
        assert_eq!(broadcast(&[&m(&[0]), &m(&[1])]).unwrap().dims(), [0]);
        let e = broadcast(&[&m(&[4, 3]), &m(&[2])]).unwrap_err();
        assert!(e.message.contains("[4, 3] and [2]") && e.message.contains("dim -1"), "{}", e.message);
    }
}
