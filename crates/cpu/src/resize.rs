//! resize: images to another size, bilinear, pixel centres aligned (PyTorch's `interpolate(mode='bilinear', align_corners=False)`).
use crate::copy::convert_one;
use crate::strided::GRAIN;
use ferrograd_tensor::{Cx, DType, Element, Float, Result, View, ViewMut, with_float};

/// images [N, H, W, C] to [N, height, width, C]; no antialiasing. uint8 is rounded to the nearest.
pub fn resize(cx: &mut Cx, images: &View, _height: i64, _width: i64, y: &mut ViewMut) -> Result {
    if y.numel() == 0 {
        return Ok(());
    }
    match images.dtype() {
        DType::U8 => scale::<u8, f32>(cx, images, y),
        dtype => with_float!(dtype, T => {
            scale::<T, <T as Float>::Acc>(cx, images, y);
            Ok(())
        })?,
    }
    Ok(())
}

/// The two neighbours of output position `i`, and how much the second counts.
fn neighbours(i: usize, from: usize, to: usize) -> (usize, usize, f64) {
    let at = ((i as f64 + 0.5) * (from as f64 / to as f64) - 0.5).max(0.0);
    let low = (at as usize).min(from - 1);
    (low, (low + 1).min(from - 1), at - low as f64)
}

fn scale<T: Element, A>(cx: &Cx, images: &View, y: &mut ViewMut)
where
    A: Float<Acc = A> + std::ops::Add<Output = A> + std::ops::Sub<Output = A> + std::ops::Mul<Output = A>,
{
    let (d, to) = (images.layout().shape, y.layout().shape);
    let (h, w, c) = (d.dims()[1], d.dims()[2], d.dims()[3]);
    let (oh, ow) = (to.dims()[1], to.dims()[2]);
    let x = images.slice::<T>();
    let half = if T::DTYPE == DType::U8 { A::from_f64(0.5) } else { A::from_f64(0.0) };
    let one = A::from_f64(1.0);
    cx.par_chunks_mut(y.slice_mut::<T>(), (GRAIN / (ow * c)).max(1) * ow * c, |start, part| {
        for (r, row) in part.chunks_exact_mut(ow * c).enumerate() {
            let flat = start / (ow * c) + r;
            let (top, bottom, v) = neighbours(flat % oh, h, oh);
            let line = |i: usize| &x[(flat / oh * h + i) * w * c..][..w * c];
            let (top, bottom, v) = (line(top), line(bottom), A::from_f64(v));
            for (j, pixel) in row.chunks_exact_mut(c).enumerate() {
                let (left, right, u) = neighbours(j, w, ow);
                let u = A::from_f64(u);
                for (k, out) in pixel.iter_mut().enumerate() {
                    let at = |line: &[T], j: usize| convert_one::<T, A>(line[j * c + k]);
                    let above = (one - u) * at(top, left) + u * at(top, right);
                    let below = (one - u) * at(bottom, left) + u * at(bottom, right);
                    *out = convert_one::<A, T>((one - v) * above + v * below + half);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, noise, run};

    fn apply<T: Element>(x: &[T], dims: [usize; 4], h: usize, w: usize) -> Vec<T> {
        let mut y = vec![T::default(); dims[0] * h * w * dims[3]];
        run(0, |cx| resize(cx, &View::of(x, &dims), h as i64, w as i64, &mut ViewMut::of(&mut y, &[dims[0], h, w, dims[3]]))).unwrap();
        y
    }

    #[test]
    fn known_values() {
        // torch.nn.functional.interpolate of [1, 2, 3, 4] (2 x 2) to 4 x 4, and of 0..5 to 3.
        let y = apply(&[1f64, 2., 3., 4.], [1, 2, 2, 1], 4, 4);
        assert_close(
            &y,
            &[1., 1.25, 1.75, 2., 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3., 3.25, 3.75, 4.],
            1e-15,
            0.0,
            "2 x 2 to 4 x 4",
        );
        let y = apply(&[0f32, 1., 2., 3., 4.], [1, 1, 5, 1], 1, 3);
        assert_close(&y.iter().map(|&v| v as f64).collect::<Vec<_>>(), &[1.0 / 3.0, 2.0, 11.0 / 3.0], 1e-6, 0.0, "5 to 3");
        assert_eq!(apply(&[10u8, 20], [1, 1, 2, 1], 1, 4), [10, 13, 18, 20]);
    }

    #[test]
    fn same_size_is_the_same_image() {
        let x: Vec<f32> = noise(1, 3 * 40 * 50 * 3).iter().map(|&v| v as f32).collect();
        assert_eq!(apply(&x, [3, 40, 50, 3], 40, 50), x);
        let y = apply(&x, [3, 40, 50, 3], 80, 100);
        let wide: Vec<f64> = x.iter().map(|&v| v as f64).collect();
        let want = apply(&wide, [3, 40, 50, 3], 80, 100);
        assert_close(&y.iter().map(|&v| v as f64).collect::<Vec<_>>(), &want, 1e-5, 1e-6, "float32 against float64");
        assert!(apply(&[] as &[f32], [0, 4, 4, 3], 8, 8).is_empty());
        assert!(apply(&[1f32], [1, 1, 1, 1], 0, 8).is_empty());
    }
}
