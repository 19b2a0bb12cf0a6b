//! y = activation(x * weight + bias).
use super::correlate::Correlation;
use super::engine::{Engine, Lines};
use super::geometry::{Geometry, Room};
use super::pooled::Pool;
use super::{depthwise, paired, plain, winograd};
use crate::gemm::bf16::{Table, table};
use crate::gemm::{Tiles, narrow, widen};
use ferrograd_simd::isa;
use ferrograd_tensor::{Cx, DType, Meta, Result, SyncPtr, View, ViewMut, bf16};

/// Bytes that [`conv2d`] wants.
pub fn conv2d_scratch(x: &Meta, weight: &Meta, stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64) -> usize {
    let g = Geometry::forward(x, weight, stride, padding, dilation, groups);
    if x.dtype == DType::F64 {
        return 8 * plain::forward_scratch_len(&g);
    }
    if x.dtype == DType::BF16 && paired(&g) {
        return 4 * direct_room::<&Table>(&g, None).shared + 256;
    }
    let wide = if x.dtype == DType::F32 { 0 } else { x.numel() + weight.numel() + g.n * g.oh * g.ow * g.o + g.o + 64 };
    4 * (room(&g, None).shared + wide) + 256
}

/// Bytes for each thread that [`conv2d`] wants.
pub fn conv2d_local(x: &Meta, weight: &Meta, stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64) -> usize {
    let g = Geometry::forward(x, weight, stride, padding, dilation, groups);
    if x.dtype == DType::BF16 && paired(&g) {
        return 2 * direct_room::<&Table>(&g, None).local;
    }
    4 * room(&g, None).local
}

/// x [N, H, W, I], weight [O, KH, KW, I / groups], bias [O] -> y [N, OH, OW, O]; padding [top, bottom, left, right];
/// `activation` 1 is ReLU, NaN kept.
pub fn conv2d(
    cx: &mut Cx,
    x: &View,
    weight: &View,
    bias: Option<&View>,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
    activation: i64,
    y: &mut ViewMut,
) -> Result {
    let g = Geometry::forward(x.meta(), weight.meta(), stride, padding, dilation, groups);
    if y.numel() == 0 {
        return Ok(());
    }
    let relu = activation == 1;
    match x.dtype() {
        DType::F32 => {
            float(cx, &g, x.slice(), weight.slice(), bias.map(|b| b.slice()), relu, SyncPtr(y.slice_mut::<f32>().as_mut_ptr()), None)
        }
        DType::F64 => plain::forward::<f64>(cx, &g, x.slice(), weight.slice(), bias.map(|b| b.slice()), relu, y.slice_mut()),
        DType::BF16 if paired(&g) => {
            halves(cx, &g, x.slice(), weight.slice(), bias.map(|b| b.slice()), relu, SyncPtr(y.slice_mut::<bf16>().as_mut_ptr()), None)
        }
        _ => {
            let (wx, mut cx) = cx.split_scratch::<f32>(x.numel());
            let (ww, mut cx) = cx.split_scratch::<f32>(weight.numel());
            let (wy, mut cx) = cx.split_scratch::<f32>(y.numel());
            let (wb, mut cx) = cx.split_scratch::<f32>(g.o);
            widen(&cx, x, wx);
            widen(&cx, weight, ww);
            if let Some(bias) = bias {
                widen(&cx, bias, wb);
            }
            float(&mut cx, &g, wx, ww, bias.map(|_| &*wb), relu, SyncPtr(wy.as_mut_ptr()), None);
            narrow(&cx, wy, y);
        }
    }
    Ok(())
}

/// True where [`float`] pools its rows itself: Winograd's tiles are windows of 2 x 2.
pub(super) fn pools(g: &Geometry, pool: [usize; 2]) -> bool {
    !depthwise::fits(g) && (!winograd::pays(g) || pool == [2, 2])
}

/// What [`float`] wants, with windows of that size or without.
pub(super) fn room(g: &Geometry, pool: Option<&[i64]>) -> Room {
    if depthwise::fits(g) {
        return Room { shared: depthwise::scratch_len(g), local: 0 };
    }
    if winograd::pays(g) {
        return winograd::forward_room(g);
    }
    direct_room::<&Tiles>(g, pool)
}

/// What [`direct`] wants: of scratch in units of 4 bytes.
pub(super) fn direct_room<E: Engine>(g: &Geometry, pool: Option<&[i64]>) -> Room {
    let shifts = 2 * (g.kh + g.kw).next_multiple_of(8);
    let (rows, cols) = (edges(g.kh, g.dh, g.top), edges(g.kw, g.dw, g.left));
    let mut one = correlation::<E>(g, 0, &[], std::ptr::null(), 0, &rows, &cols, None, false, SyncPtr(std::ptr::null_mut()));
    let windows = pool.map(|p| Pool { h: p[0] as usize, w: p[1] as usize, relu: false, y: one.out, code: SyncPtr(std::ptr::null_mut()) });
    one.pool = windows.as_ref();
    Room { shared: shifts + packed_len::<E>(g) + 64, local: one.local_len() }
}

/// The first and the last shift, which is all that sizes depend on, taken as if neighbours. (Only the strip's size is read.)
fn edges(k: usize, dilation: usize, pad: usize) -> [i64; 2] {
    [-(pad as i64), (k.max(1) - 1) as i64 * dilation as i64 - pad as i64]
}

