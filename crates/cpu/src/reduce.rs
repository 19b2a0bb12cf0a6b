//! sum, mean, prod, amax, amin, any, all: over some dimensions of any layout.
//!
//! Two walks. *Rows*: the reduced elements of one output lie together (or anyhow); 32 accumulators take turns. *Columns*: neighbouring
//! outputs lie together, as in a bias gradient; a block of accumulators takes one row after the other. Long reductions are cut into
//! chunks of a constant size, whose partial results are joined in order: the result does not depend on who computed what.
use crate::fold::{All, Any, Fold, Largest, Product, ProductInt, Smallest, Sum, SumInt};
use crate::strided::{GRAIN, Nest, ReadPtr};
use ferrograd_simd::{Kernel, Scalar, Simd, vectorize};
use ferrograd_tensor::{Cx, MAX_RANK, Meta, Result, SyncPtr, View, ViewMut, rules, with_element, with_float};

/// Sums in float64 accumulators (int64 for integers and bools).
pub fn sum(cx: &mut Cx, x: &View, dims: &[i64], _keepdim: bool, y: &mut ViewMut) -> Result {
    match x.dtype().is_float() {
        true => with_element!(x.dtype(), T => reduce::<Sum<T>>(cx, x, dims, false, y)),
        false => with_element!(x.dtype(), T => reduce::<SumInt<T>>(cx, x, dims, false, y)),
    }
}

/// Sums divided by their number of elements; NaN of none.
pub fn mean(cx: &mut Cx, x: &View, dims: &[i64], _keepdim: bool, y: &mut ViewMut) -> Result {
    with_float!(x.dtype(), T => reduce::<Sum<T>>(cx, x, dims, true, y))
}

/// Products in float64 accumulators (int64 for integers and bools).
pub fn prod(cx: &mut Cx, x: &View, dims: &[i64], _keepdim: bool, y: &mut ViewMut) -> Result {
    match x.dtype().is_float() {
        true => with_element!(x.dtype(), T => reduce::<Product<T>>(cx, x, dims, false, y)),
        false => with_element!(x.dtype(), T => reduce::<ProductInt<T>>(cx, x, dims, false, y)),
    }
}

/// The largest; NaN if there is one.
pub fn amax(cx: &mut Cx, x: &View, dims: &[i64], _keepdim: bool, y: &mut ViewMut) -> Result {
    with_element!(x.dtype(), T => reduce::<Largest<T>>(cx, x, dims, false, y))
}

/// The smallest; NaN if there is one.
pub fn amin(cx: &mut Cx, x: &View, dims: &[i64], _keepdim: bool, y: &mut ViewMut) -> Result {
    with_element!(x.dtype(), T => reduce::<Smallest<T>>(cx, x, dims, false, y))
}

/// Whether any element is not 0 (NaN is not).
pub fn any(cx: &mut Cx, x: &View, dims: &[i64], _keepdim: bool, y: &mut ViewMut) -> Result {
    with_element!(x.dtype(), T => reduce::<Any<T>>(cx, x, dims, false, y))
}

/// Whether every element is not 0; true of none.
pub fn all(cx: &mut Cx, x: &View, dims: &[i64], _keepdim: bool, y: &mut ViewMut) -> Result {
    with_element!(x.dtype(), T => reduce::<All<T>>(cx, x, dims, false, y))
}

/// Accumulators of a row's elements take turns in this number.
const LANES: usize = 32;
/// Accumulators of a block of columns.
const WIDTH: usize = 1024;
/// Fewest rows in a chunk of columns.
const SHORT: usize = 64;

/// Scratch of the reductions in bytes: partial results, bounded by the shape alone (the walk depends on strides too).
pub fn reduce_scratch(x: &Meta, dims: &[i64]) -> usize {
    let Ok(gone) = rules::axes(dims, x.rank()) else { return 0 };
    let product = |reduced: bool| (0..x.rank()).filter(|&i| gone[i] == reduced).map(|i| x.dims()[i]).product::<usize>();
    let (kept, n) = (product(false), product(true));
    if n <= SHORT { 0 } else { kept * n.div_ceil(SHORT) * 8 }
}

/// `x` as loops over outputs and loops over what each of them takes in.
struct Walk {
    kept: Nest<1>,
    reduced: Nest<1>,
    outputs: usize,
    n: usize,
    /// What sums are divided by: `n` for a mean, else 1.
    divisor: usize,
}

