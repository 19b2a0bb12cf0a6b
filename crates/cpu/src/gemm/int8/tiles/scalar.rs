//! Plain code: tiles of up to 2 x 8 in arrays of four int32, into which each place of the quads is widened: what the compiler turns into the
//! vectors of its baseline (28 GOP/s on a core that gives 1000 by `vpdpbusd`; int16 in pairs measured less).
use super::tile_kernels;

type V = [i32; W];
type F = [f32; W];
/// The four bytes of each quad.
type Left = [V; 4];
type Right = [V; 4];
/// How many lanes count.
type Mask = usize;
const W: usize = 4;

#[inline(always)]
fn mask(n: usize) -> Mask {
    n.min(W)
}
#[inline(always)]
fn zeros() -> V {
    [0; W]
}
#[inline(always)]
fn splat(quad: Quad) -> V {
    [quad; W]
}
#[inline(always)]
unsafe fn load(p: *const Quad) -> V {
    // SAFETY: the caller's promise.
    unsafe { *p.cast() }
}
#[inline(always)]
unsafe fn store_sums(p: *mut Quad, x: V) {
    // SAFETY: the caller's promise.
    unsafe { *p.cast() = x };
}
/// `n` bytes, 16 at most, and zeros.
#[inline(always)]
unsafe fn bytes(p: *const u8, n: usize) -> V {
    // SAFETY: `n` bytes are readable by the caller's promise.
    unsafe {
        if n == 4 * W {
            return p.cast::<V>().read_unaligned();
        }
        let mut x = zeros();
        core::ptr::copy_nonoverlapping(p, x.as_mut_ptr().cast(), n);
        x
    }
}
#[inline(always)]
fn left(x: V) -> Left {
    [x.map(|q| q & 0xff), x.map(|q| q >> 8 & 0xff), x.map(|q| q >> 16 & 0xff), x.map(|q| q >> 24 & 0xff)]
}
#[inline(always)]
fn right(x: V) -> Right {
    [x.map(|q| q << 24 >> 24), x.map(|q| q << 16 >> 24), x.map(|q| q << 8 >> 24), x.map(|q| q >> 24)]
}
#[inline(always)]
fn dot(mut sum: V, a: Left, b: Right) -> V {
    for j in 0..4 {
        for i in 0..W {
            sum[i] = sum[i].wrapping_add(a[j][i] * b[j][i]);
        }
    }
    sum
}
#[inline(always)]
fn times(x: V, factor: i32) -> V {
    x.map(|v| v.wrapping_mul(factor))
}
#[inline(always)]
fn minus(a: V, b: V) -> V {
    std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
}
/// The sum of the lanes.
#[inline(always)]
fn total(x: V) -> i32 {
    x.into_iter().fold(0, i32::wrapping_add)
}

#[inline(always)]
fn all(x: f32) -> F {
    [x; W]
}
/// `mask` elements must be readable at `p`.
#[inline(always)]
unsafe fn floats(p: *const f32, mask: Mask) -> F {
    let mut x = all(0.0);
    for i in 0..mask {
        // SAFETY: `mask` elements at `p` are the caller's promise.
        x[i] = unsafe { *p.add(i) };
    }
    x
}
#[inline(always)]
unsafe fn store(p: *mut f32, mask: Mask, x: F) {
    for i in 0..mask {
        // SAFETY: `mask` elements at `p` are the caller's promise.
        unsafe { *p.add(i) = x[i] };
    }
}
#[inline(always)]
fn number(x: V) -> F {
    x.map(|v| v as f32)
}
#[inline(always)]
fn multiply(a: F, b: F) -> F {
    std::array::from_fn(|i| a[i] * b[i])
}
#[inline(always)]
fn plus(a: F, b: F) -> F {
    std::array::from_fn(|i| a[i] + b[i])
}
#[inline(always)]
fn at_least(x: F, floor: F) -> F {
    std::array::from_fn(|i| if x[i] < floor[i] { floor[i] } else { x[i] })
}

tile_kernels!([]);
tile_kernels!(table 1 2; [1 2]; 1 x 4, 2 x 2, 3 x 1, 4 x 1);
