//! Rules of the ops that read or write by index, sort, or pick. Index values are checked when the op runs.
use super::{along, axis, like, need_index, show, size};
use crate::{DType, Error, MAX_RANK, Meta, Result};

/// `x`'s dim as a usize; scalars have none.
fn dim_of(x: &Meta, dim: i64) -> Result<usize> {
    if x.rank() == 0 {
        return Err(Error::shape(format!("a scalar has no dim {dim}.\n  {}\n  Reshape it to [1] first.", show("x", x))));
    }
    axis(dim, x.rank())
}

fn replaced(x: &Meta, dim: usize, size: usize) -> Result<Meta> {
    let mut shape = x.shape();
    shape.dims_mut()[dim] = size;
    Meta::new(x.dtype, shape.dims())
}

fn need_vector(name: &str, index: &Meta) -> Result {
    need_index(name, index)?;
    if index.rank() > 1 {
        return Err(Error::shape(format!(
            "{name} must be a vector.\n  {}\n  Flatten it, or use gather for an index an element.",
            show(name, index)
        )));
    }
    Ok(())
}

/// The entries `index` of `dim`.
pub fn index_select(x: &Meta, index: &Meta, dim: i64) -> Result<Meta> {
    need_vector("index", index)?;
    replaced(x, dim_of(x, dim)?, index.numel())
}

/// What [`index_select`] sends back: `size` entries along `dim`.
pub fn index_select_grad(dy: &Meta, index: &Meta, dim: i64, entries: i64) -> Result<Meta> {
    need_vector("index", index)?;
    let i = dim_of(dy, dim)?;
    if dy.dims()[i] != index.numel() {
        return Err(Error::shape(format!(
            "the gradient has {} entries along dim {i}, the index {}.\n  {}, {}\n  They must be equal.",
            dy.dims()[i],
            index.numel(),
            show("dy", dy),
            show("index", index)
        )));
    }
    replaced(dy, i, size("size", entries)?)
}

/// `index` must have `x`'s rank and, outside `dim`, fit into it.
fn need_fit(x: &Meta, index: &Meta, dim: i64) -> Result<usize> {
    need_index("index", index)?;
    if x.rank() != index.rank() {
        return Err(Error::shape(format!(
            "x has {} dimensions, the index {}.\n  {}, {}\n  They must have the same number; use indexSelect for a vector of indices.",
            x.rank(),
            index.rank(),
            show("x", x),
            show("index", index)
        )));
    }
    let i = axis(dim, x.rank())?;
    if (0..x.rank()).any(|d| d != i && index.dims()[d] > x.dims()[d]) {
        return Err(Error::shape(format!(
            "the index is larger than x outside dim {i}.\n  {}, {}\n  Slice the index, or expand x.",
            show("x", x),
            show("index", index)
        )));
    }
    Ok(i)
}

/// One element of `x` an index, along `dim`: y[i][j] = x[index[i][j]][j] for dim 0.
pub fn gather(x: &Meta, index: &Meta, dim: i64) -> Result<Meta> {
    need_fit(x, index, dim)?;
    Meta::new(x.dtype, index.dims())
}

/// `x` with elements of `source` written (or added) where `index` says, along `dim`.
pub fn scatter(x: &Meta, index: &Meta, source: &Meta, dim: i64) -> Result<Meta> {
    need_fit(x, index, dim)?;
    if source.dtype != x.dtype {
        return Err(Error::dtype(format!(
            "x and source have different dtypes.\n  {}, {}\n  Convert one with .to(...).",
            show("x", x),
            show("source", source)
        )));
    }
    let fits = source.rank() == index.rank() && index.dims().iter().zip(source.dims()).all(|(i, s)| i <= s);
    if !fits {
        return Err(Error::shape(format!(
            "the source is smaller than the index.\n  {}, {}\n  Give a source of the index's shape.",
            show("source", source),
            show("index", index)
        )));
    }
    Ok(like(x))
}

/// A last dimension of `classes` with a one at each index.
pub fn one_hot(index: &Meta, classes: i64, dtype: i64) -> Result<Meta> {
    need_index("index", index)?;
    appended(index, size("classes", classes)?, DType::from_code(dtype)?)
}

