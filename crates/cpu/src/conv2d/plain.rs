//! Convolution and its gradients in plain loops: the way of float64 and the reference of the fast paths.
//! Each output is one sum in the order of the taps; the innermost loop runs over output (input) channels, which are neighbours.
use super::geometry::Geometry;
use crate::gemm::Number;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, SyncPtr};

/// Channels held in registers; weights are padded to a multiple of the smaller.
const WIDE: usize = 32;
const NARROW: usize = 8;

pub(super) fn forward_scratch_len(g: &Geometry) -> usize {
    g.groups * g.depth() * g.og().next_multiple_of(NARROW)
}

pub(super) fn input_grad_scratch_len(g: &Geometry) -> usize {
    g.groups * g.kh * g.kw * g.og() * g.cg().next_multiple_of(NARROW)
}

pub(super) fn weight_grad_scratch_len(g: &Geometry) -> usize {
    g.depth() * g.o
}

/// A plane of outputs, each a sum over taps of source channels times a matrix [taps, depth, width].
struct Gather<'a, T, F> {
    /// Source pixels and their channels, of all groups.
    source: &'a [T],
    src_c: usize,
    depth: usize,
    /// Weights `[group][tap][depth][width padded]`.
    weight: &'a [T],
    groups: usize,
    width: usize,
    bias: Option<&'a [T]>,
    relu: bool,
    kh: usize,
    kw: usize,
    out_w: usize,
    /// Index of the source pixel that an output row's column and a tap read, if it exists.
    pixel: F,
}

impl<T: Number, F: Fn(usize, usize, usize, usize) -> Option<usize> + Sync> Gather<'_, T, F> {
    /// Outputs [rows, out_w, groups * width]; `pixel` gets row, column, kh, kw.
    fn run(&self, cx: &Cx, out: &mut [T]) {
        let row = self.out_w * self.groups * self.width;
        cx.par_chunks_mut(out, row, |at, out| vectorize(GatherRow { all: self, row: at / row, out }));
    }
}

struct GatherRow<'a, 'b, T, F> {
    all: &'a Gather<'b, T, F>,
    row: usize,
    out: &'a mut [T],
}

impl<T: Number, F: Fn(usize, usize, usize, usize) -> Option<usize> + Sync> Kernel for GatherRow<'_, '_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let all = self.all;
        for col in 0..all.out_w {
            for group in 0..all.groups {
                let at = (col * all.groups + group) * all.width;
                let out = &mut self.out[at..at + all.width];
                let wide = all.width / WIDE * WIDE;
                for first in (0..wide).step_by(WIDE) {
                    all.block::<WIDE>(self.row, col, group, first, &mut out[first..]);
                }
                for first in (wide..all.width).step_by(NARROW) {
                    all.block::<NARROW>(self.row, col, group, first, &mut out[first..]);
                }
            }
        }
    }
}

impl<T: Number, F: Fn(usize, usize, usize, usize) -> Option<usize> + Sync> Gather<'_, T, F> {
    #[inline(always)]
    fn block<const B: usize>(&self, row: usize, col: usize, group: usize, first: usize, out: &mut [T]) {
        let ld = self.width.next_multiple_of(NARROW);
        let mut sums = [T::default(); B];
        for kh in 0..self.kh {
            for kw in 0..self.kw {
                let Some(pixel) = (self.pixel)(row, col, kh, kw) else { continue };
                let source = &self.source[pixel * self.src_c + group * self.depth..][..self.depth];
                let tap = (group * self.kh + kh) * self.kw + kw;
                let weight = &self.weight[tap * self.depth * ld..][..self.depth * ld];
                for (x, w) in source.iter().zip(weight.chunks_exact(ld)) {
                    let w: &[T; B] = w[first..first + B].try_into().expect("padded to a multiple of the block");
                    for i in 0..B {
                        sums[i] = sums[i].mul_add(*x, w[i]);
                    }
                }
            }
        }
        for (i, (to, sum)) in out.iter_mut().zip(sums).enumerate() {
            let sum = if let Some(bias) = self.bias { sum.plus(bias[group * self.width + first + i]) } else { sum };
            *to = if self.relu { sum.relu() } else { sum };
        }
    }
}

pub(super) fn forward<T: Number>(cx: &mut Cx, g: &Geometry, x: &[T], weight: &[T], bias: Option<&[T]>, relu: bool, y: &mut [T]) {
    let (depth, og) = (g.depth(), g.og());
    let ld = og.next_multiple_of(NARROW);
    let (packed, cx) = cx.split_scratch::<T>(forward_scratch_len(g));
    cx.par_chunks_mut(packed, ld, |at, row| {
        let (group, k) = (at / ld / depth, at / ld % depth);
        for (o, to) in row.iter_mut().enumerate() {
            *to = if o < og { weight[(group * og + o) * depth + k] } else { T::default() };
        }
    });
    let pixel = |row: usize, ox: usize, kh: usize, kw: usize| {
        let (image, oy) = (row / g.oh, row % g.oh);
        let (iy, ix) = ((oy * g.sh + kh * g.dh).checked_sub(g.top)?, (ox * g.sw + kw * g.dw).checked_sub(g.left)?);
        (iy < g.h && ix < g.w).then(|| (image * g.h + iy) * g.w + ix)
    };
    Gather {
        source: x,
        src_c: g.c,
        depth: g.cg(),
        weight: packed,
        groups: g.groups,
        width: og,
        bias,
        relu,
        kh: g.kh,
        kw: g.kw,
        out_w: g.ow,
        pixel,
    }
    .run(&cx, y);
}

