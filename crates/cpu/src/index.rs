//! index_select, gather, one_hot and embedding: reading by index. Every index is checked before anything is read.
use crate::strided::{GRAIN, ReadPtr, around, bytes, bytes_mut};
use ferrograd_tensor::{Cx, DType, Element, Error, Result, SyncPtr, View, ViewMut, rules, with_element};

/// Runs `$body` with `$t` bound to the type of an index operand.
macro_rules! with_index {
    ($index:expr, $t:ident => $body:expr) => {
        match $index.dtype() {
            ferrograd_tensor::DType::I64 => {
                type $t = i64;
                $body
            }
            _ => {
                type $t = i32;
                $body
            }
        }
    };
}
pub(crate) use with_index;

/// Fails where an index is negative or not below `size`, naming the first such place. `what` is what the indices count: "rows", "classes".
pub(crate) fn check_indices(index: &View, size: usize, what: &str) -> Result {
    with_index!(index, I => {
        let all = index.slice::<I>();
        // Negative ones are huge as unsigned; the largest decides, so that the loop has no exit and vectorises.
        let worst = all.iter().fold(0u64, |m, &i| m.max(i.to_i64() as u64));
        if all.is_empty() || worst < size as u64 {
            return Ok(());
        }
        let at = all.iter().position(|&i| i.to_i64() as u64 >= size as u64).unwrap_or(0);
        Err(out_of_range(all[at].to_i64(), at, index.dims(), size, what))
    })
}

fn out_of_range(value: i64, at: usize, dims: &[usize], size: usize, what: &str) -> Error {
    let mut position = vec![0; dims.len()];
    let mut rest = at;
    for (p, &d) in position.iter_mut().zip(dims).rev() {
        *p = rest % d;
        rest /= d;
    }
    let range = if size == 0 { "There are none to choose from.".to_string() } else { format!("Indices go from 0 to {}.", size - 1) };
    Error::index(format!("index {value} at position {position:?} is out of range for {size} {what}.\n  {range}"))
}

/// y = the entries `index` of `dim`.
pub fn index_select(cx: &mut Cx, x: &View, index: &View, dim: i64, y: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    let (outer, n, inner) = around(x.dims(), i);
    check_indices(index, n, &format!("entries of dim {i}"))?;
    copy_rows(cx, x, index, outer, n, inner, y);
    Ok(())
}

/// y = a row of `weight` an id.
pub fn embedding(cx: &mut Cx, weight: &View, ids: &View, y: &mut ViewMut) -> Result {
    let (rows, features) = (weight.dims()[0], weight.dims()[1]);
    check_indices(ids, rows, "rows")?;
    copy_rows(cx, weight, ids, 1, rows, features, y);
    Ok(())
}

/// y [outer, index, inner] = x [outer, n, inner] at checked indices.
fn copy_rows(cx: &Cx, x: &View, index: &View, outer: usize, n: usize, inner: usize, y: &mut ViewMut) {
    let k = index.numel();
    if outer * k * inner == 0 {
        return;
    }
    let run = inner * x.dtype().size();
    let (x, y) = (ReadPtr(bytes(x)), SyncPtr(bytes_mut(y)));
    with_index!(index, I => {
        let index = index.slice::<I>();
        cx.par_ranges(outer * k, (GRAIN / inner).max(1), |range| {
            for at in range {
                let from = at / k * n + index[at % k].to_i64() as usize;
                // SAFETY: row `from` of x, since the index is below n; row `at` of y, written once.
                unsafe { std::ptr::copy_nonoverlapping(x.get().add(from * run), y.get().add(at * run), run) };
            }
        });
    });
}

/// y[..][j][..] = x[..][index[..][j][..]][..], the index along `dim`.
pub fn gather(cx: &mut Cx, x: &View, index: &View, dim: i64, y: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    check_indices(index, x.dims().get(i).copied().unwrap_or(1), &format!("entries of dim {i}"))?;
    let lines = Lines::new(x, index, i);
    if index.numel() == 0 {
        return Ok(());
    }
    with_index!(index, I => {
        let index = index.slice::<I>();
        let (x, y, size) = (ReadPtr(bytes(x)), SyncPtr(bytes_mut(y)), x.dtype().size());
        lines.each(cx, |at, base| {
            let from = (base + index[at].to_i64() as usize * lines.step) * size;
            // SAFETY: an element of x, since the index is in range; element `at` of y, visited once.
            unsafe {
                let (p, q) = (x.get().add(from), y.get().add(at * size));
                match size {
                    1 => *q = *p,
                    2 => *q.cast::<u16>() = *p.cast::<u16>(),
                    4 => *q.cast::<u32>() = *p.cast::<u32>(),
                    _ => *q.cast::<u64>() = *p.cast::<u64>(),
                }
            }
        });
    });
    Ok(())
}

