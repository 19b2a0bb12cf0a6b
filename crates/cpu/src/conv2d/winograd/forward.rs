//! Y = A' [ (G g G') . (B' d B) ] A, with bias, ReLU and pooling on the way out.
use super::super::geometry::{Geometry, Room};
use super::super::pooled::Pool;
use super::grid::{Grid, Place, Plane};
use super::{Normal, PLACES, block, gather, pack, packed_len, pitch, products, spacing, transform};
use crate::gemm::Tiles;
use ferrograd_simd::{Kernel, Simd, inlined, isa, vectorize};
use ferrograd_tensor::rules::NO_PLACE;
use ferrograd_tensor::{Cx, SyncPtr};

/// What [`forward`] wants.
pub fn forward_room(g: &Geometry) -> Room {
    let count = block(g.c, g.o);
    Room { shared: packed_len(g.c, g.o), local: PLACES * (pitch(count, g.c) + pitch(count, g.o)) }
}

/// y [n, oh, ow, o], or what `pool` makes of it: windows of 2 x 2 are tiles. `c`: of x as [`Normal`] has it.
pub(in super::super) fn forward(
    cx: &mut Cx,
    g: &Geometry,
    x: &[f32],
    c: Option<Normal>,
    weight: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: SyncPtr<f32>,
    pool: Option<&Pool<f32>>,
) {
    let tiles = Tiles::of(isa());
    let key = g.pack_key("conv2d winograd", tiles.nr());
    let (packed, mut cx) = cx.packed(weight.as_ptr(), &key, packed_len(g.c, g.o), |cx, to| pack(cx, g, weight, false, tiles.nr(), to));
    blocks(&mut cx, g, x, c, packed, 0, |block, _| vectorize(Finish { g, block, bias, relu, y, pool }));
}

/// Tiles of a block. Few are still shared out: a tile's values do not depend on its block.
fn block_size(g: &Geometry, grid: &Grid) -> usize {
    block(g.c, g.o).min(grid.count.div_ceil(4).next_multiple_of(14))
}

/// How many blocks [`blocks`] makes.
pub fn block_count(g: &Geometry) -> usize {
    let grid = Grid::new(g);
    grid.count.div_ceil(block_size(g, &grid).max(1))
}

/// Tiles of outputs before their last transform: place k of tile t at `m + k * pitch + t * spacing`.
pub struct Block<'a> {
    pub number: usize,
    pub grid: &'a Grid,
    pub m: &'a [f32],
    pub first: usize,
    pub count: usize,
}

/// Hands out the products (G g G') . (B' d B) block by block, with `room` elements that are the thread's; wants them for each thread behind what
/// [`forward_room`] has.
pub fn blocks(
    cx: &mut Cx,
    g: &Geometry,
    x: &[f32],
    c: Option<Normal>,
    packed: SyncPtr<f32>,
    room: usize,
    finish: impl Fn(Block, &mut [f32]) + Sync,
) {
    let (tiles, grid) = (Tiles::of(isa()), Grid::new(g));
    let size = block_size(g, &grid);
    cx.par_local::<f32>(block_count(g), forward_room(g).local + room, |number, local| {
        let first = number * size;
        let count = size.min(grid.count - first);
        let (tiled, own) = local.split_at_mut(local.len() - room);
        let (v, m) = tiled.split_at_mut(PLACES * pitch(size, g.c));
        gather::inputs(g, &grid, x, c, 0..g.c, first, count, v.as_mut_ptr());
        // SAFETY: the blocks hold `size` tiles, and are this thread's.
        unsafe { products(tiles, count, g.c, g.o, v.as_ptr(), packed.get(), m.as_mut_ptr()) };
        finish(Block { number, grid: &grid, m, first, count }, own);
    });
}

