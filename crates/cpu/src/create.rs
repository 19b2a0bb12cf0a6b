//! full, arange, eye: tensors made from numbers.
use crate::copy::fill_typed;
use crate::strided::GRAIN;
use ferrograd_tensor::{Cx, Element, Result, ViewMut, with_element};

/// Every element `value`; in an integer dtype truncated and saturated.
pub fn full(cx: &mut Cx, _dims: &[i64], _dtype: i64, value: f64, y: &mut ViewMut) -> Result {
    with_element!(y.dtype(), T => fill_typed(cx, y, T::from_f64(value)));
    Ok(())
}

/// y[i] = start + i * step, worked out in float64 (exact for integers up to 2^53).
pub fn arange(cx: &mut Cx, _len: i64, _dtype: i64, start: f64, step: f64, y: &mut ViewMut) -> Result {
    with_element!(y.dtype(), T => cx.par_chunks_mut(y.slice_mut::<T>(), GRAIN, |first, part| {
        for (i, y) in part.iter_mut().enumerate() {
            *y = T::from_f64(start + (first + i) as f64 * step);
        }
    }));
    Ok(())
}

/// Ones where row and column are equal, else zeros.
pub fn eye(cx: &mut Cx, _rows: i64, cols: i64, _dtype: i64, y: &mut ViewMut) -> Result {
    let cols = cols as usize;
    with_element!(y.dtype(), T => {
        fill_typed(cx, y, T::from_f64(0.0));
        y.slice_mut::<T>().iter_mut().step_by(cols + 1).take(cols).for_each(|y| *y = T::from_f64(1.0));
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;
    use ferrograd_tensor::B8;

    #[test]
    fn numbers() {
        let mut y = vec![0u8; 100_000];
        run(0, |cx| full(cx, &[100_000], 6, 300.7, &mut ViewMut::of(&mut y, &[100_000]))).unwrap();
        assert!(y.iter().all(|&v| v == 255));
        let mut y = vec![0f64; 70_000];
        run(0, |cx| arange(cx, 70_000, 1, -3.0, 0.1, &mut ViewMut::of(&mut y, &[70_000]))).unwrap();
        assert!(y.iter().enumerate().all(|(i, &v)| v == -3.0 + i as f64 * 0.1));
        let mut y = [0i32; 4];
        run(0, |cx| arange(cx, 4, 5, 5.0, -2.0, &mut ViewMut::of(&mut y, &[4]))).unwrap();
        assert_eq!(y, [5, 3, 1, -1]);
        let mut y = [B8(3)];
        run(0, |cx| full(cx, &[], 8, 0.5, &mut ViewMut::of(&mut y, &[]))).unwrap();
        assert_eq!(y[0].0, 1);
    }

    #[test]
    fn identities() {
        for (n, m) in [(3, 3), (2, 5), (5, 2), (0, 3), (3, 0), (1, 1)] {
            let mut y = vec![f32::NAN; n * m];
            run(0, |cx| eye(cx, n as i64, m as i64, 0, &mut ViewMut::of(&mut y, &[n, m]))).unwrap();
            assert!(y.iter().enumerate().all(|(i, &v)| v == if i / m == i % m { 1.0 } else { 0.0 }), "{n} x {m}");
        }
    }
}