/// The elements of an index tensor, each with the place in `x` that it would have at index 0 of `dim`.
pub(crate) struct Lines {
    dims: [usize; 8],
    strides: [usize; 8],
    rank: usize,
    /// Product of the index's sizes after `dim`.
    inner: usize,
    n: usize,
    outer: usize,
    /// `x`'s step along `dim`.
    pub step: usize,
}

impl Lines {
    pub fn new(x: &View, index: &View, dim: usize) -> Lines {
        let (outer, n, inner) = around(index.dims(), dim);
        let (mut dims, mut strides) = ([1; 8], [0; 8]);
        for i in 0..index.rank() {
            dims[i] = index.dims()[i];
            strides[i] = if i == dim { 0 } else { x.strides()[i] as usize };
        }
        let step = x.strides().get(dim).copied().unwrap_or(1) as usize;
        Lines { dims, strides, rank: index.rank(), inner, n, outer, step }
    }
    /// Calls `f(flat index, place in x)` for each element. A line along `dim` stays in one task and is visited in order, so that elements
    /// with the same target meet in row-major order.
    pub fn each(&self, cx: &Cx, f: impl Fn(usize, usize) + Sync) {
        // Tasks take whole outer slices, or, where there are few, blocks of columns.
        let width = if self.outer > 1 { self.inner } else { self.inner.min((GRAIN / self.n).max(1)) };
        let blocks = self.inner.div_ceil(width);
        cx.par_ranges(self.outer * blocks, (GRAIN / (self.n * width)).max(1), |range| {
            for unit in range {
                let (o, first) = (unit / blocks, unit % blocks * width);
                for j in 0..self.n {
                    for c in first..(first + width).min(self.inner) {
                        let at = (o * self.n + j) * self.inner + c;
                        f(at, self.place(at));
                    }
                }
            }
        });
    }
    fn place(&self, flat: usize) -> usize {
        let (mut rest, mut place) = (flat, 0);
        for i in (0..self.rank).rev() {
            place += rest % self.dims[i] * self.strides[i];
            rest /= self.dims[i];
        }
        place
    }
}

/// A one at each index along a new last dimension of `classes`, zeros elsewhere.
pub fn one_hot(cx: &mut Cx, index: &View, classes: i64, _dtype: i64, y: &mut ViewMut) -> Result {
    let classes = classes as usize;
    check_indices(index, classes, "classes")?;
    if index.numel() == 0 {
        return Ok(());
    }
    with_index!(index, I => {
        let index = index.slice::<I>();
        with_element!(y.dtype(), T => {
            let chunk = (GRAIN / classes).max(1) * classes;
            cx.par_chunks_mut(y.slice_mut::<T>(), chunk, |first, part| {
                part.fill(T::from_f64(0.0));
                for (row, &i) in part.chunks_exact_mut(classes).zip(&index[first / classes..]) {
                    row[i.to_i64() as usize] = T::from_f64(1.0);
                }
            });
        });
    });
    Ok(())
}

