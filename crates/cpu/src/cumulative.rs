//! cumsum and cumprod: running sums and products along a dimension, in float64 (int64 for integers and bools).
use crate::fold::{Fold, Product, ProductInt, Sum, SumInt};
use crate::strided::{GRAIN, around};
use ferrograd_tensor::{Cx, Result, SyncPtr, View, ViewMut, rules, with_element};

/// y[i] = x[0] + ... + x[i] along `dim`.
pub fn cumsum(cx: &mut Cx, x: &View, dim: i64, y: &mut ViewMut) -> Result {
    match x.dtype().is_float() {
        true => with_element!(x.dtype(), T => running::<Sum<T>>(cx, x, dim, y)),
        false => with_element!(x.dtype(), T => running::<SumInt<T>>(cx, x, dim, y)),
    }
}

/// y[i] = x[0] * ... * x[i] along `dim`.
pub fn cumprod(cx: &mut Cx, x: &View, dim: i64, y: &mut ViewMut) -> Result {
    match x.dtype().is_float() {
        true => with_element!(x.dtype(), T => running::<Product<T>>(cx, x, dim, y)),
        false => with_element!(x.dtype(), T => running::<ProductInt<T>>(cx, x, dim, y)),
    }
}

/// Columns that run together.
const BLOCK: usize = 64;

fn running<F: Fold>(cx: &mut Cx, x: &View, dim: i64, y: &mut ViewMut) -> Result {
    let (outer, n, inner) = around(x.dims(), rules::axis(dim, x.rank())?);
    let x = x.slice::<F::T>();
    if x.is_empty() {
        return Ok(());
    }
    let y = SyncPtr(y.slice_mut::<F::Y>().as_mut_ptr());
    let blocks = inner.div_ceil(BLOCK);
    cx.par_ranges(outer * blocks, (GRAIN / (n * inner.min(BLOCK))).max(1), |range| {
        for unit in range {
            let (row, first) = (unit / blocks, unit % blocks * BLOCK);
            let width = BLOCK.min(inner - first);
            let mut acc = [F::start(); BLOCK];
            for i in 0..n {
                let at = (row * n + i) * inner + first;
                for (c, (a, &v)) in acc.iter_mut().zip(&x[at..at + width]).enumerate() {
                    *a = F::step(*a, v);
                    // SAFETY: element `at + c` of y, which has x's shape; columns of a block belong to one task.
                    unsafe { *y.get().add(at + c) = F::finish(*a, 1) };
                }
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, run};

    #[test]
    fn running_sums_and_products() {
        let data: Vec<f32> = noise(5, 60_000).iter().map(|&v| v as f32).collect();
        for (dims, dim) in
            [(&[][..], 0), (&[1][..], 0), (&[60_000], 0), (&[300, 200], 0), (&[300, 200], 1), (&[3, 100, 7], 1), (&[0, 3], 1), (&[3, 0], 1)]
        {
            let n: usize = dims.iter().product();
            let x = &data[..n];
            let (mut s, mut p) = (vec![0f32; n], vec![0f32; n]);
            run(0, |cx| cumsum(cx, &View::of(x, dims), dim, &mut ViewMut::of(&mut s, dims))).unwrap();
            run(0, |cx| cumprod(cx, &View::of(x, dims), dim, &mut ViewMut::of(&mut p, dims))).unwrap();
            let (outer, len, inner) = around(dims, dim as usize);
            for o in 0..outer {
                for c in 0..inner {
                    let (mut a, mut b) = (0f64, 1f64);
                    for i in 0..len {
                        let at = (o * len + i) * inner + c;
                        a += x[at] as f64;
                        b *= x[at] as f64;
                        assert_eq!((s[at], p[at]), (a as f32, b as f32));
                    }
                }
            }
        }
    }

    #[test]
    fn integers_count_in_int64() {
        let mut y = [0i64; 3];
        run(0, |cx| cumsum(cx, &View::of(&[200u8, 200, 200], &[3]), 0, &mut ViewMut::of(&mut y, &[3]))).unwrap();
        assert_eq!(y, [200, 400, 600]);
        run(0, |cx| cumprod(cx, &View::of(&[200u8, 200, 200], &[3]), 0, &mut ViewMut::of(&mut y, &[3]))).unwrap();
        assert_eq!(y, [200, 40_000, 8_000_000]);
    }
}
