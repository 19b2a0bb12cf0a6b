//! Rules of what a dense block is made of: a buffer of features into which channels are appended, the fused normalisation, ReLU and 1x1
//! convolution that reads the first of them, the same with 3x3 that follows, and the same with pooling behind the block.
use super::conv2d::same_dtype;
use super::{channel_stats, need_float, show};
use crate::{Error, MAX_RANK, Meta, Result};

/// A buffer [N, ..., C] with statistics [C].
fn need_buffer(name: &str, buffer: &Meta, statistics: &[(&str, &Meta)]) -> Result {
    need_float(name, buffer)?;
    let lead = &buffer.dims()[..buffer.rank().saturating_sub(1)];
    if lead.is_empty() || lead.contains(&0) {
        return Err(Error::shape(format!("{name} must have rows, [N, ..., C], which make the statistics.\n  {}", show(name, buffer))));
    }
    let wanted = channel_stats(buffer);
    for (what, statistic) in statistics {
        if statistic.dims() != wanted.dims() || statistic.dtype != wanted.dtype {
            return Err(Error::shape(format!(
                "{what} must be {:?} {}, one number a channel of {name}.\n  {}, {}",
                wanted.dims(),
                wanted.dtype,
                show(name, buffer),
                show(what, statistic)
            )));
        }
    }
    Ok(())
}

/// Channels start..start + size must be some of the buffer's.
fn need_channels(buffer: &Meta, start: i64, size: i64) -> Result {
    let all = buffer.dims()[buffer.rank() - 1] as i64;
    if start < 0 || size < 0 || start > all - size {
        return Err(Error::shape(format!(
            "channels {start}..{} are not in the buffer.\n  {}\n  Make it as wide as all parts together.",
            start.saturating_add(size),
            show("buffer", buffer)
        )));
    }
    Ok(())
}

/// x's shape with another last dimension.
fn with_channels(x: &Meta, channels: usize) -> Result<Meta> {
    let mut dims = [channels; MAX_RANK];
    let last = x.rank() - 1;
    dims[..last].copy_from_slice(&x.dims()[..last]);
    Meta::new(x.dtype, &dims[..x.rank()])
}

/// x [N, ..., c] goes to channels start.. of the buffer [N, ..., C].
pub fn append_channels(buffer: &Meta, mean: &Meta, variance: &Meta, x: &Meta, start: i64) -> Result {
    need_buffer("buffer", buffer, &[("mean", mean), ("variance", variance)])?;
    need_part("buffer", buffer, x, start)
}

/// x must fit channels start.. of the buffer.
fn need_part(name: &str, buffer: &Meta, x: &Meta, start: i64) -> Result {
    same_dtype(name, buffer, "x", x)?;
    if x.rank() != buffer.rank() || x.dims()[..x.rank() - 1] != buffer.dims()[..x.rank() - 1] {
        return Err(Error::shape(format!(
            "x must have the shape of {name} but for the last dimension.\n  {}, {}",
            show(name, buffer),
            show("x", x)
        )));
    }
    need_channels(buffer, start, x.dims()[x.rank() - 1] as i64)
}

/// The gradient of x [N, ..., c], which is in channels start.. of a buffer.
pub fn append_channels_grad(dbuffer: &Meta, x: &Meta, mean: &Meta, correction: &Meta, start: i64) -> Result<Meta> {
    need_buffer("dbuffer", dbuffer, &[("mean", mean)])?;
    need_part("dbuffer", dbuffer, x, start)?;
    need_correction("correction", correction, dbuffer)?;
    Ok(super::like(x))
}

/// A gradient of the buffer has its shape and dtype.
fn need_gradient(name: &str, gradient: &Meta, of: &Meta) -> Result {
    if gradient.dims() == of.dims() && gradient.dtype == of.dtype {
        return Ok(());
    }
    Err(Error::shape(format!("{name} must have the shape and dtype of what it belongs to.\n  {}, {}", show(name, gradient), show("x", of))))
}

