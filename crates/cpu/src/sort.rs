//! sort and topk along a dimension, and unique. NaN counts as the largest; equal elements keep their order.
//!
//! Elements become unsigned keys of the same order, with their position below it, so that sorting integers in place is a stable sort of
//! elements.
use crate::strided::around;
use ferrograd_tensor::{Cx, DType, Element, Meta, Result, SyncPtr, View, ViewMut, rules, with_element};

/// Two words an element: key, position.
type Key = [u64; 2];

/// `x`'s place among all values of its type; NaN last, and the two zeros equal.
#[inline(always)]
fn key<T: Element>(x: T) -> u64 {
    match T::DTYPE {
        DType::F64 | DType::F32 | DType::BF16 | DType::F16 => {
            let v = x.to_f64();
            if v.is_nan() {
                return u64::MAX;
            }
            // + 0.0 makes -0 the other zero. Negative numbers: all bits turned; positive ones: the sign bit.
            let bits = (v + 0.0).to_bits();
            if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
        }
        _ => x.to_i64() as u64 ^ 1 << 63,
    }
}

/// Lines are shared out among at most this many tasks, each with its own scratch.
const TASKS: usize = 32;

fn tasks(lines: usize) -> usize {
    lines.clamp(1, TASKS)
}

/// Scratch of [`sort`] and [`topk`] in bytes: keys of the lines at work.
pub fn sort_scratch(x: &Meta, dim: i64) -> usize {
    let Ok(i) = rules::axis(dim, x.rank()) else { return 0 };
    let (outer, n, inner) = around(x.dims(), i);
    tasks(outer * inner) * n * size_of::<Key>()
}

/// Values and int32 positions along `dim`, ascending or descending; in a descending order NaN comes first, as in PyTorch.
pub fn sort(cx: &mut Cx, x: &View, dim: i64, descending: bool, values: &mut ViewMut, indices: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    let n = x.dims().get(i).copied().unwrap_or(1);
    with_element!(x.dtype(), T => pick::<T>(cx, x, i, n, descending, values, indices));
    Ok(())
}

/// The `k` largest (or smallest) along `dim` in order, with their int32 positions.
pub fn topk(cx: &mut Cx, x: &View, k: i64, dim: i64, largest: bool, values: &mut ViewMut, indices: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    with_element!(x.dtype(), T => pick::<T>(cx, x, i, k as usize, largest, values, indices));
    Ok(())
}

/// The first `k` of each line's order.
fn pick<T: Element>(cx: &mut Cx, x: &View, dim: usize, k: usize, descending: bool, values: &mut ViewMut, indices: &mut ViewMut) {
    let (outer, n, inner) = around(x.dims(), dim);
    let lines = outer * inner;
    if lines * n * k == 0 {
        return;
    }
    let x = x.slice::<T>();
    let (values, indices) = (SyncPtr(values.slice_mut::<T>().as_mut_ptr()), SyncPtr(indices.slice_mut::<i32>().as_mut_ptr()));
    let tasks = tasks(lines);
    let each = lines.div_ceil(tasks);
    let (scratch, cx) = cx.split_scratch::<i64>(tasks * n * 2);
    cx.par_chunks_mut(scratch, n * 2, |first, keys| {
        // SAFETY: Key is two words of the same size and alignment; any bits are a value.
        let keys = unsafe { std::slice::from_raw_parts_mut(keys.as_mut_ptr().cast::<Key>(), n) };
        let task = first / (n * 2);
        for line in task * each..((task + 1) * each).min(lines) {
            let (o, c) = (line / inner, line % inner);
            let at = |j: usize, len: usize| (o * len + j) * inner + c;
            for (j, to) in keys.iter_mut().enumerate() {
                let k = key(x[at(j, n)]);
                *to = [if descending { !k } else { k }, j as u64];
            }
            if k < n {
                keys.select_nth_unstable(k - 1);
            }
            keys[..k].sort_unstable();
            for (j, &[_, from]) in keys[..k].iter().enumerate() {
                // SAFETY: at(j, k) is an element of both outputs, [outer, k, inner], of a line that belongs to this task.
                unsafe {
                    *values.get().add(at(j, k)) = x[at(from as usize, n)];
                    *indices.get().add(at(j, k)) = from as i32;
                }
            }
        }
    });
}

/// Scratch of [`unique`] and [`unique_count`] in bytes.
pub fn unique_scratch(x: &Meta) -> usize {
    x.numel() * size_of::<Key>()
}

/// How many distinct values there are; as in PyTorch each NaN is one.
pub fn unique_count(cx: &mut Cx, x: &View, count: &mut ViewMut) -> Result {
    let mut n = 0;
    with_element!(x.dtype(), T => distinct::<T>(cx, x, |_| n += 1));
    count.slice_mut::<i32>()[0] = n;
    Ok(())
}

/// The first `size` distinct values in ascending order, then `fill`.
pub fn unique(cx: &mut Cx, x: &View, _size: i64, fill: f64, values: &mut ViewMut) -> Result {
    with_element!(x.dtype(), T => {
        let y = values.slice_mut::<T>();
        y.fill(T::from_f64(fill));
        let mut y = y.iter_mut();
        distinct::<T>(cx, x, |v| {
            if let Some(y) = y.next() {
                *y = v;
            }
        });
    });
    Ok(())
}

