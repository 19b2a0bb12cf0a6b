//! The sizes of a convolution, read off shapes and attributes once.
use ferrograd_tensor::{Meta, PackKey};

/// x [n, h, w, c], weight [o, kh, kw, c / groups], y [n, oh, ow, o].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
    pub o: usize,
    pub kh: usize,
    pub kw: usize,
    pub oh: usize,
    pub ow: usize,
    pub sh: usize,
    pub sw: usize,
    /// Rows of padding above and columns of padding to the left; below and to the right follow from the sizes.
    pub top: usize,
    pub left: usize,
    pub dh: usize,
    pub dw: usize,
    pub groups: usize,
}

/// What a pass wants in elements: of scratch, and of room that stays with each thread.
#[derive(Clone, Copy, Default)]
pub(crate) struct Room {
    pub shared: usize,
    pub local: usize,
}

impl Geometry {
    /// Of a forward convolution.
    pub fn forward(x: &Meta, weight: &Meta, stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64) -> Geometry {
        let ([n, h, w, c], [o, kh, kw, _]) = (four(x), four(weight));
        let size = |len: usize, pads: i64, k: usize, d: i64, s: i64| {
            let room = len as i64 + pads - d * (k as i64 - 1) - 1;
            if room < 0 { 0 } else { (room / s + 1) as usize }
        };
        let oh = size(h, padding[0] + padding[1], kh, dilation[0], stride[0]);
        let ow = size(w, padding[2] + padding[3], kw, dilation[1], stride[1]);
        Geometry { n, h, w, c, o, kh, kw, oh, ow, ..Geometry::attributes(stride, padding, dilation, groups) }
    }
    /// Of the gradient with respect to an input of `height` x `width`.
    pub fn input_grad(
        dy: &Meta,
        weight: &Meta,
        height: i64,
        width: i64,
        stride: &[i64],
        padding: &[i64],
        dilation: &[i64],
        groups: i64,
    ) -> Geometry {
        let ([n, oh, ow, o], [_, kh, kw, c]) = (four(dy), four(weight));
        let (h, w, c) = (height as usize, width as usize, c * groups as usize);
        Geometry { n, h, w, c, o, kh, kw, oh, ow, ..Geometry::attributes(stride, padding, dilation, groups) }
    }
    /// Of the gradient with respect to a weight of `kernel` taps.
    pub fn weight_grad(x: &Meta, dy: &Meta, kernel: &[i64], stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64) -> Geometry {
        let ([n, h, w, c], [_, oh, ow, o]) = (four(x), four(dy));
        let (kh, kw) = (kernel[0] as usize, kernel[1] as usize);
        Geometry { n, h, w, c, o, kh, kw, oh, ow, ..Geometry::attributes(stride, padding, dilation, groups) }
    }
    fn attributes(stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64) -> Geometry {
        let size = |v: i64| v as usize;
        Geometry {
            n: 0,
            h: 0,
            w: 0,
            c: 0,
            o: 0,
            kh: 0,
            kw: 0,
            oh: 0,
            ow: 0,
            sh: size(stride[0]),
            sw: size(stride[1]),
            top: size(padding[0]),
            left: size(padding[2]),
            dh: size(dilation[0]),
            dw: size(dilation[1]),
            groups: size(groups),
        }
    }
    /// Input channels of a group.
    pub fn cg(&self) -> usize {
        self.c / self.groups.max(1)
    }
    /// Output channels of a group.
    pub fn og(&self) -> usize {
        self.o / self.groups.max(1)
    }
    /// Of the weights in some order, in panels of `nr`.
    pub fn pack_key(&self, order: &'static str, nr: usize) -> PackKey {
        PackKey { order, sizes: [self.o, self.kh, self.kw, self.cg(), self.groups, nr].map(|size| size as isize) }
    }
    /// Products in a sum of the forward pass.
    pub fn depth(&self) -> usize {
        self.kh * self.kw * self.cg()
    }
    /// The output rows (or columns) whose tap `k` falls inside an input of `len`.
    pub fn valid(k: usize, dilation: usize, pad: usize, stride: usize, len: usize, out: usize) -> std::ops::Range<usize> {
        let shift = k * dilation;
        let first = pad.saturating_sub(shift).div_ceil(stride);
        let end = if len + pad > shift { (len + pad - shift - 1) / stride + 1 } else { 0 };
        first.min(out)..end.min(out).max(first.min(out))
    }
}

fn four(x: &Meta) -> [usize; 4] {
    x.dims().try_into().expect("four dimensions, by the shape rule")
}
