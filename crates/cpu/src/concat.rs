//! concat: tensors one after another along a dimension.
use crate::copy::copy_between;
use crate::strided::{bytes, bytes_mut};
use ferrograd_tensor::{Cx, Result, View, ViewMut, rules};

/// Writes each of `xs` (any strides, converted to `y`'s dtype) into its slice of `y`.
pub fn concat(cx: &mut Cx, xs: &[View], dim: i64, y: &mut ViewMut) -> Result {
    let i = rules::axis(dim, y.rank())?;
    let layout = *y.layout();
    let dtype = y.dtype();
    let base = bytes_mut(y);
    let mut at = 0;
    for x in xs {
        if x.numel() != 0 {
            // SAFETY: slices of `y` along `dim`, which the rule made as long as all of `xs`; `x` lies in its storage.
            unsafe {
                let to = base.add(at * layout.strides()[i] as usize * dtype.size());
                copy_between(cx, x.dims(), (x.dtype(), bytes(x), x.strides()), (dtype, to, layout.strides()));
            }
        }
        at += x.dims()[i];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;
    use ferrograd_tensor::Meta;

    #[test]
    fn parts_stand_side_by_side() {
        let a: Vec<f32> = (0..6).map(|i| i as f32).collect();
        let b = [10i32, 11];
        let wide = rules::permute(View::of(&a, &[3, 2]).meta(), &[1, 0]).unwrap().unwrap();
        // SAFETY: a permutation of the same elements.
        let turned = unsafe { View::of(&a, &[3, 2]).with_layout(wide) };
        let empty: [f32; 0] = [];
        let xs = [turned, View::of(&empty, &[2, 0]), View::of(&b, &[2, 1])];
        let metas: Vec<Meta> = xs.iter().map(|x| *x.meta()).collect();
        assert_eq!(rules::concat(&metas, -1).unwrap().dims(), [2, 4]);
        let mut y = [0f32; 8];
        run(0, |cx| concat(cx, &xs, -1, &mut ViewMut::of(&mut y, &[2, 4]))).unwrap();
        assert_eq!(y, [0., 2., 4., 10., 1., 3., 5., 11.]);
        let mut y = [0f32; 12];
        run(0, |cx| concat(cx, &[turned, turned], 0, &mut ViewMut::of(&mut y, &[4, 3]))).unwrap();
        assert_eq!(y, [0., 2., 4., 1., 3., 5., 0., 2., 4., 1., 3., 5.]);
    }

    #[test]
    fn large_parts() {
        let a: Vec<u8> = (0..50_000).map(|i| i as u8).collect();
        let mut y = vec![0u8; 150_000];
        run(0, |cx| {
            concat(
                cx,
                &[View::of(&a, &[100, 500]), View::of(&a[..25_000], &[100, 250]), View::of(&a, &[100, 500])],
                1,
                &mut ViewMut::of(&mut y[..125_000], &[100, 1250]),
            )
        })
        .unwrap();
        for r in 0..100 {
            assert_eq!(y[r * 1250..][..500], a[r * 500..][..500]);
            assert_eq!(y[r * 1250 + 500..][..250], a[r * 250..][..250]);
            assert_eq!(y[r * 1250 + 750..][..500], a[r * 500..][..500]);
        }
    }
}
