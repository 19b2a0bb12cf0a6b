//! nonzero, masked_select: what a condition picks, in row-major order. The number of results is given; what is missing is filled.
use crate::strided::Nest;
use ferrograd_tensor::{B8, Cx, Element, Error, MAX_RANK, Result, View, ViewMut, with_element};

/// How many elements are not 0 (NaN is not).
pub fn nonzero_count(_cx: &mut Cx, x: &View, count: &mut ViewMut) -> Result {
    let n = with_element!(x.dtype(), T => x.slice::<T>().iter().filter(|v| v.to_f64() != 0.0).count());
    count.slice_mut::<i32>()[0] = i32::try_from(n).map_err(|_| Error::shape(format!("{n} positions are more than an int32 can count")))?;
    Ok(())
}

/// The positions [size, rank] of the first `size` elements that are not 0; rows that are left over hold `fill`.
pub fn nonzero(_cx: &mut Cx, x: &View, _size: i64, fill: i64, indices: &mut ViewMut) -> Result {
    let rank = x.rank();
    let dims = x.layout().shape;
    let y = indices.slice_mut::<i32>();
    y.fill(fill.clamp(i32::MIN as i64, i32::MAX as i64) as i32);
    if rank == 0 {
        return Ok(());
    }
    let mut rows = y.chunks_exact_mut(rank);
    with_element!(x.dtype(), T => {
        let found = x.slice::<T>().iter().enumerate().filter(|(_, v)| v.to_f64() != 0.0);
        for (row, (flat, _)) in rows.by_ref().zip(found) {
            let mut rest = flat;
            for (to, &d) in row.iter_mut().zip(dims.dims()).rev() {
                *to = (rest % d) as i32;
                rest /= d;
            }
        }
    });
    Ok(())
}

/// The first `size` elements of `x` where `mask` holds, then `fill`; the two broadcast.
pub fn masked_select(_cx: &mut Cx, x: &View, mask: &View, _size: i64, fill: f64, y: &mut ViewMut) -> Result {
    // The common shape, of at most MAX_RANK dimensions by the rule.
    let rank = x.rank().max(mask.rank());
    let mut dims = [1usize; MAX_RANK];
    for v in [x, mask] {
        for (to, &d) in dims[..rank].iter_mut().rev().zip(v.dims().iter().rev()) {
            if *to == 1 {
                *to = d;
            }
        }
    }
    let shape = ferrograd_tensor::Shape::new(&dims[..rank])?;
    let (Some(lx), Some(lm)) = (x.layout().broadcast_to(shape), mask.layout().broadcast_to(shape)) else {
        return Err(Error::internal("masked_select: shapes passed the rule and do not broadcast"));
    };
    let nest = Nest::new(shape.dims(), [lx.strides(), lm.strides()]);
    with_element!(x.dtype(), T => {
        let to = y.slice_mut::<T>();
        to.fill(T::from_f64(fill));
        let mut to = to.iter_mut();
        let (px, pm) = (x.ptr::<T>(), mask.ptr::<B8>());
        if shape.numel() != 0 {
            nest.each_turn(0..nest.turns(), &mut |[a, b]| {
                // SAFETY: offsets of the two broadcast layouts.
                let (v, keep) = unsafe { (*px.offset(a), (*pm.offset(b)).get()) };
                if keep && let Some(y) = to.next() {
                    *y = v;
                }
            });
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn positions() {
        let x = [0f32, 1., f32::NAN, 0., -0., 2.];
        let x = View::of(&x, &[2, 3]);
        let mut n = [0i32];
        run(0, |cx| nonzero_count(cx, &x, &mut ViewMut::of(&mut n, &[]))).unwrap();
        assert_eq!(n, [3]);
        let mut y = [9i32; 8];
        run(0, |cx| nonzero(cx, &x, 4, -1, &mut ViewMut::of(&mut y, &[4, 2]))).unwrap();
        assert_eq!(y, [0, 1, 0, 2, 1, 2, -1, -1]);
        let mut y = [9i32; 2];
        run(0, |cx| nonzero(cx, &x, 1, -1, &mut ViewMut::of(&mut y, &[1, 2]))).unwrap();
        assert_eq!(y, [0, 1]);
        run(0, |cx| nonzero(cx, &View::of(&[1u8], &[]), 1, -1, &mut ViewMut::of(&mut [0i32; 0], &[1, 0]))).unwrap();
    }

    #[test]
    fn masks_broadcast() {
        let x = [1i32, 2, 3, 4, 5, 6];
        let mask = [B8(1), B8(0), B8(7)];
        let mut y = [0i32; 5];
        run(0, |cx| masked_select(cx, &View::of(&x, &[2, 3]), &View::of(&mask, &[3]), 5, -1.0, &mut ViewMut::of(&mut y, &[5]))).unwrap();
        assert_eq!(y, [1, 3, 4, 6, -1]);
        let mut y = [0i32; 6];
        run(0, |cx| masked_select(cx, &View::of(&x[..3], &[1, 3]), &View::of(&mask, &[3, 1]), 6, 0.0, &mut ViewMut::of(&mut y, &[6])))
            .unwrap();
        assert_eq!(y, [1, 2, 3, 1, 2, 3]);
        let none: [i32; 0] = [];
        run(0, |cx| masked_select(cx, &View::of(&none, &[0, 3]), &View::of(&mask, &[3]), 5, 7.0, &mut ViewMut::of(&mut y[..5], &[5])))
            .unwrap();
        assert_eq!(y[..5], [7; 5]);
    }
}
