//! The weight gradient of bf16 by pairs of pixels: two neighbouring rows of outputs are woven, and with them the rows of x that a kernel row
//! meets there, so that a pair is one product of each. Pixels are the reduction; a row's columns and channels are neighbours in x as it is, and
//! so are those of a kernel row.
//!
//! A task weaves some rows into room of its own, in its cache, zeros where the padding is, and adds their products to the sums of its part of
//! the batch, in float32. The parts follow from shapes; their sums are added in order and rounded once.
use super::geometry::{Geometry, Room};
use super::weight_grad::add_parts;
use crate::gemm::bf16::{Job, MR, NR, Pair, Target, available, table, weave};
use crate::gemm::{Ahead, Tap, even_cut};
use ferrograd_tensor::{Cx, SyncPtr, bf16};

/// The rows are cut into parts of about this many elements of x and dy, at most `PARTS` of them (one for each of sixteen nominal threads) and as
/// long as all their sums stay under `SUMS` elements (8 MiB).
const PART: usize = 1 << 17;
const PARTS: usize = 16;
const SUMS: usize = 1 << 21;
/// Woven pairs in one pass of the tiles: 256 KiB, which L2 holds.
const PASS: usize = 1 << 16;
/// Pairs of rows in one pass.
const TAPS: usize = 64;

/// True where [`weight_grad`] does it.
pub(super) fn fits(g: &Geometry) -> bool {
    available() && g.groups == 1 && g.dw == 1
}

/// How the work is cut.
#[derive(Clone, Copy)]
struct Plan {
    parts: usize,
    /// Blocks of output channels, and channels in each (the last may have fewer).
    blocks: usize,
    block: usize,
    /// Pairs in a pair of rows of x, and of dy.
    x_len: usize,
    dy_len: usize,
    /// Pairs of rows in a pass.
    pass: usize,
}

impl Plan {
    fn new(g: &Geometry) -> Plan {
        let data = g.n * (g.h * g.w * g.c + g.oh * g.ow * g.o);
        let sums = (SUMS / (g.depth() * g.o).max(1)).max(1);
        let parts = data.div_ceil(PART).min(units(g)).min(PARTS).min(sums).max(1);
        // A block of two panels or more pays back the weaving of x, which each block does anew.
        let panels = g.o.div_ceil(NR);
        let blocks = (2 * PARTS / (parts * g.kh).max(1)).clamp(1, panels.div_ceil(2).max(1));
        let block = panels.div_ceil(blocks) * NR;
        // Not a multiple of 4 KiB, whose addresses share one set of L1.
        let room = |pairs: usize| pairs.next_multiple_of(16) + 16;
        let (x_len, dy_len) = (room(span(g) * g.c), room(g.ow * block.min(g.o)));
        Plan { parts, blocks: g.o.div_ceil(block.max(1)), block, x_len, dy_len, pass: (PASS / (x_len + dy_len)).clamp(1, TAPS) }
    }
}

/// Pairs of output rows, of all images.
fn units(g: &Geometry) -> usize {
    g.n * g.oh.div_ceil(2)
}

/// Columns of x, padding included, that a kernel row meets.
fn span(g: &Geometry) -> usize {
    if g.ow == 0 { 0 } else { (g.ow - 1) * g.sw + g.kw }
}

/// What [`weight_grad`] wants, in units of 4 bytes.
pub(super) fn room(g: &Geometry) -> Room {
    let plan = Plan::new(g);
    Room { shared: plan.parts * g.depth() * g.o, local: plan.pass * (plan.x_len + plan.dy_len) }
}

/// dw as [`super::conv2d_weight_grad`] has it.
pub(super) fn weight_grad(cx: &mut Cx, g: &Geometry, x: &[bf16], dy: &[bf16], dw: &mut [bf16]) {
    if dw.is_empty() {
        return;
    }
    let plan = Plan::new(g);
    let (sums, mut cx) = cx.split_scratch::<f32>(plan.parts * g.depth() * g.o);
    let base = SyncPtr(sums.as_mut_ptr());
    cx.par_local::<Pair>(plan.parts * g.kh * plan.blocks, room(g).local, |task, local| {
        let (part, kh, block) = (task / plan.blocks / g.kh, task / plan.blocks % g.kh, task % plan.blocks);
        let first = block * plan.block;
        let out = SyncPtr(base.get().wrapping_add((part * g.depth() + kh * g.kw * g.c) * g.o + first));
        Task { g, plan: &plan, x, dy, kh, first, channels: plan.block.min(g.o - first), out }
            .run(even_cut(units(g), plan.parts, part), local);
    });
    add_parts(&cx, g, sums, dw);
}