/// A kernel row as runs of products: one where its columns are neighbours in x, of all channels, else one a column.
fn runs(g: &Geometry) -> (usize, usize) {
    if g.groups == 1 && g.dw == 1 { (1, g.kw * g.cg()) } else { (g.kw, g.cg()) }
}

/// Packed elements of an output channel.
fn steps<E: Engine>(g: &Geometry) -> usize {
    let (runs, len) = runs(g);
    g.kh * runs * E::steps(len)
}

fn packed_len<E: Engine>(g: &Geometry) -> usize {
    g.groups * g.og().next_multiple_of(32) * steps::<E>(g)
}

fn correlation<'a, E: Engine>(
    g: &Geometry,
    group: usize,
    x: &[E::X],
    weight: *const E::W,
    nr: usize,
    rows: &'a [i64],
    cols: &'a [i64],
    bias: Option<&[E::X]>,
    relu: bool,
    y: SyncPtr<E::X>,
) -> Correlation<'a, E> {
    let (cg, og) = (g.cg(), g.og());
    Correlation {
        batch: g.n,
        source: x.as_ptr(),
        src_h: g.h,
        src_w: g.w,
        src_c: g.c,
        first_c: group * cg,
        depth: cg,
        step_h: g.sh,
        step_w: g.sw,
        rows,
        cols,
        taps: g.kh * g.kw,
        weight: weight.wrapping_add(group * og.next_multiple_of(nr.max(1)) * steps::<E>(g)),
        joined: runs(g).0 == 1,
        out_h: g.oh,
        out_w: g.ow,
        out_c: og,
        out: SyncPtr(y.get().wrapping_add(group * og)),
        out_image: g.oh * g.ow * g.o,
        out_row: g.ow * g.o,
        out_col: g.o,
        bias: bias.map_or(std::ptr::null(), |b| b[group * og..].as_ptr()),
        relu,
        pool: None,
    }
}

/// y [n, oh, ow, o], or what `pool` makes of it, where [`pools`] says that it does.
pub(super) fn float(
    cx: &mut Cx,
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: SyncPtr<f32>,
    pool: Option<&Pool<f32>>,
) {
    if depthwise::fits(g) {
        // SAFETY: the caller's result, or scratch of its size.
        let y = unsafe { std::slice::from_raw_parts_mut(y.get(), g.n * g.oh * g.ow * g.o) };
        return depthwise::forward(cx, g, x, weight, bias, relu, y);
    }
    if winograd::pays(g) {
        return winograd::forward(cx, g, x, None, weight, bias, relu, y, pool);
    }
    direct(cx, g, Tiles::of(isa()), "conv2d", x, weight, bias, relu, y, pool);
}

/// As [`float`], in bf16 as it is; [`paired`] holds.
pub(super) fn halves(
    cx: &mut Cx,
    g: &Geometry,
    x: &[bf16],
    weight: &[bf16],
    bias: Option<&[bf16]>,
    relu: bool,
    y: SyncPtr<bf16>,
    pool: Option<&Pool<bf16>>,
) {
    direct(cx, g, table().expect("seen by the caller"), "conv2d bf16", x, weight, bias, relu, y, pool);
}

/// As a correlation a group.
fn direct<E: Engine>(
    cx: &mut Cx,
    g: &Geometry,
    engine: E,
    order: &'static str,
    x: &[E::X],
    weight: &[E::X],
    bias: Option<&[E::X]>,
    relu: bool,
    y: SyncPtr<E::X>,
    pool: Option<&Pool<E::X>>,
) {
    let (shifts, mut cx) = cx.split_scratch::<i64>(g.kh + g.kw);
    let (rows, cols) = shifts.split_at_mut(g.kh);
    (0..g.kh).for_each(|k| rows[k] = (k * g.dh) as i64 - g.top as i64);
    (0..g.kw).for_each(|k| cols[k] = (k * g.dw) as i64 - g.left as i64);
    let key = g.pack_key(order, engine.nr());
    let (packed, mut cx) = cx.packed(weight.as_ptr().cast::<E::W>(), &key, packed_len::<E>(g), |cx, to| pack(cx, g, engine, weight, to));
    for group in 0..g.groups {
        let mut one = correlation(g, group, x, packed.get(), engine.nr(), rows, cols, bias, relu, y);
        one.pool = pool;
        // SAFETY: slices of the sizes in `g`; groups write different channels, one after the other.
        unsafe { one.run(&mut cx, engine) };
    }
}

/// Weight rows, K-contiguous, into `[group][panel][row][run][step][nr]`.
fn pack<E: Engine>(cx: &Cx, g: &Geometry, engine: E, weight: &[E::X], packed: SyncPtr<E::W>) {
    let (og, depth, nr, (runs, len)) = (g.og(), g.depth(), engine.nr(), runs(g));
    let panels = og.div_ceil(nr);
    cx.par(g.groups * panels, |task| {
        let (group, first) = (task / panels, task % panels * nr);
        for run in 0..g.kh * runs {
            // SAFETY: a run of the rows `first ..` of the group, and the panel's own part of the scratch.
            unsafe {
                let src = weight.as_ptr().add((group * og + first) * depth + run * len);
                let dst = packed.get().add((task * g.kh * runs + run) * E::steps(len) * nr);
                engine.pack(Lines { src, len, width: nr.min(og - first), k_stride: 1, stride: depth as isize, dst });
            }
        }
    });
}
