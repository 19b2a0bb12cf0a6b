//! From images to the transformed tiles of a block.
use super::super::geometry::Geometry;
use super::grid::{Grid, Place, Plane};
use super::{Normal, PLACES, WIDEST, pitch, spacing, transform};
use crate::norm_relu_conv::normal;
use ferrograd_simd::{Kernel, Simd, inlined, prefetch, prefetch_write, vectorize};
use std::ops::Range;

/// Fills a block with the transformed inputs of tiles `first ..`, B' d B, of some channels; `c` as [`Normal`] has it.
pub fn inputs(g: &Geometry, grid: &Grid, x: &[f32], c: Option<Normal>, channels: Range<usize>, first: usize, count: usize, to: *mut f32) {
    vectorize(Gather { source: x, c, plane: Plane::inputs(g), channels, places: grid.from(first), to, count });
}

/// Fills a block with the transformed gradients of tiles `first ..`, A dY A'.
pub fn gradients(g: &Geometry, grid: &Grid, dy: &[f32], channels: Range<usize>, first: usize, count: usize, to: *mut f32) {
    vectorize(Gather { source: dy, c: None, plane: Plane::outputs(g), channels, places: grid.from(first), to, count });
}

/// Writes transformed tiles into a block: place k of tile t at `to + k * pitch + t * spacing`.
struct Gather<'a, I, const SIDE: usize> {
    source: &'a [f32],
    c: Option<Normal<'a>>,
    plane: Plane<SIDE>,
    channels: Range<usize>,
    places: I,
    to: *mut f32,
    count: usize,
}

impl<I: Iterator<Item = Place>> Kernel for Gather<'_, I, 4> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.c.is_some() {
            self.each::<S, 16, true>(s, |s, d| transform::input(s, d));
        } else {
            self.each::<S, 16, false>(s, |s, d| transform::input(s, d));
        }
    }
}

impl<I: Iterator<Item = Place>> Kernel for Gather<'_, I, 2> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.each::<S, 4, false>(s, |s, d| transform::spread(s, d));
    }
}

static NOTHING: [f32; WIDEST] = [0.0; WIDEST];

/// Elements from a store to where a later one will go, whose line is asked for meanwhile: sixteen places are more streams than the hardware follows.
const SOON: usize = 64;

impl<I: Iterator<Item = Place>, const SIDE: usize> Gather<'_, I, SIDE> {
    #[inline(always)]
    fn each<S: Simd, const N: usize, const NORMAL: bool>(self, s: S, transform: impl Fn(S, [S::F; N]) -> [S::F; PLACES]) {
        let (channels, source) = (self.channels.len(), self.source.as_ptr().wrapping_add(self.channels.start));
        let coefficients = self.c.unwrap_or_default().map(|c| c.as_ptr().wrapping_add(self.channels.start));
        let (spacing, pitch) = (spacing(channels), pitch(self.count, channels));
        for (t, place) in self.places.take(self.count).enumerate() {
            let pixels = self.plane.pixels(place);
            // The rows above were read with the tiles above.
            for row in SIDE - 2..SIDE {
                for col in 0..2 {
                    prefetch(source.wrapping_offset(pixels.ahead(row, col)), channels);
                }
            }
            // Pixels in the padding are read from a vector of zeros, whatever the channel.
            let (mut from, mut inside) = ([NOTHING.as_ptr(); N], [0; N]);
            if !pixels.whole {
                for k in 0..N {
                    if pixels.inside(k) {
                        (from[k], inside[k]) = (source.wrapping_offset(pixels.at(k)), usize::MAX);
                    }
                }
            }
            let mut c = 0;
            while c < channels {
                let lanes = S::LANES.min(channels - c);
                // SAFETY: the pixels that are inside lie in the source with all their channels, for which there are coefficients; the block holds
                // `count` tiles.
                unsafe {
                    let load = |p| if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) };
                    let own = if NORMAL { inlined(|i| load(coefficients[i].add(c))) } else { [s.zero(); 3] };
                    let value = |x| if NORMAL { normal(s, x, own) } else { x };
                    let d = if pixels.whole {
                        inlined(|k| value(load(source.offset(pixels.at(k)).add(c))))
                    } else {
                        // The padding lies behind the normalisation.
                        inlined(|k| {
                            let x = load(from[k].add(c & inside[k]));
                            if NORMAL && inside[k] == 0 { s.zero() } else { value(x) }
                        })
                    };
                    let v = transform(s, d);
                    let to = self.to.add(t * spacing + c);
                    for k in 0..PLACES {
                        let to = to.add(k * pitch);
                        prefetch_write(to.wrapping_add(SOON), 1);
                        if lanes == S::LANES { s.store(to, v[k]) } else { s.store_partial(to, lanes, v[k]) }
                    }
                }
                c += S::LANES;
            }
        }
    }
}
