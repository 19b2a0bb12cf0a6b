//! scatter, scatter_add, and the gradients of index_select and embedding: writing by index.
//! Every target has one owner, who meets its sources in row-major order: the last write wins, sums have one order, threads do not matter.
use crate::copy::{convert_one, copy_view};
use crate::index::{Lines, check_indices, is_half, with_index};
use crate::strided::{GRAIN, ReadPtr, around, bytes, bytes_mut};
use ferrograd_tensor::{Cx, Element, Meta, Result, SyncPtr, View, ViewMut, bf16, f16, rules, with_element};

/// `x` with `source` written at `index` along `dim`; of several writes to one place the last in row-major order stays.
pub fn scatter(cx: &mut Cx, x: &View, index: &View, source: &View, dim: i64, y: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    check_indices(index, x.dims().get(i).copied().unwrap_or(1), &format!("entries of dim {i}"))?;
    copy_view(cx, x, y);
    let (lines, sources) = (Lines::new(x, index, i), Sources::new(index, source));
    let size = x.dtype().size();
    let (source, y) = (ReadPtr(bytes(source)), SyncPtr(bytes_mut(y)));
    if index.numel() == 0 {
        return Ok(());
    }
    with_index!(index, I => {
        let index = index.slice::<I>();
        lines.each(cx, |at, base| {
            let to = base + index[at].to_i64() as usize * lines.step;
            // SAFETY: an element of the source; an element of y, which no other line reaches.
            unsafe { std::ptr::copy_nonoverlapping(source.get().add(sources.place(at) * size), y.get().add(to * size), size) };
        });
    });
    Ok(())
}

/// `x` with `source` added at `index` along `dim`. Half types round at each addition.
pub fn scatter_add(cx: &mut Cx, x: &View, index: &View, source: &View, dim: i64, y: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    check_indices(index, x.dims().get(i).copied().unwrap_or(1), &format!("entries of dim {i}"))?;
    copy_view(cx, x, y);
    if index.numel() == 0 {
        return Ok(());
    }
    let (lines, sources) = (Lines::new(x, index, i), Sources::new(index, source));
    with_element!(x.dtype(), T => {
        let (source, y) = (ReadPtr(source.ptr::<T>()), SyncPtr(y.ptr_mut::<T>()));
        with_index!(index, I => {
            let index = index.slice::<I>();
            lines.each(cx, |at, base| {
                // SAFETY: an element of the source; an element of y, which no other line reaches.
                unsafe {
                    let to = y.get().add(base + index[at].to_i64() as usize * lines.step);
                    *to = add(*to, *source.get().add(sources.place(at)));
                }
            });
        });
    });
    Ok(())
}

/// The sum; half types are rounded once, integers wrap.
#[inline(always)]
pub(crate) fn add<T: Element>(a: T, b: T) -> T {
    use ferrograd_tensor::DType::*;
    match T::DTYPE {
        F64 => T::from_f64(a.to_f64() + b.to_f64()),
        F32 | BF16 | F16 => T::from_f32(a.to_f32() + b.to_f32()),
        _ => T::from_i64(a.to_i64().wrapping_add(b.to_i64())),
    }
}

/// Where an index's elements find theirs in a source that may be larger.
struct Sources {
    dims: [usize; 8],
    strides: [usize; 8],
    rank: usize,
    same: bool,
}

impl Sources {
    fn new(index: &View, source: &View) -> Sources {
        let (mut dims, mut strides) = ([1; 8], [0; 8]);
        for i in 0..index.rank() {
            (dims[i], strides[i]) = (index.dims()[i], source.strides()[i] as usize);
        }
        Sources { dims, strides, rank: index.rank(), same: index.dims() == source.dims() }
    }
    fn place(&self, flat: usize) -> usize {
        if self.same {
            return flat;
        }
        let (mut rest, mut place) = (flat, 0);
        for i in (0..self.rank).rev() {
            place += rest % self.dims[i] * self.strides[i];
            rest /= self.dims[i];
        }
        place
    }
}

/// Scratch of [`index_select_grad`] in bytes: float32 sums where the dtype is a half type.
pub fn index_select_grad_scratch(dy: &Meta, dim: i64, size: i64) -> usize {
    let Ok(i) = rules::axis(dim, dy.rank()) else { return 0 };
    let (outer, _, inner) = around(dy.dims(), i);
    if is_half(dy.dtype) { outer * size.max(0) as usize * inner * 4 } else { 0 }
}

