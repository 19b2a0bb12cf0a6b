//! sum, mean, prod, amax, amin, any, all: over some dimensions of any layout.
//!
//! Two walks. *Rows*: the reduced elements of one output lie together (or anyhow); 32 accumulators take turns. *Columns*: neighbouring
//! outputs lie together, as in a bias gradient; a block of accumulators takes one row after the other. Long reductions are cut into
//! chunks of a constant size, whose partial results are joined in order: the result does not depend on who computed what.
mod columns;
mod rows;
#[cfg(test)]
mod tests;

use self::columns::fold_columns;
use self::rows::fold_rows;
pub(crate) use self::rows::{Pieces, fold_whole_rows};
use crate::fold::{All, Any, Fold, Largest, Product, ProductInt, Smallest, Sum, SumInt};
use crate::strided::{Nest, ReadPtr};
use ferrograd_simd::{Kernel, Scalar, vectorize};
use ferrograd_tensor::{Cx, MAX_RANK, Meta, Result, View, ViewMut, rules, with_element, with_float};

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
