//! Shapes of 2-D convolutions, NHWC.
use super::{need_float, show};
use crate::{DType, Error, Meta, Result};

/// `[h, w]` (or `[top, bottom, left, right]`), each at least `least` and small enough that products of sizes cannot overflow.
pub(super) fn axis_sizes<const N: usize>(name: &str, values: &[i64], least: i64) -> Result<[i64; N]> {
    let Ok(found) = <[i64; N]>::try_from(values) else {
        return Err(Error::value(format!("{name} must be {N} numbers.\n  {name} {values:?}")));
    };
    if found.iter().any(|v| !(least..=i32::MAX as i64).contains(v)) {
        let what = if least == 0 { "must not be negative" } else { "must be positive" };
        return Err(Error::value(format!("{name} {what}.\n  {name} {values:?}\n  Use numbers from {least} on.")));
    }
    Ok(found)
}

/// Sizes of an image tensor, in the order N H W C.
pub(super) fn image_sizes(name: &str, x: &Meta) -> Result<[usize; 4]> {
    x.dims().try_into().map_err(|_| {
        let hint = if x.rank() == 3 { "Add the batch dimension: x.unsqueeze(0)." } else { "Images are [N, H, W, C]." };
        Error::shape(format!("{name} must have four dimensions, got {}.\n  {} (N H W C)\n  {hint}", x.rank(), show(name, x)))
    })
}

/// Outputs of a window of `kernel` taps over `len` elements with padding: at most 0 where it does not fit.
pub(super) fn window_outputs(len: usize, pads: i64, kernel: usize, dilation: i64, stride: i64) -> i64 {
    let room = len as i64 + pads - dilation * (kernel as i64 - 1) - 1;
    if room < 0 { 0 } else { room / stride + 1 }
}

struct Conv {
    stride: [i64; 2],
    padding: [i64; 4],
    dilation: [i64; 2],
    groups: usize,
}

impl Conv {
    fn new(stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64) -> Result<Conv> {
        Ok(Conv {
            stride: axis_sizes("stride", stride, 1)?,
            padding: axis_sizes("padding", padding, 0)?,
            dilation: axis_sizes("dilation", dilation, 1)?,
            groups: axis_sizes::<1>("groups", &[groups], 1)?[0] as usize,
        })
    }
    /// The output plane over an input plane of `h` by `w`.
    fn plane(&self, h: usize, w: usize, kh: usize, kw: usize) -> Result<[usize; 2]> {
        let [top, bottom, left, right] = self.padding;
        let oh = window_outputs(h, top + bottom, kh, self.dilation[0], self.stride[0]);
        let ow = window_outputs(w, left + right, kw, self.dilation[1], self.stride[1]);
        if oh < 1 || ow < 1 || kh == 0 || kw == 0 {
            return Err(Error::shape(format!(
                "the kernel does not fit the input.\n  input {h} x {w}, padding {:?} (top bottom left right), \
                 kernel {kh} x {kw}, dilation {:?}\n  \
                 Use a smaller kernel, or more padding.",
                self.padding, self.dilation
            )));
        }
        Ok([oh as usize, ow as usize])
    }
}

pub(super) fn same_dtype(x_name: &str, x: &Meta, name: &str, other: &Meta) -> Result {
    if x.dtype == other.dtype {
        return Ok(());
    }
    Err(Error::dtype(format!(
        "{x_name} is {}, {name} is {}.\n  {}, {}\n  Use {name}.to('{}'), or bring {x_name} to {}.",
        x.dtype,
        other.dtype,
        show(x_name, x),
        show(name, other),
        x.dtype,
        other.dtype
    )))
}

fn four(name: &str, weight: &Meta) -> Result<[usize; 4]> {
    weight.dims().try_into().map_err(|_| {
        Error::shape(format!("{name} must have four dimensions, got {}.\n  {} (O KH KW I)", weight.rank(), show(name, weight)))
    })
}

fn groups_divide(groups: usize, inputs: usize, outputs: usize) -> Result {
    if inputs % groups == 0 && outputs % groups == 0 {
        return Ok(());
    }
    Err(Error::value(format!(
        "{groups} groups do not divide {inputs} input and {outputs} output channels.\n  Use a common divisor of both."
    )))
}