/// Two numbers a channel, in the dtype of the statistics.
fn need_correction(name: &str, given: &Meta, of: &Meta) -> Result {
    let wanted = correction(of);
    if *given == wanted {
        return Ok(());
    }
    Err(Error::shape(format!("{name} must be {:?} {}.\n  {}", wanted.dims(), wanted.dtype, show(name, given))))
}

/// What of a gradient of x is linear in x: a number a channel, and another times x - mean.
pub fn correction(x: &Meta) -> Meta {
    let stats = channel_stats(x);
    Meta::new(stats.dtype, &[2, stats.dims()[0]]).unwrap_or(stats)
}

/// Weight and bias of a normalisation of `channels` channels, which `named` has.
fn need_affine(weight: Option<&Meta>, bias: Option<&Meta>, channels: usize, named: (&str, &Meta)) -> Result {
    for (name, p) in [("weight", weight), ("bias", bias)] {
        let Some(p) = p else { continue };
        need_float(name, p)?;
        if p.dims() != [channels] {
            return Err(Error::shape(format!(
                "{name} must be [{channels}], one number a normalised channel.\n  {}, {}",
                show(name, p),
                show(named.0, named.1)
            )));
        }
    }
    Ok(())
}

/// x [N, ..., C] and its statistics; weight and bias [c] and kernel [O, 1, 1, c] for its first c channels -> [N, ..., O].
pub fn norm_relu_conv(x: &Meta, mean: &Meta, variance: &Meta, weight: Option<&Meta>, bias: Option<&Meta>, kernel: &Meta) -> Result<Meta> {
    need_buffer("x", x, &[("mean", mean), ("variance", variance)])?;
    same_dtype("x", x, "kernel", kernel)?;
    let [out, 1, 1, channels @ 1..=usize::MAX] = *kernel.dims() else {
        return Err(Error::shape(format!("kernel must be [O, 1, 1, C], of at least one channel.\n  {}", show("kernel", kernel))));
    };
    need_channels(x, 0, channels as i64)?;
    need_affine(weight, bias, channels, ("kernel", kernel))?;
    with_channels(x, out)
}

/// x [N, H, W, C], its statistics, weight and bias [C], kernel [O, 3, 3, C] -> [N, H, W, O].
pub fn norm_relu_conv3x3(
    x: &Meta,
    mean: &Meta,
    variance: &Meta,
    weight: Option<&Meta>,
    bias: Option<&Meta>,
    kernel: &Meta,
) -> Result<Meta> {
    need_buffer("x", x, &[("mean", mean), ("variance", variance)])?;
    same_dtype("x", x, "kernel", kernel)?;
    match (x.dims(), kernel.dims()) {
        (&[_, _, _, c], &[out, 3, 3, channels]) if c == channels && c > 0 => {
            need_affine(weight, bias, channels, ("kernel", kernel))?;
            with_channels(x, out)
        }
        _ => Err(Error::shape(format!(
            "x must be [N, H, W, C] and kernel [O, 3, 3, C], of at least one channel.\n  {}, {}",
            show("x", x),
            show("kernel", kernel)
        ))),
    }
}

/// The gradient of `norm_relu_conv3x3`: that of x.
pub fn norm_relu_conv3x3_grad(
    dy: &Meta,
    x: &Meta,
    mean: &Meta,
    variance: &Meta,
    weight: Option<&Meta>,
    bias: Option<&Meta>,
    kernel: &Meta,
) -> Result<Meta> {
    need_gradient("dy", dy, &norm_relu_conv3x3(x, mean, variance, weight, bias, kernel)?)?;
    Ok(super::like(x))
}

