//! dd = B [ (G g G') . (A dY A') ] B': the forward pass transposed. Neighbouring tiles overlap by two rows and columns of dx and are added, in
//! the order of the tiles; a task has whole images, so that every sum has one owner.
use super::super::geometry::{Geometry, Room};
use super::grid::{Grid, Plane};
use super::{PLACES, block, gather, pack, packed_len, pitch, products, spacing, transform};
use crate::gemm::Tiles;
use ferrograd_simd::{Kernel, Simd, inlined, isa, vectorize};
use ferrograd_tensor::{Cx, SyncPtr};

/// What [`input_grad`] wants.
pub fn input_grad_room(g: &Geometry) -> Room {
    let count = block(g.c, g.o);
    Room { shared: packed_len(g.o, g.c), local: PLACES * (pitch(count, g.c) + pitch(count, g.o)) }
}

/// dx [n, h, w, c] of dy [n, oh, ow, o]. `then` gets each image's number and dx while that is in the cache.
pub fn input_grad(cx: &mut Cx, g: &Geometry, dy: &[f32], weight: &[f32], dx: SyncPtr<f32>, then: impl Fn(usize, &mut [f32]) + Sync) {
    let tiles = Tiles::of(isa());
    let key = g.pack_key("conv2d winograd, turned", tiles.nr());
    let (packed, mut cx) = cx.packed(weight.as_ptr(), &key, packed_len(g.o, g.c), |cx, to| pack(cx, g, weight, true, tiles.nr(), to));
    let (grid, size) = (Grid::new(g), block(g.c, g.o));
    // Images of a task: as many as fill a block.
    let of_image = grid.rows * grid.cols;
    let images = (size / of_image).max(1);
    cx.par_local::<f32>(g.n.div_ceil(images), input_grad_room(g).local, |task, local| {
        let (from, to) = (task * images, g.n.min((task + 1) * images));
        let plane = g.h * g.w * g.c;
        // SAFETY: the images are this task's.
        let own = || unsafe { std::slice::from_raw_parts_mut(dx.get().add(from * plane), (to - from) * plane) };
        own().fill(0.0);
        let (v, m) = local.split_at_mut(PLACES * pitch(size, g.o));
        let end = to * of_image;
        for first in (from * of_image..end).step_by(size) {
            let count = size.min(end - first);
            gather::gradients(g, &grid, dy, 0..g.o, first, count, v.as_mut_ptr());
            // SAFETY: the blocks hold `size` tiles, and are this thread's.
            unsafe { products(tiles, count, g.o, g.c, v.as_ptr(), packed.get(), m.as_mut_ptr()) };
            vectorize(Add { g, grid: &grid, m, first, count, dx });
        }
        own().chunks_exact_mut(plane).zip(from..).for_each(|(image, i)| then(i, image));
    });
}

/// The last transform of a block's tiles, added to dx.
struct Add<'a> {
    g: &'a Geometry,
    grid: &'a Grid,
    m: &'a [f32],
    first: usize,
    count: usize,
    dx: SyncPtr<f32>,
}

impl Kernel for Add<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let channels = self.g.c;
        let from = pitch(self.count, channels);
        let plane = Plane::inputs(self.g);
        for (t, place) in self.grid.from(self.first).take(self.count).enumerate() {
            let pixels = plane.pixels(place);
            for c in (0..channels).step_by(S::LANES) {
                let lanes = S::LANES.min(channels - c);
                // SAFETY: the block's tiles; pixels of dx with all their channels, whose image is this task's.
                unsafe {
                    let load = |p: *const f32| if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) };
                    let m = inlined(|k| load(self.m.as_ptr().add(k * from + t * spacing(channels) + c)));
                    let d = transform::input_back(s, m);
                    for k in 0..PLACES {
                        if pixels.inside(k) {
                            let to = self.dx.get().offset(pixels.at(k)).add(c);
                            let sum = s.add(load(to), d[k]);
                            if lanes == S::LANES { s.store(to, sum) } else { s.store_partial(to, lanes, sum) }
                        }
                    }
                }
            }
        }
    }
}
