//! argmax and argmin: positions of the largest and smallest along a dimension. NaN is taken for both; ties take the first.
use crate::fold::{is_nan, less};
use crate::strided::{GRAIN, Nest, ReadPtr};
use ferrograd_simd::{Kernel, Scalar, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, MAX_RANK, Result, View, ViewMut, rules, with_element};

/// Positions of the largest along `dim`, int32.
pub fn argmax(cx: &mut Cx, x: &View, dim: i64, _keepdim: bool, y: &mut ViewMut) -> Result {
    with_element!(x.dtype(), T => find::<T, false>(cx, x, dim, y))
}

/// Positions of the smallest along `dim`, int32.
pub fn argmin(cx: &mut Cx, x: &View, dim: i64, _keepdim: bool, y: &mut ViewMut) -> Result {
    with_element!(x.dtype(), T => find::<T, true>(cx, x, dim, y))
}

/// Columns that are searched together.
const BLOCK: usize = 64;

fn find<T: Element, const SMALLEST: bool>(cx: &mut Cx, x: &View, dim: i64, y: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    let (n, step) = (x.dims().get(i).copied().unwrap_or(1), x.strides().get(i).copied().unwrap_or(0));
    let (mut dims, mut strides, mut rank) = ([1usize; MAX_RANK], [0isize; MAX_RANK], 0);
    for k in (0..x.rank()).filter(|&k| k != i) {
        (dims[rank], strides[rank]) = (x.dims()[k], x.strides()[k]);
        rank += 1;
    }
    let kept = Nest::new(&dims[..rank], [&strides[..rank]]);
    let y = y.slice_mut::<i32>();
    if y.is_empty() {
        return Ok(());
    }
    let (columns, [across]) = kept.inner();
    // Neighbouring outputs are searched together, a block of columns row by row.
    let width = if across == 1 && step != 1 { columns.min(BLOCK) } else { 1 };
    let group = (GRAIN / n).max(1);
    let x = ReadPtr(x.ptr::<T>());
    cx.par_chunks_mut(
        y,
        if group >= columns { group / columns * columns } else { columns.min(group.next_multiple_of(BLOCK)) },
        |first, part| {
            let mut done = 0;
            if width == 1 && kept.rank == 1 {
                // SAFETY: rows `across` apart, from row `first` on.
                let rows = Rows::<T, SMALLEST> { x: unsafe { x.get().offset(first as isize * across) }, across, n, step, y: part };
                return if T::DTYPE == DType::F32 { vectorize(rows) } else { rows.run(Scalar) };
            }
            while done < part.len() {
                let (row, c) = ((first + done) / columns, (first + done) % columns);
                let w = width.min(columns - c).min(part.len() - done);
                kept.each_row(row..row + 1, &mut |[base]| {
                    // SAFETY: column c of a row of the layout.
                    let x = unsafe { x.get().offset(base + c as isize * across) };
                    let search = Search::<T, SMALLEST> { x, n, step, y: &mut part[done..done + w] };
                    // Other dtypes are rare here: a path each would only be more code.
                    if T::DTYPE == DType::F32 { vectorize(search) } else { search.run(Scalar) }
                });
                done += w;
            }
        },
    );
    Ok(())
}

/// Rows of `n` elements, `step` apart, a result each.
struct Rows<'a, T, const SMALLEST: bool> {
    x: *const T,
    across: isize,
    n: usize,
    step: isize,
    y: &'a mut [i32],
}

impl<T: Element, const SMALLEST: bool> Kernel for Rows<'_, T, SMALLEST> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (i, y) in self.y.iter_mut().enumerate() {
            // SAFETY: row i of the layout.
            *y = unsafe { row::<T, SMALLEST>(self.x.offset(i as isize * self.across), self.n, self.step) };
        }
    }
}

#[inline(always)]
unsafe fn row<T: Element, const SMALLEST: bool>(x: *const T, n: usize, step: isize) -> i32 {
    // SAFETY: by the caller's promise, n elements `step` apart.
    unsafe { if step == 1 && n >= 32 { along::<T, SMALLEST>(x, n) } else { one_by_one::<T, SMALLEST>(x, n, step) } }
}

/// `n` rows, `step` apart, of as many neighbouring columns as `y` is long (at most `BLOCK`).
struct Search<'a, T, const SMALLEST: bool> {
    x: *const T,
    n: usize,
    step: isize,
    y: &'a mut [i32],
}

/// Whether `x` takes the place of `best`, which came before it.
#[inline(always)]
fn beats<T: Element, const SMALLEST: bool>(x: T, best: T) -> bool {
    let ahead = if SMALLEST { less(x, best) } else { less(best, x) };
    ahead | (is_nan(x) & !is_nan(best))
}

