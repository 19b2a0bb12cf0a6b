//! dg = G' [ (B' d B) . (A dY A') ] G, summed over tiles. A task has some input and some output channels, whose sums [place][o][c] it keeps in the
//! second-level cache while the tiles go by, block after block. Where that makes few tasks the tiles are cut into parts, which the shapes fix:
//! their sums are added in order before the last transform.
use super::super::geometry::{Geometry, Room};
use super::grid::Grid;
use super::{Normal, PLACES, gather, pitch, spacing, transform};
use crate::gemm::{Ahead, Job, Tiles, even_cut};
use crate::strided::{load, store};
use ferrograd_simd::{Kernel, Simd, inlined, isa, vectorize};
use ferrograd_tensor::{Cx, SyncPtr};
use std::ops::Range;

/// Input and output channels of a task, and tiles of a block, which are the steps of one product: sums of 256 KiB and twice as much of tiles. (Tasks
/// transform their own tiles, several the same ones, which costs less than to fetch them from beyond the second-level cache.)
const CHANNELS: usize = 64;
const BLOCK: usize = 64;

/// Tasks to be had, one for each of sixteen nominal threads, if that takes no more parts than these.
const TASKS: usize = 16;
const PARTS: usize = 8;

/// How the work is cut.
#[derive(Clone, Copy)]
struct Cut {
    ins: usize,
    outs: usize,
    parts: usize,
    blocks: usize,
    /// Elements of a task's sums.
    sums: usize,
    /// Elements of its block's transformed tiles.
    tiles: usize,
}

impl Cut {
    fn new(g: &Geometry, grid: &Grid) -> Cut {
        let (ins, outs) = (g.c.div_ceil(CHANNELS), g.o.div_ceil(CHANNELS));
        let (c, o) = (g.c.min(CHANNELS), g.o.min(CHANNELS));
        let blocks = grid.count.div_ceil(BLOCK);
        let parts = (TASKS / (ins * outs)).clamp(1, PARTS).min(blocks);
        Cut { ins, outs, parts, blocks, sums: PLACES * c * o, tiles: PLACES * (pitch(BLOCK, c) + pitch(BLOCK, o)) }
    }
    /// Channels of a share of `ins * outs`.
    fn channels(&self, g: &Geometry, share: usize) -> (Range<usize>, Range<usize>) {
        let (c, o) = (share % self.ins * CHANNELS, share / self.ins * CHANNELS);
        (c..g.c.min(c + CHANNELS), o..g.o.min(o + CHANNELS))
    }
}

/// What [`weight_grad`] wants.
pub fn weight_grad_room(g: &Geometry) -> Room {
    let cut = Cut::new(g, &Grid::new(g));
    // Sums of a single part are finished where they are.
    let (shared, local) = if cut.parts > 1 { (cut.ins * cut.outs * cut.parts * cut.sums, 0) } else { (0, cut.sums) };
    Room { shared, local: local + cut.tiles }
}

