//! dx = dy correlated with the weight turned by half a circle: dx[iy, ix, c] = sum over (kh, kw, o) with iy = oy * stride - top + kh *
//! dilation of dy[oy, ox, o] weight[o, kh, kw, c]. A stride above 1 splits dx into phases, each a correlation with its own taps. Where
//! that would multiply many zeros (dy narrower than dx), rows of dx are summed kernel column by kernel column instead ([`Spread`]).
use super::correlate::Correlation;
use super::engine::{Engine, Lines};
use super::geometry::{Geometry, Room};
use super::spread::Spread;
use super::{depthwise, paired, plain, winograd};
use crate::gemm::bf16::{Table, table};
use crate::gemm::{Tiles, narrow, widen};
use ferrograd_simd::isa;
use ferrograd_tensor::{Cx, DType, Meta, Result, SyncPtr, View, ViewMut, bf16};

/// Bytes that [`conv2d_input_grad`] wants.
pub fn conv2d_input_grad_scratch(
    dy: &Meta,
    weight: &Meta,
    height: i64,
    width: i64,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
) -> usize {
    let g = Geometry::input_grad(dy, weight, height, width, stride, padding, dilation, groups);
    if dy.dtype == DType::F64 {
        return 8 * plain::input_grad_scratch_len(&g);
    }
    if dy.dtype == DType::BF16 && paired(&g) {
        return 4 * direct_room::<&Table>(&g).shared + 256;
    }
    let wide = if dy.dtype == DType::F32 { 0 } else { dy.numel() + weight.numel() + g.n * g.h * g.w * g.c + 64 };
    4 * (room(&g).shared + wide) + 256
}

/// Bytes for each thread that [`conv2d_input_grad`] wants.
pub fn conv2d_input_grad_local(
    dy: &Meta,
    weight: &Meta,
    height: i64,
    width: i64,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
) -> usize {
    let g = Geometry::input_grad(dy, weight, height, width, stride, padding, dilation, groups);
    if dy.dtype == DType::BF16 && paired(&g) {
        return 2 * direct_room::<&Table>(&g).local;
    }
    4 * room(&g).local
}

/// The gradient of [`super::conv2d`] with respect to x [N, height, width, I] (and the forward pass of a transposed convolution).
pub fn conv2d_input_grad(
    cx: &mut Cx,
    dy: &View,
    weight: &View,
    height: i64,
    width: i64,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
    _partial: bool,
    dx: &mut ViewMut,
) -> Result {
    let g = Geometry::input_grad(dy.meta(), weight.meta(), height, width, stride, padding, dilation, groups);
    if dx.numel() == 0 {
        return Ok(());
    }
    match dy.dtype() {
        DType::F32 => float(cx, &g, dy.slice(), weight.slice(), dx.slice_mut()),
        DType::F64 => plain::input_grad::<f64>(cx, &g, dy.slice(), weight.slice(), dx.slice_mut()),
        DType::BF16 if paired(&g) => {
            direct(cx, &g, table().expect("seen above"), dy.slice(), weight.slice(), SyncPtr(dx.slice_mut::<bf16>().as_mut_ptr()))
        }
        _ => {
            let (wdy, mut cx) = cx.split_scratch::<f32>(dy.numel());
            let (ww, mut cx) = cx.split_scratch::<f32>(weight.numel());
            let (wdx, mut cx) = cx.split_scratch::<f32>(dx.numel());
            widen(&cx, dy, wdy);
            widen(&cx, weight, ww);
            float(&mut cx, &g, wdy, ww, wdx);
            narrow(&cx, wdx, dx);
        }
    }
    Ok(())
}

/// One axis of a phase: the inputs `first, first + stride, ...` and the taps that reach them.
struct Phase {
    first: usize,
    count: usize,
    /// The phase of `kernel tap * dilation` modulo the stride.
    residue: usize,
    /// Output index of the first input's tap 0.
    start: i64,
}

