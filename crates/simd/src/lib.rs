//! One vector trait over AVX-512, AVX2, NEON and plain code, chosen once at run time, and the functions written over it.
//!
//! A kernel implements [`Kernel`] and is started through [`vectorize`], which runs the *whole* of it inside a function compiled for the
//! instruction set: intrinsics called outside of such a function are not inlined and cost ten times as much. `run` and all that it calls
//! with a `Simd` token must therefore be `#[inline(always)]`, and hot loops must not pass vectors through closures.
mod isa;
pub mod math;
pub mod reference;
mod scalar;
mod simd;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

pub use isa::{Isa, has_bf16_dot, has_byte_dot, isa, isa_note, with_isa};
pub use scalar::Scalar;
pub use simd::{Kernel, Simd};

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;

/// Asks for the lines of `len` elements from `start` on. A hint: any address will do.
#[inline(always)]
pub fn prefetch(start: *const f32, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..len).step_by(16) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, len);
}

/// Asks for the lines of `len` elements from `start` on, which will be written: they are then there when the stores come, which wait for them
/// otherwise. A hint: any address will do.
#[inline]
pub fn prefetch_write(start: *mut f32, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..len).step_by(16) {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(start.wrapping_add(line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, len);
}

/// `[f(0), f(1), ...]` inside a kernel. Of `array::from_fn` and `map` the compiler makes functions of their own once they are large, which lack the
/// path's features and so call every intrinsic; a loop it keeps where it stands.
#[inline(always)]
pub fn inlined<T: Copy, const N: usize>(f: impl Fn(usize) -> T) -> [T; N] {
    let mut all = [const { std::mem::MaybeUninit::uninit() }; N];
    for (i, one) in all.iter_mut().enumerate() {
        one.write(f(i));
    }
    // SAFETY: every element was written, and a `T` is laid out as its `MaybeUninit`.
    unsafe { std::mem::transmute_copy(&all) }
}

/// Runs `kernel` on the vector path in force ([`isa`]).
#[inline]
pub fn vectorize<K: Kernel>(kernel: K) -> K::Output {
    match isa() {
        // SAFETY: `isa` answers only with a path whose features were detected.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::enter(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::enter(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { neon::enter(kernel) },
        _ => kernel.run(Scalar),
    }
}