impl Walk {
    fn new(x: &View, dims: &[i64], mean: bool) -> Result<Walk> {
        let gone = rules::axes(dims, x.rank())?;
        let part = |reduced: bool| {
            let (mut d, mut s, mut rank) = ([1usize; MAX_RANK], [0isize; MAX_RANK], 0);
            for i in (0..x.rank()).filter(|&i| gone[i] == reduced) {
                // Reduced dimensions may come in any order: the one with the smallest steps last.
                let mut to = rank;
                while reduced && to > 0 && s[to - 1].abs() < x.strides()[i].abs() {
                    (d[to], s[to]) = (d[to - 1], s[to - 1]);
                    to -= 1;
                }
                (d[to], s[to]) = (x.dims()[i], x.strides()[i]);
                rank += 1;
            }
            Nest::new(&d[..rank], [&s[..rank]])
        };
        let (kept, reduced) = (part(false), part(true));
        let n = reduced.turns();
        Ok(Walk { outputs: kept.turns(), n, divisor: if mean { n } else { 1 }, kept, reduced })
    }
}

fn reduce<F: Fold>(cx: &mut Cx, x: &View, dims: &[i64], mean: bool, y: &mut ViewMut) -> Result {
    let walk = Walk::new(x, dims, mean)?;
    let y = y.slice_mut::<F::Y>();
    if walk.n == 0 {
        y.fill(F::finish(F::start(), walk.divisor));
    } else if walk.outputs != 0 {
        let x = ReadPtr(x.ptr::<F::T>());
        let (columns, [step]) = walk.kept.inner();
        let (_, [run_step]) = walk.reduced.inner();
        if step == 1 && columns > 1 && !(run_step == 1 && walk.n > 1) {
            fold_columns::<F>(cx, x, &walk, columns, y);
        } else {
            fold_rows::<F>(cx, x, &walk, y);
        }
    }
    Ok(())
}

/// Runs a kernel of `F`: where it is fast, on the vector path in force, else on the plain one (a path each would only be more code).
fn on_path<F: Fold, K: Kernel>(kernel: K) -> K::Output {
    if F::FAST { vectorize(kernel) } else { kernel.run(Scalar) }
}

fn fold_rows<F: Fold>(cx: &mut Cx, x: ReadPtr<F::T>, walk: &Walk, y: &mut [F::Y]) {
    let n = walk.n;
    let chunks = n.div_ceil(GRAIN);
    if chunks == 1 {
        let group = if y.len() * n <= GRAIN / 2 { y.len() } else { (GRAIN / n).max(1) };
        let plain = walk.kept.rank == 1 && walk.reduced.rank == 1;
        cx.par_chunks_mut(y, group, |first, part| {
            if plain {
                let ((_, [across]), (len, [step])) = (walk.kept.inner(), walk.reduced.inner());
                // SAFETY: the layout is rows `across` apart, of elements `step` apart.
                let x = unsafe { x.get().offset(first as isize * across) };
                return on_path::<F, _>(Rows::<F> { x, across, len, step, divisor: walk.divisor, y: part });
            }
            let mut at = 0;
            walk.kept.each_turn(first..first + part.len(), &mut |[offset]| {
                // SAFETY: an offset of the layout.
                let a = unsafe { fold_range::<F>(x.get().offset(offset), &walk.reduced, 0, n) };
                part[at] = F::finish(a, walk.divisor);
                at += 1;
            });
        });
        return;
    }
    let outputs = y.len();
    let (partial, cx) = cx.split_scratch::<F::A>(outputs * chunks);
    cx.par_chunks_mut(partial, 1, |i, part| {
        let (output, start) = (i / chunks, i % chunks * GRAIN);
        walk.kept.each_turn(output..output + 1, &mut |[offset]| {
            // SAFETY: an offset of the layout; the range ends at n.
            part[0] = unsafe { fold_range::<F>(x.get().offset(offset), &walk.reduced, start, (start + GRAIN).min(n)) };
        });
    });
    for (y, part) in y.iter_mut().zip(partial.chunks_exact(chunks)) {
        *y = F::finish(part.iter().fold(F::start(), |a, &b| F::join(a, b)), walk.divisor);
    }
}