/// dx = zeros with dy's entries added at `index` along `dim`.
pub fn index_select_grad(cx: &mut Cx, dy: &View, index: &View, dim: i64, size: i64, dx: &mut ViewMut) -> Result {
    let i = rules::axis(dim, dy.rank())?;
    let (outer, _, inner) = around(dy.dims(), i);
    check_indices(index, size as usize, &format!("entries of dim {i}"))?;
    add_rows(cx, dy, index, outer, size as usize, inner, None, dx);
    Ok(())
}

/// Scratch of [`embedding_grad`] in bytes: float32 sums where the dtype is a half type.
pub fn embedding_grad_scratch(dy: &Meta, rows: i64) -> usize {
    let features = dy.dims().last().copied().unwrap_or(0);
    if is_half(dy.dtype) { rows.max(0) as usize * features * 4 } else { 0 }
}

/// dw = zeros with a row of dy added for each id; rows of `padding_idx` (none where it is negative) get nothing.
pub fn embedding_grad(cx: &mut Cx, dy: &View, ids: &View, rows: i64, padding_idx: i64, dw: &mut ViewMut) -> Result {
    check_indices(ids, rows as usize, "rows")?;
    let features = dw.dims()[1];
    add_rows(cx, dy, ids, 1, rows as usize, features, usize::try_from(padding_idx).ok(), dw);
    Ok(())
}

/// y [outer, n, inner] = sums of dy [outer, index, inner] at checked indices, but for index `skip`.
fn add_rows(cx: &mut Cx, dy: &View, index: &View, outer: usize, n: usize, inner: usize, skip: Option<usize>, y: &mut ViewMut) {
    use ferrograd_tensor::DType::*;
    let total = outer * n * inner;
    let index = Index { index, outer, n, inner, skip };
    match dy.dtype() {
        BF16 => {
            let (sums, cx) = cx.split_scratch::<f32>(total);
            index.add::<bf16, f32>(&cx, dy.slice(), sums);
            narrow(&cx, sums, y.slice_mut::<bf16>());
        }
        F16 => {
            let (sums, cx) = cx.split_scratch::<f32>(total);
            index.add::<f16, f32>(&cx, dy.slice(), sums);
            narrow(&cx, sums, y.slice_mut::<f16>());
        }
        dtype => with_element!(dtype, T => index.add::<T, T>(cx, dy.slice(), y.slice_mut())),
    }
}

fn narrow<T: Element>(cx: &Cx, sums: &[f32], y: &mut [T]) {
    cx.par_chunks_mut(y, GRAIN, |first, part| {
        for (y, &s) in part.iter_mut().zip(&sums[first..]) {
            *y = T::from_f32(s);
        }
    });
}

struct Index<'a> {
    index: &'a View<'a>,
    outer: usize,
    n: usize,
    inner: usize,
    skip: Option<usize>,
}

