//! Shapes of 2-D pooling, NHWC.
use super::conv2d::{axis_sizes, image_sizes, window_outputs};
use super::{need_float, show};
use crate::{DType, Error, Meta, Result};

/// Outputs along one axis: PyTorch's, in which the last window of `ceil` must start inside the input or its left padding.
fn pooled(len: usize, kernel: i64, stride: i64, before: i64, after: i64, dilation: i64, ceil: bool) -> i64 {
    if !ceil {
        return window_outputs(len, before + after, kernel as usize, dilation, stride);
    }
    let room = len as i64 + before + after - dilation * (kernel - 1) - 1 + stride - 1;
    if room < 0 {
        return 0;
    }
    let count = room / stride + 1;
    if (count - 1) * stride >= len as i64 + before { count - 1 } else { count }
}

/// x [N, H, W, C] -> [N, OH, OW, C].
pub fn pool2d(x: &Meta, kernel: &[i64], stride: &[i64], padding: &[i64], dilation: &[i64], ceil: bool) -> Result<Meta> {
    need_float("input", x)?;
    let [n, h, w, c] = image_sizes("input", x)?;
    let (kernel, stride) = (axis_sizes::<2>("kernel", kernel, 1)?, axis_sizes::<2>("stride", stride, 1)?);
    let (pads, dilation) = (axis_sizes::<4>("padding", padding, 0)?, axis_sizes::<2>("dilation", dilation, 1)?);
    for i in 0..4 {
        let reach = dilation[i / 2] * (kernel[i / 2] - 1) + 1;
        if pads[i] * 2 > reach {
            return Err(Error::value(format!(
                "padding may be at most half of the kernel.\n  \
                 padding {pads:?} (top bottom left right), kernel {kernel:?}, dilation {dilation:?}"
            )));
        }
    }
    let oh = pooled(h, kernel[0], stride[0], pads[0], pads[1], dilation[0], ceil);
    let ow = pooled(w, kernel[1], stride[1], pads[2], pads[3], dilation[1], ceil);
    if oh < 1 || ow < 1 {
        return Err(Error::shape(format!(
            "the window does not fit the input.\n  {} (N H W C), kernel {kernel:?}, padding {pads:?} (top bottom left right), \
             dilation {dilation:?}\n  \
             Use a smaller kernel.",
            show("input", x)
        )));
    }
    Meta::new(x.dtype, &[n, oh as usize, ow as usize, c])
}

/// As [`pool2d`], of the int32 positions.
pub fn pool2d_index(x: &Meta, kernel: &[i64], stride: &[i64], padding: &[i64], dilation: &[i64], ceil: bool) -> Result<Meta> {
    index_of(x, pool2d(x, kernel, stride, padding, dilation, ceil)?)
}

fn index_of(x: &Meta, y: Meta) -> Result<Meta> {
    if x.dims()[1] * x.dims()[2] > i32::MAX as usize {
        return Err(Error::shape(format!("positions in a plane must fit int32.\n  {} (N H W C)", show("input", x))));
    }
    Meta::new(DType::I32, y.dims())
}

/// dy and index [N, OH, OW, C] -> [N, height, width, C].
pub fn max_pool2d_grad(dy: &Meta, index: &Meta, height: i64, width: i64) -> Result<Meta> {
    if index.dtype != DType::I32 || index.dims() != dy.dims() {
        return Err(Error::shape(format!(
            "index must be int32 and as large as the gradient.\n  {}, {}",
            show("gradient", dy),
            show("index", index)
        )));
    }
    avg_pool2d_grad(dy, height, width)
}

/// dy [N, OH, OW, C] -> [N, height, width, C].
pub fn avg_pool2d_grad(dy: &Meta, height: i64, width: i64) -> Result<Meta> {
    need_float("gradient", dy)?;
    let [n, _, _, c] = image_sizes("gradient", dy)?;
    let [height, width] = axis_sizes::<2>("input size", &[height, width], 0)?;
    Meta::new(dy.dtype, &[n, height as usize, width as usize, c])
}

/// x [N, H, W, C] -> [N, height, width, C].
pub fn adaptive_pool2d(x: &Meta, height: i64, width: i64) -> Result<Meta> {
    need_float("input", x)?;
    let [n, h, w, c] = image_sizes("input", x)?;
    let [height, width] = axis_sizes::<2>("output size", &[height, width], 1)?;
    if h == 0 || w == 0 {
        return Err(Error::shape(format!("the input has an empty plane.\n  {} (N H W C)", show("input", x))));
    }
    Meta::new(x.dtype, &[n, height as usize, width as usize, c])
}

/// As [`adaptive_pool2d`], of the int32 positions.
pub fn adaptive_pool2d_index(x: &Meta, height: i64, width: i64) -> Result<Meta> {
    index_of(x, adaptive_pool2d(x, height, width)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }

    #[test]
    fn ceil_keeps_windows_that_start_inside() {
        // (size, kernel, stride, padding, dilation) -> PyTorch's output with and without ceil_mode.
        for (len, k, s, p, d, floor, ceil) in [
            (13, 2, 2, 0, 1, 6, 7),
            (4, 1, 2, 0, 1, 2, 2),
            (5, 2, 3, 1, 1, 2, 2),
            (6, 3, 2, 1, 1, 3, 4),
            (7, 2, 2, 0, 3, 2, 3),
            (2, 1, 3, 0, 1, 1, 1),
        ] {
            let x = meta(&[1, len, len, 2]);
            let pool = |ceil| pool2d(&x, &[k, k], &[s, s], &[p; 4], &[d, d], ceil).unwrap().dims()[1];
            assert_eq!((pool(false), pool(true)), (floor, ceil), "{len} {k} {s} {p} {d}");
        }
    }

    #[test]
    fn bad_windows_are_named() {
        let x = meta(&[1, 4, 4, 2]);
        assert!(pool2d(&x, &[2, 2], &[2, 2], &[2, 0, 0, 0], &[1, 1], false).unwrap_err().message.contains("half of the kernel"));
        assert!(pool2d(&x, &[5, 5], &[1, 1], &[0; 4], &[1, 1], false).unwrap_err().message.contains("does not fit"));
        assert!(pool2d(&x, &[0, 2], &[1, 1], &[0; 4], &[1, 1], false).unwrap_err().message.contains("kernel must be positive"));
        assert!(adaptive_pool2d(&x, 0, 2).is_err());
    }
}