/// Folds the elements `start..end` of the loops `over`, counted flat.
unsafe fn fold_range<F: Fold>(x: *const F::T, over: &Nest<1>, start: usize, end: usize) -> F::A {
    let (len, [step]) = over.inner();
    let mut a = F::start();
    let mut at = start;
    over.each_row(start / len..end.div_ceil(len), &mut |[offset]| {
        let skip = at % len;
        let take = (len - skip).min(end - at);
        // SAFETY: by the caller's promise, elements of one layout.
        let run = Run::<F> { x: unsafe { x.offset(offset + skip as isize * step) }, len: take, step };
        a = F::join(a, if take >= LANES { on_path::<F, _>(run) } else { run.run(Scalar) });
        at += take;
    });
    a
}

/// One run of elements a constant step apart.
struct Run<F: Fold> {
    x: *const F::T,
    len: usize,
    step: isize,
}

impl<F: Fold> Kernel for Run<F> {
    type Output = F::A;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> F::A {
        let Run { x, len, step } = self;
        let mut a = F::start();
        // SAFETY: `len` elements `step` apart, by whoever made the run.
        unsafe {
            // Lanes are for the fast dtypes: elsewhere they would only be more code.
            if !F::FAST || step != 1 || len < LANES {
                for i in 0..len as isize {
                    a = F::step(a, *x.offset(i * step));
                }
                return a;
            }
            let mut lanes = [a; LANES];
            let whole = len / LANES * LANES;
            for i in (0..whole).step_by(LANES) {
                let block: [F::T; LANES] = *x.add(i).cast();
                for l in 0..LANES {
                    lanes[l] = F::step(lanes[l], block[l]);
                }
            }
            let mut width = LANES / 2;
            while width > 0 {
                for l in 0..width {
                    lanes[l] = F::join(lanes[l], lanes[l + width]);
                }
                width /= 2;
            }
            for i in whole..len {
                a = F::step(a, *x.add(i));
            }
            F::join(lanes[0], a)
        }
    }
}

/// Whole rows, a result each.
struct Rows<'a, F: Fold> {
    x: *const F::T,
    across: isize,
    len: usize,
    step: isize,
    divisor: usize,
    y: &'a mut [F::Y],
}

impl<F: Fold> Kernel for Rows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (i, y) in self.y.iter_mut().enumerate() {
            // SAFETY: a row of the layout.
            let x = unsafe { self.x.offset(i as isize * self.across) };
            *y = F::finish(F::join(F::start(), Run::<F> { x, len: self.len, step: self.step }.run(s)), self.divisor);
        }
    }
}

fn fold_columns<F: Fold>(cx: &mut Cx, x: ReadPtr<F::T>, walk: &Walk, columns: usize, y: &mut [F::Y]) {
    let n = walk.n;
    let width = columns.min(WIDTH);
    let blocks = columns.div_ceil(width);
    let rows = if y.len() * n <= GRAIN / 2 { n } else { (GRAIN / width).max(SHORT).min(n) };
    let chunks = n.div_ceil(rows);
    let outer = y.len() / columns;
    let outputs = y.len();
    let to = SyncPtr(y.as_mut_ptr());
    let (partial, cx) = cx.split_scratch::<F::A>(if chunks > 1 { outputs * chunks } else { 0 });
    let spill = SyncPtr(partial.as_mut_ptr());
    cx.par(outer * blocks * chunks, |task| {
        let (chunk, block, group) = (task % chunks, task / chunks % blocks, task / chunks / blocks);
        let (first, w) = (block * width, width.min(columns - block * width));
        let mut acc = [F::start(); WIDTH];
        let acc = &mut acc[..w.max(FOLDED.min(WIDTH))];
        let mut at = chunk * rows;
        let end = (at + rows).min(n);
        walk.kept.each_row(group..group + 1, &mut |[base]| {
            let (len, [step]) = walk.reduced.inner();
            walk.reduced.each_row(at / len..end.div_ceil(len), &mut |[offset]| {
                let skip = at % len;
                let take = (len - skip).min(end - at);
                // SAFETY: `take` rows of `w` columns inside the layout.
                let x = unsafe { x.get().offset(base + first as isize + offset + skip as isize * step) };
                on_path::<F, _>(Columns::<F> { x, rows: take, step, width: w, acc });
                at += take;
            });
        });
        for (c, &a) in acc[..w].iter().enumerate() {
            // SAFETY: output (group, first + c), and its partial result of this chunk, belong to this task.
            unsafe {
                if chunks == 1 {
                    *to.get().add(group * columns + first + c) = F::finish(a, walk.divisor);
                } else {
                    *spill.get().add((group * chunks + chunk) * columns + first + c) = a;
                }
            }
        }
    });
    if chunks > 1 {
        let partial = ReadPtr(partial.as_ptr());
        cx.par_chunks_mut(y, (GRAIN / chunks).max(1), |start, part| {
            for (i, y) in part.iter_mut().enumerate() {
                let (group, c) = ((start + i) / columns, (start + i) % columns);
                // SAFETY: all partial results are written, and inside the scratch.
                let of = |chunk: usize| unsafe { *partial.get().add((group * chunks + chunk) * columns + c) };
                *y = F::finish((1..chunks).fold(of(0), |a, k| F::join(a, of(k))), walk.divisor);
            }
        });
    }
}

