//! NEON: tiles of up to 6 x 16 (24 accumulators of 32 registers).
use super::tile_kernels;
use core::arch::aarch64::*;

type V = float32x4_t;
/// How many lanes count.
type Mask = usize;
const W: usize = 4;
/// Steps that `finish` takes.
const LAST: usize = 0;

#[inline]
#[target_feature(enable = "neon")]
fn mask(n: usize) -> Mask {
    n.min(W)
}
#[inline]
#[target_feature(enable = "neon")]
fn zero() -> V {
    vdupq_n_f32(0.0)
}
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load(p: *const f32, mask: Mask) -> V {
    // SAFETY: `mask` elements at `p` are the caller's promise.
    unsafe {
        if mask == W {
            return vld1q_f32(p);
        }
        let mut lanes = [0f32; W];
        for i in 0..mask {
            lanes[i] = *p.add(i);
        }
        vld1q_f32(lanes.as_ptr())
    }
}
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store(p: *mut f32, x: V, mask: Mask) {
    // SAFETY: as in `load`.
    unsafe {
        if mask == W {
            return vst1q_f32(p, x);
        }
        let mut lanes = [0f32; W];
        vst1q_f32(lanes.as_mut_ptr(), x);
        for i in 0..mask {
            *p.add(i) = lanes[i];
        }
    }
}
#[inline]
#[target_feature(enable = "neon")]
unsafe fn splat(p: *const f32) -> V {
    // SAFETY: the caller's promise.
    unsafe { vld1q_dup_f32(p) }
}
#[inline]
#[target_feature(enable = "neon")]
fn fma(a: V, b: V, c: V) -> V {
    vfmaq_f32(c, a, b)
}
#[inline]
#[target_feature(enable = "neon")]
fn add(a: V, b: V) -> V {
    vaddq_f32(a, b)
}
#[inline]
#[target_feature(enable = "neon")]
fn relu(x: V) -> V {
    // FMAX gives NaN where either operand is.
    vmaxq_f32(vdupq_n_f32(0.0), x)
}

tile_kernels!([enable = "neon"]);
tile_kernels!(tables 1 2 3 4; [1 2 3 4 5 6]);
