//! Rules of the views: another layout of the same storage. `None` where no strides can express it, so that the caller copies first.
use super::{axis, show, size};
use crate::{Error, Layout, MAX_RANK, Meta, Result, Shape};

/// `x` itself where it lies in row-major order; `None` where that takes a copy.
pub fn dense(x: &Meta) -> Result<Option<Layout>> {
    Ok(x.layout.is_contiguous().then_some(x.layout))
}

/// `x` read as `dims` in row-major order; one of `dims` may be -1 and takes what is left.
/// `None` where `x`'s strides do not allow it: of a contiguous copy it always succeeds.
pub fn reshape(x: &Meta, dims: &[i64]) -> Result<Option<Layout>> {
    let shape = reshaped(x, dims)?;
    if x.numel() == 0 || x.layout.is_contiguous() {
        return Ok(Some(Layout::strided(shape, Layout::contiguous(shape).strides(), x.layout.offset)));
    }
    Ok(regroup(&x.layout, shape))
}

fn reshaped(x: &Meta, dims: &[i64]) -> Result<Shape> {
    let n = x.numel();
    if dims.len() > MAX_RANK {
        return Err(Error::shape(format!("a tensor has at most {MAX_RANK} dimensions.\n  shape {dims:?}\n  Merge some of them.")));
    }
    let mismatch = || {
        Error::shape(format!(
            "cannot read {n} elements as {dims:?}.\n  {} has {n} elements.\n  \
             The product of the sizes must stay {n}; one size may be -1 and is worked out.",
            show("x", x)
        ))
    };
    let (mut sizes, mut known, mut open) = ([1usize; MAX_RANK], 1usize, None);
    for (i, &d) in dims.iter().enumerate() {
        match d {
            -1 if open.is_none() => open = Some(i),
            -1 => return Err(Error::shape(format!("only one size can be -1.\n  shape {dims:?}\n  Name the others."))),
            d if d < 0 => return Err(Error::shape(format!("a size is negative.\n  shape {dims:?}\n  Use sizes of 0 or more, or one -1."))),
            d => {
                sizes[i] = d as usize;
                known = known.checked_mul(d as usize).ok_or_else(mismatch)?;
            }
        }
    }
    match open {
        Some(i) if known != 0 && n.is_multiple_of(known) => sizes[i] = n / known,
        Some(_) if known == 0 && n == 0 => {
            return Err(Error::shape(format!(
                "-1 could be any size.\n  {} has no elements, shape {dims:?}\n  Name every size.",
                show("x", x)
            )));
        }
        None if known == n => {}
        _ => return Err(mismatch()),
    }
    Shape::new(&sizes[..dims.len()])
}

/// Strides for `shape` over the elements of `from`, in the same row-major order, if there are any.
fn regroup(from: &Layout, shape: Shape) -> Option<Layout> {
    let mut strides = [0isize; MAX_RANK];
    let mut to = shape.rank();
    // From the back: take the longest run of old dimensions that steps evenly, and cut it into new dimensions.
    let (dims, old) = (from.dims(), from.strides());
    let mut i = from.rank();
    while i > 0 {
        let step = old[i - 1];
        let mut run = dims[i - 1];
        i -= 1;
        while i > 0 && (dims[i - 1] == 1 || run == 1 || old[i - 1] == step * run as isize) {
            // A run of ones so far has no step of its own: start it afresh at the next dimension.
            if run == 1 {
                break;
            }
            run *= dims[i - 1];
            i -= 1;
        }
        let mut step = step;
        while run > 1 {
            if to == 0 {
                return None;
            }
            to -= 1;
            let d = shape.dims()[to];
            strides[to] = step;
            if !run.is_multiple_of(d) {
                return None;
            }
            step *= d as isize;
            run /= d;
        }
    }
    // What remains are sizes of 1, whose stride is never used.
    Some(Layout::strided(shape, &strides[..shape.rank()], from.offset))
}