impl Phase {
    fn new(residue: usize, stride: usize, pad: usize, len: usize) -> Phase {
        let q = pad.saturating_sub(residue).div_ceil(stride);
        let first = q * stride + residue - pad;
        Phase { first, count: if first < len { (len - 1 - first) / stride + 1 } else { 0 }, residue, start: q as i64 }
    }
    /// Writes the shifts of the taps, ascending (so the last tap first), and gives their number.
    fn shifts(&self, k: usize, dilation: usize, stride: usize, out: &mut [i64]) -> usize {
        let mut n = 0;
        for tap in self.taps(k, dilation, stride) {
            out[n] = self.start + (self.residue as i64 - (tap * dilation) as i64) / stride as i64;
            n += 1;
        }
        n
    }
    fn taps(&self, k: usize, dilation: usize, stride: usize) -> impl Iterator<Item = usize> + use<> {
        let residue = self.residue;
        (0..k).rev().filter(move |tap| tap * dilation % stride == residue)
    }
}

/// True where the taps of a row, packed one behind the other, make one run of products: pairs of an odd number of channels would not meet.
fn joins<E: Engine>(g: &Geometry) -> bool {
    2 * E::steps(g.og()) == E::steps(2 * g.og())
}

fn packed_len<E: Engine>(g: &Geometry) -> usize {
    g.groups * g.cg().next_multiple_of(32) * g.kh * g.kw * E::steps(g.og())
}

fn room(g: &Geometry) -> Room {
    if depthwise::fits(g) {
        return Room { shared: depthwise::scratch_len(g), local: 0 };
    }
    if winograd::pays(g) {
        return winograd::input_grad_room(g);
    }
    if Spread::pays(g) {
        return Room { shared: packed_len::<&Tiles>(g), local: 0 };
    }
    direct_room::<&Tiles>(g)
}

/// What [`direct`] wants: of scratch in units of 4 bytes.
fn direct_room<E: Engine>(g: &Geometry) -> Room {
    // The largest strip of any phase; the shifts' ends decide it.
    let mut local = 0;
    // All residues of the stride have inputs; those without taps are filled with zeros.
    for row in 0..g.sh {
        for col in 0..g.sw {
            let (rows, cols) = (Phase::new(row, g.sh, g.top, g.h), Phase::new(col, g.sw, g.left, g.w));
            let (r, rn) = ends(&rows, g.kh, g.dh, g.sh);
            let (c, cn) = ends(&cols, g.kw, g.dw, g.sw);
            let (r, c) = (&r[..rn.min(2)], &c[..cn.min(2)]);
            let one = correlation::<E>(g, 0, &rows, &cols, r, c, rn * cn, &[], &[], 0, SyncPtr(std::ptr::null_mut()));
            local = local.max(one.local_len());
        }
    }
    Room { shared: 2 * (g.kh + g.kw).next_multiple_of(8) + packed_len::<E>(g) + 64, local }
}

/// First and last shift of a phase, and the number of its taps.
fn ends(phase: &Phase, k: usize, dilation: usize, stride: usize) -> ([i64; 2], usize) {
    let mut all = [0; 2];
    let mut n = 0;
    for tap in phase.taps(k, dilation, stride) {
        let shift = phase.start + (phase.residue as i64 - (tap * dilation) as i64) / stride as i64;
        all[n.min(1)] = shift;
        n += 1;
    }
    (all, n)
}

fn correlation<'a, E: Engine>(
    g: &Geometry,
    group: usize,
    rows: &Phase,
    cols: &Phase,
    row_shifts: &'a [i64],
    col_shifts: &'a [i64],
    taps: usize,
    dy: &[E::X],
    weight: &[E::W],
    nr: usize,
    dx: SyncPtr<E::X>,
) -> Correlation<'a, E> {
    let (cg, og) = (g.cg(), g.og());
    Correlation {
        batch: g.n,
        source: dy.as_ptr(),
        src_h: g.oh,
        src_w: g.ow,
        src_c: g.o,
        first_c: group * og,
        depth: og,
        step_h: 1,
        step_w: 1,
        rows: row_shifts,
        cols: col_shifts,
        taps,
        weight: weight.as_ptr().wrapping_add(group * cg.next_multiple_of(nr.max(1)) * taps * E::steps(og)),
        joined: joins::<E>(g),
        out_h: rows.count,
        out_w: cols.count,
        out_c: cg,
        out: SyncPtr(dx.get().wrapping_add((rows.first * g.w + cols.first) * g.c + group * cg)),
        out_image: g.h * g.w * g.c,
        out_row: g.sh * g.w * g.c,
        out_col: g.sw * g.c,
        bias: std::ptr::null(),
        relu: false,
        pool: None,
    }
}

