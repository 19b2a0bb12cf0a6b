//! No vector instructions beyond what the compiler's baseline has: tiles of up to 4 x 8 in arrays of four, product and sum rounded apart
//! (a fused multiply-add without the instruction is a slow library call).
use super::tile_kernels;

type V = [f32; W];
/// How many lanes count.
type Mask = usize;
const W: usize = 4;
/// Steps that `finish` takes.
const LAST: usize = 0;

#[inline(always)]
fn mask(n: usize) -> Mask {
    n.min(W)
}
#[inline(always)]
fn zero() -> V {
    [0.0; W]
}
#[inline(always)]
unsafe fn load(p: *const f32, mask: Mask) -> V {
    // SAFETY: `mask` elements at `p` are the caller's promise.
    unsafe {
        if mask == W {
            return *p.cast();
        }
        let mut x = zero();
        for i in 0..mask {
            x[i] = *p.add(i);
        }
        x
    }
}
#[inline(always)]
unsafe fn store(p: *mut f32, x: V, mask: Mask) {
    // SAFETY: as in `load`.
    unsafe {
        if mask == W {
            return *p.cast() = x;
        }
        for i in 0..mask {
            *p.add(i) = x[i];
        }
    }
}
#[inline(always)]
unsafe fn splat(p: *const f32) -> V {
    // SAFETY: the caller's promise.
    [unsafe { *p }; W]
}
#[inline(always)]
fn fma(a: V, b: V, c: V) -> V {
    std::array::from_fn(|i| a[i] * b[i] + c[i])
}
#[inline(always)]
fn add(a: V, b: V) -> V {
    std::array::from_fn(|i| a[i] + b[i])
}
#[inline(always)]
fn relu(x: V) -> V {
    x.map(|v| if v < 0.0 { 0.0 } else { v })
}

tile_kernels!([]);
tile_kernels!(tables 1 2; [1 2 3 4]);