/// Adjacent narrow rows are taken together, as one row of up to this many columns.
const FOLDED: usize = 64;

/// `rows` rows, `step` apart, of `width` neighbouring columns, each into its accumulator.
struct Columns<'a, F: Fold> {
    x: *const F::T,
    rows: usize,
    step: isize,
    width: usize,
    /// At least `FOLDED` of them.
    acc: &'a mut [F::A],
}

impl<F: Fold> Kernel for Columns<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Columns { x, rows, step, width, acc } = self;
        let together = if step == width as isize { FOLDED / width } else { 1 };
        // SAFETY: `rows` rows of `width` columns lie inside the layout; where rows are adjacent, so do they as fewer, longer rows.
        unsafe {
            if !F::FAST {
                for i in 0..rows as isize {
                    for (c, a) in acc[..width].iter_mut().enumerate() {
                        *a = F::step(*a, *x.offset(i * step).add(c));
                    }
                }
                return;
            }
            if together < 2 || rows < 2 * together {
                return columns::<F>(x, rows, step, &mut acc[..width]);
            }
            let long = width * together;
            let mut wide = [F::start(); FOLDED];
            columns::<F>(x, rows / together, long as isize, &mut wide[..long]);
            columns::<F>(x.add(rows / together * long), rows % together, step, &mut wide[..width]);
            for (i, &a) in wide[..long].iter().enumerate() {
                acc[i % width] = F::join(acc[i % width], a);
            }
        }
    }
}