/// Lengths int32 [N] -> bool [N, steps].
pub fn sequence_mask(lengths: &Meta, steps: i64) -> Result<Meta> {
    if lengths.rank() != 1 || lengths.dtype != DType::I32 {
        return Err(Error::shape(format!(
            "lengths must be int32 [N], a number a row.\n  {}\n  Make them with tensor(Int32Array.of(...)), or convert them: .to('int32').",
            show("lengths", lengths)
        )));
    }
    appended(lengths, size("steps", steps)?, DType::Bool)
}

fn appended(x: &Meta, last: usize, dtype: DType) -> Result<Meta> {
    if x.rank() == MAX_RANK {
        return Err(Error::shape(format!("a tensor has at most {MAX_RANK} dimensions.\n  {}\n  Flatten it first.", show("index", x))));
    }
    let mut dims = [0; MAX_RANK];
    dims[..x.rank()].copy_from_slice(x.dims());
    dims[x.rank()] = last;
    Meta::new(dtype, &dims[..=x.rank()])
}

/// A row of `weight` [rows, features] an id.
pub fn embedding(weight: &Meta, ids: &Meta) -> Result<Meta> {
    need_index("ids", ids)?;
    if weight.rank() != 2 {
        return Err(Error::shape(format!(
            "the weight must be [rows, features].\n  {}\n  Reshape it to two dimensions.",
            show("weight", weight)
        )));
    }
    appended(ids, weight.dims()[1], weight.dtype)
}

/// The gradient of the weight: [rows, features].
pub fn embedding_grad(dy: &Meta, ids: &Meta, rows: i64) -> Result<Meta> {
    need_index("ids", ids)?;
    super::need_float("dy", dy)?;
    if dy.rank() != ids.rank() + 1 || dy.dims()[..ids.rank()] != *ids.dims() {
        return Err(Error::shape(format!(
            "the gradient must have the ids' shape and a last dimension of features.\n  {}, {}\n  \
             Pass what embedding answered for these ids.",
            show("dy", dy),
            show("ids", ids)
        )));
    }
    Meta::new(dy.dtype, &[size("rows", rows)?, dy.dims()[ids.rank()]])
}

/// Room for the rows that a gradient of `rows` rows has: one an id, and no more than there are.
fn places(ids: &Meta, rows: i64) -> Result<usize> {
    Ok(ids.numel().min(size("rows", rows)?))
}

/// The numbers of the rows that have a gradient: int32 [places].
pub fn embedding_grad_indices(ids: &Meta, rows: i64) -> Result<Meta> {
    Meta::new(DType::I32, &[places(ids, rows)?])
}

/// The rows that have a gradient: [places, features].
pub fn embedding_grad_values(dy: &Meta, ids: &Meta, rows: i64) -> Result<Meta> {
    Meta::new(dy.dtype, &[places(ids, rows)?, embedding_grad(dy, ids, rows)?.dims()[1]])
}

/// The gradient of the weight made of its rows: [rows, features].
pub fn embedding_grad_dense(indices: &Meta, values: &Meta, rows: i64) -> Result<Meta> {
    super::need_float("values", values)?;
    if indices.dtype != DType::I32 || values.rank() != 2 || *indices.dims() != values.dims()[..1] {
        return Err(Error::shape(format!(
            "indices must be int32 [places], values [places, features].\n  {}, {}\n  Pass what embedding_grad_rows answered.",
            show("indices", indices),
            show("values", values)
        )));
    }
    Meta::new(values.dtype, &[size("rows", rows)?, values.dims()[1]])
}

/// Positions along `dim`: `x`'s shape in int32.
pub fn indices_along(x: &Meta, dim: i64) -> Result<Meta> {
    Ok(Meta { dtype: DType::I32, ..along(x, dim)? })
}

/// The `k` largest or smallest along `dim`.
pub fn topk(x: &Meta, k: i64, dim: i64) -> Result<Meta> {
    let i = axis(dim, x.rank())?;
    let n = x.dims().get(i).copied().unwrap_or(1);
    let k = size("k", k)?;
    if k > n {
        return Err(Error::value(format!("k is larger than dim {i}.\n  k {k}, {}\n  Use a k of at most {n}.", show("x", x))));
    }
    if x.rank() == 0 { if k == 1 { Ok(like(x)) } else { Meta::new(x.dtype, &[0]) } } else { replaced(x, i, k) }
}

