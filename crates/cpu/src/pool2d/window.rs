//! Which inputs an output sees along one axis, and the other way round.

/// One axis of a pooling.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub len: usize,
    pub out: usize,
    rule: Rule,
}

#[derive(Clone, Copy)]
enum Rule {
    Sliding {
        kernel: usize,
        stride: usize,
        before: usize,
        after: usize,
        dilation: usize,
    },
    /// Output o sees from floor(o * len / out) to ceil((o + 1) * len / out).
    Adaptive,
}

/// Inputs `first`, `first + step`, ... below `end`; `padded` is how many the window has with those in the padding.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub first: usize,
    pub end: usize,
    pub step: usize,
    pub padded: usize,
}

impl Window {
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (self.first..self.end).step_by(self.step)
    }
    /// Elements, for a step of 1.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.first)
    }
}

impl Axis {
    /// Both axes of a sliding window; padding is [top, bottom, left, right].
    pub fn sliding(plane: [usize; 2], out: [usize; 2], kernel: &[i64], stride: &[i64], padding: &[i64], dilation: &[i64]) -> [Axis; 2] {
        let size = |v: i64, least: i64| v.max(least) as usize;
        [0, 1].map(|i| Axis {
            len: plane[i],
            out: out[i],
            rule: Rule::Sliding {
                kernel: size(kernel[i], 1),
                stride: size(stride[i], 1),
                before: size(padding[2 * i], 0),
                after: size(padding[2 * i + 1], 0),
                dilation: size(dilation[i], 1),
            },
        })
    }
    pub fn adaptive(plane: [usize; 2], out: [usize; 2]) -> [Axis; 2] {
        [0, 1].map(|i| Axis { len: plane[i], out: out[i], rule: Rule::Adaptive })
    }
    /// What output `o` sees.
    pub fn window(&self, o: usize) -> Window {
        match self.rule {
            Rule::Sliding { kernel, stride, before, after, dilation } => {
                let start = o * stride;
                let end = start + (kernel - 1) * dilation + 1;
                let skipped = before.saturating_sub(start).div_ceil(dilation) * dilation;
                Window {
                    first: (start + skipped).saturating_sub(before),
                    end: end.saturating_sub(before).min(self.len),
                    step: dilation,
                    padded: end.min(self.len + before + after).saturating_sub(start),
                }
            }
            Rule::Adaptive => {
                let (first, end) = (o * self.len / self.out, ((o + 1) * self.len).div_ceil(self.out));
                Window { first, end, step: 1, padded: end - first }
            }
        }
    }
    /// The outputs that see input `i`, for a dilation of 1.
    pub fn seen_by(&self, i: usize) -> std::ops::Range<usize> {
        match self.rule {
            Rule::Sliding { kernel, stride, before, .. } => {
                let at = i + before;
                (at + 1).saturating_sub(kernel).div_ceil(stride)..(at / stride + 1).min(self.out)
            }
            Rule::Adaptive => i * self.out / self.len..((i + 1) * self.out).div_ceil(self.len),
        }
    }
}
