//! The products inside recurrent layers, each made by one task alone: rows of operands times weights that stay packed for the whole sequence, and sums of
//! outer products, which are the weights' gradients.
mod dots;
mod plain;
mod tiled;

pub(super) use dots::Dots;
pub(super) use plain::Plain;
pub(super) use tiled::Tiled;

use super::math::Real;
use ferrograd_tensor::{Cx, Element, SyncPtr, View};

/// Weights [R, K] as the right-hand side B [k, n] of products.
pub(super) struct Weights {
    pub k: usize,
    pub n: usize,
    /// As the kind of product reads them.
    b: SyncPtr<u8>,
    strides: (isize, isize),
}

/// Which way weights are used: B = W^T, operands to gates, or B = W, gradients of gates to those of operands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    Forward,
    Backward,
}

impl Weights {
    fn shape(weight: &View, way: Way) -> (usize, usize, (isize, isize)) {
        let [gates, width] = [weight.dims()[0], weight.dims()[1]];
        match way {
            Way::Forward => (width, gates, (1, width as isize)),
            Way::Backward => (gates, width, (width as isize, 1)),
        }
    }
}

/// One kind of product. All its sums are in `Acc`, each in the order of k in one accumulator.
pub(super) trait Products: Copy + Sync {
    /// What sums and states are computed in.
    type Acc: Real;
    /// What rows of operands consist of.
    type Row: Element;

    /// The weights, made ready in the scratch or kept from an earlier call.
    fn weights<'c>(self, cx: &'c mut Cx, weight: &View, way: Way) -> (Weights, Cx<'c>);
    /// C [rows, n] = A [rows, k] B, added to what C holds if `add`. C lies row after row.
    ///
    /// # Safety
    /// `a` points to rows of k elements, C is the caller's alone, and the weights live.
    unsafe fn product(self, weights: &Weights, a: &[*const Self::Row], c: *mut Self::Acc, add: bool);
    /// Copies rows of `len` elements for [`Products::outer`], as its left side or its right one, into `room` of `rows.len() * len` elements of 8 bytes.
    ///
    /// # Safety
    /// The rows can be read, and nobody else touches the room.
    unsafe fn pack(self, rows: &[*const Self::Row], len: usize, side: Side, room: *mut u8);
    /// C [m, n] = the sum over `rows` rows of left^T [m] times right [n], added to what C holds if `add`.
    ///
    /// # Safety
    /// Both sides were packed of `rows` rows; C is the caller's alone.
    unsafe fn outer(self, rows: usize, left: *const u8, m: usize, right: *const u8, n: usize, c: *mut Self::Acc, add: bool);
}

/// A side of an outer product.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Left,
    Right,
}
