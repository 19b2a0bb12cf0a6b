//! y = x W^T + b: PyTorch's `linear`, with the activation that follows it.
use crate::matmul::{products, stack_scratch};
use ferrograd_tensor::{Cx, Layout, Meta, Result, Shape, View, ViewMut, with_element};

/// Bytes that [`linear`] wants.
pub fn linear_scratch(x: &Meta, weight: &Meta) -> usize {
    match transposed(weight) {
        // Room for the bias too, gathered and widened.
        Some(w) => stack_scratch(x, &Meta { dtype: weight.dtype, layout: w }, x.dtype) + 12 * weight.dims()[0] + 192,
        None => 0,
    }
}

/// The layout of the weight's transpose; none of what is no matrix.
pub(crate) fn transposed(weight: &Meta) -> Option<Layout> {
    let (d, s) = (weight.dims(), weight.layout.strides());
    Some(Layout::strided(Shape::new(&[*d.get(1)?, d[0]]).ok()?, &[s[1], s[0]], 0))
}

/// y [..., out] = x [..., in] weight [out, in]^T + bias [out]; `activation` 1 is ReLU, NaN kept.
pub fn linear(cx: &mut Cx, x: &View, weight: &View, bias: Option<&View>, activation: i64, y: &mut ViewMut) -> Result {
    let layout = transposed(weight.meta()).expect("a matrix, by the shape rule");
    // SAFETY: the same elements under exchanged axes.
    let w = unsafe { weight.with_layout(layout) };
    match bias {
        Some(b) if !b.is_contiguous() => with_element!(b.dtype(), T => {
            let (copy, mut cx) = cx.split_scratch::<T>(b.numel());
            for (i, to) in copy.iter_mut().enumerate() {
                // SAFETY: an element of the vector.
                *to = unsafe { *b.ptr::<T>().offset(i as isize * b.strides()[0]) };
            }
            products(&mut cx, x, &w, Some(&View::of(copy, b.dims())), activation == 1, y)
        }),
        bias => products(cx, x, &w, bias, activation == 1, y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::shuffled::{on_threads, same_bits};
    use crate::testing::{assert_close, each_isa, noise};
    use ferrograd_tensor::{Element, bf16};

    fn run<T: Element>(
        threads: usize,
        x: &[f64],
        xd: &[usize],
        w: &[f64],
        wd: [usize; 2],
        bias: Option<&[f64]>,
        activation: i64,
    ) -> Vec<f64> {
        let cast = |v: &[f64]| v.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
        let (x, w, b) = (cast(x), cast(w), bias.map(cast));
        let (xv, wv) = (View::of(&x, xd), View::of(&w, &wd));
        let bv = b.as_ref().map(|b| View::of(b, &[wd[0]]));
        let mut dims = xd.to_vec();
        *dims.last_mut().unwrap() = wd[0];
        let mut y = vec![T::default(); dims.iter().product()];
        on_threads(threads, linear_scratch(xv.meta(), wv.meta()), |cx| {
            linear(cx, &xv, &wv, bv.as_ref(), activation, &mut ViewMut::of(&mut y, &dims)).unwrap()
        });
        y.iter().map(|v| v.to_f64()).collect()
    }

    #[test]
    fn bias_and_relu_on_every_path_and_dtype() {
        for (xd, wd) in [
            (vec![32, 1024], [64, 1024]),
            (vec![2, 3, 5], [7, 5]),
            (vec![5], [3, 5]),
            (vec![4, 0], [3, 0]),
            (vec![0, 4], [3, 4]),
            (vec![7, 129], [1, 129]),
            (vec![16, 130], [145, 130]),
        ] {
            let (x, w, b) = (noise(1, xd.iter().product()), noise(2, wd[0] * wd[1]), noise(3, wd[0]));
            let plain: Vec<f64> = (0..xd.iter().product::<usize>().checked_div(wd[1]).unwrap_or(xd[0]) * wd[0])
                .map(|i| {
                    let (row, o) = (i / wd[0], i % wd[0]);
                    b[o] + (0..wd[1]).map(|k| x[row * wd[1] + k] * w[o * wd[1] + k]).sum::<f64>()
                })
                .collect();
            let relu: Vec<f64> = plain.iter().map(|v| v.max(0.0)).collect();
            assert_close(&run::<f64>(3, &x, &xd, &w, wd, Some(&b), 0), &plain, 1e-12, 1e-12, "float64");
            assert_close(&run::<f64>(2, &x, &xd, &w, wd, Some(&b), 1), &relu, 1e-12, 1e-12, "float64");
            each_isa(|isa| {
                let what = format!("{} {xd:?} {wd:?}", isa.name());
                for (activation, want) in [(0, &plain), (1, &relu)] {
                    let got = same_bits(0, &what, |cx| {
                        run::<f32>(cx.pool().threads(), &x, &xd, &w, wd, Some(&b), activation).iter().map(|&v| v as f32).collect()
                    });
                    assert_close(&got.iter().map(|&v| v as f64).collect::<Vec<_>>(), want, 1e-5, 2e-5, &what);
                }
                let half = run::<bf16>(2, &x, &xd, &w, wd, Some(&b), 0);
                assert_close(&half, &plain, 0.02, 0.2, &what);
                let none = run::<f32>(1, &x, &xd, &w, wd, None, 0);
                let want: Vec<f64> = plain.iter().enumerate().map(|(i, v)| v - b[i % wd[0]]).collect();
                assert_close(&none, &want, 1e-5, 2e-5, &what);
            });
        }
    }

    #[test]
    fn relu_keeps_nan_and_a_bias_may_be_strided() {
        each_isa(|isa| {
            assert!(run::<f32>(1, &[f64::NAN, 1.0], &[1, 2], &[1.0; 6], [3, 2], None, 1).iter().all(|v| v.is_nan()), "{}", isa.name());
            let (x, w, wide) = ([1f32, 2.0], [1f32, 0.0, 0.0, 1.0], [10f32, 0.0, 20.0]);
            let (xv, wv) = (View::of(&x, &[1, 2]), View::of(&w, &[2, 2]));
            // SAFETY: elements 0 and 2 of three.
            let bias = unsafe { View::of(&wide, &[3]).with_layout(Layout::strided(Shape::new(&[2]).unwrap(), &[2], 0)) };
            let mut y = [0f32; 2];
            on_threads(1, linear_scratch(xv.meta(), wv.meta()), |cx| {
                linear(cx, &xv, &wv, Some(&bias), 0, &mut ViewMut::of(&mut y, &[1, 2]))
            })
            .unwrap();
            assert_eq!(y, [11.0, 22.0]);
        });
    }
}
