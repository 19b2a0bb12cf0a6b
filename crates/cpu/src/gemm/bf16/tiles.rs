//! Tiles of up to 14 rows by 32 columns: 28 accumulators, two vectors of B and a broadcast pair of A in 32 registers. The instruction
//! starts once a cycle and takes six, so that three rows suffice to keep it busy.
use super::{Job, PackedFn, Pair, RowsFn, Table, Target};
use crate::gemm::micro::unrolled;
use core::arch::x86_64::*;
use ferrograd_simd::prefetch;
use ferrograd_tensor::bf16;

const W: usize = 16;

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> __m512 {
    _mm512_setzero_ps()
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(p: *const Pair, mask: __mmask16) -> __m512i {
    // SAFETY: masked lanes do not fault; the others are the caller's promise.
    unsafe { _mm512_maskz_loadu_epi32(mask, p) }
}
#[inline]
#[target_feature(enable = "avx512f")]
fn splat(pair: Pair) -> __m512i {
    _mm512_set1_epi32(pair)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: the same 512 bits under another name.
    let (a, b) = unsafe { (core::mem::transmute::<__m512i, __m512bh>(a), core::mem::transmute::<__m512i, __m512bh>(b)) };
    _mm512_dpbf16_ps(sum, a, b)
}
#[inline]
#[target_feature(enable = "avx512f")]
fn masks<const NV: usize, const WHOLE: bool>(n: usize) -> [__mmask16; NV] {
    let mut all = [!0; NV];
    if !WHOLE {
        let last = n - (NV - 1) * W;
        all[NV - 1] = if last >= W { !0 } else { (1u16 << last) - 1 };
    }
    all
}
/// `x + bias`, at least `floor` (a NaN comes back), rounded.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn round(x: __m512, bias: __m512, floor: __m512) -> __m256i {
    // The second operand comes back where either is NaN.
    let x = _mm512_max_ps(floor, _mm512_add_ps(x, bias));
    // SAFETY: the same 256 bits under another name.
    unsafe { core::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x)) }
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load_bias(p: *const bf16, mask: __mmask16) -> __m512 {
    // SAFETY: as in `load`.
    let half = unsafe { _mm256_maskz_loadu_epi16(mask, p.cast()) };
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
}
#[inline]
#[target_feature(enable = "avx512f")]
fn all(x: f32) -> __m512 {
    _mm512_set1_ps(x)
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store_part(p: *mut f32, mask: __mmask16, x: __m512) {
    // SAFETY: as in `load`.
    unsafe { _mm512_mask_storeu_ps(p, mask, x) }
}
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_part(p: *const f32, mask: __mmask16) -> __m512 {
    // SAFETY: as in `load`.
    unsafe { _mm512_maskz_loadu_ps(mask, p) }
}
#[inline]
#[target_feature(enable = "avx512bw,avx512vl")]
unsafe fn store(p: *mut bf16, mask: __mmask16, x: __m256i) {
    // SAFETY: as in `load`.
    unsafe { _mm256_mask_storeu_epi16(p.cast(), mask, x) }
}

// Inlined by force, since accumulators passed to a function would live in memory; the attribute does not go with `target_feature`, and the
// operations are inlined once these stand in a kernel.
#[inline(always)]
unsafe fn start<const MR: usize, const NV: usize>(job: &Job, masks: &[__mmask16; NV]) -> [[__m512; NV]; MR] {
    // SAFETY: as in `finish`.
    unsafe {
        let mut acc = [[zero(); NV]; MR];
        if let Target::Part { to, ld, add: true } = job.to {
            unrolled!(m in 0..MR {
                for v in 0..NV {
                    acc[m][v] = load_part(to.add(m * ld + v * W), masks[v]);
                }
            });
        }
        acc
    }
}

#[inline(always)]
unsafe fn finish<const MR: usize, const NV: usize>(acc: [[__m512; NV]; MR], job: &Job, masks: &[__mmask16; NV]) {
    // SAFETY: addresses by the caller's promise; masked lanes are not touched; the features are the caller's.
    unsafe {
        match job.to {
            Target::Part { to, ld, .. } => {
                unrolled!(m in 0..MR {
                    for v in 0..NV {
                        store_part(to.add(m * ld + v * W), masks[v], acc[m][v]);
                    }
                });
            }
            Target::Rounded { c, ldc, bias, relu } => {
                // Nothing to add is -0, which changes no number, not even -0.
                let mut add = [all(-0.0); NV];
                if !bias.is_null() {
                    for v in 0..NV {
                        add[v] = load_bias(bias.add(v * W), masks[v]);
                    }
                }
                let floor = all(if relu { 0.0 } else { f32::NEG_INFINITY });
                unrolled!(m in 0..MR {
                    for v in 0..NV {
                        store(c.add(m * ldc + v * W), masks[v], round(acc[m][v], add[v], floor));
                    }
                });
            }
        }
    }
}

/// # Safety
/// The CPU has the features; every address that the job names is valid, as are the `2 * pairs + odd` elements of each tap of each row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn rows<const MR: usize, const NV: usize, const WHOLE: bool>(a: *const *const bf16, job: &Job) {
    // SAFETY: the caller's promise; a pair need not be aligned.
    unsafe {
        let masks = masks::<NV, WHOLE>(job.n);
        let mut acc = start::<MR, NV>(job, &masks);
        let a: [*const bf16; MR] = *a.cast();
        let mut ahead = job.ahead.start;
        for &(at, bt) in job.taps {
            let mut b = job.b.offset(bt);
            let mut i = at;
            for _ in 0..job.pairs {
                prefetch(ahead, 1);
                ahead = ahead.wrapping_add(job.ahead.step);
                let mut bv = [splat(0); NV];
                for v in 0..NV {
                    bv[v] = load(b.add(v * W), masks[v]);
                }
                unrolled!(m in 0..MR {
                    let x = splat(a[m].wrapping_offset(i).cast::<Pair>().read_unaligned());
                    for v in 0..NV {
                        acc[m][v] = dot(acc[m][v], x, bv[v]);
                    }
                });
                i += 2;
                b = b.add(job.ldb);
            }
            if job.odd {
                let mut bv = [splat(0); NV];
                for v in 0..NV {
                    bv[v] = load(b.add(v * W), masks[v]);
                }
                unrolled!(m in 0..MR {
                    let x = splat(Pair::from((*a[m].wrapping_offset(i)).to_bits()));
                    for v in 0..NV {
                        acc[m][v] = dot(acc[m][v], x, bv[v]);
                    }
                });
            }
        }
        finish(acc, job, &masks);
    }
}

