//! dg = G' [ (B' d B) . (A dY A') ] G, summed over tiles. The tiles are cut into parts that the shapes fix; each sums its transformed products
//! [place][c][o], and the parts are added in order before the last transform.
use super::super::geometry::{Geometry, Room};
use super::{Grid, PLACES, gather_gradients, gather_inputs, pitch, spacing, transform};
use crate::gemm::{Ahead, Job, Panel, Tap, Tiles, even_cut};
use ferrograd_simd::{Kernel, Simd, isa, vectorize};
use ferrograd_tensor::{Cx, SyncPtr};

/// Tiles of a block, which are the steps of one product.
const BLOCK: usize = 64;
/// Parts at most, and elements of all their sums (8 MiB).
const PARTS: usize = 8;
const SUMS: usize = 1 << 21;

fn parts(g: &Geometry, grid: &Grid) -> usize {
    (SUMS / (PLACES * g.c * g.o)).min(grid.count.div_ceil(BLOCK)).clamp(1, PARTS)
}

/// Where the sums are too large for parts, blocks are transformed together and the places shared out.
fn shares_places(g: &Geometry, grid: &Grid) -> bool {
    parts(g, grid) < PARTS && grid.count > BLOCK
}

fn block_len(g: &Geometry) -> usize {
    PLACES * (pitch(BLOCK, g.c) + pitch(BLOCK, g.o))
}

/// Blocks that are transformed before the places are shared out.
const TOGETHER: usize = 8;

/// What [`weight_grad`] wants.
pub fn weight_grad_room(g: &Geometry) -> Room {
    let grid = Grid::new(g);
    if shares_places(g, &grid) {
        return Room { shared: PLACES * g.c * g.o + TOGETHER * block_len(g), local: 0 };
    }
    Room { shared: parts(g, &grid) * PLACES * g.c * g.o, local: block_len(g) }
}

/// dweight [o, 3, 3, c] of x [n, h, w, c] and dy [n, oh, ow, o].
pub fn weight_grad(cx: &mut Cx, g: &Geometry, x: &[f32], dy: &[f32], dw: SyncPtr<f32>) {
    let tiles = Tiles::of(isa());
    let grid = Grid::new(g);
    let all = PLACES * g.c * g.o;
    if shares_places(g, &grid) {
        let (sums, mut cx) = cx.split_scratch::<f32>(all);
        let (blocks, cx) = cx.split_scratch::<f32>(TOGETHER * block_len(g));
        let (sums_at, blocks) = (SyncPtr(sums.as_mut_ptr()), SyncPtr(blocks.as_mut_ptr()));
        let total = grid.count.div_ceil(BLOCK);
        // Rows of channels in a task: enough tasks for sixteen nominal threads.
        let halves = g.c.div_ceil(256).max(2);
        for from in (0..total).step_by(TOGETHER) {
            let some = TOGETHER.min(total - from);
            let count = |b: usize| BLOCK.min(grid.count - (from + b) * BLOCK);
            cx.par(some, |b| {
                // SAFETY: each block has its own room.
                let v = unsafe { blocks.get().add(b * block_len(g)) };
                transformed(g, &grid, x, dy, (from + b) * BLOCK, count(b), v);
            });
            cx.par(PLACES * halves, |task| {
                let (place, half) = (task / halves, task % halves);
                let rows = even_cut(g.c, halves, half);
                // Whole blocks make one product, whose sums stay in registers; the last one may be shorter.
                let whole = if count(some - 1) == BLOCK { some } else { some - 1 };
                for (b, many) in [(0, whole), (whole, some - whole)] {
                    if many > 0 {
                        // SAFETY: each task has its own rows of one place's sums.
                        unsafe {
                            let v = blocks.get().add(b * block_len(g));
                            let out = sums_at.get().add(place * g.c * g.o);
                            product(tiles, g, place, rows, count(b), many, v, out, from + b > 0);
                        }
                    }
                }
            });
        }
        finish(&cx, g, 1, sums, dw);
        return;
    }
    let parts = parts(g, &grid);
    let (sums, mut cx) = cx.split_scratch::<f32>(parts * all);
    let sums_at = SyncPtr(sums.as_mut_ptr());
    let blocks = grid.count.div_ceil(BLOCK);
    cx.par_local::<f32>(parts, block_len(g), |part, v| {
        let (first, some) = even_cut(blocks, parts, part);
        for block in first..first + some {
            let (start, count) = (block * BLOCK, BLOCK.min(grid.count - block * BLOCK));
            transformed(g, &grid, x, dy, start, count, v.as_mut_ptr());
            for place in 0..PLACES {
                // SAFETY: each part has its own sums.
                unsafe {
                    let out = sums_at.get().add(part * all + place * g.c * g.o);
                    product(tiles, g, place, (0, g.c), count, 1, v.as_ptr(), out, block > first);
                }
            }
        }
    });
    finish(&cx, g, parts, sums, dw);
}

