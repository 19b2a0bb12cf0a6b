//! flip and roll: the same elements in another order along dimensions.
use crate::copy::copy_between;
use crate::strided::{bytes, bytes_mut};
use ferrograd_tensor::{Cx, MAX_RANK, Result, View, ViewMut, rules};

/// The elements of `dims` in reverse order.
pub fn flip(cx: &mut Cx, x: &View, dims: &[i64], y: &mut ViewMut) -> Result {
    let rank = x.rank();
    // An empty list names all dimensions in a reduction, but none here.
    let named = if dims.is_empty() { [false; MAX_RANK] } else { rules::axes(dims, rank)? };
    if x.numel() == 0 {
        return Ok(());
    }
    let (from, to) = (*x.layout(), *y.layout());
    let (mut strides, mut start) = ([0isize; MAX_RANK], 0isize);
    for i in 0..rank {
        strides[i] = from.strides()[i];
        if named[i] {
            start += strides[i] * (x.dims()[i] as isize - 1);
            strides[i] = -strides[i];
        }
    }
    // SAFETY: starting at the last element of each named dimension and stepping back stays inside `x`.
    unsafe {
        let p = bytes(x).offset(start * x.dtype().size() as isize);
        copy_between(cx, from.dims(), (x.dtype(), p, &strides[..rank]), (x.dtype(), bytes_mut(y), to.strides()));
    }
    Ok(())
}

/// The elements moved on by `shift` along `dim`; what leaves at the end comes in at the start.
pub fn roll(cx: &mut Cx, x: &View, shift: i64, dim: i64, y: &mut ViewMut) -> Result {
    let i = rules::axis(dim, x.rank())?;
    if x.numel() == 0 {
        return Ok(());
    }
    let layout = *x.layout();
    let n = layout.dims().get(i).copied().unwrap_or(1);
    let step = layout.strides().get(i).copied().unwrap_or(1) as usize * x.dtype().size();
    let shift = shift.rem_euclid(n as i64) as usize;
    let (p, q) = (bytes(x), bytes_mut(y));
    for (from, to, len) in [(0, shift, n - shift), (n - shift, 0, shift)] {
        if len == 0 {
            continue;
        }
        let mut part = layout.shape;
        if let Some(d) = part.dims_mut().get_mut(i) {
            *d = len;
        }
        // SAFETY: `len` entries from `from` and from `to` on lie inside dim i of `x` and `y`, which have one contiguous layout.
        unsafe {
            copy_between(
                cx,
                part.dims(),
                (x.dtype(), p.add(from * step), layout.strides()),
                (x.dtype(), q.add(to * step), layout.strides()),
            )
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn flips() {
        let x: Vec<i64> = (0..24).collect();
        let at = |dims: &[i64]| {
            let mut y = vec![0i64; 24];
            run(0, |cx| flip(cx, &View::of(&x, &[2, 3, 4]), dims, &mut ViewMut::of(&mut y, &[2, 3, 4]))).unwrap();
            y
        };
        assert_eq!(at(&[]), x);
        assert_eq!(at(&[0, 1, 2]), x.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(at(&[-1])[..8], [3, 2, 1, 0, 7, 6, 5, 4]);
        assert_eq!(at(&[1])[..8], [8, 9, 10, 11, 4, 5, 6, 7]);
        let mut y = [0f32];
        run(0, |cx| flip(cx, &View::of(&[2f32], &[]), &[], &mut ViewMut::of(&mut y, &[]))).unwrap();
        assert_eq!(y, [2.0]);
        let wide: Vec<f32> = (0..120_000).map(|i| i as f32).collect();
        let mut y = vec![0f32; 120_000];
        run(0, |cx| flip(cx, &View::of(&wide, &[300, 400]), &[0, 1], &mut ViewMut::of(&mut y, &[300, 400]))).unwrap();
        assert!(y.iter().rev().zip(&wide).all(|(a, b)| a == b));
    }

    #[test]
    fn rolls() {
        let x: Vec<u8> = (0..12).collect();
        let at = |shift, dim| {
            let mut y = vec![0u8; 12];
            run(0, |cx| roll(cx, &View::of(&x, &[3, 4]), shift, dim, &mut ViewMut::of(&mut y, &[3, 4]))).unwrap();
            y
        };
        assert_eq!(at(1, 1), [3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10]);
        assert_eq!(at(-1, 0), [4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3]);
        assert_eq!(at(4, 1), x);
        let mut y = [0f32];
        run(0, |cx| roll(cx, &View::of(&[2f32], &[]), 5, 0, &mut ViewMut::of(&mut y, &[]))).unwrap();
        assert_eq!(y, [2.0]);
    }
}
