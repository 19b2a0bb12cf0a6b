//! orthogonal: a matrix's nearest relatives with orthonormal columns (or rows), as the initialiser of the same name wants them.
use crate::strided::GRAIN;
use ferrograd_tensor::{Cx, Element, Meta, Result, SyncPtr, View, ViewMut, with_float};

/// Scratch of [`orthogonal`] in bytes: the vectors in float64.
pub fn orthogonal_scratch(x: &Meta) -> usize {
    x.numel() * 8
}

/// x [rows, ...] read as a matrix; y is the Q of its QR decomposition with a positive diagonal of R (PyTorch's `orthogonal_` on `x`):
/// orthonormal columns, or rows where there are fewer of them. Gram and Schmidt's process in float64, twice, which is as good as
/// Householder's reflections.
pub fn orthogonal(cx: &mut Cx, x: &View, y: &mut ViewMut) -> Result {
    let rows = x.dims()[0];
    let columns = x.dims()[1..].iter().product::<usize>();
    if rows * columns == 0 {
        return Ok(());
    }
    let (count, len) = (rows.min(columns), rows.max(columns));
    // Place of component i of vector k.
    let at = |k: usize, i: usize| if rows < columns { k * columns + i } else { i * columns + k };
    with_float!(x.dtype(), T => {
        let x = x.slice::<T>();
        let (v, cx) = cx.split_scratch::<f64>(count * len);
        for k in 0..count {
            for i in 0..len {
                v[k * len + i] = x[at(k, i)].to_f64();
            }
        }
        for _ in 0..2 {
            gram_schmidt(&cx, v, count, len);
        }
        let y = y.slice_mut::<T>();
        for k in 0..count {
            for i in 0..len {
                y[at(k, i)] = T::from_f64(v[k * len + i]);
            }
        }
        Ok(())
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for l in 0..LANES {
            lanes[l] += a[l] * b[l];
        }
    }
    let rest = a.len() / LANES * LANES;
    lanes.iter().sum::<f64>() + a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum::<f64>()
}

fn subtract(from: &mut [f64], unit: &[f64]) {
    let k = dot(from, unit);
    from.iter_mut().zip(unit).for_each(|(f, u)| *f -= k * u);
}

/// Makes the vectors unit vectors, each orthogonal to those before it.
fn gram_schmidt(cx: &Cx, v: &mut [f64], count: usize, len: usize) {
    let base = SyncPtr(v.as_mut_ptr());
    // SAFETY: vector k lies inside v; below, each is borrowed mutably by one task alone.
    let vector = move |k: usize| unsafe { std::slice::from_raw_parts_mut(base.get().add(k * len), len) };
    for k in 0..count {
        let unit = vector(k);
        let norm = dot(unit, unit).sqrt();
        if norm > 1e-12 && norm.is_finite() {
            unit.iter_mut().for_each(|u| *u /= norm);
        } else {
            // It depended on those before it (or was no number): take an axis that does not.
            for axis in 0..len {
                unit.fill(0.0);
                unit[axis] = 1.0;
                for _ in 0..2 {
                    (0..k).for_each(|j| subtract(unit, vector(j)));
                }
                let norm = dot(unit, unit).sqrt();
                if norm * norm * 2.0 * len as f64 >= (len - k) as f64 {
                    unit.iter_mut().for_each(|u| *u /= norm);
                    break;
                }
            }
        }
        let unit = &*unit;
        let left = count - k - 1;
        if left * len <= GRAIN / 2 {
            (k + 1..count).for_each(|j| subtract(vector(j), unit));
        } else {
            cx.par_ranges(left, (GRAIN / len).max(1), |range| range.for_each(|j| subtract(vector(k + 1 + j), unit)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, run};

    fn check(dims: &[usize], x: &[f64], tolerance: f64) -> Vec<f64> {
        let mut y = vec![0f64; x.len()];
        let xv = View::of(x, dims);
        run(orthogonal_scratch(xv.meta()), |cx| orthogonal(cx, &xv, &mut ViewMut::of(&mut y, dims))).unwrap();
        let (rows, columns) = (dims[0], dims[1..].iter().product::<usize>());
        let at = |k: usize, i: usize| if rows < columns { y[k * columns + i] } else { y[i * columns + k] };
        let (count, len) = (rows.min(columns), rows.max(columns));
        for a in 0..count {
            for b in 0..=a {
                let dot: f64 = (0..len).map(|i| at(a, i) * at(b, i)).sum();
                assert!((dot - (a == b) as u8 as f64).abs() < tolerance, "{dims:?}: {a} . {b} = {dot}");
            }
            // R's diagonal is positive: each vector keeps the side of the one it came from.
            let x = |i: usize| if rows < columns { x[a * columns + i] } else { x[i * columns + a] };
            assert!((0..len).map(|i| at(a, i) * x(i)).sum::<f64>() > -tolerance);
        }
        y
    }

    #[test]
    fn orthonormal() {
        for dims in [&[5usize, 5][..], &[7, 3], &[3, 7], &[4, 3, 3, 2], &[150, 140], &[1, 1], &[0, 3], &[2, 600]] {
            let n = dims.iter().product();
            check(dims, &noise(7, n), 1e-12);
        }
        // The first column of Q is the first column of x, made a unit vector.
        let y = check(&[2, 2], &[3.0, 1.0, 4.0, 2.0], 1e-14);
        assert!((y[0] - 0.6).abs() < 1e-15 && (y[2] - 0.8).abs() < 1e-15);
    }

    #[test]
    fn dependent_vectors_are_replaced() {
        check(&[3, 3], &[1.0; 9], 1e-12);
        check(&[4, 4], &[0.0; 16], 1e-12);
        // A column without numbers is replaced as well.
        let mut y = [0f64; 4];
        run(32, |cx| orthogonal(cx, &View::of(&[f64::NAN, 0.0, 0.0, 1.0], &[2, 2]), &mut ViewMut::of(&mut y, &[2, 2]))).unwrap();
        assert_eq!(y.map(f64::abs), [1.0, 0.0, 0.0, 1.0]);
    }
}