fn float(cx: &mut Cx, g: &Geometry, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    if depthwise::fits(g) {
        return depthwise::input_grad(cx, g, dy, weight, dx);
    }
    if winograd::pays(g) {
        return winograd::input_grad(cx, g, dy, weight, SyncPtr(dx.as_mut_ptr()));
    }
    let tiles = Tiles::of(isa());
    if Spread::pays(g) {
        let (packed, cx) = cx.split_scratch::<f32>(packed_len::<&Tiles>(g));
        let (rows, cols) = (Phase::new(0, 1, g.top, g.h), Phase::new(0, 1, g.left, g.w));
        pack(&cx, g, &rows, &cols, g.kh * g.kw, tiles, weight, SyncPtr(packed.as_mut_ptr()));
        return Spread { tiles, g, dy, packed, dx: SyncPtr(dx.as_mut_ptr()) }.run(&cx);
    }
    direct(cx, g, tiles, dy, weight, SyncPtr(dx.as_mut_ptr()));
}

/// As a correlation a phase and group.
fn direct<E: Engine>(cx: &mut Cx, g: &Geometry, engine: E, dy: &[E::X], weight: &[E::X], dx: SyncPtr<E::X>) {
    let (shifts, mut cx) = cx.split_scratch::<i64>(g.kh + g.kw);
    let (row_shifts, col_shifts) = shifts.split_at_mut(g.kh);
    let (packed, mut cx) = cx.split_scratch::<E::W>(packed_len::<E>(g));
    // All residues of the stride have inputs; those without taps are filled with zeros.
    for row in 0..g.sh {
        for col in 0..g.sw {
            let (rows, cols) = (Phase::new(row, g.sh, g.top, g.h), Phase::new(col, g.sw, g.left, g.w));
            let rn = rows.shifts(g.kh, g.dh, g.sh, row_shifts);
            let cn = cols.shifts(g.kw, g.dw, g.sw, col_shifts);
            pack(&cx, g, &rows, &cols, rn * cn, engine, weight, SyncPtr(packed.as_mut_ptr()));
            for group in 0..g.groups {
                let (rs, cs) = (&row_shifts[..rn], &col_shifts[..cn]);
                let one = correlation(g, group, &rows, &cols, rs, cs, rn * cn, dy, packed, engine.nr(), dx);
                // SAFETY: slices of the sizes in `g`; phases and groups write different elements of dx.
                unsafe { one.run(&mut cx, engine) };
            }
        }
    }
}

/// The phase's taps into `[group][panel of input channels][tap][output channel][nr]`.
fn pack<E: Engine>(cx: &Cx, g: &Geometry, rows: &Phase, cols: &Phase, taps: usize, engine: E, weight: &[E::X], packed: SyncPtr<E::W>) {
    let (og, cg, nr) = (g.og(), g.cg(), engine.nr());
    let (panels, all, len) = (cg.div_ceil(nr), g.kh * g.kw, E::steps(og) * nr);
    cx.par(g.groups * panels, |task| {
        let (group, first) = (task / panels, task % panels * nr);
        let mut dst = packed.get().wrapping_add(task * taps * len);
        for kh in rows.taps(g.kh, g.dh, g.sh) {
            for kw in cols.taps(g.kw, g.dw, g.sw) {
                // SAFETY: the tap's channels `first ..` of every output channel, and the panel's own part of the scratch.
                unsafe {
                    let src = weight.as_ptr().add((group * og * all + kh * g.kw + kw) * cg + first);
                    engine.pack(Lines { src, len: og, width: nr.min(cg - first), k_stride: (all * cg) as isize, stride: 1, dst });
                }
                dst = dst.wrapping_add(len);
            }
        }
    });
}
