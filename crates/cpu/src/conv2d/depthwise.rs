//! Convolution with one input and one output channel a group, in float32: vectors run along the channels.
use super::geometry::Geometry;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, SyncPtr};

/// Parts of the batch in the weight gradient, their sums added in order.
const PARTS: usize = 8;
/// Channels held in registers.
const BLOCK: usize = 64;

pub(super) fn fits(g: &Geometry) -> bool {
    g.groups > 1 && g.groups == g.c && g.groups == g.o
}

pub(super) fn scratch_len(g: &Geometry) -> usize {
    g.n.clamp(1, PARTS) * g.kh * g.kw * g.c
}

/// A row of output pixels: sums over taps of source pixels times weights [tap][channel].
struct Row<'a, F> {
    source: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
    c: usize,
    taps: usize,
    row: usize,
    /// Source pixel of (row, column, tap), if there is one.
    pixel: &'a F,
    out: &'a mut [f32],
}

impl<F: Fn(usize, usize, usize) -> Option<usize>> Kernel for Row<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (col, out) in self.out.chunks_exact_mut(self.c).enumerate() {
            for (i, out) in out.chunks_mut(BLOCK).enumerate() {
                let (first, len) = (i * BLOCK, out.len());
                let mut sums = [0f32; BLOCK];
                for tap in 0..self.taps {
                    let Some(pixel) = (self.pixel)(self.row, col, tap) else { continue };
                    let x = &self.source[pixel * self.c + first..][..len];
                    let w = &self.weight[tap * self.c + first..][..len];
                    if len == BLOCK {
                        for i in 0..BLOCK {
                            sums[i] += x[i] * w[i];
                        }
                    } else {
                        for i in 0..len {
                            sums[i] += x[i] * w[i];
                        }
                    }
                }
                for i in 0..len {
                    let sum = if let Some(bias) = self.bias { sums[i] + bias[first + i] } else { sums[i] };
                    out[i] = if self.relu && sum < 0.0 { 0.0 } else { sum };
                }
            }
        }
    }
}

/// weight [channel][tap] into [tap][channel].
fn transpose(g: &Geometry, weight: &[f32], out: &mut [f32]) {
    let taps = g.kh * g.kw;
    for c in 0..g.c {
        for tap in 0..taps {
            out[tap * g.c + c] = weight[c * taps + tap];
        }
    }
}

pub(super) fn forward(cx: &mut Cx, g: &Geometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>, relu: bool, y: &mut [f32]) {
    let taps = g.kh * g.kw;
    let (turned, cx) = cx.split_scratch::<f32>(taps * g.c);
    transpose(g, weight, turned);
    let pixel = |row: usize, ox: usize, tap: usize| {
        let (image, oy) = (row / g.oh, row % g.oh);
        let iy = (oy * g.sh + tap / g.kw * g.dh).checked_sub(g.top)?;
        let ix = (ox * g.sw + tap % g.kw * g.dw).checked_sub(g.left)?;
        (iy < g.h && ix < g.w).then(|| (image * g.h + iy) * g.w + ix)
    };
    let (pixel, weight, c) = (&pixel, &*turned, g.c);
    cx.par_chunks_mut(y, g.ow * c, |at, out| {
        vectorize(Row { source: x, weight, bias, relu, c, taps, row: at / (g.ow * c), pixel, out });
    });
}

pub(super) fn input_grad(cx: &mut Cx, g: &Geometry, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let taps = g.kh * g.kw;
    let (turned, cx) = cx.split_scratch::<f32>(taps * g.c);
    transpose(g, weight, turned);
    let pixel = |row: usize, ix: usize, tap: usize| {
        let (image, iy) = (row / g.h, row % g.h);
        let y = (iy + g.top).checked_sub(tap / g.kw * g.dh)?;
        let x = (ix + g.left).checked_sub(tap % g.kw * g.dw)?;
        let (oy, ox) = (y / g.sh, x / g.sw);
        (y % g.sh == 0 && x % g.sw == 0 && oy < g.oh && ox < g.ow).then(|| (image * g.oh + oy) * g.ow + ox)
    };
    let (pixel, weight, c) = (&pixel, &*turned, g.c);
    cx.par_chunks_mut(dx, g.w * c, |at, out| {
        vectorize(Row { source: dy, weight, bias: None, relu: false, c, taps, row: at / (g.w * c), pixel, out });
    });
}

/// One tap's sums [channel] over some images.
struct Tap<'a> {
    g: &'a Geometry,
    x: &'a [f32],
    dy: &'a [f32],
    images: std::ops::Range<usize>,
    tap: usize,
    out: &'a mut [f32],
}

impl Kernel for Tap<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let g = self.g;
        let (kh, kw) = (self.tap / g.kw, self.tap % g.kw);
        let rows = Geometry::valid(kh, g.dh, g.top, g.sh, g.h, g.oh);
        let cols = Geometry::valid(kw, g.dw, g.left, g.sw, g.w, g.ow);
        self.out.fill(0.0);
        for image in self.images {
            for oy in rows.clone() {
                let iy = oy * g.sh + kh * g.dh - g.top;
                for ox in cols.clone() {
                    let ix = ox * g.sw + kw * g.dw - g.left;
                    let x = &self.x[((image * g.h + iy) * g.w + ix) * g.c..][..g.c];
                    let dy = &self.dy[((image * g.oh + oy) * g.ow + ox) * g.c..][..g.c];
                    for ((to, x), dy) in self.out.iter_mut().zip(x).zip(dy) {
                        *to += x * dy;
                    }
                }
            }
        }
    }
}

pub(super) fn weight_grad(cx: &mut Cx, g: &Geometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (taps, parts) = (g.kh * g.kw, g.n.clamp(1, PARTS));
    let (sums, cx) = cx.split_scratch::<f32>(parts * taps * g.c);
    cx.par_chunks_mut(sums, g.c, |at, out| {
        let (part, tap) = (at / g.c / taps, at / g.c % taps);
        let (first, count) = crate::gemm::even_cut(g.n, parts, part);
        vectorize(Tap { g, x, dy, images: first..first + count, tap, out });
    });
    let (dw, sums) = (SyncPtr(dw.as_mut_ptr()), &*sums);
    cx.par_ranges(g.c, 256, |channels| {
        for c in channels {
            for tap in 0..taps {
                let mut total = sums[tap * g.c + c];
                for part in 1..parts {
                    total += sums[(part * taps + tap) * g.c + c];
                }
                // SAFETY: each task has its own channels.
                unsafe { *dw.get().add(c * taps + tap) = total };
            }
        }
    });
}