impl Block<'_> {
    /// The 2 x 2 outputs of tile `t` of the block, channels `c ..` of `channels`.
    ///
    /// # Safety
    /// `t` and the channels must be the block's.
    #[inline(always)]
    pub unsafe fn outputs<S: Simd>(&self, s: S, t: usize, channels: usize, c: usize, lanes: usize) -> [S::F; 4] {
        let from = pitch(self.count, channels);
        let m = inlined(|k| {
            // SAFETY: by the caller's promise.
            unsafe {
                let p = self.m.as_ptr().add(k * from + t * spacing(channels) + c);
                if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) }
            }
        });
        transform::output(s, m)
    }
}

/// y of x as [`Normal`] has it.
pub fn forward_normal(cx: &mut Cx, g: &Geometry, x: &[f32], c: Normal, weight: &[f32], y: SyncPtr<f32>) {
    forward(cx, g, x, Some(c), weight, None, false, y, None);
}

/// The last transform of a block's tiles, and what follows it.
pub struct Finish<'a> {
    g: &'a Geometry,
    block: Block<'a>,
    bias: Option<&'a [f32]>,
    relu: bool,
    y: SyncPtr<f32>,
    pool: Option<&'a Pool<f32>>,
}

impl<'a> Finish<'a> {
    /// The outputs as they are.
    pub fn plain(g: &'a Geometry, block: Block<'a>, y: SyncPtr<f32>) -> Self {
        Finish { g, block, bias: None, relu: false, y, pool: None }
    }
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let o = self.g.o;
        let plane = Plane::outputs(self.g);
        for (t, place) in self.block.grid.from(self.block.first).take(self.block.count).enumerate() {
            let pixels = plane.pixels(place);
            for c in (0..o).step_by(S::LANES) {
                let lanes = S::LANES.min(o - c);
                // SAFETY: the block's tiles; pixels of the result with all their channels, which are this task's.
                unsafe {
                    let load = |p: *const f32| if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) };
                    let bias = self.bias.map_or(s.zero(), |b| load(b.as_ptr().add(c)));
                    let out = self.block.outputs(s, t, o, c, lanes);
                    let mut y: [S::F; 4] = inlined(|k| s.add(out[k], bias));
                    if let Some(pool) = self.pool {
                        self.pooled(s, pool, place, y, c, lanes);
                        continue;
                    }
                    if self.relu {
                        // NaN stays.
                        y = inlined(|k| s.select(s.lt(y[k], s.zero()), s.zero(), y[k]));
                    }
                    for k in 0..4 {
                        if pixels.inside(k) {
                            let to = self.y.get().offset(pixels.at(k)).add(c);
                            if lanes == S::LANES { s.store(to, y[k]) } else { s.store_partial(to, lanes, y[k]) }
                        }
                    }
                }
            }
        }
    }
}

impl Finish<'_> {
    /// The largest of a tile's four outputs, and its place; as the pooling in `pooled.rs`.
    #[inline(always)]
    unsafe fn pooled<S: Simd>(&self, s: S, pool: &Pool<f32>, place: Place, y: [S::F; 4], c: usize, lanes: usize) {
        let code = |k: usize| s.as_float(s.splat_i(k as i32));
        let (mut best, mut at) = (y[0], code(0));
        for k in 1..4 {
            let kept = s.or(s.le(y[k], best), s.is_nan(best));
            best = s.select(kept, best, y[k]);
            at = s.select(kept, at, code(k));
        }
        if pool.relu {
            at = s.select(s.le(best, s.zero()), code(NO_PLACE as usize), at);
            best = s.select(s.lt(best, s.zero()), s.zero(), best);
        }
        let mut places = [0u32; 16];
        let to = ((place.image * (self.g.oh / 2) + place.row) * (self.g.ow / 2) + place.col) * self.g.o + c;
        // SAFETY: a pooled pixel, which is this task's.
        unsafe {
            s.store(places.as_mut_ptr().cast(), at);
            let (y, code) = (pool.y.get().add(to), pool.code.get().add(to));
            if lanes == S::LANES {
                s.store(y, best);
                (0..S::LANES).for_each(|i| *code.add(i) = places[i] as u8);
            } else {
                s.store_partial(y, lanes, best);
                (0..lanes).for_each(|i| *code.add(i) = places[i] as u8);
            }
        }
    }
}