/// The sums of a kernel row and some output channels over some pairs of rows.
struct Task<'a> {
    g: &'a Geometry,
    plan: &'a Plan,
    x: &'a [bf16],
    dy: &'a [bf16],
    kh: usize,
    first: usize,
    channels: usize,
    /// `[column][input channel]`, rows of all output channels.
    out: SyncPtr<f32>,
}

impl Task<'_> {
    fn run(&self, (from, count): (usize, usize), local: &mut [Pair]) {
        let (x_room, dy_room) = local.split_at_mut(self.plan.pass * self.plan.x_len);
        let mut taps: [Tap; TAPS] = [(0, 0); TAPS];
        let (mut some, mut add) = (0, false);
        for unit in from..from + count {
            let (x_at, dy_at) = (some * self.plan.x_len, some * self.plan.dy_len);
            if self.weave(unit, &mut x_room[x_at..][..self.plan.x_len], &mut dy_room[dy_at..][..self.plan.dy_len]) {
                taps[some] = (x_at as isize, dy_at as isize);
                some += 1;
            }
            if some == self.plan.pass {
                self.products(&taps[..some], x_room, dy_room, add);
                (some, add) = (0, true);
            }
        }
        // Without a single row, this writes zeros.
        if some > 0 || !add {
            self.products(&taps[..some], x_room, dy_room, add);
        }
    }

    /// Weaves a pair of output rows and what they meet in x; false where that is padding alone, or nothing.
    fn weave(&self, unit: usize, x_to: &mut [Pair], dy_to: &mut [Pair]) -> bool {
        let g = self.g;
        let (image, oy) = (unit / g.oh.div_ceil(2), unit % g.oh.div_ceil(2) * 2);
        // The second row may be missing: then it is zeros on both sides.
        let input = |oy: usize| {
            let iy = (oy * g.sh + self.kh * g.dh).checked_sub(g.top).filter(|&iy| iy < g.h && oy < g.oh)?;
            Some(self.x[(image * g.h + iy) * g.w * g.c..][..g.w * g.c].as_ptr())
        };
        let (low, high) = (input(oy), input(oy + 1));
        if low.is_none() && high.is_none() || g.ow == 0 {
            return false;
        }
        let or_null = |p: Option<*const bf16>| p.unwrap_or(std::ptr::null());
        let (lead, end) = (g.left.min(span(g)), (g.w + g.left).min(span(g)));
        let (lead, end) = (lead * g.c, end.max(lead) * g.c);
        x_to[..lead].fill(0);
        x_to[end..span(g) * g.c].fill(0);
        // SAFETY: `end - lead` elements of rows of x from their first on; `fits` has seen the instructions.
        unsafe { weave(or_null(low), or_null(high), end - lead, x_to[lead..end].as_mut_ptr()) };
        let output = |oy: usize| (oy < g.oh).then(|| self.dy[(image * g.oh + oy) * g.ow * g.o..][..g.ow * g.o].as_ptr());
        let (low, high) = (output(oy), output(oy + 1));
        // All channels lie side by side, a block of them pixel by pixel.
        let (pixels, len) = if self.channels == g.o { (1, g.ow * g.o) } else { (g.ow, self.channels) };
        for (pixel, to) in dy_to[..pixels * len].chunks_exact_mut(len).enumerate() {
            let at = |p: Option<*const bf16>| p.map_or(std::ptr::null(), |p| p.wrapping_add(pixel * g.o + self.first));
            // SAFETY: channels of a pixel, or all pixels of a row.
            unsafe { weave(at(low), at(high), len, to.as_mut_ptr()) };
        }
        true
    }

    /// Adds what is woven to the sums, or sets them.
    fn products(&self, taps: &[Tap], x: &[Pair], dy: &[Pair], add: bool) {
        let (g, table) = (self.g, table().expect("seen by the caller"));
        let run = g.kw * g.c;
        let m_tiles = run.div_ceil(MR);
        for t in 0..m_tiles {
            let (row, rows) = even_cut(run, m_tiles, t);
            for o in (0..self.channels).step_by(NR) {
                // SAFETY: columns `row ..` of each of the pixels' runs, `ow` of them in a tap; the sums are the task's own.
                unsafe {
                    let to = Target::Part { to: self.out.get().add(row * g.o + o), ld: g.o, add };
                    let (b, ldb, n) = (dy.as_ptr().add(o), self.channels, NR.min(self.channels - o));
                    let job = Job { taps, pairs: g.ow, odd: false, b, ldb, n, to, ahead: Ahead::NONE };
                    table.packed(rows, x.as_ptr().add(row), (g.sw * g.c) as isize, &job);
                }
            }
        }
    }
}
