//! dx is itself such a convolution: of dy, with the weights turned by half a circle and their channels exchanged.
use super::super::geometry::{Geometry, Room};
use super::forward::{Block, Finish, block_count, blocks};
use super::grid::Plane;
use super::{Normal, WIDEST, forward_room, pack, packed_len};
use crate::gemm::Tiles;
use crate::norm_relu_conv::normal;
use ferrograd_simd::{Kernel, Simd, inlined, isa, prefetch, prefetch_write, vectorize};
use ferrograd_tensor::{Cx, SyncPtr};

/// The convolution of dy that gives dx.
fn turned(g: &Geometry) -> Geometry {
    Geometry { h: g.oh, w: g.ow, c: g.o, o: g.c, oh: g.h, ow: g.w, top: 2 - g.top, left: 2 - g.left, ..*g }
}

/// Elements of a sum a channel, of whole vectors.
fn padded(g: &Geometry) -> usize {
    g.c.next_multiple_of(WIDEST)
}

/// What [`input_grad`] and [`input_grad_back`] want.
pub fn input_grad_room(g: &Geometry) -> Room {
    let Room { shared, local } = forward_room(&turned(g));
    Room { shared, local: local + 2 * padded(g) }
}

/// Blocks of tiles, of each of which [`input_grad_back`] gives sums.
pub fn input_grad_blocks(g: &Geometry) -> usize {
    block_count(&turned(g))
}

/// dx [n, h, w, c] of dy [n, oh, ow, o].
pub fn input_grad(cx: &mut Cx, g: &Geometry, dy: &[f32], weight: &[f32], dx: SyncPtr<f32>) {
    let (packed, mut cx) = packed(cx, g, weight);
    let turned = turned(g);
    blocks(&mut cx, &turned, dy, None, packed, 0, |block, _| vectorize(Finish::plain(&turned, block, dx)));
}

/// The gradient of the x that goes into the convolution as [`Normal`] has it, but for what its statistics give: with g the gradient of what goes in, where
/// that is above 0 (NaN passes), dx = c1 * g; `sums` [block, 2, c] are those of g and of g * (x - c0).
pub fn input_grad_back(cx: &mut Cx, g: &Geometry, dy: &[f32], weight: &[f32], x: &[f32], c: Normal, dx: SyncPtr<f32>, sums: &mut [f64]) {
    let (packed, mut cx) = packed(cx, g, weight);
    let (turned, sums) = (turned(g), SyncPtr(sums.as_mut_ptr()));
    blocks(&mut cx, &turned, dy, None, packed, 2 * padded(g), |block, some| {
        // SAFETY: each block has its own sums.
        let sums = unsafe { std::slice::from_raw_parts_mut(sums.get().add(block.number * 2 * g.c), 2 * g.c) };
        vectorize(Back { turned: &turned, block, x, c, dx, some, sums });
    });
}

fn packed<'a>(cx: &'a mut Cx, g: &Geometry, weight: &[f32]) -> (SyncPtr<f32>, Cx<'a>) {
    let nr = Tiles::of(isa()).nr();
    let key = g.pack_key("conv2d winograd, turned", nr);
    cx.packed(weight.as_ptr(), &key, packed_len(g.o, g.c), |cx, to| pack(cx, g, weight, true, nr, to))
}

/// Tiles whose sums stay in float32, before they are added up in float64.
const SUMMED: usize = 14;

/// The last transform of a block's tiles, and back through the ReLU and the scale.
struct Back<'a> {
    turned: &'a Geometry,
    block: Block<'a>,
    x: &'a [f32],
    c: Normal<'a>,
    dx: SyncPtr<f32>,
    /// The sums of some tiles, of whole vectors.
    some: &'a mut [f32],
    sums: &'a mut [f64],
}

impl Kernel for Back<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Back { turned, block, x, c: coefficients, dx, some, sums } = self;
        let (channels, plane) = (turned.o, Plane::outputs(turned));
        let (x, coefficients) = (x.as_ptr(), coefficients.map(|c| c.as_ptr()));
        let (sum, product) = some.split_at_mut(some.len() / 2);
        sums.fill(0.0);
        for (t, place) in block.grid.from(block.first).take(block.count).enumerate() {
            if t % SUMMED == 0 {
                sum.fill(0.0);
                product.fill(0.0);
            }
            let pixels = plane.pixels(place);
            for row in 0..2 {
                prefetch(x.wrapping_offset(pixels.ahead(row, 0)), 2 * channels);
                prefetch_write(dx.get().wrapping_offset(pixels.ahead(row, 0)), 2 * channels);
            }
            for c in (0..channels).step_by(S::LANES) {
                let lanes = S::LANES.min(channels - c);
                // SAFETY: the block's tiles; pixels of x and dx with all their channels, of which dx's are this task's; sums of whole vectors. What is
                // not there loads as 0.
                unsafe {
                    let load = |p: *const f32| if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) };
                    let own = inlined::<_, 3>(|i| load(coefficients[i].add(c)));
                    let d = block.outputs(s, t, channels, c, lanes);
                    let (mut a, mut b) = (s.load(sum.as_ptr().add(c)), s.load(product.as_ptr().add(c)));
                    for k in 0..4 {
                        if pixels.inside(k) {
                            let at = pixels.at(k);
                            let x = load(x.offset(at).add(c));
                            let g = s.select(s.le(normal(s, x, own), s.zero()), s.zero(), d[k]);
                            (a, b) = (s.add(a, g), s.fma(g, s.sub(x, own[0]), b));
                            let (to, v) = (dx.get().offset(at).add(c), s.mul(own[1], g));
                            if lanes == S::LANES { s.store(to, v) } else { s.store_partial(to, lanes, v) }
                        }
                    }
                    s.store(sum.as_mut_ptr().add(c), a);
                    s.store(product.as_mut_ptr().add(c), b);
                }
            }
            if (t + 1) % SUMMED == 0 || t + 1 == block.count {
                for (to, from) in sums.iter_mut().zip(sum[..channels].iter().chain(&product[..channels])) {
                    *to += f64::from(*from);
                }
            }
        }
    }
}
