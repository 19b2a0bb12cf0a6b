//! Winograd's minimal filtering F(2x2, 3x3) (Lavin & Gray 2015) for 3 x 3 kernels of stride 1: each 2 x 2 tile of outputs comes from a 4 x 4 tile
//! of inputs by 16 products a channel pair, where the definition takes 36.
//!
//! ```text
//! forward          Y = A' [ (G g G') . (B' d B) ] A          d: 4 x 4 inputs, g: 3 x 3 weights, Y: 2 x 2 outputs, summed over input channels
//! input gradient   the same of dY, with g turned by half a circle
//! weight gradient  dg = G' [ (B' d B) . (A dY A') ] G        summed over tiles
//! ```
//!
//! For each of the 16 places of the transformed tiles the sum over channels (or tiles) is a matrix product, which the tile kernels of
//! [`crate::gemm`] compute; the transforms run on vectors of channels, and blocks of tiles stay in the cache between the steps.
mod forward;
mod gather;
mod grid;
mod input_grad;
mod transform;
mod weight_grad;

pub(super) use forward::forward;
pub(crate) use forward::{forward_normal, forward_room};
pub(crate) use input_grad::{input_grad, input_grad_back, input_grad_blocks, input_grad_room};
pub(crate) use weight_grad::{weight_grad, weight_grad_room};

use super::geometry::Geometry;
use crate::gemm::{Ahead, Job, Panel, Tiles, even_cut};
use ferrograd_simd::{Kernel, Simd, inlined, vectorize};
use ferrograd_tensor::{Cx, SyncPtr};
use grid::Grid;

/// Means, scales and biases by channel: an input is then taken as max(0, (x - c0) * c1 + c2), which nobody stores.
pub(crate) type Normal<'a> = [&'a [f32]; 3];

/// Places of a transformed tile.
const PLACES: usize = 16;
/// The widest panel of the tile kernels, and the widest vectors.
const PANEL: usize = 32;
const WIDEST: usize = 16;

/// Rows of a panel of transformed weights that are multiplied at a time.
const ROWS: usize = 256;

/// Channel pairs from which on the transformed weights do not stay in L2: they are asked for a run ahead.
const FAR: usize = 1 << 15;

/// Fewer tiles save less than transforming the weights costs: some 20 cycles a pair of channels, which a tile pays back with 1.25.
const FEWEST: usize = 24;

/// Output channels from which on a vector of 16 is full enough (48 to 12 channels of 32 x 32, two threads of Zen 4: 6.0 to 4.4 ms forward, its
/// gradients 4.9 to 4.0 and 6.1 to 4.0).
const NARROWEST: usize = 12;

/// True where the tiles save more than their transforms cost.
pub(crate) fn pays(g: &Geometry) -> bool {
    let plain = [g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, g.groups] == [3, 3, 1, 1, 1, 1, 1];
    plain && g.top <= 2 && g.left <= 2 && g.c >= 32 && g.o >= NARROWEST && g.oh >= 2 && g.ow >= 2 && Grid::new(g).count >= FEWEST
}

/// Elements from one place of a block's transformed tiles to the next: not a multiple of 4 KiB, whose addresses share one set of L1.
fn pitch(tiles: usize, channels: usize) -> usize {
    (tiles * spacing(channels)).next_multiple_of(16) + 16
}

/// Elements from one tile to the next in a block, for the same reason.
fn spacing(channels: usize) -> usize {
    if channels % 256 == 0 { channels + 16 } else { channels }
}

/// Tiles of a block: rows of tile kernels (multiples of 14 and 6 waste least), and what L2 holds of the transformed tiles.
fn block(c: usize, o: usize) -> usize {
    // Where there are many channels the weights come from far, and more tiles share each of them.
    let pairs = c * o;
    if pairs <= 96 * 96 {
        56
    } else if pairs <= 1 << 17 {
        28
    } else {
        112
    }
}

/// U[place][panel of columns][row][PANEL], columns and rows being output and input channels (or, turned, the other way round).
fn packed_len(rows: usize, cols: usize) -> usize {
    PLACES * rows * cols.next_multiple_of(PANEL)
}

/// Transforms the weights [O, 3, 3, C]: U[place][c][o] with columns o, or, turned by half a circle, U[place][o][c].
fn pack(cx: &Cx, g: &Geometry, weight: &[f32], turned: bool, nr: usize, packed: SyncPtr<f32>) {
    // A task has some output channels (turned: rows; else a panel of columns) and some input channels.
    let (outs, ins) = if turned { (16, nr) } else { (nr, 64) };
    let blocks = g.c.div_ceil(ins);
    cx.par(g.o.div_ceil(outs) * blocks, |task| {
        let (o, c) = (task / blocks * outs, task % blocks * ins);
        let part = Weights { g, weight, turned, nr, packed, o: o..g.o.min(o + outs), c: c..g.c.min(c + ins) };
        vectorize(part);
    });
}

