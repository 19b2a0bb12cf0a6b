//! How one reduction takes in elements: `reduce/` walks memory, a `Fold` says what happens to each element.
use ferrograd_tensor::{B8, DType, Element};
use std::marker::PhantomData;

/// A reduction of `T` to `Y` through accumulators `A`. `step` and `join` must be `#[inline(always)]`.
pub(crate) trait Fold: 'static {
    type T: Element;
    type A: Element;
    type Y: Element;
    /// Whether there is a path for each instruction set.
    const FAST: bool;
    /// The accumulator of no elements.
    fn start() -> Self::A;
    fn step(a: Self::A, x: Self::T) -> Self::A;
    fn join(a: Self::A, b: Self::A) -> Self::A;
    /// The result; sums are divided by `n`.
    fn finish(a: Self::A, n: usize) -> Self::Y;
}

/// Sums of floats, and means, in float64: converting costs nothing beside memory, and no tree of float32 additions is as close.
pub(crate) struct Sum<T>(PhantomData<T>);
pub(crate) struct Product<T>(PhantomData<T>);
/// Integers and bools, exact in int64 (wrapping beyond, as in PyTorch).
pub(crate) struct SumInt<T>(PhantomData<T>);
pub(crate) struct ProductInt<T>(PhantomData<T>);
/// NaN wins.
pub(crate) struct Largest<T>(PhantomData<T>);
pub(crate) struct Smallest<T>(PhantomData<T>);
pub(crate) struct Any<T>(PhantomData<T>);
pub(crate) struct All<T>(PhantomData<T>);

macro_rules! fold {
    ($name:ident, $A:ty => $Y:ty, fast $fast:pat, start $start:expr, step |$a:ident, $x:ident| $step:expr,
     join |$b:ident, $c:ident| $join:expr, finish |$d:ident, $n:ident| $finish:expr) => {
        impl<T: Element> Fold for $name<T> {
            type T = T;
            type A = $A;
            type Y = $Y;
            const FAST: bool = matches!(T::DTYPE, $fast);
            #[inline(always)]
            fn start() -> $A {
                $start
            }
            #[inline(always)]
            fn step($a: $A, $x: T) -> $A {
                $step
            }
            #[inline(always)]
            fn join($b: $A, $c: $A) -> $A {
                $join
            }
            #[inline(always)]
            fn finish($d: $A, $n: usize) -> $Y {
                $finish
            }
        }
    };
}

fold!(Sum, f64 => T, fast DType::F32 | DType::BF16, start 0.0, step |a, x| a + x.to_f64(), join |b, c| b + c,
      finish |d, n| T::from_f64(d / n as f64));
fold!(Product, f64 => T, fast DType::F32, start 1.0, step |a, x| a * x.to_f64(), join |b, c| b * c, finish |d, _n| T::from_f64(d));
fold!(SumInt, i64 => i64, fast DType::F32, start 0, step |a, x| a.wrapping_add(x.to_i64()), join |b, c| b.wrapping_add(c),
      finish |d, _n| d);
fold!(ProductInt, i64 => i64, fast DType::F32, start 1, step |a, x| a.wrapping_mul(x.to_i64()), join |b, c| b.wrapping_mul(c),
      finish |d, _n| d);
fold!(Largest, T => T, fast DType::F32, start lowest(), step |a, x| larger(a, x), join |b, c| larger(b, c), finish |d, _n| d);
fold!(Smallest, T => T, fast DType::F32, start highest(), step |a, x| smaller(a, x), join |b, c| smaller(b, c), finish |d, _n| d);
fold!(Any, B8 => B8, fast DType::F32, start B8(0), step |a, x| B8(a.0 | holds(x) as u8), join |b, c| B8(b.0 | c.0), finish |d, _n| d);
fold!(All, B8 => B8, fast DType::F32, start B8(1), step |a, x| B8(a.0 & holds(x) as u8), join |b, c| B8(b.0 & c.0), finish |d, _n| d);

#[inline(always)]
pub(crate) fn is_nan<T: Element>(x: T) -> bool {
    match T::DTYPE {
        DType::F64 => x.to_f64().is_nan(),
        DType::F32 | DType::BF16 | DType::F16 => x.to_f32().is_nan(),
        _ => false,
    }
}

#[inline(always)]
pub(crate) fn less<T: Element>(a: T, b: T) -> bool {
    match T::DTYPE {
        DType::F64 => a.to_f64() < b.to_f64(),
        DType::F32 | DType::BF16 | DType::F16 => a.to_f32() < b.to_f32(),
        _ => a.to_i64() < b.to_i64(),
    }
}

/// `x` where it is larger than `a` or NaN; a NaN in `a` stays.
#[inline(always)]
fn larger<T: Element>(a: T, x: T) -> T {
    if less(a, x) | is_nan(x) { x } else { a }
}

#[inline(always)]
fn smaller<T: Element>(a: T, x: T) -> T {
    if less(x, a) | is_nan(x) { x } else { a }
}

#[inline(always)]
fn holds<T: Element>(x: T) -> bool {
    match T::DTYPE {
        DType::F64 => x.to_f64() != 0.0,
        DType::F32 | DType::BF16 | DType::F16 => x.to_f32() != 0.0,
        _ => x.to_i64() != 0,
    }
}

fn lowest<T: Element>() -> T {
    if T::DTYPE == DType::Bool { T::from_i64(0) } else { T::from_f64(f64::NEG_INFINITY) }
}

fn highest<T: Element>() -> T {
    if T::DTYPE == DType::Bool { T::from_i64(1) } else { T::from_f64(f64::INFINITY) }
}