/// Inputs and gradients of `count` tiles, one behind the other.
fn transformed(g: &Geometry, grid: &Grid, x: &[f32], dy: &[f32], first: usize, count: usize, v: *mut f32) {
    gather_inputs(g, grid, x, first, count, v);
    gather_gradients(g, grid, dy, first, count, v.wrapping_add(PLACES * pitch(BLOCK, g.c)));
}

/// out[c][o] (+)= sum over `blocks` blocks of `count` tiles of V[place][tile][c] E[place][tile][o], for some of the rows c.
unsafe fn product(
    tiles: &Tiles,
    g: &Geometry,
    place: usize,
    (first, rows): (usize, usize),
    count: usize,
    blocks: usize,
    v: *const f32,
    out: *mut f32,
    add: bool,
) {
    let taps: [Tap; TOGETHER] = std::array::from_fn(|b| ((b * block_len(g)) as isize, (b * block_len(g)) as isize));
    let (v_pitch, e_pitch, nr) = (pitch(count, g.c), pitch(count, g.o), tiles.nr());
    let m_tiles = rows.div_ceil(tiles.mr());
    for o in (0..g.o).step_by(nr) {
        for t in 0..m_tiles {
            let (row, len) = even_cut(rows, m_tiles, t);
            // SAFETY: the caller's sums, and its blocks of `count` tiles.
            unsafe {
                let job = Job {
                    taps: &taps[..blocks],
                    k: count,
                    b: v.add(PLACES * pitch(BLOCK, g.c) + place * e_pitch + o),
                    ldb: spacing(g.o) as isize,
                    c: out.add((first + row) * g.o + o),
                    ldc: g.o,
                    n: nr.min(g.o - o),
                    add,
                    bias: std::ptr::null(),
                    relu: false,
                    ahead: Ahead::NONE,
                };
                tiles.cols(len, v.add(place * v_pitch + first + row), spacing(g.c) as isize, &job);
            }
        }
    }
}

/// Channels of a corner of dw: of outputs, which are vectors here, and of inputs, which are neighbours in dw.
const CORNER: usize = 16;

/// Adds the parts' sums [part][place][c][o] in order and transforms them to dw [o][tap][c].
fn finish(cx: &Cx, g: &Geometry, parts: usize, sums: &[f32], dw: SyncPtr<f32>) {
    cx.par(g.o.div_ceil(CORNER), |task| {
        vectorize(Finish { g, parts, sums, first: task * CORNER, len: CORNER.min(g.o - task * CORNER), dw })
    });
}

struct Finish<'a> {
    g: &'a Geometry,
    parts: usize,
    sums: &'a [f32],
    first: usize,
    len: usize,
    dw: SyncPtr<f32>,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c, o) = (self.g.c, self.g.o);
        let part = PLACES * c * o;
        // A corner is turned as a whole: alone, an element of dw would be a store to a line of its own.
        let mut corner = [[[0f32; CORNER]; CORNER]; 9];
        for first_row in (0..c).step_by(CORNER) {
            let rows = CORNER.min(c - first_row);
            for (i, row) in (first_row..first_row + rows).enumerate() {
                for lane in (0..self.len).step_by(S::LANES) {
                    let lanes = S::LANES.min(self.len - lane);
                    let mut m = [s.zero(); PLACES];
                    for (place, sum) in m.iter_mut().enumerate() {
                        // SAFETY: elements of the sums.
                        unsafe {
                            let at = self.sums.as_ptr().add((place * c + row) * o + self.first + lane);
                            for p in 0..self.parts {
                                let at = at.add(p * part);
                                let x = if lanes == S::LANES { s.load(at) } else { s.load_partial(at, lanes) };
                                *sum = if p == 0 { x } else { s.add(*sum, x) };
                            }
                        }
                    }
                    for (tap, value) in transform::weight_back(s, m).into_iter().enumerate() {
                        // SAFETY: lanes divide the corner's width, and no path has more.
                        unsafe { s.store(corner[tap][i].as_mut_ptr().add(lane), value) };
                    }
                }
            }
            for (tap, block) in corner.iter().enumerate() {
                // SAFETY: the corner, and output channels that are this task's.
                unsafe {
                    let dst = self.dw.get().add((self.first * 9 + tap) * c + first_row);
                    Panel { src: block.as_ptr().cast(), len: self.len, width: rows, k_stride: 1, stride: CORNER as isize, dst, ld: 9 * c }
                        .pack();
                }
            }
        }
    }
}
