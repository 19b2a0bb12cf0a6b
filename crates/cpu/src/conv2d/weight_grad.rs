//! dweight[o, kh, kw, c] = sum over images and pixels of x[oy * stride - top + kh * dilation, ..., c] dy[oy, ox, o].
//!
//! For a fixed pixel the channels of x (and of neighbouring columns) and those of dy are contiguous, so the `cols` tiles read both in
//! place, pixels being the reduction and image rows its taps. Pixels whose tap falls into the padding are left out. The batch is cut into
//! a number of parts that the shapes fix; their sums are added in order.
use super::geometry::{Geometry, Room};
use super::{depthwise, plain, winograd, woven};
use crate::gemm::{Ahead, Job, Tap, Tiles, even_cut, narrow, widen};
use ferrograd_simd::isa;
use ferrograd_tensor::{Cx, DType, Element, Meta, Result, SyncPtr, View, ViewMut};

/// The batch is cut into parts of about this many elements of x and dy (512 KiB, which L2 holds), at most `PARTS` of them and as long as
/// all their sums stay under `SUMS` elements (8 MiB).
const PART: usize = 1 << 17;
const PARTS: usize = 8;
const SUMS: usize = 1 << 21;
/// Pixels in one pass of the tiles: x and dy of a pass stay in L2.
const PIXELS: usize = 1024;
/// Image rows in one pass.
const TAPS: usize = 64;

/// Bytes that [`conv2d_weight_grad`] wants.
pub fn conv2d_weight_grad_scratch(
    x: &Meta,
    dy: &Meta,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
) -> usize {
    let g = Geometry::weight_grad(x, dy, kernel, stride, padding, dilation, groups);
    if x.dtype == DType::F64 {
        return 8 * plain::weight_grad_scratch_len(&g);
    }
    if x.dtype == DType::BF16 && woven::fits(&g) {
        return 4 * woven::room(&g).shared + 256;
    }
    let own = room(&g).shared;
    let wide = if x.dtype == DType::F32 { 0 } else { x.numel() + dy.numel() + g.depth() * g.o + 64 };
    4 * (own + wide) + 256
}

/// Bytes for each thread that [`conv2d_weight_grad`] wants.
pub fn conv2d_weight_grad_local(
    x: &Meta,
    dy: &Meta,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
) -> usize {
    let g = Geometry::weight_grad(x, dy, kernel, stride, padding, dilation, groups);
    4 * if x.dtype == DType::BF16 && woven::fits(&g) { woven::room(&g).local } else { room(&g).local }
}

fn room(g: &Geometry) -> Room {
    if depthwise::fits(g) {
        Room { shared: depthwise::scratch_len(g), local: 0 }
    } else if winograd::pays(g) {
        winograd::weight_grad_room(g)
    } else {
        Room { shared: parts(g) * g.depth() * g.o, local: 0 }
    }
}

/// The gradient of [`super::conv2d`] with respect to its weight [O, kernel[0], kernel[1], I / groups].
pub fn conv2d_weight_grad(
    cx: &mut Cx,
    x: &View,
    dy: &View,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
    _partial: bool,
    dw: &mut ViewMut,
) -> Result {
    let g = Geometry::weight_grad(x.meta(), dy.meta(), kernel, stride, padding, dilation, groups);
    match x.dtype() {
        DType::F32 => float(cx, &g, x.slice(), dy.slice(), dw.slice_mut()),
        DType::F64 => plain::weight_grad::<f64>(cx, &g, x.slice(), dy.slice(), dw.slice_mut()),
        DType::BF16 if woven::fits(&g) => woven::weight_grad(cx, &g, x.slice(), dy.slice(), dw.slice_mut()),
        _ => {
            let (wx, mut cx) = cx.split_scratch::<f32>(x.numel());
            let (wdy, mut cx) = cx.split_scratch::<f32>(dy.numel());
            let (wdw, mut cx) = cx.split_scratch::<f32>(dw.numel());
            widen(&cx, x, wx);
            widen(&cx, dy, wdy);
            float(&mut cx, &g, wx, wdy, wdw);
            narrow(&cx, wdw, dw);
        }
    }
    Ok(())
}

fn parts(g: &Geometry) -> usize {
    let data = g.n * (g.h * g.w * g.c + g.oh * g.ow * g.o);
    data.div_ceil(PART).min(g.n).min(PARTS).min(SUMS / (g.depth() * g.o).max(1)).max(1)
}

/// A run of weight rows whose inputs are neighbours: one tap, or a whole tap row where no column is padded.
struct Run {
    kh: usize,
    kw: usize,
    len: usize,
    cols: std::ops::Range<usize>,
}

