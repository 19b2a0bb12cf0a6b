//! pad: a border of one value around a tensor, or a crop.
use crate::copy::{copy_between, fill_typed};
use crate::strided::{bytes, bytes_mut};
use ferrograd_tensor::{Cx, Element, MAX_RANK, Result, View, ViewMut, with_element};

/// `pads` as PyTorch's `F.pad`: [before, after] of the last dimension, then of the one before it; negative ones crop.
pub fn pad(cx: &mut Cx, x: &View, pads: &[i64], value: f64, y: &mut ViewMut) -> Result {
    if pads.iter().any(|&p| p > 0) {
        with_element!(y.dtype(), T => fill_typed(cx, y, T::from_f64(value)));
    }
    let (from, to) = (*x.layout(), *y.layout());
    // The part that both have: where it starts on either side, and its sizes.
    let (mut dims, mut skip_x, mut skip_y) = ([0usize; MAX_RANK], 0usize, 0usize);
    let rank = x.rank();
    dims[..rank].copy_from_slice(x.dims());
    for (k, pair) in pads.chunks_exact(2).enumerate() {
        let d = rank - 1 - k;
        let crop = [pair[0].min(0).unsigned_abs() as usize, pair[1].min(0).unsigned_abs() as usize];
        // Two crops may meet: then nothing is left to copy.
        dims[d] = dims[d].saturating_sub(crop[0] + crop[1]);
        skip_x += crop[0] * from.strides()[d] as usize;
        skip_y += pair[0].max(0) as usize * to.strides()[d] as usize;
    }
    if dims[..rank].contains(&0) {
        return Ok(());
    }
    let size = x.dtype().size();
    // SAFETY: `dims` are what is left of `x` after its crops, and fit into `y` behind its borders.
    unsafe {
        let (p, q) = (bytes(x).add(skip_x * size), bytes_mut(y).add(skip_y * size));
        copy_between(cx, &dims[..rank], (x.dtype(), p, from.strides()), (x.dtype(), q, to.strides()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;
    use ferrograd_tensor::rules;

    fn check(dims: &[usize], pads: &[i64]) {
        let n: usize = dims.iter().product();
        let x: Vec<i32> = (1..=n as i32).collect();
        let meta = rules::pad(View::of(&x, dims).meta(), pads).unwrap();
        let mut y = vec![-5i32; meta.numel()];
        run(0, |cx| pad(cx, &View::of(&x, dims), pads, 7.0, &mut ViewMut::of(&mut y, meta.dims()))).unwrap();
        let rank = dims.len();
        for (flat, &got) in y.iter().enumerate() {
            let (mut rest, mut source, mut step, mut inside) = (flat, 0i64, 1i64, true);
            for d in (0..rank).rev() {
                let before = pads.get(2 * (rank - 1 - d)).copied().unwrap_or(0);
                let at = (rest % meta.dims()[d]) as i64 - before;
                rest /= meta.dims()[d];
                inside &= (0..dims[d] as i64).contains(&at);
                source += at * step;
                step *= dims[d] as i64;
            }
            assert_eq!(got, if inside { x[source as usize] } else { 7 }, "{dims:?} {pads:?} at {flat}");
        }
    }

    #[test]
    fn borders_and_crops() {
        check(&[2, 3], &[1, 2, 0, 4]);
        check(&[2, 3, 4], &[0, 0, 1, 1, 2, 0]);
        check(&[5, 6], &[-1, -2, 3, -4]);
        check(&[5, 6], &[-3, -3]);
        check(&[5, 6], &[-6, 2]);
        check(&[0, 3], &[1, 1, 2, 0]);
        check(&[], &[]);
        check(&[20, 40, 50], &[3, 3, 2, 2]);
    }
}