/// The positions of [`topk`], int32.
pub fn topk_indices(x: &Meta, k: i64, dim: i64) -> Result<Meta> {
    Ok(Meta { dtype: DType::I32, ..topk(x, k, dim)? })
}

/// Positions of `size` non-zero elements: [size, rank], int32.
pub fn nonzero(x: &Meta, entries: i64) -> Result<Meta> {
    Meta::new(DType::I32, &[size("size", entries)?, x.rank()])
}

/// `size` elements of `x` where `mask` holds; the two broadcast.
pub fn masked_select(x: &Meta, mask: &Meta, entries: i64) -> Result<Meta> {
    if mask.dtype != DType::Bool {
        return Err(Error::dtype(format!("the mask must be bool.\n  {}\n  Compare it first, as mask.ne(0).", show("mask", mask))));
    }
    super::broadcast(&[x, mask])?;
    Meta::new(x.dtype, &[size("size", entries)?])
}

/// `size` distinct values.
pub fn unique(x: &Meta, entries: i64) -> Result<Meta> {
    Meta::new(x.dtype, &[size("size", entries)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }
    fn index(dims: &[usize]) -> Meta {
        Meta::new(DType::I32, dims).unwrap()
    }

    #[test]
    fn selecting_replaces_the_dimension() {
        assert_eq!(index_select(&meta(&[4, 5]), &index(&[7]), -1).unwrap().dims(), [4, 7]);
        assert_eq!(index_select_grad(&meta(&[4, 7]), &index(&[7]), 1, 5).unwrap().dims(), [4, 5]);
        assert!(index_select_grad(&meta(&[4, 6]), &index(&[7]), 1, 5).is_err());
        assert!(index_select(&meta(&[4]), &index(&[2, 2]), 0).is_err() && index_select(&meta(&[]), &index(&[1]), 0).is_err());
        let e = index_select(&meta(&[4]), &meta(&[2]), 0).unwrap_err().message;
        assert_eq!(e, "index must be int32 or int64.\n  index [2] float32\n  Convert it with .to('int32').");
    }

    #[test]
    fn gather_and_scatter_fit_outside_their_dimension() {
        assert_eq!(gather(&meta(&[4, 5]), &index(&[3, 9]), 1).unwrap().dims(), [3, 9]);
        assert!(gather(&meta(&[4, 5]), &index(&[5, 9]), 1).is_err() && gather(&meta(&[4, 5]), &index(&[5]), 1).is_err());
        assert_eq!(scatter(&meta(&[4, 5]), &index(&[3, 9]), &meta(&[4, 9]), 1).unwrap().dims(), [4, 5]);
        assert!(scatter(&meta(&[4, 5]), &index(&[3, 9]), &meta(&[2, 9]), 1).is_err());
        assert!(scatter(&meta(&[4]), &index(&[3]), &index(&[3]), 0).is_err());
    }

    #[test]
    fn embeddings_append_their_features() {
        assert_eq!(embedding(&meta(&[10, 3]), &index(&[2, 4])).unwrap().dims(), [2, 4, 3]);
        assert_eq!(embedding_grad(&meta(&[2, 4, 3]), &index(&[2, 4]), 10).unwrap().dims(), [10, 3]);
        assert!(embedding(&meta(&[10]), &index(&[2])).is_err() && embedding_grad(&meta(&[2, 3]), &index(&[2, 4]), 10).is_err());
        assert_eq!(one_hot(&index(&[]), 4, 0).unwrap().dims(), [4]);
        assert!(one_hot(&index(&[1; 8]), 4, 0).is_err());
        assert!(topk(&meta(&[3, 4]), 5, 1).is_err());
        assert_eq!(topk_indices(&meta(&[3, 4]), 2, 0).unwrap(), index(&[2, 4]));
        assert_eq!(nonzero(&meta(&[3, 4]), 7).unwrap(), index(&[7, 2]));
    }
}