impl Index<'_> {
    fn add<T: Element, A: Element>(&self, cx: &Cx, dy: &[T], sums: &mut [A]) {
        if sums.is_empty() {
            return;
        }
        let k = self.index.numel();
        // A task owns some rows of one outer slice and looks through all indices for them; few tasks, since each looks at every index.
        let work = self.n * self.inner + k * self.inner;
        let parts = (work / GRAIN).clamp(1, 16).min(self.n);
        let rows = self.n.div_ceil(parts);
        let parts = self.n.div_ceil(rows);
        let to = SyncPtr(sums.as_mut_ptr());
        let inner = self.inner;
        with_index!(self.index, I => {
            let index = self.index.slice::<I>();
            cx.par(self.outer * parts, |task| {
                let (o, first) = (task / parts, task % parts * rows);
                let end = (first + rows).min(self.n);
                // SAFETY: rows first..end of slice o belong to this task.
                let own = unsafe { std::slice::from_raw_parts_mut(to.get().add((o * self.n + first) * inner), (end - first) * inner) };
                own.fill(A::from_f64(0.0));
                for (j, &i) in index.iter().enumerate() {
                    let i = i.to_i64() as usize;
                    if i < first || i >= end || Some(i) == self.skip {
                        continue;
                    }
                    let row = &mut own[(i - first) * inner..][..inner];
                    for (s, &v) in row.iter_mut().zip(&dy[(o * k + j) * inner..][..inner]) {
                        *s = add(*s, convert_one(v));
                    }
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, run};

    /// Row-major reference of scatter (adding or not) in f64.
    fn reference(
        x: &[f64],
        dims: &[usize],
        ids: &[i64],
        index: &[usize],
        source: &[f64],
        from: &[usize],
        dim: usize,
        adding: bool,
    ) -> Vec<f64> {
        let mut y = x.to_vec();
        for flat in 0..ids.len() {
            let (mut rest, mut to, mut at, mut step, mut step_from) = (flat, 0, 0, 1, 1);
            for d in (0..dims.len()).rev() {
                let i = rest % index[d];
                rest /= index[d];
                to += step * if d == dim { ids[flat] as usize } else { i };
                at += step_from * i;
                step *= dims[d];
                step_from *= from[d];
            }
            y[to] = source[at] + if adding { y[to] } else { 0.0 };
        }
        y
    }

    #[test]
    fn scatters_in_row_major_order() {
        for (dims, index, from, dim) in [
            (&[5usize, 4][..], &[3usize, 4][..], &[3usize, 4][..], 0usize),
            (&[5, 4], &[4, 9], &[5, 9], 1),
            (&[3, 4, 5], &[2, 30, 4], &[2, 31, 5], 1),
            (&[7], &[100], &[100], 0),
            (&[], &[], &[], 0),
            (&[4, 3], &[0, 3], &[2, 3], 0),
            (&[100, 300], &[150, 300], &[150, 300], 0),
            (&[40, 2, 50], &[40, 30, 50], &[40, 30, 50], 1),
        ] {
            let n = |d: &[usize]| d.iter().product::<usize>();
            let size = dims.get(dim).copied().unwrap_or(1);
            let (x, source) = (noise(1, n(dims)), noise(2, n(from)));
            let ids: Vec<i64> = (0..n(index)).map(|i| (i * 7919 % size) as i64).collect();
            for adding in [false, true] {
                let want = reference(&x, dims, &ids, index, &source, from, dim, adding);
                let op = if adding { scatter_add } else { scatter };
                let mut y = vec![0f64; n(dims)];
                run(0, |cx| {
                    op(
                        cx,
                        &View::of(&x, dims),
                        &View::of(&ids, index),
                        &View::of(&source, from),
                        dim as i64,
                        &mut ViewMut::of(&mut y, dims),
                    )
                })
                .unwrap();
                assert_eq!(y, want, "{dims:?} {index:?} adding {adding}");
            }
        }
    }

    #[test]
    fn bad_indices_write_nothing() {
        let mut y = [5f32; 3];
        let e = run(0, |cx| {
            scatter_add(
                cx,
                &View::of(&[1f32, 2., 3.], &[3]),
                &View::of(&[0i32, 3], &[2]),
                &View::of(&[1f32, 1.], &[2]),
                0,
                &mut ViewMut::of(&mut y, &[3]),
            )
        });
        assert!(e.is_err());
        assert_eq!(y, [5.0; 3]);
    }

    #[test]
    fn gradients_add_up_rows() {
        for (outer, k, n, inner) in [(1, 7, 5, 3), (3, 11, 4, 2), (1, 3000, 1000, 64), (2, 0, 4, 3), (1, 5, 3, 0), (1, 40_000, 7, 1)] {
            let dy: Vec<f32> = noise(3, outer * k * inner).iter().map(|&v| v as f32).collect();
            let ids: Vec<i32> = (0..k).map(|i| (i * 31 % n) as i32).collect();
            let mut want = vec![0f32; outer * n * inner];
            for o in 0..outer {
                for j in 0..k {
                    for c in 0..inner {
                        want[(o * n + ids[j] as usize) * inner + c] += dy[(o * k + j) * inner + c];
                    }
                }
            }
            let mut dx = vec![f32::NAN; want.len()];
            run(0, |cx| {
                index_select_grad(
                    cx,
                    &View::of(&dy, &[outer, k, inner]),
                    &View::of(&ids, &[k]),
                    1,
                    n as i64,
                    &mut ViewMut::of(&mut dx, &[outer, n, inner]),
                )
            })
            .unwrap();
            assert_eq!(dx, want);
            if outer == 1 {
                want[inner..2 * inner].fill(0.0);
                let mut dw = vec![f32::NAN; want.len()];
                run(0, |cx| {
                    embedding_grad(
                        cx,
                        &View::of(&dy, &[k, inner]),
                        &View::of(&ids, &[k]),
                        n as i64,
                        1,
                        &mut ViewMut::of(&mut dw, &[n, inner]),
                    )
                })
                .unwrap();
                assert_eq!(dw, want);
            }
        }
    }

    #[test]
    fn half_gradients_add_in_float32() {
        let dy = vec![bf16::from_f32(1.0); 1000];
        let ids = vec![0i32; 1000];
        let mut dw = [bf16::ZERO; 2];
        let dy = View::of(&dy, &[1000, 1]);
        run(embedding_grad_scratch(dy.meta(), 2), |cx| {
            embedding_grad(cx, &dy, &View::of(&ids, &[1000]), 2, -1, &mut ViewMut::of(&mut dw, &[2, 1]))
        })
        .unwrap();
        assert_eq!(dw, [bf16::from_f32(1000.0), bf16::ZERO]);
    }
}