/// dweight [o, 3, 3, c] of x [n, h, w, c], or what `c` makes of it, and dy [n, oh, ow, o].
pub fn weight_grad(cx: &mut Cx, g: &Geometry, x: &[f32], c: Option<Normal>, dy: &[f32], dw: SyncPtr<f32>) {
    let kernels = Tiles::of(isa());
    let grid = Grid::new(g);
    let cut = Cut::new(g, &grid);
    let (shared, mut cx) = cx.split_scratch::<f32>(weight_grad_room(g).shared);
    let sums = SyncPtr(shared.as_mut_ptr());
    cx.par_local::<f32>(cut.ins * cut.outs * cut.parts, weight_grad_room(g).local, |task, local| {
        let (share, part) = (task / cut.parts, task % cut.parts);
        let (ins, outs) = cut.channels(g, share);
        let (tiles, own) = local.split_at_mut(cut.tiles);
        // SAFETY: each task has its own part of the shared sums.
        let to = if cut.parts > 1 { unsafe { sums.get().add(task * cut.sums) } } else { own.as_mut_ptr() };
        let (first, some) = even_cut(cut.blocks, cut.parts, part);
        for block in first..first + some {
            let (start, count) = (block * BLOCK, BLOCK.min(grid.count - block * BLOCK));
            // SAFETY: the tiles' room, and sums of `PLACES` times these channels, are the task's.
            unsafe {
                let v = tiles.as_mut_ptr();
                let e = v.add(PLACES * pitch(count, ins.len()));
                gather::inputs(g, &grid, x, c, ins.clone(), start, count, v);
                gather::gradients(g, &grid, dy, outs.clone(), start, count, e);
                products(kernels, count, (ins.len(), v), (outs.len(), e), to, block > first);
            }
        }
        if cut.parts == 1 {
            vectorize(Finish { g, parts: 1, sums: own, ins: &ins, outs: &outs, rows: 0..outs.len(), dw });
        }
    });
    if cut.parts > 1 {
        let some = CHANNELS.min(g.o).div_ceil(ROWS);
        cx.par(cut.ins * cut.outs * some, |task| {
            let (share, first) = (task / some, task % some * ROWS);
            let (ins, outs) = cut.channels(g, share);
            let rows = first.min(outs.len())..outs.len().min(first + ROWS);
            let sums = &shared[share * cut.parts * cut.sums..][..cut.parts * cut.sums];
            vectorize(Finish { g, parts: cut.parts, sums, ins: &ins, outs: &outs, rows, dw });
        });
    }
}

/// sums[place][o][c] (+)= sum over `count` tiles of E[place][tile][o] V[place][tile][c].
///
/// # Safety
/// `v`, `e` and `sums` are valid for the sizes, and `sums` has no other owner.
unsafe fn products(kernels: &Tiles, count: usize, (c, v): (usize, *const f32), (o, e): (usize, *const f32), sums: *mut f32, add: bool) {
    let m_tiles = o.div_ceil(kernels.mr());
    for place in 0..PLACES {
        for first in (0..c).step_by(kernels.nr()) {
            for t in 0..m_tiles {
                let (row, len) = even_cut(o, m_tiles, t);
                // SAFETY: the caller's promise.
                unsafe {
                    let job = Job {
                        taps: &[(0, 0)],
                        k: count,
                        b: v.add(place * pitch(count, c) + first),
                        ldb: spacing(c) as isize,
                        c: sums.add((place * o + row) * c + first),
                        ldc: c,
                        n: kernels.nr().min(c - first),
                        add,
                        bias: std::ptr::null(),
                        relu: false,
                        ahead: Ahead::NONE,
                    };
                    kernels.cols(len, e.add(place * pitch(count, o) + row), spacing(o) as isize, &job);
                }
            }
        }
    }
}

/// Output channels that a task finishes.
const ROWS: usize = 4;

/// Adds the parts' sums [part][place][o][c] in order and transforms them to dw [o][tap][c], for some output channels.
struct Finish<'a> {
    g: &'a Geometry,
    parts: usize,
    sums: &'a [f32],
    ins: &'a Range<usize>,
    outs: &'a Range<usize>,
    rows: Range<usize>,
    dw: SyncPtr<f32>,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c, o) = (self.ins.len(), self.outs.len());
        // The room of a part, which the last channels do not fill.
        let part = self.sums.len() / self.parts;
        for row in self.rows {
            for first in (0..c).step_by(S::LANES) {
                let lanes = S::LANES.min(c - first);
                let m = inlined(|place| {
                    let at = (place * o + row) * c + first;
                    let mut sum = s.zero();
                    for p in 0..self.parts {
                        // SAFETY: elements of the sums.
                        let x = unsafe { load(s, self.sums.as_ptr().add(p * part + at), lanes) };
                        sum = if p == 0 { x } else { s.add(sum, x) };
                    }
                    sum
                });
                for (tap, value) in transform::weight_back(s, m).into_iter().enumerate() {
                    // SAFETY: input channels of an output channel that is this task's.
                    unsafe {
                        let to = self.dw.get().add(((self.outs.start + row) * 9 + tap) * self.g.c + self.ins.start + first);
                        store(s, to, lanes, value);
                    }
                }
            }
        }
    }
}