/// The gradient of `norm_relu_conv`: dx is added to in place, and `correction`; the result is the kernel's gradient. `y_correction` is still to be
/// added to dy.
pub fn norm_relu_conv_grad(
    dy: &Meta,
    y: &Meta,
    y_mean: &Meta,
    y_correction: &Meta,
    x: &Meta,
    mean: &Meta,
    variance: &Meta,
    weight: Option<&Meta>,
    bias: Option<&Meta>,
    kernel: &Meta,
    dx: &Meta,
    correction: &Meta,
) -> Result<Meta> {
    need_gradient("y", y, &norm_relu_conv(x, mean, variance, weight, bias, kernel)?)?;
    need_gradient("dy", dy, y)?;
    need_buffer("y", y, &[("y_mean", y_mean)])?;
    need_correction("y_correction", y_correction, y)?;
    need_gradient("dx", dx, x)?;
    need_correction("correction", correction, x)?;
    Ok(super::like(kernel))
}

/// x [N, H, W, C] of at least 2 x 2 pixels, its statistics, weight and bias [C] -> [N, H / 2, W / 2, C].
pub fn norm_relu_pool(x: &Meta, mean: &Meta, variance: &Meta, weight: Option<&Meta>, bias: Option<&Meta>) -> Result<Meta> {
    need_buffer("x", x, &[("mean", mean), ("variance", variance)])?;
    let &[n, h @ 2..=usize::MAX, w @ 2..=usize::MAX, c @ 1..=usize::MAX] = x.dims() else {
        return Err(Error::shape(format!("x must be [N, H, W, C], of at least 2 x 2 pixels and one channel.\n  {}", show("x", x))));
    };
    need_affine(weight, bias, c, ("x", x))?;
    Meta::new(x.dtype, &[n, h / 2, w / 2, c])
}

/// The gradient of `norm_relu_pool`: that of x.
pub fn norm_relu_pool_grad(dy: &Meta, x: &Meta, mean: &Meta, variance: &Meta, weight: Option<&Meta>, bias: Option<&Meta>) -> Result<Meta> {
    need_gradient("dy", dy, &norm_relu_pool(x, mean, variance, weight, bias)?)?;
    Ok(super::like(x))
}

/// Statistics of what comes out of a kernel [O, ...], in x's dtype of statistics.
pub fn out_stats(x: &Meta, kernel: &Meta) -> Meta {
    let stats = channel_stats(x);
    Meta::new(stats.dtype, &kernel.dims()[..1.min(kernel.rank())]).unwrap_or(stats)
}