struct Weights<'a> {
    g: &'a Geometry,
    weight: &'a [f32],
    turned: bool,
    nr: usize,
    packed: SyncPtr<f32>,
    o: std::ops::Range<usize>,
    c: std::ops::Range<usize>,
}

impl Kernel for Weights<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Weights { g, weight, nr, packed, .. } = self;
        let (o, c) = (self.o.clone(), self.c.clone());
        // Vectors run along input channels, as the weights lie; columns of output channels are turned block by block.
        let mut block = [[[0f32; WIDEST]; PANEL]; PLACES];
        for first in c.clone().step_by(S::LANES) {
            let lanes = S::LANES.min(c.end - first);
            for out in o.clone() {
                // SAFETY: the taps of one output channel and `lanes` input channels; for stores, elements of the packed weights that are this task's.
                unsafe {
                    let taps = inlined(|k| {
                        let k = if self.turned { 8 - k } else { k };
                        let p = weight.as_ptr().add((out * 9 + k) * g.c + first);
                        if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) }
                    });
                    let u = transform::weight(s, taps);
                    for place in 0..PLACES {
                        if self.turned {
                            let panels = g.c.div_ceil(nr);
                            let to = packed.get().add(((place * panels + first / nr) * g.o + out) * nr + first % nr);
                            if lanes == S::LANES { s.store(to, u[place]) } else { s.store_partial(to, lanes, u[place]) }
                        } else {
                            s.store(block[place][out - o.start].as_mut_ptr(), u[place]);
                        }
                    }
                }
            }
            if self.turned {
                continue;
            }
            let panels = g.o.div_ceil(nr);
            for (place, columns) in block.iter().enumerate() {
                // SAFETY: the block's columns, and rows of one panel that are this task's.
                unsafe {
                    let dst = packed.get().add(((place * panels + o.start / nr) * g.c + first) * nr);
                    Panel { src: columns.as_ptr().cast(), len: lanes, width: o.len(), k_stride: 1, stride: WIDEST as isize, dst, ld: nr }
                        .pack();
                }
            }
        }
    }
}

/// M[place][tile][cols] = V[place][tile][rows] U[place][rows][cols] for the tiles of a block.
///
/// # Safety
/// `v`, `m` and `packed` are valid for the sizes, and `m` has no other owner.
unsafe fn products(tiles: &Tiles, count: usize, rows: usize, cols: usize, v: *const f32, packed: *const f32, m: *mut f32) {
    let nr = tiles.nr();
    let (panels, m_tiles) = (cols.div_ceil(nr), count.div_ceil(tiles.mr()));
    let (v_pitch, m_pitch) = (pitch(count, rows), pitch(count, cols));
    for place in 0..PLACES {
        for panel in 0..panels {
            let n = nr.min(cols - panel * nr);
            // Runs of rows that L1 holds of a panel, while all tiles go by.
            for from in (0..rows).step_by(ROWS) {
                let k = ROWS.min(rows - from);
                // The run that follows lies right behind this one, be it of the next panel or the next place.
                let run = packed.wrapping_add(((place * panels + panel) * rows + from) * nr);
                let share = k * nr / m_tiles;
                for t in 0..m_tiles {
                    let (first, len) = even_cut(count, m_tiles, t);
                    // SAFETY: the caller's promises.
                    unsafe {
                        let a = v.add(place * v_pitch + first * spacing(rows) + from);
                        let mut pointers = [a; 16];
                        pointers[..len].iter_mut().enumerate().for_each(|(i, p)| *p = a.add(i * spacing(rows)));
                        let job = Job {
                            taps: &[(0, 0)],
                            k,
                            b: run,
                            ldb: nr as isize,
                            c: m.add(place * m_pitch + first * spacing(cols) + panel * nr),
                            ldc: spacing(cols),
                            n,
                            add: from > 0,
                            bias: std::ptr::null(),
                            relu: false,
                            ahead: if rows * cols >= FAR {
                                Ahead::over(run.wrapping_add(k * nr + t * share), share, k)
                            } else {
                                Ahead::NONE
                            },
                        };
                        tiles.rows(&pointers[..len], &job);
                    }
                }
            }
        }
    }
}
