//! Copies of many short rows (some channels of each pixel): a call of `memcpy` a row would cost more than the row itself.
use crate::strided::{GRAIN, Nest, ReadPtr};
use ferrograd_tensor::{Cx, SyncPtr};

/// Longest row in bytes: two moves of 64 that overlap.
const LONGEST: usize = 128;

/// Whether the copy is one of short rows, whose elements lie side by side.
pub(crate) fn are_short<T>(nest: &Nest<2>) -> bool {
    let (len, steps) = nest.inner();
    let bytes = len * size_of::<T>();
    steps == [1, 1] && nest.rank > 1 && (8..=LONGEST).contains(&bytes)
}

/// Copies the rows of a `nest` that [`are_short`].
///
/// # Safety
/// Every offset that `nest` gives lies inside what `from` and `to` point to; no two of `to`'s are equal, and nobody else touches them.
pub(crate) unsafe fn copy_short_rows<T: Copy>(cx: &Cx, mut nest: Nest<2>, from: *const T, to: *mut T) {
    let bytes = nest.take(nest.rank - 1).0 * size_of::<T>();
    let (rows, [s, d]) = nest.take(nest.rank - 1);
    let (from, to) = (ReadPtr(from), SyncPtr(to));
    let stretch = (GRAIN * size_of::<T>() / bytes).clamp(1, rows.max(1));
    let stretches = rows.div_ceil(stretch);
    let together = GRAIN * size_of::<T>() / (stretch * bytes).max(1);
    cx.par_ranges(nest.turns() * stretches, together, |range| {
        for unit in range {
            let (turn, first) = (unit / stretches, unit % stretches * stretch);
            nest.each_turn(turn..turn + 1, &mut |[a, b]| {
                // SAFETY: by the caller's promise; a row is `bytes` long and belongs to one task.
                unsafe {
                    let (p, q) = (from.get().offset(a + first as isize * s), to.get().offset(b + first as isize * d));
                    let steps = [s, d].map(|step| step * size_of::<T>() as isize);
                    let run = Run { from: p.cast(), to: q.cast(), steps, rows: stretch.min(rows - first), bytes };
                    match bytes {
                        64.. => run.copy::<64>(),
                        32.. => run.copy::<32>(),
                        16.. => run.copy::<16>(),
                        _ => run.copy::<8>(),
                    }
                }
            });
        }
    });
}

/// Rows of `bytes` bytes, `steps` bytes apart.
struct Run {
    from: *const u8,
    to: *mut u8,
    steps: [isize; 2],
    rows: usize,
    bytes: usize,
}

impl Run {
    /// Two moves of `HALF` a row, which overlap where it is shorter than both together: HALF <= bytes <= 2 HALF.
    ///
    /// # Safety
    /// The rows can be read and written, and do not overlap.
    #[inline(always)]
    unsafe fn copy<const HALF: usize>(self) {
        let last = self.bytes - HALF;
        for row in 0..self.rows as isize {
            // SAFETY: both halves lie inside the row; bytes have no alignment.
            unsafe {
                let (p, q) = (self.from.offset(row * self.steps[0]), self.to.offset(row * self.steps[1]));
                let halves = [p.cast::<[u8; HALF]>().read(), p.add(last).cast::<[u8; HALF]>().read()];
                q.cast::<[u8; HALF]>().write(halves[0]);
                q.add(last).cast::<[u8; HALF]>().write(halves[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::contiguous;
    use crate::testing::run;
    use ferrograd_tensor::{Element, Layout, Meta, Shape, View, ViewMut};

    /// `len` of every 40 elements from the third on, of 2 x 300 x 7 rows of which every other plane is taken.
    fn check<T: Element + PartialEq>(len: usize) {
        let data: Vec<T> = (0..2 * 600 * 7 * 40).map(|i| T::from_f64(f64::from(i % 253))).collect();
        let dims = [2, 300, 7, len];
        let layout = Layout::strided(Shape::new(&dims).unwrap(), &[600 * 7 * 40, 2 * 7 * 40, 40, 1], 3);
        // SAFETY: the layout stays inside `data`.
        let x = unsafe { View::new(data.as_ptr().cast(), Meta { dtype: T::DTYPE, layout }) };
        let mut y = vec![T::default(); dims.iter().product()];
        run(0, |cx| contiguous(cx, &x, &mut ViewMut::of(&mut y, &dims))).unwrap();
        for (row, y) in y.chunks_exact(len).enumerate() {
            let (n, h, w) = (row / 2100, row / 7 % 300, row % 7);
            let first = 3 + ((n * 600 + 2 * h) * 7 + w) * 40;
            assert!(y == &data[first..first + len], "{len} elements of {:?}, row {row}", T::DTYPE);
        }
    }

    #[test]
    fn rows_of_every_length_and_size_of_element() {
        for len in 1..=36 {
            check::<f32>(len);
            check::<f64>(len);
            check::<u8>(len);
            check::<ferrograd_tensor::bf16>(len);
        }
    }
}
