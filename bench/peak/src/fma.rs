//! Twelve independent chains of vector multiply-adds: enough to hide the latency on every core of the last ten years.

use std::hint::black_box;

/// The widest path of this CPU: its name, flops a turn, and the loop.
pub fn kernel() -> (&'static str, u64, fn(u64)) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: avx512f was detected.
            return ("avx512", 12 * 16 * 2, |turns| unsafe { avx512(turns) });
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: avx2 and fma were detected.
            return ("avx2", 12 * 8 * 2, |turns| unsafe { avx2(turns) });
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: NEON is part of every aarch64 that Rust's std targets run on.
        return ("neon", 12 * 4 * 2, |turns| unsafe { neon(turns) });
    }
    #[allow(unreachable_code)]
    ("scalar", 12 * 2, scalar)
}

/// The same for bfloat16 products summed in float32; None where the CPU has no such instruction.
pub fn bfloat16_kernel() -> Option<(u64, fn(u64))> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
        // SAFETY: avx512f and avx512bf16 were detected.
        return Some((12 * 32 * 2, |turns| unsafe { avx512_bfloat16(turns) }));
    }
    None
}

/// The same for products of bytes summed in int32; None where the CPU has no such instruction.
pub fn int8_kernel() -> Option<(u64, fn(u64))> {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: avx512f and avx512vnni were detected.
            return Some((12 * 64 * 2, |turns| unsafe { avx512_int8(turns) }));
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni") {
            // SAFETY: avx2 and avxvnni were detected.
            return Some((12 * 32 * 2, |turns| unsafe { avx2_int8(turns) }));
        }
    }
    None
}

macro_rules! chains {
    ($turns:ident, $set:expr, $fma:expr) => {{
        let (a, b) = ($set(black_box(0.999_f32)), $set(black_box(0.001_f32)));
        let mut sums = [$set(black_box(1.0_f32)); 12];
        for _ in 0..$turns {
            for sum in &mut sums {
                *sum = $fma(*sum, a, b);
            }
        }
        black_box(sums);
    }};
}

/// SAFETY: the CPU must have avx512f.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(turns: u64) {
    use std::arch::x86_64::*;
    chains!(turns, |v| _mm512_set1_ps(v), |x, a, b| _mm512_fmadd_ps(x, a, b));
}

/// SAFETY: the CPU must have avx512f and avx512bf16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn avx512_bfloat16(turns: u64) {
    use std::arch::x86_64::*;
    // SAFETY: both types are 64 bytes without a meaning of their own.
    let pairs = |v: __m512| -> __m512bh { unsafe { std::mem::transmute(v) } };
    chains!(turns, |v| _mm512_set1_ps(v), |x, a, b| _mm512_dpbf16_ps(x, pairs(a), pairs(b)));
}

/// SAFETY: the CPU must have avx512f and avx512vnni.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn avx512_int8(turns: u64) {
    use std::arch::x86_64::*;
    chains!(turns, |v: f32| _mm512_set1_epi32(v.to_bits() as i32), |x, a, b| _mm512_dpbusd_epi32(x, a, b));
}

/// SAFETY: the CPU must have avx2 and avxvnni.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn avx2_int8(turns: u64) {
    use std::arch::x86_64::*;
    chains!(turns, |v: f32| _mm256_set1_epi32(v.to_bits() as i32), |x, a, b| _mm256_dpbusd_avx_epi32(x, a, b));
}

/// SAFETY: the CPU must have avx2 and fma.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(turns: u64) {
    use std::arch::x86_64::*;
    chains!(turns, |v| _mm256_set1_ps(v), |x, a, b| _mm256_fmadd_ps(x, a, b));
}

/// SAFETY: the CPU must have NEON.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn neon(turns: u64) {
    use std::arch::aarch64::*;
    chains!(turns, |v| vdupq_n_f32(v), |x, a, b| vfmaq_f32(b, x, a));
}

fn scalar(turns: u64) {
    chains!(turns, |v| v, |x: f32, a: f32, b: f32| x * a + b);
}
