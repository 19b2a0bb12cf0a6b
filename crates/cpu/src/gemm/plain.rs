//! Products in plain code: the reference of the fast paths, and the way of float64 and of the integers (which wrap, as PyTorch's do).
//! Each element of C is summed in the order of k; product and sum are rounded apart, so that every vector path gives the same bits.
use super::loops::Mat;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Element, Parallel, SyncPtr};

/// Numbers that products are made of.
pub(crate) trait Number: Element {
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn plus(self, b: Self) -> Self;
    fn relu(self) -> Self;
}

macro_rules! number {
    ($($t:ty: |$s:ident, $a:ident, $b:ident| $fma:expr, $add:expr);*) => { $(
        impl Number for $t {
            #[inline(always)]
            fn mul_add(self, $a: Self, $b: Self) -> Self { let $s = self; $fma }
            #[inline(always)]
            fn plus(self, $b: Self) -> Self { let $s = self; $add }
            #[inline(always)]
            fn relu(self) -> Self { if self < <$t>::default() { <$t>::default() } else { self } }
        }
    )* };
}
number! {
    f32: |s, a, b| s + a * b, s + b;
    f64: |s, a, b| s + a * b, s + b;
    i64: |s, a, b| s.wrapping_add(a.wrapping_mul(b)), s.wrapping_add(b);
    i32: |s, a, b| s.wrapping_add(a.wrapping_mul(b)), s.wrapping_add(b);
    u8: |s, a, b| s.wrapping_add(a.wrapping_mul(b)), s.wrapping_add(b);
    i8: |s, a, b| s.wrapping_add(a.wrapping_mul(b)), s.wrapping_add(b)
}

/// As [`super::Gemm`], for any [`Number`].
#[derive(Clone, Copy)]
pub(crate) struct Plain<T> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Mat<T>,
    pub b: Mat<T>,
    pub c: SyncPtr<T>,
    pub ldc: usize,
    /// Null for none.
    pub bias: SyncPtr<T>,
    pub relu: bool,
}

/// Elements of scratch that [`Plain::run`] may want.
pub(crate) fn plain_scratch_len(n: usize, k: usize) -> usize {
    n * k
}

/// Rows of C a task makes; columns held in registers.
const ROWS: usize = 16;
const COLS: usize = 16;

impl<T: Number> Plain<T> {
    /// # Safety
    /// Operands and C are valid for the shapes, C belongs to this call alone, and `scratch` has `plain_scratch_len(n, k)` elements.
    pub unsafe fn run(&self, pool: &dyn Parallel, scratch: &mut [T]) {
        if self.m == 0 || self.n == 0 {
            return;
        }
        let mut whole = *self;
        if self.b.cs != 1 && self.n > 1 {
            // Columns side by side, so that the inner loop runs over neighbours.
            let copy = SyncPtr(scratch.as_mut_ptr());
            each(pool, self.k.div_ceil(64), |task| {
                for k in task * 64..self.k.min(task * 64 + 64) {
                    for j in 0..self.n {
                        // SAFETY: inside B and the scratch; each row of the copy has one owner.
                        unsafe { *copy.get().add(k * self.n + j) = *self.b.ptr.offset(k as isize * self.b.rs + j as isize * self.b.cs) };
                    }
                }
            });
            whole.b = Mat { ptr: copy.get(), rs: self.n as isize, cs: 1 };
        }
        each(pool, self.m.div_ceil(ROWS), |task| {
            vectorize(Rows { whole, first: task * ROWS, end: self.m.min((task + 1) * ROWS) });
        });
    }
}

struct Rows<T> {
    whole: Plain<T>,
    first: usize,
    end: usize,
}

impl<T: Number> Kernel for Rows<T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let full = self.whole.n / COLS * COLS;
        // SAFETY: blocks lie inside the operands by the promise made to `Plain::run`.
        unsafe {
            for j in (0..full).step_by(COLS) {
                let mut i = self.first;
                while i + 4 <= self.end {
                    self.block::<4, COLS>(i, j);
                    i += 4;
                }
                for i in i..self.end {
                    self.block::<1, COLS>(i, j);
                }
            }
            for j in full..self.whole.n {
                for i in self.first..self.end {
                    self.block::<1, 1>(i, j);
                }
            }
        }
    }
}

impl<T: Number> Rows<T> {
    // SAFETY: rows i..i + R and columns j..j + C lie inside the product, and no other thread writes them.
    #[inline(always)]
    unsafe fn block<const R: usize, const C: usize>(&self, i: usize, j: usize) {
        let g = &self.whole;
        let mut sums = [[T::default(); C]; R];
        // SAFETY: the caller's promise.
        unsafe {
            for k in 0..g.k as isize {
                let b: [T; C] = *g.b.ptr.offset(k * g.b.rs + j as isize).cast();
                for r in 0..R {
                    let a = *g.a.ptr.offset((i + r) as isize * g.a.rs + k * g.a.cs);
                    for c in 0..C {
                        sums[r][c] = sums[r][c].mul_add(a, b[c]);
                    }
                }
            }
            for r in 0..R {
                for c in 0..C {
                    let mut sum = sums[r][c];
                    if !g.bias.get().is_null() {
                        sum = sum.plus(*g.bias.get().add(j + c));
                    }
                    *g.c.get().add((i + r) * g.ldc + j + c) = if g.relu { sum.relu() } else { sum };
                }
            }
        }
    }
}

fn each(pool: &dyn Parallel, count: usize, task: impl Fn(usize) + Sync) {
    match count {
        0 => {}
        1 => task(0),
        _ => pool.run(count, &|i, _| task(i)),
    }
}