/// x [N, H, W, I], weight [O, KH, KW, I / groups], bias [O] -> [N, OH, OW, O].
pub fn conv2d(
    x: &Meta,
    weight: &Meta,
    bias: Option<&Meta>,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
) -> Result<Meta> {
    need_float("input", x)?;
    let conv = Conv::new(stride, padding, dilation, groups)?;
    let ([n, h, w, c], [o, kh, kw, per_group]) = (image_sizes("input", x)?, four("weight", weight)?);
    same_dtype("input", x, "weight", weight)?;
    if per_group * conv.groups != c {
        let wanted = per_group * conv.groups;
        let plural = if c == 1 { "channel" } else { "channels" };
        let hint = if c == 1 { ", or repeat the input channel" } else { "" };
        let note = if h == wanted && w != wanted { "\n  The input looks like [N, C, H, W]: use x.permute([0, 2, 3, 1])." } else { "" };
        let group_option = if groups == 1 { String::new() } else { format!(", {{ groups: {groups} }}") };
        return Err(Error::shape(format!(
            "input has {c} {plural}, weight expects {wanted}.\n  input {} (N H W C), weight {} (O KH KW I), groups {groups}\n  \
             Use new Conv2d({c}, {o}, {}{group_option}){hint}.{note}",
            x.shape(),
            weight.shape(),
            if kh == kw { kh.to_string() } else { format!("[{kh}, {kw}]") }
        )));
    }
    groups_divide(conv.groups, c, o)?;
    if let Some(bias) = bias {
        same_dtype("input", x, "bias", bias)?;
        if bias.dims() != [o] {
            return Err(Error::shape(format!(
                "bias does not fit {o} output channels.\n  {}, {} (O KH KW I)\n  Use a bias [{o}].",
                show("bias", bias),
                show("weight", weight)
            )));
        }
    }
    let [oh, ow] = conv.plane(h, w, kh, kw)?;
    Meta::new(x.dtype, &[n, oh, ow, o])
}

/// dy [N, OH, OW, O], weight [O, KH, KW, I / groups] -> [N, height, width, I]. `height` and `width` must be sizes that the convolution
/// takes to OH and OW (with a stride, several are: `outputPadding` of a transposed convolution chooses). With `partial`, dy may lack rows at
/// the bottom and columns to the right, which count as zeros.
pub fn conv2d_input_grad(
    dy: &Meta,
    weight: &Meta,
    height: i64,
    width: i64,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
    partial: bool,
) -> Result<Meta> {
    need_float("input", dy)?;
    let conv = Conv::new(stride, padding, dilation, groups)?;
    let ([n, oh, ow, channels], [o, kh, kw, per_group]) = (image_sizes("input", dy)?, four("weight", weight)?);
    same_dtype("input", dy, "weight", weight)?;
    if channels != o {
        return Err(Error::shape(format!(
            "input has {channels} channels, weight expects {o}.\n  input {} (N H W C), weight {} (O KH KW I), groups {groups}\n  \
             The first size of the weight must be the channels of the input.",
            dy.shape(),
            weight.shape()
        )));
    }
    groups_divide(conv.groups, per_group * conv.groups, o)?;
    let [height, width] = axis_sizes::<2>("output size", &[height, width], 1)?.map(|v| v as usize);
    let back = conv.plane(height, width, kh, kw)?;
    if !(back == [oh, ow] || partial && oh <= back[0] && ow <= back[1]) {
        return Err(Error::shape(format!(
            "an output of {height} x {width} does not go with an input of {oh} x {ow}: the convolution takes it to {} x {}.\n  \
             input {} (N H W C), weight {} (O KH KW I), stride {stride:?}, \
             padding {padding:?} (top bottom left right), dilation {dilation:?}\n  \
             Use an output padding from 0 to stride - 1.",
            back[0],
            back[1],
            dy.shape(),
            weight.shape()
        )));
    }
    Meta::new(dy.dtype, &[n, height, width, per_group * conv.groups])
}

