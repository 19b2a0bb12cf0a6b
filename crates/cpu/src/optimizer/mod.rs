//! Optimizer steps over many tensors in one fork: the tensors count as one long row, which is cut into runs of constant length.
//! A rule is written once and runs over f32 vectors, and in float64 for the other types (half types are rounded once, at the end).
//! Operations follow PyTorch's single-tensor implementations in their order; coefficients are worked out in float64 and rounded once.
mod adagrad;
mod adam;
mod grad_norm;
mod rmsprop;
mod sgd;

pub use adagrad::adagrad;
pub use adam::adam;
pub use grad_norm::{clip_coefficient, grad_norm, grad_norm_scratch, guard};
pub use rmsprop::rmsprop;
pub use sgd::sgd;

use crate::embedding_grad_rows::stretches;
use crate::strided::GRAIN;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Error, Meta, Result, View, ViewMut, with_element, with_float};
use std::ops::Range;

/// Most states an optimizer keeps for a parameter.
const STATES: usize = 3;

/// Numbers that a rule computes with: f32 vectors, or single float64.
trait Math: Copy {
    type V: Copy;
    /// A coefficient.
    fn c(self, x: f64) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// NaN if either is.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// 1, -1, or 0 for zero and NaN.
    fn sign(self, a: Self::V) -> Self::V;
    /// from + weight (to - from), in the form that is exact at the nearer end.
    #[inline(always)]
    fn lerp(self, from: Self::V, to: Self::V, weight: f64) -> Self::V {
        let way = self.sub(to, from);
        if weight < 0.5 { self.fma(self.c(weight), way, from) } else { self.fma(self.c(weight - 1.0), way, to) }
    }
}

#[derive(Clone, Copy)]
struct Lanes<S>(S);

impl<S: Simd> Math for Lanes<S> {
    type V = S::F;
    #[inline(always)]
    fn c(self, x: f64) -> S::F {
        self.0.splat(x as f32)
    }
    #[inline(always)]
    fn add(self, a: S::F, b: S::F) -> S::F {
        self.0.add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: S::F, b: S::F) -> S::F {
        self.0.sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: S::F, b: S::F) -> S::F {
        self.0.mul(a, b)
    }
    #[inline(always)]
    fn div(self, a: S::F, b: S::F) -> S::F {
        self.0.div(a, b)
    }
    #[inline(always)]
    fn fma(self, a: S::F, b: S::F, c: S::F) -> S::F {
        self.0.fma(a, b, c)
    }
    #[inline(always)]
    fn sqrt(self, a: S::F) -> S::F {
        self.0.sqrt(a)
    }
    #[inline(always)]
    fn max(self, a: S::F, b: S::F) -> S::F {
        self.0.max_nan(a, b)
    }
    #[inline(always)]
    fn sign(self, a: S::F) -> S::F {
        let (s, zero) = (self.0, self.0.zero());
        s.select(s.gt(a, zero), s.splat(1.0), s.select(s.lt(a, zero), s.splat(-1.0), zero))
    }
}

#[derive(Clone, Copy)]
struct Double;

impl Math for Double {
    type V = f64;
    fn c(self, x: f64) -> f64 {
        x
    }
    fn add(self, a: f64, b: f64) -> f64 {
        a + b
    }
    fn sub(self, a: f64, b: f64) -> f64 {
        a - b
    }
    fn mul(self, a: f64, b: f64) -> f64 {
        a * b
    }
    fn div(self, a: f64, b: f64) -> f64 {
        a / b
    }
    fn fma(self, a: f64, b: f64, c: f64) -> f64 {
        a * b + c
    }
    fn sqrt(self, a: f64) -> f64 {
        a.sqrt()
    }
    fn max(self, a: f64, b: f64) -> f64 {
        if a.is_nan() || a > b { a } else { b }
    }
    fn sign(self, a: f64) -> f64 {
        (a > 0.0) as i32 as f64 - (a < 0.0) as i32 as f64
    }
}

/// One optimizer's formula for an element: gradient, parameter and states in; parameter and states out. States that are not kept come as 0.
trait Rule: Sync + Copy {
    fn step<M: Math>(&self, m: M, g: M::V, p: M::V, states: [M::V; STATES]) -> (M::V, [M::V; STATES]);
}

/// What every optimizer does to the gradient first.
#[derive(Clone, Copy)]
struct Gradient {
    scale: f64,
    maximize: bool,
    weight_decay: f64,
    l1: f64,
}

impl Gradient {
    /// g scale, negated to maximize, + weight_decay p + l1 sign p
    #[inline(always)]
    fn of<M: Math>(&self, m: M, g: M::V, p: M::V) -> M::V {
        let mut g = g;
        if self.scale != 1.0 {
            g = m.mul(g, m.c(self.scale));
        }
        if self.maximize {
            g = m.mul(g, m.c(-1.0));
        }
        if self.weight_decay != 0.0 {
            g = m.fma(p, m.c(self.weight_decay), g);
        }
        if self.l1 != 0.0 {
            g = m.fma(m.sign(p), m.c(self.l1), g);
        }
        g
    }
}

