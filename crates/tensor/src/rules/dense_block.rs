//! Rules of what a dense block is made of: a buffer of features into which channels are appended, and the fused normalisation, ReLU and 1x1
//! convolution that reads the first of them.
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
    same_dtype("buffer", buffer, "x", x)?;
    if x.rank() != buffer.rank() || x.dims()[..x.rank() - 1] != buffer.dims()[..x.rank() - 1] {
        return Err(Error::shape(format!(
            "x must have the buffer's shape but for the last dimension.\n  {}, {}",
            show("buffer", buffer),
            show("x", x)
        )));
    }
    need_channels(buffer, start, x.dims()[x.rank() - 1] as i64)
}

/// The gradient of channels start..start + size.
pub fn append_channels_grad(dbuffer: &Meta, buffer: &Meta, mean: &Meta, correction: &Meta, start: i64, size: i64) -> Result<Meta> {
    need_buffer("buffer", buffer, &[("mean", mean)])?;
    need_gradient("dbuffer", dbuffer, buffer)?;
    need_correction(correction, buffer)?;
    need_channels(buffer, start, size)?;
    with_channels(buffer, size as usize)
}

/// A gradient of the buffer has its shape and dtype.
fn need_gradient(name: &str, gradient: &Meta, of: &Meta) -> Result {
    if gradient.dims() == of.dims() && gradient.dtype == of.dtype {
        return Ok(());
    }
    Err(Error::shape(format!("{name} must have the shape and dtype of what it belongs to.\n  {}, {}", show(name, gradient), show("x", of))))
}

/// Two numbers a channel, in the dtype of the statistics.
fn need_correction(correction: &Meta, buffer: &Meta) -> Result {
    let stats = channel_stats(buffer);
    if correction.dims() == [2, stats.dims()[0]] && correction.dtype == stats.dtype {
        return Ok(());
    }
    Err(Error::shape(format!("correction must be [2, {}] {}.\n  {}", stats.dims()[0], stats.dtype, show("correction", correction))))
}

/// x [N, ..., C] and its statistics; weight and bias [c] and kernel [O, 1, 1, c] for its first c channels -> [N, ..., O].
pub fn norm_relu_conv(x: &Meta, mean: &Meta, variance: &Meta, weight: Option<&Meta>, bias: Option<&Meta>, kernel: &Meta) -> Result<Meta> {
    need_buffer("x", x, &[("mean", mean), ("variance", variance)])?;
    same_dtype("x", x, "kernel", kernel)?;
    let [out, 1, 1, channels @ 1..=usize::MAX] = *kernel.dims() else {
        return Err(Error::shape(format!("kernel must be [O, 1, 1, C], of at least one channel.\n  {}", show("kernel", kernel))));
    };
    need_channels(x, 0, channels as i64)?;
    for (name, p) in [("weight", weight), ("bias", bias)] {
        let Some(p) = p else { continue };
        need_float(name, p)?;
        if p.dims() != [channels] {
            return Err(Error::shape(format!(
                "{name} must be [{channels}], one number a channel that the kernel reads.\n  {}, {}",
                show(name, p),
                show("kernel", kernel)
            )));
        }
    }
    with_channels(x, out)
}

/// The gradient of `norm_relu_conv`: dx is added to in place, and `correction`; the result is the kernel's gradient.
pub fn norm_relu_conv_grad(
    dy: &Meta,
    x: &Meta,
    mean: &Meta,
    variance: &Meta,
    weight: Option<&Meta>,
    bias: Option<&Meta>,
    kernel: &Meta,
    dx: &Meta,
    correction: &Meta,
) -> Result<Meta> {
    need_gradient("dy", dy, &norm_relu_conv(x, mean, variance, weight, bias, kernel)?)?;
    need_gradient("dx", dx, x)?;
    need_correction(correction, x)?;
    Ok(super::like(kernel))
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
        assert_eq!(append_channels_grad(&buffer, &buffer, &stat, &meta(&[2, 10]), 6, 4).unwrap(), part(4));
        assert!(append_channels_grad(&part(4), &buffer, &stat, &meta(&[2, 10]), 6, 4).is_err());
        assert!(append_channels_grad(&buffer, &buffer, &stat, &meta(&[10]), 6, 4).is_err());
    }

    #[test]
    fn a_kernel_reads_the_first_channels() {
        let (x, stat) = (meta(&[2, 3, 10]), meta(&[10]));
        let y = |kernel: &[usize]| norm_relu_conv(&x, &stat, &stat, None, Some(&meta(&[4])), &meta(kernel));
        assert_eq!(y(&[5, 1, 1, 4]).unwrap(), meta(&[2, 3, 5]));
        assert!(y(&[5, 1, 1, 3]).is_err() && y(&[5, 3, 3, 4]).is_err() && y(&[5, 4]).is_err());
        assert!(norm_relu_conv(&x, &stat, &stat, None, None, &meta(&[5, 1, 1, 11])).is_err());
        let kernel = meta(&[5, 1, 1, 4]);
        let grad = |dy: &Meta, dx: &Meta| norm_relu_conv_grad(dy, &x, &stat, &stat, None, None, &kernel, dx, &meta(&[2, 10]));
        assert_eq!(grad(&meta(&[2, 3, 5]), &x).unwrap(), kernel);
        assert!(grad(&meta(&[2, 3, 4]), &x).is_err() && grad(&meta(&[2, 3, 5]), &meta(&[2, 3, 4])).is_err());
    }
}