pub(super) fn input_grad<T: Number>(cx: &mut Cx, g: &Geometry, dy: &[T], weight: &[T], dx: &mut [T]) {
    let (cg, og, taps) = (g.cg(), g.og(), g.kh * g.kw);
    let ld = cg.next_multiple_of(NARROW);
    let (packed, cx) = cx.split_scratch::<T>(input_grad_scratch_len(g));
    cx.par_chunks_mut(packed, ld, |at, row| {
        let (group, tap, o) = (at / ld / og / taps, at / ld / og % taps, at / ld % og);
        for (c, to) in row.iter_mut().enumerate() {
            *to = if c < cg { weight[((group * og + o) * taps + tap) * cg + c] } else { T::default() };
        }
    });
    let pixel = |row: usize, ix: usize, kh: usize, kw: usize| {
        let (image, iy) = (row / g.h, row % g.h);
        let (y, x) = ((iy + g.top).checked_sub(kh * g.dh)?, (ix + g.left).checked_sub(kw * g.dw)?);
        let (oy, ox) = (y / g.sh, x / g.sw);
        (y % g.sh == 0 && x % g.sw == 0 && oy < g.oh && ox < g.ow).then(|| (image * g.oh + oy) * g.ow + ox)
    };
    Gather {
        source: dy,
        src_c: g.o,
        depth: og,
        weight: packed,
        groups: g.groups,
        width: cg,
        bias: None,
        relu: false,
        kh: g.kh,
        kw: g.kw,
        out_w: g.w,
        pixel,
    }
    .run(&cx, dx);
}

/// Input channels of a task, all of which share the reading of dy.
const CHANNELS: usize = 8;

/// Rows [output channel] of the weight gradient for some input channels of a group's tap.
struct WeightRows<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    dy: &'a [T],
    group: usize,
    tap: usize,
    channels: std::ops::Range<usize>,
    sums: &'a mut [T],
}

pub(super) fn weight_grad<T: Number>(cx: &mut Cx, g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    if dw.is_empty() {
        return;
    }
    let (taps, og, cg) = (g.kh * g.kw, g.og(), g.cg());
    let blocks = cg.div_ceil(CHANNELS);
    let (sums, cx) = cx.split_scratch::<T>(weight_grad_scratch_len(g));
    let (sums, dw) = (SyncPtr(sums.as_mut_ptr()), SyncPtr(dw.as_mut_ptr()));
    cx.par(g.groups * taps * blocks, |task| {
        let (group, tap, from) = (task / blocks / taps, task / blocks % taps, task % blocks * CHANNELS);
        let channels = from..cg.min(from + CHANNELS);
        let row = group * g.depth() + tap * cg + from;
        // SAFETY: each row of the sums has one owner.
        let sums = unsafe { std::slice::from_raw_parts_mut(sums.get().add(row * og), channels.len() * og) };
        vectorize(WeightRows { g, x, dy, group, tap, channels, sums: &mut *sums });
        for (i, sum) in sums.iter().enumerate() {
            // SAFETY: the same elements, transposed.
            unsafe { *dw.get().add((group * og + i % og) * g.depth() + tap * cg + from + i / og) = *sum };
        }
    });
}

impl<T: Number> Kernel for WeightRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (g, og) = (self.g, self.g.og());
        let (kh, kw) = (self.tap / g.kw, self.tap % g.kw);
        let rows = Geometry::valid(kh, g.dh, g.top, g.sh, g.h, g.oh);
        let cols = Geometry::valid(kw, g.dw, g.left, g.sw, g.w, g.ow);
        self.sums.fill(T::default());
        for image in 0..g.n {
            for oy in rows.clone() {
                let iy = oy * g.sh + kh * g.dh - g.top;
                for ox in cols.clone() {
                    let ix = ox * g.sw + kw * g.dw - g.left;
                    let at = ((image * g.h + iy) * g.w + ix) * g.c + self.group * g.cg();
                    let x = &self.x[at + self.channels.start..at + self.channels.end];
                    let dy = &self.dy[((image * g.oh + oy) * g.ow + ox) * g.o + self.group * og..][..og];
                    for (sums, x) in self.sums.chunks_exact_mut(og).zip(x) {
                        for (sum, dy) in sums.iter_mut().zip(dy) {
                            *sum = sum.mul_add(*x, *dy);
                        }
                    }
                }
            }
        }
    }
}