/// The first `N` numbers of `hyper`, a float64 vector.
fn hyper<const N: usize>(hyper: &View) -> Result<[f64; N]> {
    if hyper.dtype() != DType::F64 || hyper.numel() < N {
        return Err(Error::value(format!(
            "hyper must be a float64 vector of {N} numbers.\n  hyper {} {}",
            hyper.layout().shape,
            hyper.dtype()
        )));
    }
    let mut values = [0.0; N];
    values.copy_from_slice(&hyper.slice::<f64>()[..N]);
    Ok(values)
}

/// The factor on every gradient: 1 where there is none.
fn factor(scale: Option<&View>) -> Result<f64> {
    match scale {
        None => Ok(1.0),
        Some(s) if s.numel() == 1 => Ok(with_element!(s.dtype(), T => s.slice::<T>()[0].to_f64())),
        Some(s) => Err(Error::shape(format!("scale must be one number.\n  scale {}", s.layout().shape))),
    }
}

/// Steps done so far; fails unless `step` is int64 [1].
fn steps_done(step: &ViewMut) -> Result<i64> {
    if step.dtype() != DType::I64 || step.numel() != 1 {
        return Err(Error::value(format!("step must be int64 [1].\n  step {} {}", step.layout().shape, step.dtype())));
    }
    Ok(step.as_view().slice::<i64>()[0])
}

fn raise(step: &mut ViewMut) {
    let step = &mut step.slice_mut::<i64>()[0];
    *step = step.wrapping_add(1);
}

/// Whether a gradient is given as rows: it has fewer than its parameter.
fn is_rows(grad: &View, param: &ViewMut) -> bool {
    let (g, p) = (grad.dims(), param.dims());
    g.len() == 2 && p.len() == 2 && g[0] < p[0] && g[1] == p[1] && grad.dtype() == param.dtype()
}

/// The row numbers of gradient `i` where it is given as rows: they stand in `rows` in the order of the gradients.
fn rows_of<'a>(i: usize, grads: &[View], rows: &'a [View], params: &[ViewMut]) -> Option<&'a [i32]> {
    if rows.is_empty() || !is_rows(&grads[i], &params[i]) {
        return None;
    }
    let place = (0..i).filter(|&i| is_rows(&grads[i], &params[i])).count();
    Some(rows[place].slice::<i32>())
}

/// Gradients and every list of states that is kept must match the parameters one by one. Checked before anything is written.
fn check(grads: &[View], rows: &[View], params: &[ViewMut], states: &[&[ViewMut]; STATES]) -> Result {
    let same = |what: &str, i: usize, m: &Meta| {
        let p = params[i].meta();
        if m.shape() == p.shape() && m.dtype == p.dtype {
            return Ok(());
        }
        Err(Error::shape(format!(
            "{what} {i} does not fit its parameter.\n  parameter {} {}, {what} {} {}\n  They must have the same shape and dtype.",
            p.shape(),
            p.dtype,
            m.shape(),
            m.dtype
        )))
    };
    let count = |what: &str, n: usize| {
        if n == params.len() {
            return Ok(());
        }
        Err(Error::shape(format!("needs one {what} a parameter.\n  {} parameters, {n} {what}s", params.len())))
    };
    count("gradient", grads.len())?;
    let mut used = 0;
    for (i, p) in params.iter().enumerate() {
        if !p.dtype().is_float() {
            return Err(Error::dtype(format!("parameter {i} is not floating.\n  {} {}", p.layout().shape, p.dtype())));
        }
        match rows.get(used) {
            Some(list) if is_rows(&grads[i], p) => {
                if list.dtype() != DType::I32 || list.dims() != &grads[i].dims()[..1] {
                    let l = list.layout().shape;
                    return Err(Error::shape(format!(
                        "rows must be an int32 list, one a row of the gradient.\n  rows {l} {}",
                        list.dtype()
                    )));
                }
                used += 1;
            }
            _ => same("gradient", i, grads[i].meta())?,
        }
    }
    if used != rows.len() {
        return Err(Error::shape(format!("needs one list of rows a gradient of rows.\n  {used} gradients, {} lists", rows.len())));
    }
    for list in states.iter().filter(|list| !list.is_empty()) {
        count("state", list.len())?;
        for (i, state) in list.iter().enumerate() {
            same("state", i, state.meta())?;
        }
    }
    Ok(())
}

/// A list of states that the settings call for.
fn need(what: &str, states: &[ViewMut], params: &[ViewMut]) -> Result {
    if states.is_empty() && !params.is_empty() {
        return Err(Error::value(format!("needs {what}, one tensor a parameter.\n  Give the list, filled with zeros at first.")));
    }
    Ok(())
}

/// Calls `f(tensor, its elements)` for the parts of `range` of the concatenation of tensors of these lengths.
fn parts(lengths: impl Iterator<Item = usize>, range: Range<usize>, mut f: impl FnMut(usize, Range<usize>)) {
    let mut first = 0;
    for (i, len) in lengths.enumerate() {
        if first >= range.end {
            break;
        }
        let (start, end) = (range.start.max(first), range.end.min(first + len));
        if start < end {
            f(i, start - first..end - first);
        }
        first += len;
    }
}