/// x [N, H, W, I], dy [N, OH, OW, O] -> [O, kernel[0], kernel[1], I / groups].
pub fn conv2d_weight_grad(
    x: &Meta,
    dy: &Meta,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
    partial: bool,
) -> Result<Meta> {
    need_float("input", x)?;
    let conv = Conv::new(stride, padding, dilation, groups)?;
    let [kh, kw] = axis_sizes::<2>("kernel", kernel, 1)?.map(|v| v as usize);
    let ([n, h, w, c], [dn, oh, ow, o]) = (image_sizes("input", x)?, image_sizes("gradient", dy)?);
    same_dtype("input", x, "gradient", dy)?;
    groups_divide(conv.groups, c, o)?;
    let plane = conv.plane(h, w, kh, kw)?;
    if dn != n || !(plane == [oh, ow] || partial && oh <= plane[0] && ow <= plane[1]) {
        return Err(Error::shape(format!(
            "the gradient does not fit the convolution's output [{n}, {}, {}, {o}].\n  \
             input {} (N H W C), gradient {} (N H W C), kernel {kh} x {kw}",
            plane[0],
            plane[1],
            x.shape(),
            dy.shape()
        )));
    }
    Meta::new(x.dtype, &[o, kh, kw, c / conv.groups])
}

/// The convolution followed by the largest of each pool[0] x pool[1] window, side by side: [N, OH / pool[0], OW / pool[1], O].
pub fn conv2d_pool(
    x: &Meta,
    weight: &Meta,
    bias: Option<&Meta>,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
    pool: &[i64],
) -> Result<Meta> {
    let y = conv2d(x, weight, bias, stride, padding, dilation, groups)?;
    let (pool, [n, oh, ow, o]) = (pool_sizes(pool)?, image_sizes("output", &y)?);
    if oh < pool[0] || ow < pool[1] {
        return Err(Error::shape(format!(
            "the pooling window {} x {} does not fit the convolution's output {} (N H W C).\n  Use a smaller window.",
            pool[0],
            pool[1],
            y.shape()
        )));
    }
    Meta::new(x.dtype, &[n, oh / pool[0], ow / pool[1], o])
}

/// Where in its window each maximum stood, or [`NO_PLACE`]: uint8, as large as the result.
pub fn pool_code(y: Result<Meta>) -> Result<Meta> {
    Ok(Meta { dtype: DType::U8, ..y? })
}

/// The code of a maximum that passes no gradient back: one that ReLU has cut off.
pub const NO_PLACE: u8 = 255;

fn pool_sizes(pool: &[i64]) -> Result<[usize; 2]> {
    let pool = axis_sizes::<2>("pool", pool, 1)?.map(|v| v as usize);
    if pool[0] * pool[1] > NO_PLACE as usize {
        return Err(Error::value(format!("a pooling window here has at most {NO_PLACE} places, got {} x {}.", pool[0], pool[1])));
    }
    Ok(pool)
}

fn with_code(name: &str, x: &Meta, code: &Meta) -> Result {
    need_float(name, x)?;
    if code.dtype == DType::U8 {
        return Ok(());
    }
    Err(Error::dtype(format!("code must be uint8.\n  {}", show("code", code))))
}

/// dy and code [N, PH, PW, C] -> [N, PH * pool[0], PW * pool[1], C].
pub fn pool_spread(dy: &Meta, code: &Meta, pool: &[i64]) -> Result<Meta> {
    with_code("gradient", dy, code)?;
    let (pool, [n, h, w, c]) = (pool_sizes(pool)?, image_sizes("gradient", dy)?);
    if code.dims() != dy.dims() {
        return Err(Error::shape(format!("code must be as large as the gradient.\n  {}, {}", show("gradient", dy), show("code", code))));
    }
    Meta::new(dy.dtype, &[n, h * pool[0], w * pool[1], c])
}

