//! tril and triu: a triangle of each matrix, zeros in the other.
use crate::strided::{GRAIN, ReadPtr, bytes, bytes_mut};
use ferrograd_tensor::{Cx, Result, SyncPtr, View, ViewMut};

/// Keeps the elements with column <= row + `diagonal`.
pub fn tril(cx: &mut Cx, x: &View, diagonal: i64, y: &mut ViewMut) -> Result {
    keep(cx, x, y, |row, cols| (0, row.saturating_add(diagonal).saturating_add(1).clamp(0, cols)));
    Ok(())
}

/// Keeps the elements with column >= row + `diagonal`.
pub fn triu(cx: &mut Cx, x: &View, diagonal: i64, y: &mut ViewMut) -> Result {
    keep(cx, x, y, |row, cols| (row.saturating_add(diagonal).clamp(0, cols), cols));
    Ok(())
}

/// Copies columns `kept(row, cols)` of each row, zeros elsewhere.
fn keep(cx: &Cx, x: &View, y: &mut ViewMut, kept: impl Fn(i64, i64) -> (i64, i64) + Sync) {
    let dims = x.dims();
    let (rows, cols) = (dims[dims.len() - 2], dims[dims.len() - 1]);
    if x.numel() == 0 {
        return;
    }
    let size = x.dtype().size();
    let (from, to) = (ReadPtr(bytes(x)), SyncPtr(bytes_mut(y)));
    cx.par_ranges(x.numel() / cols, (GRAIN / cols).max(1), |range| {
        for i in range {
            let (a, b) = kept((i % rows) as i64, cols as i64);
            let (a, b) = (a as usize * size, b as usize * size);
            // SAFETY: row i of two contiguous tensors of one shape; 0 <= a <= b <= the row's bytes. All-zero bytes are 0 in every dtype.
            unsafe {
                let (p, q) = (from.get().add(i * cols * size), to.get().add(i * cols * size));
                q.write_bytes(0, a);
                std::ptr::copy_nonoverlapping(p.add(a), q.add(a), b - a);
                q.add(b).write_bytes(0, cols * size - b);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn triangles() {
        for (n, m) in [(3usize, 4usize), (4, 3), (1, 1), (0, 3), (3, 0), (250, 301)] {
            let x: Vec<f32> = (0..2 * n * m).map(|i| i as f32 + 1.0).collect();
            for diagonal in [-400, -2, -1, 0, 1, 2, 400, i64::MIN, i64::MAX] {
                let (mut low, mut high) = (vec![f32::NAN; 2 * n * m], vec![f32::NAN; 2 * n * m]);
                run(0, |cx| tril(cx, &View::of(&x, &[2, n, m]), diagonal, &mut ViewMut::of(&mut low, &[2, n, m]))).unwrap();
                run(0, |cx| triu(cx, &View::of(&x, &[2, n, m]), diagonal, &mut ViewMut::of(&mut high, &[2, n, m]))).unwrap();
                for i in 0..2 * n * m {
                    let (r, c) = ((i / m % n) as i128, (i % m) as i128);
                    assert_eq!(low[i], if c <= r + diagonal as i128 { x[i] } else { 0.0 });
                    assert_eq!(high[i], if c >= r + diagonal as i128 { x[i] } else { 0.0 });
                }
            }
        }
    }
}