/// Applies `rule` to every element of every tensor. Lists of states may be empty. A gradient of fewer rows than its parameter has its row numbers,
/// ascending, in `rows`: the other rows have the gradient 0, bit for bit as if it were given.
///
/// # Safety
/// The states are written: the caller must hold them mutably (they come shared because their lifetimes differ).
unsafe fn update(cx: &Cx, rule: impl Rule, grads: &[View], rows: &[View], params: &mut [ViewMut], states: [&[ViewMut]; STATES]) -> Result {
    check(grads, rows, params, &states)?;
    let total = params.iter().map(|p| p.numel()).sum();
    let params = &*params;
    cx.par_ranges(total, GRAIN, |range| {
        parts(params.iter().map(|p| p.numel()), range, |i, part| {
            // Checked above: a floating dtype.
            let _ = with_float!(params[i].dtype(), T => {
                let apply = |part: Range<usize>, from: Option<usize>| {
                    let at = part.start;
                    // SAFETY: all have the parameter's shape and dtype, and are contiguous, but for gradients of rows, in which `stretches` stays; each
                    // element is in one task's range, and the ViewMuts are borrowed mutably by our caller, so nobody else touches them.
                    unsafe {
                        let work = Work {
                            rule,
                            g: from.map(|from| grads[i].ptr::<T>().add(from)),
                            p: params[i].as_view().ptr::<T>().cast_mut().add(at),
                            states: states.map(|list| list.get(i).map(|s| s.as_view().ptr::<T>().cast_mut().add(at))),
                            len: part.len(),
                        };
                        work.run();
                    }
                };
                match rows_of(i, grads, rows, params) {
                    Some(rows) => stretches(rows, params[i].dims()[1], part, apply),
                    None => apply(part.clone(), Some(part.start)),
                }
                Ok(())
            });
        });
    });
    Ok(())
}

struct Work<R, T> {
    /// A copy, which no store can reach: its coefficients stay in registers.
    rule: R,
    /// None where the gradient is 0.
    g: Option<*const T>,
    p: *mut T,
    states: [Option<*mut T>; STATES],
    len: usize,
}

impl<R: Rule, T: Element> Work<R, T> {
    /// # Safety
    /// Every pointer must have `len` elements that nobody else writes.
    unsafe fn run(self) {
        if T::DTYPE == DType::F32 {
            let states = self.states.map(|s| s.map(<*mut T>::cast::<f32>));
            return vectorize(Work {
                rule: self.rule,
                g: self.g.map(<*const T>::cast::<f32>),
                p: self.p.cast::<f32>(),
                states,
                len: self.len,
            });
        }
        for i in 0..self.len {
            // SAFETY: by the caller's promise.
            unsafe {
                let old = self.states.map(|s| s.map_or(0.0, |s| (*s.add(i)).to_f64()));
                let (p, new) = self.rule.step(Double, self.g.map_or(0.0, |g| (*g.add(i)).to_f64()), (*self.p.add(i)).to_f64(), old);
                *self.p.add(i) = T::from_f64(p);
                for (state, v) in self.states.iter().zip(new) {
                    if let Some(state) = state {
                        *state.add(i) = T::from_f64(v);
                    }
                }
            }
        }
    }
}

impl<R: Rule> Kernel for Work<R, f32> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut i = 0;
        while i < self.len {
            let n = S::LANES.min(self.len - i);
            // SAFETY: `run`'s caller promises `len` elements behind every pointer.
            unsafe {
                let g = match self.g {
                    Some(g) => load(s, g.add(i), n),
                    None => s.zero(),
                };
                let p = load(s, self.p.add(i), n);
                let mut old = [s.zero(); STATES];
                for k in 0..STATES {
                    if let Some(state) = self.states[k] {
                        old[k] = load(s, state.add(i), n);
                    }
                }
                let (p, new) = self.rule.step(Lanes(s), g, p, old);
                store(s, self.p.add(i), n, p);
                for k in 0..STATES {
                    if let Some(state) = self.states[k] {
                        store(s, state.add(i), n, new[k]);
                    }
                }
            }
            i += n;
        }
    }
}

/// # Safety
/// `n` elements must be readable, n <= LANES.
#[inline(always)]
unsafe fn load<S: Simd>(s: S, p: *const f32, n: usize) -> S::F {
    // SAFETY: by the caller's promise.
    unsafe { if n == S::LANES { s.load(p) } else { s.load_partial(p, n) } }
}

/// # Safety
/// `n` elements must be writable, n <= LANES.
#[inline(always)]
unsafe fn store<S: Simd>(s: S, p: *mut f32, n: usize, v: S::F) {
    // SAFETY: by the caller's promise.
    unsafe { if n == S::LANES { s.store(p, v) } else { s.store_partial(p, n, v) } }
}

#[cfg(test)]
mod tests;