/// Whether gradients of this dtype are added up in float32 scratch.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::BF16 | DType::F16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn rows_by_index() {
        let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let x = View::of(&x, &[2, 3, 4]);
        let mut y = [0f32; 16];
        run(0, |cx| index_select(cx, &x, &View::of(&[2i32, 0], &[2]), 1, &mut ViewMut::of(&mut y, &[2, 2, 4]))).unwrap();
        assert_eq!(y, [8., 9., 10., 11., 0., 1., 2., 3., 20., 21., 22., 23., 12., 13., 14., 15.]);
        let mut y = [0f32; 6];
        run(0, |cx| index_select(cx, &x, &View::of(&[3i64], &[1]), -1, &mut ViewMut::of(&mut y, &[2, 3, 1]))).unwrap();
        assert_eq!(y, [3., 7., 11., 15., 19., 23.]);
        let none: [i32; 0] = [];
        run(0, |cx| index_select(cx, &x, &View::of(&none, &[0]), 0, &mut ViewMut::of(&mut [0f32; 0], &[0, 3, 4]))).unwrap();
    }

    #[test]
    fn bad_indices_are_named() {
        let w = vec![0f32; 30];
        let ids = [0i32, 9, 3, -1, 12, 1];
        let e =
            run(0, |cx| embedding(cx, &View::of(&w, &[10, 3]), &View::of(&ids, &[2, 3]), &mut ViewMut::of(&mut [0f32; 18], &[2, 3, 3])))
                .unwrap_err();
        assert_eq!(e.kind, ferrograd_tensor::ErrorKind::Index);
        assert_eq!(e.message, "index -1 at position [1, 0] is out of range for 10 rows.\n  Indices go from 0 to 9.");
        let e = run(0, |cx| gather(cx, &View::of(&w, &[3, 10]), &View::of(&[10i64], &[1, 1]), 1, &mut ViewMut::of(&mut [0f32], &[1, 1])))
            .unwrap_err();
        assert!(e.message.contains("index 10 at position [0, 0] is out of range for 10 entries of dim 1"), "{}", e.message);
        assert!(run(0, |cx| one_hot(cx, &View::of(&[4i32], &[1]), 4, 0, &mut ViewMut::of(&mut [0f32; 4], &[1, 4]))).is_err());
        assert!(run(0, |cx| one_hot(cx, &View::of(&[0i32], &[1]), 0, 0, &mut ViewMut::of(&mut [0f32; 0], &[1, 0]))).is_err());
    }

    #[test]
    fn gathers_any_dimension() {
        for (dims, index, dim) in [
            (&[4usize, 5, 6][..], &[4usize, 9, 6][..], 1usize),
            (&[4, 5, 6], &[3, 2, 5], 0),
            (&[4, 5, 6], &[4, 5, 6], 2),
            (&[7], &[20], 0),
            (&[], &[], 0),
            (&[300, 40], &[200, 40], 0),
            (&[2, 90_000], &[1, 90_000], 0),
        ] {
            let n: usize = dims.iter().product();
            let k: usize = index.iter().product();
            let x: Vec<i32> = (0..n as i32).collect();
            let size = dims.get(dim).copied().unwrap_or(1);
            let ids: Vec<i64> = (0..k).map(|i| (i * 7919 % size) as i64).collect();
            let mut y = vec![-1i32; k];
            run(0, |cx| gather(cx, &View::of(&x, dims), &View::of(&ids, index), dim as i64, &mut ViewMut::of(&mut y, index))).unwrap();
            for flat in 0..k {
                let (mut rest, mut at, mut step) = (flat, 0, 1);
                for d in (0..dims.len()).rev() {
                    let i = rest % index[d];
                    rest /= index[d];
                    at += step * if d == dim { ids[flat] as usize } else { i };
                    step *= dims[d];
                }
                assert_eq!(y[flat], at as i32, "{dims:?} {index:?}");
            }
        }
    }

    #[test]
    fn one_hot_and_embedding() {
        let mut y = [9u8; 6];
        run(0, |cx| one_hot(cx, &View::of(&[2i32, 0], &[2]), 3, 6, &mut ViewMut::of(&mut y, &[2, 3]))).unwrap();
        assert_eq!(y, [0, 0, 1, 1, 0, 0]);
        let w: Vec<f32> = (0..5000 * 32).map(|i| i as f32).collect();
        let ids: Vec<i32> = (0..4000).map(|i| i * 31 % 5000).collect();
        let mut y = vec![0f32; 4000 * 32];
        run(0, |cx| embedding(cx, &View::of(&w, &[5000, 32]), &View::of(&ids, &[40, 100]), &mut ViewMut::of(&mut y, &[40, 100, 32])))
            .unwrap();
        assert!((0..4000).all(|i| (0..32).all(|c| y[i * 32 + c] == w[ids[i] as usize * 32 + c])));
    }
}
