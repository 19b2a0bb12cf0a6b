//! The product inside the recurrence: a few rows of states times the recurrent weights, which stay packed for the whole sequence.
use super::math::Real;
use crate::gemm::{Ahead, Gemm, Job, Mat, Tiles, even_cut};
use ferrograd_simd::isa;
use ferrograd_tensor::{Cx, DType, Float, PackKey, SyncPtr, View};

/// Bytes of scratch that [`Weights::of`] wants.
pub(super) fn weights_scratch(elements: usize) -> usize {
    2 * (4 * elements).next_multiple_of(64)
}

/// The recurrent weights [G H, H] as the right-hand side B [k, n] of products.
pub(super) struct Weights<A> {
    k: usize,
    n: usize,
    /// Packed into panels for the tiles, or in place.
    b: SyncPtr<A>,
    tiles: &'static Tiles,
    strides: (isize, isize),
}

/// Which way the weights are used: states to gates, B = W^T, or gradients of gates to those of states, B = W.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    Forward,
    Backward,
}

pub(super) trait Multiply: Real {
    /// The weights, made ready in the scratch or kept from an earlier call.
    fn weights<'c, T: Float<Acc = Self>>(cx: &'c mut Cx, weight: &View, way: Way) -> (Weights<Self>, Cx<'c>);
    /// C [rows, n] = A [rows, k] B, added to what C holds if `add`. Both lie row after row.
    ///
    /// # Safety
    /// A and C are valid, C is the caller's alone, and the weights live.
    unsafe fn product(weights: &Weights<Self>, rows: usize, a: *const Self, c: *mut Self, add: bool);
}

fn shape(weight: &View, way: Way) -> (usize, usize, (isize, isize)) {
    let [gates, hidden] = [weight.dims()[0], weight.dims()[1]];
    match way {
        Way::Forward => (hidden, gates, (1, hidden as isize)),
        Way::Backward => (gates, hidden, (hidden as isize, 1)),
    }
}

impl Multiply for f32 {
    fn weights<'c, T: Float<Acc = f32>>(cx: &'c mut Cx, weight: &View, way: Way) -> (Weights<f32>, Cx<'c>) {
        let (k, n, strides) = shape(weight, way);
        let tiles = Tiles::of(isa());
        let pack = |cx: &Cx, from: *const f32, to: SyncPtr<f32>| {
            let b = Mat { ptr: from, rs: strides.0, cs: strides.1 };
            let a = Mat { ptr: from, rs: 0, cs: 0 };
            let null = SyncPtr(std::ptr::null_mut());
            Gemm { m: 1, n, k, a, b, c: null, ldc: n, bias: null, relu: false, packed_b: None }.pack_b(tiles, cx.pool(), to);
        };
        let key = PackKey { order: "recurrent", sizes: [k as isize, n as isize, strides.0, strides.1, tiles.nr() as isize, 0] };
        let (b, cx) = if T::DTYPE == DType::F32 {
            let from = weight.ptr::<f32>();
            cx.packed(from, &key, k * n, |cx, to| pack(cx, from, to))
        } else {
            // The half types are widened first.
            let (room, cx) = cx.split_scratch::<f32>(2 * (k * n).next_multiple_of(16));
            let (packed, wide) = room.split_at_mut((k * n).next_multiple_of(16));
            wide.iter_mut().zip(weight.slice::<T>()).for_each(|(to, w)| *to = w.acc());
            let to = SyncPtr(packed.as_mut_ptr());
            pack(&cx, wide.as_ptr(), to);
            (to, cx)
        };
        (Weights { k, n, b, tiles, strides }, cx)
    }

    // SAFETY: as the trait says.
    unsafe fn product(w: &Weights<f32>, rows: usize, a: *const f32, c: *mut f32, add: bool) {
        let (nr, parts) = (w.tiles.nr(), rows.div_ceil(w.tiles.mr()));
        for panel in 0..w.n.div_ceil(nr) {
            let first = panel * nr;
            let cols = nr.min(w.n - first);
            for part in 0..parts {
                let (row, some) = even_cut(rows, parts, part);
                // SAFETY: rows and columns lie inside A, C and the packed weights.
                unsafe {
                    let mut table = [a; 16];
                    for (i, p) in table[..some].iter_mut().enumerate() {
                        *p = a.add((row + i) * w.k);
                    }
                    let job = Job {
                        taps: &[(0, 0)],
                        k: w.k,
                        b: w.b.get().add(first * w.k),
                        ldb: cols as isize,
                        c: c.add(row * w.n + first),
                        ldc: w.n,
                        n: cols,
                        add,
                        bias: std::ptr::null(),
                        relu: false,
                        ahead: Ahead::NONE,
                    };
                    w.tiles.rows(&table[..some], &job);
                }
            }
        }
    }
}

impl Multiply for f64 {
    fn weights<'c, T: Float<Acc = f64>>(cx: &'c mut Cx, weight: &View, way: Way) -> (Weights<f64>, Cx<'c>) {
        let (k, n, strides) = shape(weight, way);
        let (_, cx) = cx.split_scratch::<f64>(0);
        (Weights { k, n, b: SyncPtr(weight.ptr::<f64>().cast_mut()), tiles: Tiles::of(isa()), strides }, cx)
    }

    // SAFETY: as the trait says.
    unsafe fn product(w: &Weights<f64>, rows: usize, a: *const f64, c: *mut f64, add: bool) {
        for row in 0..rows {
            for col in 0..w.n {
                // SAFETY: inside A, B and C.
                unsafe {
                    let at = c.add(row * w.n + col);
                    let start = if add { *at } else { 0.0 };
                    *at = (0..w.k).fold(start, |sum, k| {
                        sum + *a.add(row * w.k + k) * *w.b.get().offset(k as isize * w.strides.0 + col as isize * w.strides.1)
                    });
                }
            }
        }
    }
}