/// `x` repeated along its sizes of 1 to reach `dims`, without a copy (stride 0). New dimensions come in front; -1 keeps a size.
pub fn expand(x: &Meta, dims: &[i64]) -> Result<Option<Layout>> {
    let fail = |why: String| {
        Error::shape(format!(
            "cannot expand to {dims:?}: {why}.\n  {}\n  Only sizes of 1 are repeated; name as many dimensions as x has, or more.",
            show("x", x)
        ))
    };
    let Some(lead) = dims.len().checked_sub(x.rank()) else {
        return Err(fail("too few dimensions".into()));
    };
    if dims.len() > MAX_RANK {
        return Err(fail(format!("more than {MAX_RANK} dimensions")));
    }
    let mut sizes = [1usize; MAX_RANK];
    for (i, &d) in dims.iter().enumerate() {
        sizes[i] = match d {
            -1 if i >= lead => x.dims()[i - lead],
            d if d < 0 => return Err(fail(format!("{d} is no size"))),
            d => d as usize,
        };
    }
    let shape = Shape::new(&sizes[..dims.len()])?;
    match x.layout.broadcast_to(shape) {
        Some(layout) => Ok(Some(layout)),
        None => {
            let i = (0..x.rank()).find(|&i| x.dims()[i] != 1 && x.dims()[i] != sizes[lead + i]).unwrap_or(0);
            Err(fail(format!("dim {i} has size {}", x.dims()[i])))
        }
    }
}

/// The dimensions in another order: the result's dim i is `x`'s dim `dims[i]`.
pub fn permute(x: &Meta, dims: &[i64]) -> Result<Option<Layout>> {
    let rank = x.rank();
    let fail =
        || Error::shape(format!("dims {dims:?} are no order of {rank} dimensions.\n  {}\n  Name each dimension once.", show("x", x)));
    if dims.len() != rank {
        return Err(fail());
    }
    let (mut sizes, mut strides, mut seen) = ([1usize; MAX_RANK], [0isize; MAX_RANK], [false; MAX_RANK]);
    for (to, &dim) in dims.iter().enumerate() {
        let from = axis(dim, rank)?;
        if std::mem::replace(&mut seen[from], true) {
            return Err(fail());
        }
        sizes[to] = x.dims()[from];
        strides[to] = x.layout.strides()[from];
    }
    Ok(Some(Layout::strided(Shape::new(&sizes[..rank])?, &strides[..rank], x.layout.offset)))
}

/// `len` elements of `dim`, from `start` on, each `step` apart.
pub fn slice(x: &Meta, dim: i64, start: i64, len: i64, step: i64) -> Result<Option<Layout>> {
    let i = need_axis(x, dim)?;
    let (start, len) = (size("start", start)?, size("length", len)?);
    if step < 1 {
        return Err(Error::value(format!("step must be 1 or more.\n  step {step}\n  Use flip to go backwards.")));
    }
    let n = x.dims()[i];
    let inside = match len {
        0 => start <= n,
        _ => (len - 1).checked_mul(step as usize).and_then(|span| span.checked_add(start)).is_some_and(|last| last < n),
    };
    if !inside {
        return Err(Error::value(format!(
            "the slice reaches past the end of dim {i}.\n  {} with start {start}, length {len}, step {step}; dim {i} has size {n}\n  \
             Keep start + (length - 1) * step below {n}.",
            show("x", x)
        )));
    }
    let mut layout = x.layout;
    layout.shape.dims_mut()[i] = len;
    let mut strides = [0isize; MAX_RANK];
    strides[..x.rank()].copy_from_slice(x.layout.strides());
    // An empty slice may start at the end, where the storage has no element: it keeps the old offset, which is never read.
    let offset = if layout.numel() == 0 { x.layout.offset } else { moved(x, start as isize * strides[i]) };
    strides[i] *= step as isize;
    Ok(Some(Layout::strided(layout.shape, &strides[..x.rank()], offset)))
}

