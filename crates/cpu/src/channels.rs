//! What the normalisations share: two sums a channel over many rows. (What is then done to every element: `affine.rs`.)
//!
//! Tensors are [outer, rows, channels]. Sums run in float64 over chunks of rows of a constant size, joined in order.
use crate::affine::Relu;
use crate::strided::GRAIN;
use ferrograd_simd::{Kernel, Scalar, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Float, Meta, SyncPtr, View, ViewMut, with_element};

/// Channels a task.
const WIDTH: usize = 1024;
/// Fewest rows in a chunk.
const SHORT: usize = 64;
/// Narrow rows are taken together up to this many columns.
const FOLDED: usize = 256;

/// [outer, rows, channels].
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub outer: usize,
    pub rows: usize,
    pub channels: usize,
}

impl Size {
    /// All dimensions but the last are rows.
    pub fn flat(x: &Meta) -> Size {
        let channels = x.dims().last().copied().unwrap_or(1);
        let rows = x.dims()[..x.rank().saturating_sub(1)].iter().product();
        Size { outer: 1, rows, channels }
    }
    /// The first dimension is `outer`.
    pub fn batched(x: &Meta) -> Size {
        let d = x.dims();
        let (Some(&outer), Some(&channels)) = (d.first(), d.last()) else { return Size { outer: 1, rows: 1, channels: 1 } };
        Size { outer, rows: d[1..d.len().max(2) - 1].iter().product(), channels }
    }
    pub fn chunk(&self) -> usize {
        (GRAIN / self.channels.clamp(1, WIDTH)).max(SHORT).min(self.rows).max(1)
    }
    pub fn chunks(&self) -> usize {
        self.rows.div_ceil(self.chunk())
    }
    /// Elements of the partial sums.
    pub fn partials(&self) -> usize {
        self.outer * self.chunks() * 2 * self.channels
    }
    /// Rows that share one set of coefficients: narrow ones are repeated, so that inner loops are long.
    pub fn repeat(&self) -> usize {
        (FOLDED / self.channels.max(1)).max(1)
    }
    /// Elements of one coefficient for one `outer`.
    pub fn period(&self) -> usize {
        self.repeat() * self.channels
    }
}

/// Two sums a channel. The methods must be `#[inline(always)]`.
pub(crate) trait Sums: Sync {
    /// Whether there is a path for each instruction set.
    const FAST: bool;
    /// Numbers that belong to a row; `()` where rows are alike, which lets narrow ones be taken together.
    type Row: Copy + 'static;
    /// A number that belongs to a channel (a shift, a mean).
    fn coefficient(&self, outer: usize, channel: usize) -> f64;
    /// The numbers of the row that starts at flat place `at`.
    fn row(&self, at: usize) -> Self::Row;
    /// What the element at flat place `at` adds to the two sums; `place` is its place in the period of the coefficients.
    fn of(&self, at: usize, place: usize, coefficient: f64, row: Self::Row) -> (f64, f64);
}

/// Fills `partial` ([outer, chunk, sum 1 | sum 2, channel]).
pub(crate) fn column_sums<P: Sums>(cx: &Cx, size: Size, p: &P, partial: &mut [f64]) {
    let Size { outer, rows, channels } = size;
    if channels == 0 || outer == 0 || rows == 0 {
        return;
    }
    let (chunks, blocks) = (size.chunks(), column_blocks(size));
    let to = SyncPtr(partial.as_mut_ptr());
    cx.par(outer * chunks * blocks, |task| {
        let (block, k, o) = (task % blocks, task / blocks % chunks, task / blocks / chunks);
        // SAFETY: one task an `outer`, chunk and block.
        unsafe { chunk_sums(size, p, o, k, block, to) };
    });
}

/// Blocks of columns in which a chunk is summed.
pub(crate) fn column_blocks(size: Size) -> usize {
    size.channels.div_ceil(size.channels.clamp(1, WIDTH))
}

