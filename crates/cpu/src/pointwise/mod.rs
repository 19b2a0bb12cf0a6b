//! Element-by-element functions of one or two operands: two tables ([`Unary`], [`Binary`]) and the loops that run them.
//!
//! A row gives a function as a formula over `f32` vectors, a `f64` formula (the reference, and what float64 runs) and, where integers have a
//! meaning, one over `i64`, in which every integer dtype and bool is computed; results wrap as PyTorch's do. Half types go through `f32`.
mod binary;
mod chain;
mod drive;
mod spread;
#[cfg(test)]
mod tests;
mod unary;

pub use binary::{Binary, binary};
pub use chain::{Function, Link, Place, TILES, chain, chain_local, chain_scratch};
pub use spread::Spread;
pub use unary::{Unary, unary};

use ferrograd_simd::{Kernel, Simd, vectorize};

/// One row of a table. Unary rows see their operand as `x` and `y` alike.
trait Row {
    fn vector<S: Simd>(s: S, x: S::F, y: S::F, a: S::F, b: S::F) -> S::F;
    fn float(x: f64, y: f64, a: f64, b: f64) -> f64;
    fn integer(x: i64, y: i64, a: f64, b: f64) -> i64;
}

/// A run of elements: `out[i] = f(x[i * x_step], y[i * y_step])`, steps 0 or 1. Truth values are 1 and 0.
#[derive(Clone, Copy)]
struct Run<C> {
    x: *const C,
    x_step: usize,
    y: *const C,
    y_step: usize,
    out: *mut C,
    len: usize,
    a: f64,
    b: f64,
    /// The result is too large for the caches (f32 alone looks at it).
    stream: bool,
}

/// A row compiled for each type that something is computed in.
///
/// # Safety
/// The functions read and write what their [`Run`] says; `out` may be `x` or `y` exactly, and must not overlap them otherwise.
#[derive(Clone, Copy)]
struct Compiled {
    single: unsafe fn(&Run<f32>),
    double: unsafe fn(&Run<f64>),
    /// `None` where integers have no meaning.
    integer: Option<unsafe fn(&Run<i64>)>,
}

struct Vectors<'a, R>(&'a Run<f32>, std::marker::PhantomData<R>);

impl<R: Row> Kernel for Vectors<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let run = *self.0;
        let (a, b) = (s.splat(run.a as f32), s.splat(run.b as f32));
        // A repeated operand is read again and again from a line of its own, so that one loop serves every case.
        let (one_x, one_y): ([f32; 16], [f32; 16]);
        // SAFETY: steps are 0 or 1, so all reads lie within the runs promised, or within the lines of 16.
        unsafe {
            let (mut x, mut y) = (run.x, run.y);
            if run.x_step == 0 && run.len > 0 {
                one_x = [*run.x; 16];
                x = one_x.as_ptr();
            }
            if run.y_step == 0 && run.len > 0 {
                one_y = [*run.y; 16];
                y = one_y.as_ptr();
            }
            let mut i = 0;
            if run.stream && run.out.addr().is_multiple_of(4 * S::LANES) {
                while i + S::LANES <= run.len {
                    let v = R::vector(s, s.load(x.add(i * run.x_step)), s.load(y.add(i * run.y_step)), a, b);
                    s.stream(run.out.add(i), v);
                    i += S::LANES;
                }
                s.fence();
            }
            while i + S::LANES <= run.len {
                let v = R::vector(s, s.load(x.add(i * run.x_step)), s.load(y.add(i * run.y_step)), a, b);
                s.store(run.out.add(i), v);
                i += S::LANES;
            }
            let rest = run.len - i;
            if rest > 0 {
                let (x, y) = (s.load_partial(x.add(i * run.x_step), rest), s.load_partial(y.add(i * run.y_step), rest));
                s.store_partial(run.out.add(i), rest, R::vector(s, x, y, a, b));
            }
        }
    }
}

// SAFETY: `run` gives `len` readable elements of each operand and as many writable ones of the output.
unsafe fn single<R: Row>(run: &Run<f32>) {
    vectorize(Vectors::<R>(run, std::marker::PhantomData));
}

// SAFETY: as for `single`.
unsafe fn double<R: Row>(run: &Run<f64>) {
    for i in 0..run.len {
        // SAFETY: by the caller's promise.
        unsafe { *run.out.add(i) = R::float(*run.x.add(i * run.x_step), *run.y.add(i * run.y_step), run.a, run.b) }
    }
}

unsafe fn integer<R: Row>(run: &Run<i64>) {
    for i in 0..run.len {
        // SAFETY: by the caller's promise.
        unsafe { *run.out.add(i) = R::integer(*run.x.add(i * run.x_step), *run.y.add(i * run.y_step), run.a, run.b) }
    }
}

/// A table: the enum of its rows, each row's formulas, and the way from one to the other.
/// `name: vector, float;` or `name: vector, float, integer;` over the names given in the head.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident($s:ident, $x:ident, $y:ident, $a:ident, $b:ident) {
        $($name:ident: $vector:expr, $float:expr $(, $integer:expr)?;)*
    }) => {
        $(#[$doc])*
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $table {
            $($name,)*
        }

        #[allow(non_camel_case_types, unused_variables)]
        mod rows {
            use super::*;
            $(
                pub struct $name;
                impl Row for $name {
                    #[inline(always)]
                    fn vector<S: Simd>($s: S, $x: S::F, $y: S::F, $a: S::F, $b: S::F) -> S::F {
                        $vector
                    }
                    #[inline(always)]
                    fn float($x: f64, $y: f64, $a: f64, $b: f64) -> f64 {
                        $float
                    }
                    #[inline(always)]
                    fn integer($x: i64, $y: i64, $a: f64, $b: f64) -> i64 {
                        table!(@or_zero $($integer)?)
                    }
                }
            )*
        }

        impl $table {
            /// Every row, in the table's order.
            pub const ALL: &'static [$table] = &[$($table::$name),*];

            /// As in the op table.
            pub fn name(self) -> &'static str {
                match self {
                    $($table::$name => stringify!($name),)*
                }
            }
            pub(super) fn compiled(self) -> Compiled {
                match self {
                    $($table::$name => Compiled {
                        single: single::<rows::$name>,
                        double: double::<rows::$name>,
                        integer: table!(@has_integer $name $($integer)?),
                    },)*
                }
            }
            /// The reference formula, for one element.
            #[cfg(test)]
            pub(super) fn reference(self, x: f64, y: f64, a: f64, b: f64) -> f64 {
                match self {
                    $($table::$name => rows::$name::float(x, y, a, b),)*
                }
            }
        }
    };
    (@or_zero $integer:expr) => { $integer };
    (@or_zero) => { 0 };
    (@has_integer $name:ident $integer:expr) => { Some(integer::<rows::$name>) };
    (@has_integer $name:ident) => { None };
}
use table;

/// 1 where the mask is set, else 0.
#[inline(always)]
fn truth<S: Simd>(s: S, mask: S::M) -> S::F {
    s.select(mask, s.splat(1.0), s.zero())
}

const FRAC_1_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
/// sqrt(2 / pi) and the cubic's factor, of GELU's tanh form.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBIC: f64 = 0.044_715;