/// x [N, PH * pool[0], PW * pool[1], C], code [N, PH, PW, C] -> code's shape.
pub fn pool_pick(x: &Meta, code: &Meta, pool: &[i64]) -> Result<Meta> {
    with_code("input", x, code)?;
    let (pool, [n, h, w, c]) = (pool_sizes(pool)?, image_sizes("code", code)?);
    if x.dims() != [n, h * pool[0], w * pool[1], c] {
        return Err(Error::shape(format!(
            "code does not fit the input.\n  {}, {}, pool {} x {}",
            show("input", x),
            show("code", code),
            pool[0],
            pool[1]
        )));
    }
    Meta::new(x.dtype, code.dims())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(dims: &[usize]) -> Meta {
        Meta::new(DType::F32, dims).unwrap()
    }
    fn plain(x: &[usize], w: &[usize]) -> Result<Meta> {
        conv2d(&meta(x), &meta(w), None, &[1, 1], &[0; 4], &[1, 1], 1)
    }

    #[test]
    fn sizes_follow_pytorch() {
        assert_eq!(plain(&[8, 32, 32, 3], &[32, 3, 3, 3]).unwrap().dims(), &[8, 30, 30, 32]);
        let y = conv2d(&meta(&[2, 9, 7, 4]), &meta(&[6, 3, 2, 2]), Some(&meta(&[6])), &[2, 3], &[1, 0, 2, 1], &[2, 1], 2).unwrap();
        assert_eq!(y.dims(), &[2, 3, 3, 6]);
        assert_eq!(plain(&[0, 5, 5, 1], &[2, 3, 3, 1]).unwrap().dims(), &[0, 3, 3, 2]);
    }

    #[test]
    fn a_wrong_channel_count_reads_as_the_design_writes_it() {
        assert_eq!(
            plain(&[8, 28, 28, 1], &[32, 5, 5, 3]).unwrap_err().message,
            "input has 1 channel, weight expects 3.\n  input [8, 28, 28, 1] (N H W C), weight [32, 5, 5, 3] (O KH KW I), groups 1\n  \
             Use new Conv2d(1, 32, 5), or repeat the input channel."
        );
        assert!(plain(&[8, 3, 28, 28], &[32, 5, 5, 3]).unwrap_err().message.contains("x.permute([0, 2, 3, 1])"));
    }

    #[test]
    fn bad_arguments_are_named() {
        let (x, w) = (meta(&[1, 8, 8, 4]), meta(&[6, 3, 3, 4]));
        let call = |stride: &[i64], padding: &[i64], dilation: &[i64], groups| conv2d(&x, &w, None, stride, padding, dilation, groups);
        for (result, word) in [
            (call(&[0, 1], &[0; 4], &[1, 1], 1), "stride must be positive"),
            (call(&[1, 1], &[0, 0, -1, 0], &[1, 1], 1), "padding must not be negative"),
            (call(&[1, 1], &[0; 4], &[1, 0], 1), "dilation must be positive"),
            (call(&[1, 1], &[0; 4], &[1, 1], 0), "groups must be positive"),
            (call(&[1, 1], &[0; 4], &[4, 1], 1), "does not fit"),
            (call(&[1], &[0; 4], &[1, 1], 1), "must be 2 numbers"),
            (conv2d(&x, &meta(&[6, 3, 3, 1]), None, &[1, 1], &[0; 4], &[1, 1], 4), "4 groups do not divide"),
            (conv2d(&x, &w, Some(&meta(&[4])), &[1, 1], &[0; 4], &[1, 1], 1), "Use a bias [6]"),
            (conv2d(&x, &Meta::new(DType::F64, &[6, 3, 3, 4]).unwrap(), None, &[1, 1], &[0; 4], &[1, 1], 1), "weight.to('float32')"),
            (conv2d(&meta(&[8, 8, 4]), &w, None, &[1, 1], &[0; 4], &[1, 1], 1), "x.unsqueeze(0)"),
        ] {
            let message = result.unwrap_err().message;
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn gradients_take_only_the_sizes_of_their_forward() {
        let (dy, w) = (meta(&[2, 4, 4, 6]), meta(&[6, 3, 3, 4]));
        for size in [9, 10] {
            assert_eq!(
                conv2d_input_grad(&dy, &w, size, size, &[2, 2], &[0; 4], &[1, 1], 1, false).unwrap().dims(),
                &[2, size as usize, size as usize, 4]
            );
        }
        assert!(conv2d_input_grad(&dy, &w, 11, 10, &[2, 2], &[0; 4], &[1, 1], 1, false).is_err());
        assert!(conv2d_input_grad(&dy, &w, 11, 10, &[2, 2], &[0; 4], &[1, 1], 1, true).is_ok());
        assert!(conv2d_input_grad(&dy, &w, 8, 10, &[2, 2], &[0; 4], &[1, 1], 1, true).is_err());
        let x = meta(&[2, 9, 9, 4]);
        assert_eq!(conv2d_weight_grad(&x, &dy, &[3, 3], &[2, 2], &[0; 4], &[1, 1], 2, false).unwrap().dims(), &[6, 3, 3, 2]);
        assert!(conv2d_weight_grad(&x, &dy, &[3, 3], &[1, 2], &[0; 4], &[1, 1], 1, false).is_err());
    }
}