/// Element `index` of `dim`, which disappears; a negative index counts from the end.
pub fn select(x: &Meta, dim: i64, index: i64) -> Result<Option<Layout>> {
    let i = need_axis(x, dim)?;
    let n = x.dims()[i] as i64;
    if !(-n..n).contains(&index) {
        return Err(Error::index(format!(
            "index {index} is out of range for dim {i} of size {n}.\n  {}\n  {}",
            show("x", x),
            if n == 0 { "It has no elements to select.".to_string() } else { format!("Use an index from {} to {}.", -n, n - 1) }
        )));
    }
    let (mut sizes, mut strides, mut to) = ([1usize; MAX_RANK], [0isize; MAX_RANK], 0);
    for from in (0..x.rank()).filter(|&d| d != i) {
        sizes[to] = x.dims()[from];
        strides[to] = x.layout.strides()[from];
        to += 1;
    }
    let shape = Shape::new(&sizes[..to])?;
    let offset = if shape.numel() == 0 { x.layout.offset } else { moved(x, index.rem_euclid(n) as isize * x.layout.strides()[i]) };
    Ok(Some(Layout::strided(shape, &strides[..to], offset)))
}

/// The elements where `dim2` is `dim1` + `offset`: both dimensions disappear, the diagonal comes last.
pub fn diagonal(x: &Meta, offset: i64, dim1: i64, dim2: i64) -> Result<Option<Layout>> {
    if x.rank() < 2 {
        return Err(Error::shape(format!("a diagonal needs two dimensions.\n  {}\n  Reshape x to a matrix.", show("x", x))));
    }
    let (i, j) = (axis(dim1, x.rank())?, axis(dim2, x.rank())?);
    if i == j {
        return Err(Error::value(format!(
            "dim1 and dim2 are the same dimension.\n  dim1 {dim1}, dim2 {dim2}, {}\n  Name two.",
            show("x", x)
        )));
    }
    let (rows, cols) = (x.dims()[i] as i64, x.dims()[j] as i64);
    let (down, right) = (offset.min(0).unsigned_abs(), offset.max(0));
    let down = i64::try_from(down).unwrap_or(i64::MAX);
    let len = rows.saturating_sub(down).min(cols.saturating_sub(right)).max(0) as usize;
    let (mut sizes, mut strides, mut to) = ([1usize; MAX_RANK], [0isize; MAX_RANK], 0);
    let old = x.layout.strides();
    for from in (0..x.rank()).filter(|&d| d != i && d != j) {
        sizes[to] = x.dims()[from];
        strides[to] = old[from];
        to += 1;
    }
    sizes[to] = len;
    strides[to] = old[i] + old[j];
    let shape = Shape::new(&sizes[..=to])?;
    let start = if shape.numel() == 0 { x.layout.offset } else { moved(x, down as isize * old[i] + right as isize * old[j]) };
    Ok(Some(Layout::strided(shape, &strides[..=to], start)))
}

fn need_axis(x: &Meta, dim: i64) -> Result<usize> {
    if x.rank() == 0 {
        return Err(Error::shape(format!("a scalar has no dim {dim}.\n  {}\n  Reshape it to [1] first.", show("x", x))));
    }
    axis(dim, x.rank())
}

