//! Products of one task, in the numbers that a dtype computes in.
use crate::gemm::{Gemm, Inline, Mat, Next, Number, Plain, Tiles, plain_scratch_len, scratch_len};
use ferrograd_simd::isa;
use ferrograd_tensor::{Float, SyncPtr};

/// float32 through the register tiles, float64 in plain code.
pub(super) trait Product: Number + Float<Acc = Self> {
    /// # Safety
    /// As for [`run`].
    unsafe fn product(plain: Plain<Self>, next: Next, room: &mut [Self]);
}

impl Product for f32 {
    unsafe fn product(plain: Plain<f32>, next: Next, room: &mut [f32]) {
        let Plain { m, n, k, a, b, c, ldc, bias, relu } = plain;
        // SAFETY: by the caller's promise.
        unsafe { Gemm { m, n, k, a, b, c, ldc, bias, relu, packed_b: None, next }.run(Tiles::of(isa()), &Inline, room) };
    }
}

impl Product for f64 {
    unsafe fn product(plain: Plain<f64>, _next: Next, room: &mut [f64]) {
        // SAFETY: by the caller's promise.
        unsafe { plain.run(&Inline, room) };
    }
}

/// Elements that [`run`] wants, for operands with these strides (rows, columns).
pub(super) fn room(m: usize, n: usize, k: usize, a: (isize, isize), b: (isize, isize)) -> usize {
    scratch_len(m, n, k, a, b).max(plain_scratch_len(n, k))
}

/// c [m, n], row after row, = a [m, k] b [k, n], on the thread that calls, which asks for what it reads `next`.
///
/// # Safety
/// The operands are valid for the shapes, `c` belongs to this call alone, and there is as much [`room`] as said.
pub(super) unsafe fn run<A: Product>([m, n, k]: [usize; 3], a: Mat<A>, b: Mat<A>, c: *mut A, next: Next, room: &mut [A]) {
    let bias = SyncPtr(std::ptr::null_mut());
    // SAFETY: by the caller's promise.
    unsafe { A::product(Plain { m, n, k, a, b, c: SyncPtr(c), ldc: n, bias, relu: false }, next, room) };
}
