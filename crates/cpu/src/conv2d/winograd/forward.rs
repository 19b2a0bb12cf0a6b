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
    let grid = Grid::new(g);
    // Few tiles are still shared out: a tile's values do not depend on its block.
    let size = block(g.c, g.o).min(grid.count.div_ceil(4).next_multiple_of(14));
    cx.par_local::<f32>(grid.count.div_ceil(size), forward_room(g).local, |task, local| {
        let first = task * size;
        let count = size.min(grid.count - first);
        let (v, m) = local.split_at_mut(PLACES * pitch(size, g.c));
        gather::inputs(g, &grid, x, c, 0..g.c, first, count, v.as_mut_ptr());
        // SAFETY: the blocks hold `size` tiles, and are this thread's.
        unsafe { products(tiles, count, g.c, g.o, v.as_ptr(), packed.get(), m.as_mut_ptr()) };
        vectorize(Finish { g, grid: &grid, m, first, count, bias, relu, y, pool });
    });
}

/// y of x as [`Normal`] has it.
pub fn forward_normal(cx: &mut Cx, g: &Geometry, x: &[f32], c: Normal, weight: &[f32], y: SyncPtr<f32>) {
    forward(cx, g, x, Some(c), weight, None, false, y, None);
}

/// The last transform of a block's tiles, and what follows it.
struct Finish<'a> {
    g: &'a Geometry,
    grid: &'a Grid,
    m: &'a [f32],
    first: usize,
    count: usize,
    bias: Option<&'a [f32]>,
    relu: bool,
    y: SyncPtr<f32>,
    pool: Option<&'a Pool<f32>>,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let o = self.g.o;
        let from = pitch(self.count, o);
        let plane = Plane::outputs(self.g);
        for (t, place) in self.grid.from(self.first).take(self.count).enumerate() {
            let pixels = plane.pixels(place);
            for c in (0..o).step_by(S::LANES) {
                let lanes = S::LANES.min(o - c);
                // SAFETY: the block's tiles; pixels of the result with all their channels, which are this task's.
                unsafe {
                    let load = |p: *const f32| if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) };
                    let m = inlined(|k| load(self.m.as_ptr().add(k * from + t * spacing(o) + c)));
                    let bias = self.bias.map_or(s.zero(), |b| load(b.as_ptr().add(c)));
                    let out = transform::output(s, m);
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