/// The part of [`column_sums`] that is chunk `k` of `outer`, columns of `block`.
///
/// # Safety
/// `to` must have room for the partial sums, and nobody else may write this chunk and block.
pub(crate) unsafe fn chunk_sums<P: Sums>(size: Size, p: &P, outer: usize, k: usize, block: usize, to: SyncPtr<f64>) {
    let Size { rows, channels, .. } = size;
    let (chunk, chunks, width) = (size.chunk(), size.chunks(), channels.min(WIDTH));
    let (first, start) = (block * width, k * chunk);
    let w = width.min(channels - first);
    let part = Part { p, size, outer, rows: (start, (start + chunk).min(rows)), columns: (first, w) };
    let (a, b) = if P::FAST { vectorize(part) } else { part.run(Scalar) };
    // SAFETY: columns first..first + w of chunk k of `outer` are the caller's, in both sums.
    unsafe {
        let at = to.get().add((outer * chunks + k) * 2 * channels + first);
        std::ptr::copy_nonoverlapping(a.as_ptr(), at, w);
        std::ptr::copy_nonoverlapping(b.as_ptr(), at.add(channels), w);
    }
}

/// The two sums of channel `c` of `outer`, its chunks joined in order.
pub(crate) fn joined(partial: &[f64], size: Size, outer: usize, c: usize) -> (f64, f64) {
    let (chunks, channels) = (size.chunks(), size.channels);
    (outer * chunks..(outer + 1) * chunks)
        .fold((0.0, 0.0), |(a, b), k| (a + partial[k * 2 * channels + c], b + partial[(k * 2 + 1) * channels + c]))
}

struct Part<'a, P> {
    p: &'a P,
    size: Size,
    outer: usize,
    rows: (usize, usize),
    columns: (usize, usize),
}

impl<P: Sums> Kernel for Part<'_, P> {
    type Output = ([f64; WIDTH], [f64; WIDTH]);
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Self::Output {
        let Part { p, size, outer, rows: (start, end), columns: (first, w) } = self;
        let channels = size.channels;
        let (mut a, mut b, mut coefficient) = ([0f64; WIDTH], [0f64; WIDTH], [0f64; WIDTH]);
        // Narrow rows lie side by side: take several as one.
        let alike = size_of::<P::Row>() == 0;
        let repeat = if w == channels && alike { size.repeat().min(end - start) } else { 1 };
        let wide = w * repeat;
        for (i, to) in coefficient[..wide].iter_mut().enumerate() {
            *to = p.coefficient(outer, first + i % w);
        }
        let base = outer * size.rows * channels + first;
        let mut row = start;
        while P::FAST && row + 4 * repeat <= end {
            let at = [0, 1, 2, 3].map(|k| base + (row + k * repeat) * channels);
            let own = at.map(|at| p.row(at));
            for (i, ((a, b), &m)) in a.iter_mut().zip(&mut b).zip(&coefficient[..wide]).enumerate() {
                let (p0, q0) = p.of(at[0] + i, first + i, m, own[0]);
                let (p1, q1) = p.of(at[1] + i, first + i, m, own[1]);
                let (p2, q2) = p.of(at[2] + i, first + i, m, own[2]);
                let (p3, q3) = p.of(at[3] + i, first + i, m, own[3]);
                *a += (p0 + p1) + (p2 + p3);
                *b += (q0 + q1) + (q2 + q3);
            }
            row += 4 * repeat;
        }
        while row < end {
            let together = repeat.min(end - row);
            let at = base + row * channels;
            let own = p.row(at);
            for (i, ((a, b), &m)) in a.iter_mut().zip(&mut b).zip(&coefficient[..w * together]).enumerate() {
                let (p0, q0) = p.of(at + i, first + i, m, own);
                *a += p0;
                *b += q0;
            }
            row += together;
        }
        for i in w..wide {
            a[i % w] += a[i];
            b[i % w] += b[i];
        }
        (a, b)
    }
}

/// Sums of (x - shift) and its square; the shift is the channel's first element, which keeps the squares near the variance.
pub(crate) struct Moments<'a, T> {
    pub x: &'a [T],
    pub size: Size,
}

