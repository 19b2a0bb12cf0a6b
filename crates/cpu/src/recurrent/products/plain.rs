//! Products of float64 as they are written down.
use super::{Products, Side, Way, Weights};
use ferrograd_tensor::{Cx, SyncPtr, View};

#[derive(Clone, Copy)]
pub(in crate::recurrent) struct Plain;

impl Products for Plain {
    type Acc = f64;
    type Row = f64;

    fn weights<'c>(self, cx: &'c mut Cx, weight: &View, way: Way) -> (Weights, Cx<'c>) {
        let (k, n, strides) = Weights::shape(weight, way);
        let (_, cx) = cx.split_scratch::<f64>(0);
        (Weights { k, n, b: SyncPtr(weight.address().cast_mut()), strides }, cx)
    }

    // SAFETY: as the trait says.
    unsafe fn product(self, w: &Weights, a: &[*const f64], c: *mut f64, add: bool) {
        let b = w.b.get().cast::<f64>();
        for (i, row) in a.iter().enumerate() {
            for col in 0..w.n {
                // SAFETY: inside A, B and C.
                unsafe {
                    let at = c.add(i * w.n + col);
                    let start = if add { *at } else { 0.0 };
                    *at =
                        (0..w.k).fold(start, |sum, k| sum + *row.add(k) * *b.offset(k as isize * w.strides.0 + col as isize * w.strides.1));
                }
            }
        }
    }

    // SAFETY: as the trait says.
    unsafe fn pack(self, rows: &[*const f64], len: usize, _: Side, room: *mut u8) {
        for (i, row) in rows.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { room.cast::<f64>().add(i * len).copy_from_nonoverlapping(*row, len) };
        }
    }

    // SAFETY: as the trait says.
    unsafe fn outer(self, rows: usize, left: *const u8, m: usize, right: *const u8, n: usize, c: *mut f64, add: bool) {
        let (left, right) = (left.cast::<f64>(), right.cast::<f64>());
        for row in 0..m {
            for col in 0..n {
                // SAFETY: inside what was packed, and inside C.
                unsafe {
                    let at = c.add(row * n + col);
                    let start = if add { *at } else { 0.0 };
                    *at = (0..rows).fold(start, |sum, k| sum + *left.add(k * m + row) * *right.add(k * n + col));
                }
            }
        }
    }
}