impl<T: Element, const SMALLEST: bool> Kernel for Search<'_, T, SMALLEST> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Search { x, n, step, y } = self;
        // SAFETY: by whoever made the search: n rows of y.len() columns.
        unsafe {
            if y.len() == 1 {
                y[0] = row::<T, SMALLEST>(x, n, step);
                return;
            }
            let mut best = [T::default(); BLOCK];
            let best = &mut best[..y.len()];
            for (c, b) in best.iter_mut().enumerate() {
                *b = *x.add(c);
            }
            y.fill(0);
            for i in 1..n {
                let row = x.offset(i as isize * step);
                for (c, (b, y)) in best.iter_mut().zip(y.iter_mut()).enumerate() {
                    let v = *row.add(c);
                    let better = beats::<T, SMALLEST>(v, *b);
                    *b = if better { v } else { *b };
                    *y = if better { i as i32 } else { *y };
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn one_by_one<T: Element, const SMALLEST: bool>(x: *const T, n: usize, step: isize) -> i32 {
    // SAFETY: by the caller's promise.
    unsafe {
        let (mut best, mut at) = (*x, 0);
        for i in 1..n {
            let v = *x.offset(i as isize * step);
            // Without a branch: which element wins cannot be foreseen.
            let better = beats::<T, SMALLEST>(v, best);
            best = if better { v } else { best };
            at = if better { i } else { at };
        }
        at as i32
    }
}

/// A contiguous row: first the value, in lanes, then the first place where it stands.
#[inline(always)]
unsafe fn along<T: Element, const SMALLEST: bool>(x: *const T, n: usize) -> i32 {
    const LANES: usize = 16;
    // SAFETY: by the caller's promise, n >= LANES elements.
    unsafe {
        let mut lanes: [T; LANES] = *x.cast();
        for i in (LANES..n / LANES * LANES).step_by(LANES) {
            let block: [T; LANES] = *x.add(i).cast();
            for l in 0..LANES {
                lanes[l] = if beats::<T, SMALLEST>(block[l], lanes[l]) { block[l] } else { lanes[l] };
            }
        }
        let mut best = lanes[0];
        for v in lanes[1..].iter().copied().chain((n / LANES * LANES..n).map(|i| *x.add(i))) {
            best = if beats::<T, SMALLEST>(v, best) { v } else { best };
        }
        // No element beats the best one, so the first that the best does not beat either is its equal.
        (0..n).find(|&i| !beats::<T, SMALLEST>(best, *x.add(i))).unwrap_or(0) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{each_isa, noise, run};
    use ferrograd_tensor::{Layout, Meta, Shape};

    fn check<T: Element>(data: &[T], dims: &[usize], strides: &[isize], dim: i64) {
        let layout = Layout::strided(Shape::new(dims).unwrap(), strides, 0);
        // SAFETY: the tests keep their layouts inside `data`.
        let x = unsafe { View::new(data.as_ptr().cast(), Meta { dtype: T::DTYPE, layout }) };
        let meta = rules::arg_extremum(x.meta(), dim, false).unwrap();
        let d = rules::axis(dim, dims.len()).unwrap();
        for smallest in [false, true] {
            let mut y = vec![-1i32; meta.numel()];
            let op = if smallest { argmin } else { argmax };
            run(0, |cx| op(cx, &x, dim, false, &mut ViewMut::of(&mut y, meta.dims()))).unwrap();
            for (flat, &got) in y.iter().enumerate() {
                let (mut rest, mut base) = (flat, 0isize);
                for k in (0..dims.len()).rev().filter(|&k| k != d) {
                    base += (rest % dims[k]) as isize * strides[k];
                    rest /= dims[k];
                }
                let n = dims.get(d).copied().unwrap_or(1);
                let at = |i: usize| data[(base + i as isize * strides.get(d).copied().unwrap_or(0)) as usize].to_f64();
                let want = (1..n).fold(0, |best, i| {
                    let (b, v) = (at(best), at(i));
                    if !b.is_nan() && (v.is_nan() || if smallest { v < b } else { v > b }) { i } else { best }
                });
                assert_eq!(got as usize, want, "{dims:?} {strides:?} dim {dim} at {flat}");
            }
        }
    }

    #[test]
    fn first_of_the_largest() {
        let coarse: Vec<f32> = noise(4, 120_000).iter().map(|v| (v * 8.0).round() as f32).collect();
        let mut holed = coarse.clone();
        holed.iter_mut().step_by(97).for_each(|v| *v = f32::NAN);
        let bytes: Vec<u8> = coarse.iter().map(|&v| (v + 8.0) as u8).collect();
        each_isa(|_| {
            for (dims, strides, dim) in [
                (&[][..], &[][..], 0),
                (&[1], &[1], -1),
                (&[100], &[1], 0),
                (&[100_000], &[1], 0),
                (&[60, 10], &[10, 1], 1),
                (&[60, 10], &[10, 1], 0),
                (&[60, 100], &[1, 60], 1),
                (&[60, 100], &[1, 60], 0),
                (&[300, 333], &[333, 1], 0),
                (&[300, 333], &[333, 1], 1),
                (&[3, 40, 70], &[2800, 70, 1], 1),
                (&[40, 70], &[0, 1], 0),
                (&[40, 70], &[2, 80], 0),
                (&[2, 20_000], &[20_000, 1], 0),
                (&[5, 0], &[1, 1], 0),
            ] {
                check(&coarse, dims, strides, dim);
                check(&holed, dims, strides, dim);
                check(&bytes, dims, strides, dim);
            }
        });
    }
}