#[inline(always)]
unsafe fn columns<F: Fold>(x: *const F::T, rows: usize, step: isize, acc: &mut [F::A]) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut i = 0;
        // Four rows a visit to the accumulators: stores are what is scarce. Arrays of constant length become vectors where accumulators are as wide
        // as elements; else the plain loop does better.
        const TOGETHER: usize = 16;
        let whole = if size_of::<F::A>() == size_of::<F::T>() { acc.len() / TOGETHER * TOGETHER } else { 0 };
        while i + 4 <= rows {
            let row: [*const F::T; 4] = std::array::from_fn(|k| x.offset((i + k) as isize * step));
            for c in (0..whole).step_by(TOGETHER) {
                let mut sums: [F::A; TOGETHER] = *acc.as_ptr().add(c).cast();
                for row in row {
                    let x: [F::T; TOGETHER] = *row.add(c).cast();
                    for l in 0..TOGETHER {
                        sums[l] = F::step(sums[l], x[l]);
                    }
                }
                *acc.as_mut_ptr().add(c).cast() = sums;
            }
            for (c, a) in acc[whole..].iter_mut().enumerate() {
                let c = whole + c;
                let v = F::step(F::step(*a, *row[0].add(c)), *row[1].add(c));
                *a = F::step(F::step(v, *row[2].add(c)), *row[3].add(c));
            }
            i += 4;
        }
        while i < rows {
            let row = x.offset(i as isize * step);
            for (c, a) in acc.iter_mut().enumerate() {
                *a = F::step(*a, *row.add(c));
            }
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, each_isa, noise, run};
    use ferrograd_tensor::{B8, DType, Element, Layout, Shape, bf16};

    type Op = fn(&mut Cx, &View, &[i64], bool, &mut ViewMut) -> Result;

    struct Case {
        dims: &'static [usize],
        strides: &'static [isize],
        over: &'static [i64],
    }
    const CASES: &[Case] = &[
        Case { dims: &[], strides: &[], over: &[] },
        Case { dims: &[1], strides: &[1], over: &[0] },
        Case { dims: &[31], strides: &[1], over: &[] },
        Case { dims: &[100_001], strides: &[1], over: &[] },
        Case { dims: &[70_000], strides: &[2], over: &[0] },
        Case { dims: &[50, 37], strides: &[37, 1], over: &[1] },
        Case { dims: &[50, 37], strides: &[37, 1], over: &[0] },
        Case { dims: &[50, 37], strides: &[1, 50], over: &[0] },
        Case { dims: &[50, 37], strides: &[1, 50], over: &[1] },
        Case { dims: &[20_000, 10], strides: &[10, 1], over: &[0] },
        Case { dims: &[20_001, 3], strides: &[3, 1], over: &[0] },
        Case { dims: &[9_000, 20], strides: &[24, 1], over: &[0] },
        Case { dims: &[300, 700], strides: &[700, 1], over: &[0] },
        Case { dims: &[300, 700], strides: &[700, 1], over: &[-1] },
        Case { dims: &[300, 700], strides: &[700, 1], over: &[0, 1] },
        Case { dims: &[4, 50, 30], strides: &[1500, 30, 1], over: &[1] },
        Case { dims: &[4, 50, 30], strides: &[1500, 30, 1], over: &[0, 2] },
        Case { dims: &[4, 50, 30], strides: &[1, 120, 4], over: &[0, 1] },
        Case { dims: &[4, 5, 6, 7], strides: &[210, 42, 7, 1], over: &[1, 3] },
        Case { dims: &[400, 300], strides: &[0, 1], over: &[0] },
        Case { dims: &[400, 300], strides: &[1, 0], over: &[0] },
        Case { dims: &[400, 300], strides: &[1, 0], over: &[1] },
        Case { dims: &[3, 0], strides: &[1, 1], over: &[1] },
        Case { dims: &[3, 0], strides: &[1, 1], over: &[0] },
        Case { dims: &[33, 2], strides: &[2, 1], over: &[1] },
    ];

    fn view<'a, T: Element>(data: &'a [T], case: &Case) -> View<'a> {
        let layout = Layout::strided(Shape::new(case.dims).unwrap(), case.strides, 0);
        // SAFETY: the cases stay inside 220,000 elements.
        unsafe { View::new(data.as_ptr().cast(), Meta { dtype: T::DTYPE, layout }) }
    }

    /// Each output's elements, in order.
    fn groups<T: Element>(data: &[T], case: &Case) -> Vec<Vec<T>> {
        let gone = rules::axes(case.over, case.dims.len()).unwrap();
        let outputs: usize = (0..case.dims.len()).filter(|&i| !gone[i]).map(|i| case.dims[i]).product();
        let mut groups = vec![vec![]; outputs];
        for flat in 0..case.dims.iter().product::<usize>() {
            let (mut rest, mut at, mut to, mut step) = (flat, 0isize, 0, 1);
            for i in (0..case.dims.len()).rev() {
                let k = rest % case.dims[i];
                rest /= case.dims[i];
                at += k as isize * case.strides[i];
                if !gone[i] {
                    to += k * step;
                    step *= case.dims[i];
                }
            }
            groups[to].push(data[at as usize]);
        }
        groups
    }

    fn reduced<T: Element, Y: Element>(op: Op, data: &[T], case: &Case) -> Vec<Y> {
        let x = view(data, case);
        let mut y = vec![Y::default(); groups(data, case).len()];
        let n = y.len();
        run(reduce_scratch(x.meta(), case.over), |cx| op(cx, &x, case.over, false, &mut ViewMut::of(&mut y, &[n]))).unwrap();
        y
    }

    #[test]
    fn floats_against_plain_sums() {
        let data: Vec<f32> = noise(1, 220_000).iter().map(|&v| v as f32 + 0.1).collect();
        each_isa(|isa| {
            for case in CASES {
                let groups = groups(&data, case);
                let check = |op: Op, name: &str, f: &dyn Fn(&[f32]) -> f64| {
                    let got: Vec<f64> = reduced::<f32, f32>(op, &data, case).iter().map(|&v| v as f64).collect();
                    let want: Vec<f64> = groups.iter().map(|g| f(g)).collect();
                    assert_close(
                        &got,
                        &want,
                        2e-7,
                        1e-30,
                        &format!("{name} {isa:?} {:?} {:?} over {:?}", case.dims, case.strides, case.over),
                    );
                };
                check(sum, "sum", &|g| g.iter().map(|&v| v as f64).sum());
                check(mean, "mean", &|g| g.iter().map(|&v| v as f64).sum::<f64>() / g.len() as f64);
                check(prod, "prod", &|g| (g.iter().map(|&v| v as f64).product::<f64>() as f32) as f64);
                if groups.iter().all(|g| !g.is_empty()) {
                    check(amax, "amax", &|g| g.iter().fold(f64::NEG_INFINITY, |a, &v| a.max(v as f64)));
                    check(amin, "amin", &|g| g.iter().fold(f64::INFINITY, |a, &v| a.min(v as f64)));
                }
            }
        });
    }

    #[test]
    fn other_dtypes() {
        let ints: Vec<u8> = (0..220_000).map(|i| (i * 7 % 251) as u8).collect();
        let halves: Vec<bf16> = noise(2, 220_000).iter().map(|&v| bf16::from_f64(v)).collect();
        let doubles = noise(3, 220_000);
        for case in CASES {
            let g = groups(&ints, case);
            let got = reduced::<u8, i64>(sum, &ints, case);
            assert_eq!(got, g.iter().map(|g| g.iter().map(|&v| v as i64).sum()).collect::<Vec<i64>>());
            let product = reduced::<u8, i64>(prod, &ints, case);
            assert_eq!(product, g.iter().map(|g| g.iter().fold(1i64, |a, &v| a.wrapping_mul(v as i64))).collect::<Vec<i64>>());
            let any_: Vec<u8> = reduced::<u8, B8>(any, &ints, case).iter().map(|b| b.0).collect();
            assert_eq!(any_, g.iter().map(|g| g.iter().any(|&v| v != 0) as u8).collect::<Vec<_>>());
            let all_: Vec<u8> = reduced::<u8, B8>(all, &ints, case).iter().map(|b| b.0).collect();
            assert_eq!(all_, g.iter().map(|g| g.iter().all(|&v| v != 0) as u8).collect::<Vec<_>>());
            let got = reduced::<bf16, bf16>(sum, &halves, case);
            let want: Vec<bf16> = groups(&halves, case).iter().map(|g| bf16::from_f64(g.iter().map(|v| v.to_f64()).sum())).collect();
            for (g, w) in got.iter().zip(&want) {
                assert!((g.to_f64() - w.to_f64()).abs() <= 0.01 * w.to_f64().abs() + 1e-12);
            }
            let got = reduced::<f64, f64>(sum, &doubles, case);
            let want: Vec<f64> = groups(&doubles, case).iter().map(|g| g.iter().sum()).collect();
            assert_close(&got, &want, 1e-11, 1e-11, "f64");
        }
    }

    #[test]
    fn nan_wins_wherever_it_stands() {
        for at in [0, 31, 500, 40_000, 69_999] {
            let mut x = vec![1f32; 70_000];
            x[at] = f32::NAN;
            for op in [amax as Op, amin] {
                let mut y = [0f32];
                let x = View::of(&x, &[70_000]);
                run(reduce_scratch(x.meta(), &[]), |cx| op(cx, &x, &[], false, &mut ViewMut::of(&mut y, &[]))).unwrap();
                assert!(y[0].is_nan());
                let mut y = [0f32; 7];
                let meta = Meta::new(DType::F32, &[10_000, 7]).unwrap();
                // SAFETY: the same elements as a matrix.
                let x = unsafe { x.with_layout(meta.layout) };
                run(reduce_scratch(&meta, &[0]), |cx| op(cx, &x, &[0], false, &mut ViewMut::of(&mut y, &[7]))).unwrap();
                assert!((0..7).all(|c| y[c].is_nan() == (c == at % 7)), "{at}: {y:?}");
            }
        }
    }

    #[test]
    fn large_sums_keep_float32_accuracy() {
        let x = vec![0.1f32; 10_000_000];
        let mut y = [0f32];
        let x = View::of(&x, &[10_000_000]);
        run(reduce_scratch(x.meta(), &[]), |cx| sum(cx, &x, &[], false, &mut ViewMut::of(&mut y, &[]))).unwrap();
        assert_eq!(y[0], (0.1f32 as f64 * 1e7) as f32);
    }
}