impl<T: Float> Sums for Moments<'_, T> {
    const FAST: bool = matches!(T::DTYPE, DType::F32);
    type Row = ();
    #[inline(always)]
    fn coefficient(&self, outer: usize, channel: usize) -> f64 {
        self.x[outer * self.size.rows * self.size.channels + channel].to_f64()
    }
    #[inline(always)]
    fn row(&self, _: usize) {}
    #[inline(always)]
    fn of(&self, at: usize, _: usize, shift: f64, _: ()) -> (f64, f64) {
        debug_assert!(at < self.x.len());
        // SAFETY: `column_sums` passes places below outer * rows * channels, the length of x.
        let d = unsafe { *self.x.get_unchecked(at) }.to_f64() - shift;
        (d, d * d)
    }
}

/// As [`GradSums`], of dy where the ReLU that followed let it pass.
pub(crate) struct ReluGradSums<'a, T: Float, M> {
    pub sums: GradSums<'a, T, M>,
    pub relu: Relu<'a, T>,
}

impl<T: Float, M: Fn(usize, usize) -> f64 + Sync> Sums for ReluGradSums<'_, T, M> {
    const FAST: bool = matches!(T::DTYPE, DType::F32);
    type Row = ();
    #[inline(always)]
    fn coefficient(&self, outer: usize, channel: usize) -> f64 {
        self.sums.coefficient(outer, channel)
    }
    #[inline(always)]
    fn row(&self, _: usize) {}
    #[inline(always)]
    fn of(&self, at: usize, place: usize, mean: f64, _: ()) -> (f64, f64) {
        let GradSums { dy, x, .. } = self.sums;
        debug_assert!(at < x.len() && at < dy.len());
        // SAFETY: `column_sums` passes places below outer * rows * channels, the length of dy and x, and below the period.
        let (dy, x, cut) = unsafe {
            let (dy, x) = (*dy.get_unchecked(at), *x.get_unchecked(at));
            (dy.to_f64(), x.to_f64(), self.relu.cuts(place, x))
        };
        let product = dy * (x - mean);
        // Chosen last: a choice between dy and 0 becomes a load under a mask, which waits for x.
        if cut { (0.0, 0.0) } else { (dy, product) }
    }
}

/// Sums of dy and dy * (x - mean).
pub(crate) struct GradSums<'a, T, M> {
    pub dy: &'a [T],
    pub x: &'a [T],
    pub mean: M,
}

impl<T: Float, M: Fn(usize, usize) -> f64 + Sync> Sums for GradSums<'_, T, M> {
    const FAST: bool = matches!(T::DTYPE, DType::F32);
    type Row = ();
    #[inline(always)]
    fn coefficient(&self, outer: usize, channel: usize) -> f64 {
        (self.mean)(outer, channel)
    }
    #[inline(always)]
    fn row(&self, _: usize) {}
    #[inline(always)]
    fn of(&self, at: usize, _: usize, mean: f64, _: ()) -> (f64, f64) {
        debug_assert!(at < self.x.len() && at < self.dy.len());
        // SAFETY: `column_sums` passes places below outer * rows * channels, the length of dy and x.
        let (dy, x) = unsafe { ((*self.dy.get_unchecked(at)).to_f64(), (*self.x.get_unchecked(at)).to_f64()) };
        (dy, dy * (x - mean))
    }
}

/// Weight or bias, of any float dtype, read as float64; `default` where there is none.
pub(crate) struct Param<'a> {
    view: Option<&'a View<'a>>,
    default: f64,
}

impl<'a> Param<'a> {
    pub fn new(view: Option<&'a View<'a>>, default: f64) -> Param<'a> {
        Param { view, default }
    }
    pub fn at(&self, i: usize) -> f64 {
        match self.view {
            None => self.default,
            Some(v) => with_element!(v.dtype(), T => v.slice::<T>()[i].to_f64()),
        }
    }
}

/// Element `i` of statistics, float32 or float64.
pub(crate) fn stat(v: &View, i: usize) -> f64 {
    match v.dtype() {
        DType::F64 => v.slice::<f64>()[i],
        _ => v.slice::<f32>()[i] as f64,
    }
}

/// Fills statistics, float32 or float64.
pub(crate) fn set_stats(y: &mut ViewMut, f: impl Fn(usize) -> f64) {
    match y.dtype() {
        DType::F64 => y.slice_mut::<f64>().iter_mut().enumerate().for_each(|(i, y)| *y = f(i)),
        _ => y.slice_mut::<f32>().iter_mut().enumerate().for_each(|(i, y)| *y = f(i) as f32),
    }
}