/// # Safety
/// As for [`rows`], with A in pairs.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn packed<const MR: usize, const NV: usize, const WHOLE: bool>(a: *const Pair, lda: isize, job: &Job) {
    // SAFETY: the caller's promise.
    unsafe {
        let masks = masks::<NV, WHOLE>(job.n);
        let mut acc = start::<MR, NV>(job, &masks);
        for &(at, bt) in job.taps {
            let (mut a, mut b) = (a.offset(at), job.b.offset(bt));
            for _ in 0..job.pairs + usize::from(job.odd) {
                let mut bv = [splat(0); NV];
                for v in 0..NV {
                    bv[v] = load(b.add(v * W), masks[v]);
                }
                unrolled!(m in 0..MR {
                    let x = splat(*a.add(m));
                    for v in 0..NV {
                        acc[m][v] = dot(acc[m][v], x, bv[v]);
                    }
                });
                a = a.wrapping_offset(lda);
                b = b.wrapping_add(job.ldb);
            }
        }
        finish(acc, job, &masks);
    }
}

macro_rules! every_height {
    ($kernel:ident, $f:ty; $nv:literal) => {
        [
            every_height!($kernel, $f; $nv false 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            every_height!($kernel, $f; $nv true 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        ]
    };
    ($kernel:ident, $f:ty; $nv:literal $whole:literal $($mr:literal)*) => { &[$($kernel::<$mr, $nv, $whole> as $f),*] };
}

pub(super) static TABLE: Table = Table {
    rows: [every_height!(rows, RowsFn; 1), every_height!(rows, RowsFn; 2)],
    packed: [every_height!(packed, PackedFn; 1), every_height!(packed, PackedFn; 2)],
};