fn distinct<T: Element>(cx: &mut Cx, x: &View, mut f: impl FnMut(T)) {
    let x = x.slice::<T>();
    let scratch = cx.scratch::<i64>(x.len() * 2);
    // SAFETY: Key is two words of the same size and alignment; any bits are a value.
    let keys = unsafe { std::slice::from_raw_parts_mut(scratch.as_mut_ptr().cast::<Key>(), x.len()) };
    for (j, (to, &v)) in keys.iter_mut().zip(x).enumerate() {
        *to = [key(v), j as u64];
    }
    keys.sort_unstable();
    let mut last = None;
    for &[k, from] in keys.iter() {
        let v = x[from as usize];
        if last != Some(k) || crate::fold::is_nan(v) {
            f(v);
        }
        last = Some(k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, run};

    fn check<T: Element>(data: &[T], dims: &[usize], dim: usize, descending: bool, k: Option<usize>) {
        let x = View::of(data, dims);
        let (outer, n, inner) = around(dims, dim);
        let len = k.unwrap_or(n);
        let mut to = dims.to_vec();
        if let Some(d) = to.get_mut(dim) {
            *d = len;
        }
        let total = outer * len * inner;
        let (mut v, mut i) = (vec![T::default(); total], vec![-1i32; total]);
        run(sort_scratch(x.meta(), dim as i64), |cx| {
            let (v, i) = (&mut ViewMut::of(&mut v, &to), &mut ViewMut::of(&mut i, &to));
            match k {
                Some(k) => topk(cx, &x, k as i64, dim as i64, descending, v, i),
                None => sort(cx, &x, dim as i64, descending, v, i),
            }
        })
        .unwrap();
        for o in 0..outer {
            for c in 0..inner {
                let mut order: Vec<usize> = (0..n).collect();
                let at = |j: usize| data[(o * n + j) * inner + c].to_f64();
                order.sort_by(|&a, &b| {
                    let (p, q) = (at(a), at(b));
                    let ascending = p.partial_cmp(&q).unwrap_or_else(|| p.is_nan().cmp(&q.is_nan()));
                    if descending { ascending.reverse() } else { ascending }
                });
                for j in 0..len {
                    let to = (o * len + j) * inner + c;
                    assert_eq!(i[to] as usize, order[j], "{dims:?} dim {dim} descending {descending}");
                    let (got, want) = (v[to].to_f64(), at(order[j]));
                    assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan());
                }
            }
        }
    }

    #[test]
    fn stable_with_nan_at_the_top() {
        let mut floats: Vec<f32> = noise(1, 3000).iter().map(|v| (v * 20.0).round() as f32).collect();
        floats.iter_mut().step_by(41).for_each(|v| *v = f32::NAN);
        floats[7] = f32::NEG_INFINITY;
        floats[8] = f32::INFINITY;
        floats[9] = -0.0;
        floats[10] = 0.0;
        let ints: Vec<i64> = (0..3000).map(|i| (i * 7919 % 101) - 50).collect();
        let doubles = noise(2, 3000);
        for descending in [false, true] {
            for (dims, dim) in [
                (&[3000][..], 0usize),
                (&[30, 100], 0),
                (&[30, 100], 1),
                (&[5, 60, 10], 1),
                (&[], 0),
                (&[1], 0),
                (&[4, 0], 1),
                (&[0, 4], 1),
            ] {
                let n: usize = dims.iter().product();
                for k in [None, Some(1), Some(3)] {
                    if k.is_none_or(|k| k <= dims.get(dim).copied().unwrap_or(1)) {
                        check(&floats[..n], dims, dim, descending, k);
                        check(&ints[..n], dims, dim, descending, k);
                        check(&doubles[..n], dims, dim, descending, k);
                    }
                }
            }
        }
    }

    #[test]
    fn distinct_values() {
        let x = [3f32, -1., 3., f32::NAN, 0., -0., f32::NAN, -1.];
        let x = View::of(&x, &[2, 4]);
        let mut count = [0i32];
        run(unique_scratch(x.meta()), |cx| unique_count(cx, &x, &mut ViewMut::of(&mut count, &[]))).unwrap();
        assert_eq!(count, [5]);
        let mut y = [0f32; 7];
        run(unique_scratch(x.meta()), |cx| unique(cx, &x, 7, 9.0, &mut ViewMut::of(&mut y, &[7]))).unwrap();
        assert_eq!(y[..3], [-1.0, 0.0, 3.0]);
        assert!(y[3].is_nan() && y[4].is_nan());
        assert_eq!(y[5..], [9.0, 9.0]);
        let mut y = [0f32; 2];
        run(unique_scratch(x.meta()), |cx| unique(cx, &x, 2, 9.0, &mut ViewMut::of(&mut y, &[2]))).unwrap();
        assert_eq!(y, [-1.0, 0.0]);
    }
}