/// Gradients of weight and bias: one number a channel that the kernel reads, in the dtype of statistics.
pub fn kernel_stats(x: &Meta, kernel: &Meta) -> Meta {
    Meta { dtype: channel_stats(x).dtype, layout: channel_stats(kernel).layout }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }

    #[test]
    fn channels_must_lie_in_the_buffer() {
        let (buffer, stat) = (meta(&[2, 3, 10]), meta(&[10]));
        let part = |c| meta(&[2, 3, c]);
        assert!(append_channels(&buffer, &stat, &stat, &part(4), 6).is_ok());
        assert_eq!(
            append_channels(&buffer, &stat, &stat, &part(4), 7).unwrap_err().message,
            "channels 7..11 are not in the buffer.\n  buffer [2, 3, 10] float32\n  Make it as wide as all parts together."
        );
        assert!(append_channels(&buffer, &stat, &stat, &part(4), -1).is_err());
        assert!(append_channels(&buffer, &stat, &meta(&[9]), &part(4), 0).is_err());
        assert!(append_channels(&buffer, &stat, &stat, &meta(&[2, 4, 4]), 0).is_err());
        assert!(append_channels(&meta(&[0, 10]), &stat, &stat, &meta(&[0, 4]), 0).is_err());
        assert_eq!(append_channels_grad(&buffer, &part(4), &stat, &meta(&[2, 10]), 6).unwrap(), part(4));
        assert!(append_channels_grad(&buffer, &part(4), &stat, &meta(&[2, 10]), 7).is_err());
        assert!(append_channels_grad(&buffer, &part(4), &stat, &meta(&[10]), 6).is_err());
    }

    #[test]
    fn a_kernel_reads_the_first_channels() {
        let (x, stat) = (meta(&[2, 3, 10]), meta(&[10]));
        let y = |kernel: &[usize]| norm_relu_conv(&x, &stat, &stat, None, Some(&meta(&[4])), &meta(kernel));
        assert_eq!(y(&[5, 1, 1, 4]).unwrap(), meta(&[2, 3, 5]));
        assert!(y(&[5, 1, 1, 3]).is_err() && y(&[5, 3, 3, 4]).is_err() && y(&[5, 4]).is_err());
        assert!(norm_relu_conv(&x, &stat, &stat, None, None, &meta(&[5, 1, 1, 11])).is_err());
        let kernel = meta(&[5, 1, 1, 4]);
        let y = meta(&[2, 3, 5]);
        let grad = |dy: &Meta, dx: &Meta, y_correction: &[usize]| {
            norm_relu_conv_grad(dy, &y, &meta(&[5]), &meta(y_correction), &x, &stat, &stat, None, None, &kernel, dx, &meta(&[2, 10]))
        };
        assert_eq!(grad(&y, &x, &[2, 5]).unwrap(), kernel);
        assert!(grad(&meta(&[2, 3, 4]), &x, &[2, 5]).is_err() && grad(&y, &meta(&[2, 3, 4]), &[2, 5]).is_err());
        assert_eq!(grad(&y, &x, &[5]).unwrap_err().message, "y_correction must be [2, 5] float32.\n  y_correction [5] float32");
        assert_eq!(out_stats(&x, &kernel), meta(&[5]));
    }

    #[test]
    fn a_padded_kernel_reads_all_channels() {
        let (x, stat) = (meta(&[2, 4, 5, 3]), meta(&[3]));
        let y = |x: &Meta, kernel: &[usize]| norm_relu_conv3x3(x, &stat, &stat, Some(&stat), None, &meta(kernel));
        assert_eq!(y(&x, &[7, 3, 3, 3]).unwrap(), meta(&[2, 4, 5, 7]));
        assert!(y(&x, &[7, 3, 3, 2]).is_err() && y(&x, &[7, 1, 1, 3]).is_err());
        assert!(y(&meta(&[2, 20, 3]), &[7, 3, 3, 3]).unwrap_err().message.starts_with("x must be [N, H, W, C] and kernel [O, 3, 3, C]"));
        let grad = |dy: &Meta| norm_relu_conv3x3_grad(dy, &x, &stat, &stat, None, None, &meta(&[7, 3, 3, 3]));
        assert_eq!(grad(&meta(&[2, 4, 5, 7])).unwrap(), x);
        assert!(grad(&x).is_err());
        assert_eq!(correction(&x), meta(&[2, 3]));
    }

    #[test]
    fn windows_are_two_by_two() {
        let (x, stat) = (meta(&[2, 4, 5, 3]), meta(&[3]));
        let y = |x: &Meta, bias: &Meta| norm_relu_pool(x, &stat, &stat, None, Some(bias));
        assert_eq!(y(&x, &stat).unwrap(), meta(&[2, 2, 2, 3]));
        assert!(y(&meta(&[2, 1, 5, 3]), &stat).unwrap_err().message.starts_with("x must be [N, H, W, C], of at least 2 x 2 pixels"));
        assert_eq!(
            y(&x, &meta(&[4])).unwrap_err().message,
            "bias must be [3], one number a normalised channel.\n  bias [4] float32, x [2, 4, 5, 3] float32"
        );
        let grad = |dy: &Meta| norm_relu_pool_grad(dy, &x, &stat, &stat, None, None);
        assert_eq!(grad(&meta(&[2, 2, 2, 3])).unwrap(), x);
        assert!(grad(&x).is_err());
    }
}
