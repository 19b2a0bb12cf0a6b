//! dg = G' [ (B' d B) . (A dY A') ] G, summed over tiles. The tiles are cut into parts that the shapes fix; each sums its transformed products
//! [place][c][o], and the parts are added in order before the last transform.
use super::super::geometry::{Geometry, Room};
use super::{Grid, PLACES, gather_gradients, gather_inputs, pitch, transform};
use crate::gemm::{Job, Tiles, even_cut};
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
                for b in 0..some {
                    // SAFETY: each task has its own rows of one place's sums.
                    unsafe {
                        let v = blocks.get().add(b * block_len(g));
                        let out = sums_at.get().add(place * g.c * g.o);
                        product(tiles, g, place, rows, count(b), v, out, from + b > 0);
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
                    product(tiles, g, place, (0, g.c), count, v.as_ptr(), out, block > first);
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

/// out[c][o] (+)= sum over the tiles of V[place][tile][c] E[place][tile][o], for some of the rows c.
unsafe fn product(
    tiles: &Tiles,
    g: &Geometry,
    place: usize,
    (first, rows): (usize, usize),
    count: usize,
    v: *const f32,
    out: *mut f32,
    add: bool,
) {
    let (v_pitch, e_pitch, nr) = (pitch(count, g.c), pitch(count, g.o), tiles.nr());
    let m_tiles = rows.div_ceil(tiles.mr());
    for o in (0..g.o).step_by(nr) {
        for t in 0..m_tiles {
            let (row, len) = even_cut(rows, m_tiles, t);
            // SAFETY: the caller's sums, and its block of `count` tiles.
            unsafe {
                let job = Job {
                    taps: &[(0, 0)],
                    k: count,
                    b: v.add(PLACES * pitch(BLOCK, g.c) + place * e_pitch + o),
                    ldb: g.o as isize,
                    c: out.add((first + row) * g.o + o),
                    ldc: g.o,
                    n: nr.min(g.o - o),
                    add,
                    bias: std::ptr::null(),
                    relu: false,
                };
                tiles.cols(len, v.add(place * v_pitch + first + row), g.c as isize, &job);
            }
        }
    }
}

/// Adds the parts' sums [part][place][c][o] in order and transforms them to dw [o][tap][c].
fn finish(cx: &Cx, g: &Geometry, parts: usize, sums: &[f32], dw: SyncPtr<f32>) {
    const O: usize = 16;
    cx.par(g.o.div_ceil(O), |task| vectorize(Finish { g, parts, sums, first: task * O, len: O.min(g.o - task * O), dw }));
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
        for row in 0..c {
            for lane in (0..self.len).step_by(S::LANES) {
                let lanes = S::LANES.min(self.len - lane);
                // SAFETY: elements of the sums.
                let m = std::array::from_fn(|place| unsafe {
                    let at = self.sums.as_ptr().add((place * c + row) * o + self.first + lane);
                    let load = |p: *const f32| if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) };
                    let mut sum = load(at);
                    for p in 1..self.parts {
                        sum = s.add(sum, load(at.add(p * part)));
                    }
                    sum
                });
                let taps = transform::weight_back(s, m);
                for (tap, value) in taps.into_iter().enumerate() {
                    let mut out = [0f32; 16];
                    // SAFETY: no path has more than 16 lanes.
                    unsafe { s.store(out.as_mut_ptr(), value) };
                    for (i, value) in out[..lanes].iter().enumerate() {
                        // SAFETY: each task has its own output channels.
                        unsafe { *self.dw.get().add(((self.first + lane + i) * 9 + tap) * c + row) = *value };
                    }
                }
            }
        }
    }
}