/// `x`'s offset moved by `by` elements, to another element of `x`.
fn moved(x: &Meta, by: isize) -> usize {
    (x.layout.offset as isize + by) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }
    fn with(layout: Layout) -> Meta {
        Meta { dtype: DType::F32, layout }
    }
    /// Storage positions in row-major order.
    fn positions(l: &Layout) -> Vec<isize> {
        let mut all = vec![l.offset as isize];
        for (&d, &s) in l.dims().iter().zip(l.strides()) {
            all = all.iter().flat_map(|&p| (0..d as isize).map(move |k| p + k * s)).collect();
        }
        all
    }

    #[test]
    fn reshape_keeps_the_order_of_the_elements_or_asks_for_a_copy() {
        let x = meta(&[2, 3, 4]);
        let views = [
            x,
            with(permute(&x, &[0, 2, 1]).unwrap().unwrap()),
            with(permute(&x, &[2, 0, 1]).unwrap().unwrap()),
            with(slice(&x, 1, 1, 2, 1).unwrap().unwrap()),
            with(slice(&x, 2, 0, 2, 2).unwrap().unwrap()),
            with(expand(&meta(&[1, 3, 1]), &[2, 3, 4]).unwrap().unwrap()),
            with(expand(&meta(&[2, 1, 1, 4]), &[2, 1, 3, 4]).unwrap().unwrap()),
        ];
        for v in &views {
            assert_eq!(dense(v).unwrap(), v.layout.is_contiguous().then_some(v.layout));
        }
        let mut kept = 0;
        for v in views {
            let n = v.numel() as i64;
            for dims in [
                vec![n],
                vec![-1, 2],
                vec![2, -1],
                vec![1, 2, -1, 1],
                vec![2, n / 4, 2],
                vec![2, 1, n / 2],
                vec![n / 2, 1, 1, 2],
                vec![1, n],
            ] {
                if dims.contains(&-1) || dims.iter().product::<i64>() == n {
                    if let Some(l) = reshape(&v, &dims).unwrap() {
                        assert_eq!(positions(&l), positions(&v.layout), "{v:?} as {dims:?}");
                        kept += 1;
                    } else {
                        assert!(!v.layout.is_contiguous());
                    }
                }
            }
            let same: Vec<i64> = v.dims().iter().map(|&d| d as i64).collect();
            assert!(reshape(&v, &same).unwrap().is_some(), "its own shape is always a view");
        }
        assert!(kept >= 20, "{kept}");
        assert!(reshape(&with(permute(&x, &[2, 1, 0]).unwrap().unwrap()), &[24]).unwrap().is_none());
    }

    #[test]
    fn reshape_says_what_does_not_fit() {
        let e = reshape(&meta(&[3, 4]), &[5, -1]).unwrap_err().message;
        assert_eq!(
            e,
            "cannot read 12 elements as [5, -1].\n  x [3, 4] float32 has 12 elements.\n  \
             The product of the sizes must stay 12; one size may be -1 and is worked out."
        );
        assert!(reshape(&meta(&[3, 4]), &[-1, -1]).is_err() && reshape(&meta(&[3, 4]), &[-2, 6]).is_err());
        assert!(reshape(&meta(&[0, 4]), &[-1, 0]).is_err());
        assert_eq!(reshape(&meta(&[0, 4]), &[-1, 2]).unwrap().unwrap().dims(), [0, 2]);
        assert!(reshape(&meta(&[3]), &[i64::MAX, 4]).is_err());
        assert_eq!(reshape(&meta(&[]), &[1, -1]).unwrap().unwrap().dims(), [1, 1]);
    }

    #[test]
    fn expand_repeats_ones_only() {
        let l = expand(&meta(&[3, 1]), &[2, -1, 4]).unwrap().unwrap();
        assert_eq!((l.dims(), l.strides()), (&[2, 3, 4][..], &[0, 1, 0][..]));
        assert!(expand(&meta(&[3, 1]), &[2, 4]).unwrap_err().message.contains("dim 0 has size 3"));
        assert!(expand(&meta(&[3, 1]), &[3]).is_err() && expand(&meta(&[3]), &[-1, 3]).is_err());
    }

    #[test]
    fn slices_stay_inside() {
        let x = meta(&[4, 5]);
        assert_eq!(positions(&slice(&x, -1, 1, 2, 3).unwrap().unwrap()), [1, 4, 6, 9, 11, 14, 16, 19]);
        assert!(slice(&x, 1, 5, 0, 1).unwrap().is_some());
        assert!(
            slice(&x, 1, 1, 2, 4).is_err()
                && slice(&x, 1, 6, 0, 1).is_err()
                && slice(&x, 0, 0, 1, 0).is_err()
                && slice(&x, 0, -1, 1, 1).is_err()
        );
        assert!(slice(&x, 1, 1, i64::MAX, i64::MAX).is_err());
        assert_eq!(positions(&select(&x, 0, -1).unwrap().unwrap()), [15, 16, 17, 18, 19]);
        assert!(select(&x, 0, 4).is_err() && select(&meta(&[]), 0, 0).is_err());
    }

    #[test]
    fn diagonals() {
        let x = meta(&[3, 4]);
        let at = |o| positions(&diagonal(&x, o, 0, 1).unwrap().unwrap());
        assert_eq!(at(0), [0, 5, 10]);
        assert_eq!(at(2), [2, 7]);
        assert_eq!(at(-1), [4, 9]);
        assert!(at(9).is_empty() && at(i64::MIN).is_empty());
        assert_eq!(diagonal(&meta(&[2, 3, 3]), 0, -2, -1).unwrap().unwrap().dims(), [2, 3]);
        assert!(diagonal(&x, 0, 1, 1).is_err());
    }
}