fn float(cx: &mut Cx, g: &Geometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if dw.is_empty() {
        return;
    }
    if depthwise::fits(g) {
        return depthwise::weight_grad(cx, g, x, dy, dw);
    }
    if winograd::pays(g) {
        return winograd::weight_grad(cx, g, x, None, dy, SyncPtr(dw.as_mut_ptr()));
    }
    let tiles = Tiles::of(isa());
    let (parts, depth) = (parts(g), g.depth());
    let (sums, cx) = cx.split_scratch::<f32>(parts * depth * g.o);
    let base = SyncPtr(sums.as_mut_ptr());
    let all_cols = |kw| Geometry::valid(kw, g.dw, g.left, g.sw, g.w, g.ow);
    let fused = g.groups == 1 && g.dw == 1 && (0..g.kw).all(|kw| all_cols(kw).len() == g.ow);
    let runs = if fused { g.kh } else { g.groups * g.kh * g.kw };
    let run_len = if fused { g.kw * g.c } else { g.cg() };
    // Runs are cut further where there are few: work for sixteen nominal threads.
    let m_tiles = run_len.div_ceil(tiles.mr());
    let blocks = 32usize.div_ceil(parts * runs).clamp(1, m_tiles);
    cx.par(parts * runs * blocks, |task| {
        let (part, run, block) = (task / (runs * blocks), task / blocks % runs, task % blocks);
        let (group, tap) = if fused { (0, run * g.kw) } else { (run / (g.kh * g.kw), run % (g.kh * g.kw)) };
        let (kh, kw) = (tap / g.kw, tap % g.kw);
        let run = Run { kh, kw, len: run_len, cols: if fused { 0..g.ow } else { all_cols(kw) } };
        let images = even_cut(g.n, parts, part);
        let tile_range = even_cut(m_tiles, blocks, block);
        // SAFETY: each task has its own rows of its part's sums, all of which it writes.
        unsafe {
            let out = base.get().add(part * depth * g.o + group * depth * g.og() + tap * g.cg() * g.og());
            sum(tiles, g, x, dy, images, group, &run, tile_range, out);
        }
    });
    add_parts(&cx, g, sums, dw);
}

/// One run over some images: out[i, o] = sum of x[.., i] dy[.., o], with rows of `og`.
unsafe fn sum(
    tiles: &Tiles,
    g: &Geometry,
    x: &[f32],
    dy: &[f32],
    images: (usize, usize),
    group: usize,
    run: &Run,
    tile_range: (usize, usize),
    out: *mut f32,
) {
    let (og, nr) = (g.og(), tiles.nr());
    let m_tiles = run.len.div_ceil(tiles.mr());
    let rows = Geometry::valid(run.kh, g.dh, g.top, g.sh, g.h, g.oh);
    // Where nothing is left of the columns, one pass without taps writes zeros.
    let total = if run.cols.is_empty() { 0 } else { images.1 * rows.len() };
    let per_pass = (PIXELS / run.cols.len().max(1)).clamp(1, TAPS);
    let mut taps: [Tap; TAPS] = [(0, 0); TAPS];
    let mut from = 0;
    loop {
        let some = per_pass.min(total - from);
        for (i, tap) in taps[..some].iter_mut().enumerate() {
            let (image, oy) = (images.0 + (from + i) / rows.len(), rows.start + (from + i) % rows.len());
            let (iy, ix) = (oy * g.sh + run.kh * g.dh - g.top, run.cols.start * g.sw + run.kw * g.dw - g.left);
            let a = ((image * g.h + iy) * g.w + ix) * g.c + group * g.cg();
            let b = ((image * g.oh + oy) * g.ow + run.cols.start) * g.o + group * og;
            *tap = (a as isize, b as isize);
        }
        for t in tile_range.0..tile_range.0 + tile_range.1 {
            let (first, len) = even_cut(run.len, m_tiles, t);
            for o in (0..og).step_by(nr) {
                // SAFETY: taps name pixels inside x and dy, `first` and `o` channels inside them; the sums are the caller's own.
                unsafe {
                    let job = Job {
                        taps: &taps[..some],
                        k: run.cols.len(),
                        b: dy.as_ptr().add(o),
                        ldb: g.o as isize,
                        c: out.add(first * og + o),
                        ldc: og,
                        n: nr.min(og - o),
                        add: from > 0,
                        bias: std::ptr::null(),
                        relu: false,
                        ahead: Ahead::NONE,
                    };
                    tiles.cols(len, x.as_ptr().add(first), (g.sw * g.c) as isize, &job);
                }
            }
        }
        from += some;
        if from >= total {
            return;
        }
    }
}

/// dw[o, k] = the parts' sums [group][k][o of the group], in order.
pub(super) fn add_parts<T: Element>(cx: &Cx, g: &Geometry, sums: &[f32], dw: &mut [T]) {
    const O: usize = 16;
    let (depth, og) = (g.depth(), g.og());
    let blocks = og.div_ceil(O);
    let dw = SyncPtr(dw.as_mut_ptr());
    cx.par(g.groups * blocks, |task| {
        let (group, first) = (task / blocks, task % blocks * O);
        let len = O.min(og - first);
        for k in 0..depth {
            let at = (group * depth + k) * og + first;
            let mut total = [0f32; O];
            total[..len].copy_from_slice(&sums[at..at + len]);
            for part in sums.chunks_exact(depth * g.o).skip(1) {
                let part = &part[at..at + len];
                if let Ok(part) = <&[f32; O]>::try_from(part) {
                    (0..O).for_each(|i| total[i] += part[i]);
                } else {
                    total.iter_mut().zip(part).for_each(|(to, from)| *to += from);
                }
            }
            for (o, value) in total[..len].iter().enumerate() {
                // SAFETY: each task has its own output channels.
                unsafe { *dw.get().add((group * og + first + o) * depth + k) = T::from_f32(*value) };
            }
        }
    });
}
