//! A convolution and the maximum over windows side by side, in one pass: the convolution's rows stay in the cache until they are pooled.
//! Of each maximum its place in the window is kept, one byte, which is all that the gradient needs; where ReLU has cut it off, the byte says
//! that no gradient passes.
use super::forward::{direct_room, float as convolve, halves, pools, room};
use super::geometry::Geometry;
use super::{paired, plain};
use crate::gemm::bf16::Table;
use crate::gemm::{narrow, widen};
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::rules::NO_PLACE;
use ferrograd_tensor::{Cx, DType, Float, Meta, Result, SyncPtr, View, ViewMut, bf16, with_float};

/// Pooled pixels of a task.
const PIXELS: usize = 256;
/// Lanes of the widest vectors.
const WIDEST: usize = 16;

/// The windows of a pooling: sizes, and where the results go.
#[derive(Clone, Copy)]
pub(super) struct Pool<T> {
    pub h: usize,
    pub w: usize,
    /// Zeros and below pass no gradient.
    pub relu: bool,
    pub y: SyncPtr<T>,
    pub code: SyncPtr<u8>,
}

/// `cols` pooled pixels of one row. Source pixels lie `pixel` elements apart and their rows `row`; results `to` elements apart.
pub(super) struct Row<'a, T> {
    pub pool: &'a Pool<T>,
    pub source: *const T,
    pub row: usize,
    pub pixel: usize,
    pub cols: usize,
    pub channels: usize,
    /// First result, in elements.
    pub at: usize,
    pub to: usize,
}

impl Row<'_, f32> {
    /// # Safety
    /// Sources and results lie inside their memory, and the results have no other owner.
    pub unsafe fn run(self) {
        vectorize(self);
    }
}

impl Kernel for Row<'_, f32> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Windows that most networks have, their loop written out.
        if (self.pool.h, self.pool.w) == (2, 2) { self.pixels::<S, 2, 2>(s) } else { self.pixels::<S, 0, 0>(s) }
    }
}

impl Row<'_, f32> {
    /// Windows of `H` x `W`, 0 where these are not known beforehand.
    #[inline(always)]
    fn pixels<S: Simd, const H: usize, const W: usize>(&self, s: S) {
        let whole = self.channels / S::LANES * S::LANES;
        for col in 0..self.cols {
            let (from, to) = (col * self.pool.w * self.pixel, self.at + col * self.to);
            // SAFETY: by the promise made to `run`.
            unsafe {
                for c in (0..whole).step_by(S::LANES) {
                    self.maximum::<S, H, W>(s, from + c, to + c, S::LANES);
                }
                if whole < self.channels {
                    self.maximum::<S, H, W>(s, from + whole, to + whole, self.channels - whole);
                }
            }
        }
    }

    /// One vector of channels. The first of equals is taken; NaN wins.
    #[inline(always)]
    unsafe fn maximum<S: Simd, const H: usize, const W: usize>(&self, s: S, from: usize, to: usize, lanes: usize) {
        let (h, w) = if H > 0 { (H, W) } else { (self.pool.h, self.pool.w) };
        // SAFETY: the caller's promise.
        unsafe {
            let (source, y, code) = (self.source.add(from), self.pool.y.get().add(to), self.pool.code.get().add(to));
            let load = |p: *const f32| if lanes == S::LANES { s.load(p) } else { s.load_partial(p, lanes) };
            // Places travel as the bits of vectors that nothing computes with.
            let place = |k: usize| s.as_float(s.splat_i(k as i32));
            let (mut best, mut at) = (load(source), place(0));
            for k in 1..h * w {
                let v = load(source.add(k / w * self.row + k % w * self.pixel));
                let kept = s.or(s.le(v, best), s.is_nan(best));
                best = s.select(kept, best, v);
                at = s.select(kept, at, place(k));
            }
            if self.pool.relu {
                let zero = s.zero();
                at = s.select(s.le(best, zero), place(NO_PLACE as usize), at);
                best = s.select(s.lt(best, zero), zero, best);
            }
            let mut places = [0u32; WIDEST];
            s.store(places.as_mut_ptr().cast(), at);
            if lanes == S::LANES {
                s.store(y, best);
                for i in 0..S::LANES {
                    *code.add(i) = places[i] as u8;
                }
            } else {
                s.store_partial(y, lanes, best);
                for i in 0..lanes {
                    *code.add(i) = places[i] as u8;
                }
            }
        }
    }
}

/// As [`Row::run`], of any float type: the reference.
///
/// # Safety
/// As for [`Row::run`].
pub(super) unsafe fn maxima<T: Float>(row: Row<T>) {
    vectorize(Maxima(row));
}

struct Maxima<'a, T>(Row<'a, T>);

impl<T: Float> Kernel for Maxima<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let channels = self.0.channels;
        for col in 0..self.0.cols {
            let whole = channels / WIDEST * WIDEST;
            // SAFETY: channels of the row, by the promise made to `maxima`.
            unsafe {
                (0..whole).step_by(WIDEST).for_each(|c| self.0.block::<WIDEST>(col, c));
                (whole..channels).for_each(|c| self.0.block::<1>(col, c));
            }
        }
    }
}

impl<T: Float> Row<'_, T> {
    /// `N` channels of a pixel. The first of equals is taken; NaN wins.
    #[inline(always)]
    unsafe fn block<const N: usize>(&self, col: usize, c: usize) {
        let pool = self.pool;
        // SAFETY: the caller's promise.
        unsafe {
            let source = self.source.add(col * pool.w * self.pixel + c);
            let wide = |k: usize| {
                let v = source.add(k / pool.w * self.row + k % pool.w * self.pixel).cast::<[T; N]>().read_unaligned();
                v.map(|v| v.acc())
            };
            // Places as wide as float32, so that one mask serves both.
            let (mut best, mut at) = (wide(0), [0i32; N]);
            for k in 1..pool.h * pool.w {
                let v = wide(k);
                for i in 0..N {
                    #[allow(clippy::eq_op)] // NaN alone differs from itself.
                    let better = (v[i] > best[i]) | ((v[i] != v[i]) & (best[i] == best[i]));
                    best[i] = if better { v[i] } else { best[i] };
                    at[i] = if better { k as i32 } else { at[i] };
                }
            }
            if pool.relu {
                let zero = T::default().acc();
                for i in 0..N {
                    at[i] = if best[i] <= zero { NO_PLACE as i32 } else { at[i] };
                    best[i] = if best[i] < zero { zero } else { best[i] };
                }
            }
            let (best, at) = (best.map(T::from_acc), at.map(|at| at as u8));
            let to = self.at + col * self.to + c;
            pool.y.get().add(to).cast::<[T; N]>().write_unaligned(best);
            pool.code.get().add(to).cast::<[u8; N]>().write_unaligned(at);
        }
    }
}

/// Pools a whole result of the convolution, [n, oh, ow, o], that lies in scratch.
fn pool_all<T: Float>(cx: &Cx, g: &Geometry, dense: &[T], pool: &Pool<T>, each: impl Fn(Row<T>) + Sync) {
    let (rows, cols) = (g.oh / pool.h, g.ow / pool.w);
    cx.par_ranges(g.n * rows, PIXELS.div_ceil(cols.max(1)), |range| {
        for r in range {
            let (image, row) = (r / rows, r % rows);
            let source = dense[(image * g.oh + row * pool.h) * g.ow * g.o..].as_ptr();
            each(Row { pool, source, row: g.ow * g.o, pixel: g.o, cols, channels: g.o, at: r * cols * g.o, to: g.o });
        }
    });
}

fn window(pool: &[i64]) -> [usize; 2] {
    [pool[0] as usize, pool[1] as usize]
}

/// Rows and columns that no window takes are not computed.
fn cropped(mut g: Geometry, pool: &[i64]) -> Geometry {
    g.oh -= g.oh % pool[0] as usize;
    g.ow -= g.ow % pool[1] as usize;
    g
}

/// Bytes that [`conv2d_pool`] wants.
pub fn conv2d_pool_scratch(x: &Meta, weight: &Meta, stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64, pool: &[i64]) -> usize {
    let g = cropped(Geometry::forward(x, weight, stride, padding, dilation, groups), pool);
    let dense_len = g.n * g.oh * g.ow * g.o;
    match x.dtype {
        DType::F64 => 8 * (plain::forward_scratch_len(&g) + dense_len) + 256,
        DType::BF16 if paired(&g) => 4 * direct_room::<&Table>(&g, Some(pool)).shared + 256,
        DType::F32 => 4 * (room(&g, Some(pool)).shared + if pools(&g, window(pool)) { 0 } else { dense_len }) + 256,
        _ => {
            let wide = x.numel() + weight.numel() + g.o + dense_len / (pool[0] * pool[1]) as usize;
            4 * (room(&g, Some(pool)).shared + wide + if pools(&g, window(pool)) { 0 } else { dense_len }) + 512
        }
    }
}

/// Bytes for each thread that [`conv2d_pool`] wants.
pub fn conv2d_pool_local(x: &Meta, weight: &Meta, stride: &[i64], padding: &[i64], dilation: &[i64], groups: i64, pool: &[i64]) -> usize {
    let g = cropped(Geometry::forward(x, weight, stride, padding, dilation, groups), pool);
    if x.dtype == DType::BF16 && paired(&g) {
        return 2 * direct_room::<&Table>(&g, Some(pool)).local;
    }
    4 * room(&g, Some(pool)).local
}

/// y [N, PH, PW, O] = the largest of each pool[0] x pool[1] window of activation(x * weight + bias), and `code`: its place in the window
/// (row by row), 255 where the activation is ReLU and the maximum not above 0. Windows lie side by side; what is left over is dropped.
pub fn conv2d_pool(
    cx: &mut Cx,
    x: &View,
    weight: &View,
    bias: Option<&View>,
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
    groups: i64,
    activation: i64,
    pool: &[i64],
    y: &mut ViewMut,
    code: &mut ViewMut,
) -> Result {
    let g = cropped(Geometry::forward(x.meta(), weight.meta(), stride, padding, dilation, groups), pool);
    if y.numel() == 0 {
        return Ok(());
    }
    let (h, w, relu) = (pool[0] as usize, pool[1] as usize, activation == 1);
    let code = SyncPtr(code.slice_mut::<u8>().as_mut_ptr());
    match x.dtype() {
        DType::F32 => {
            let pool = Pool { h, w, relu, y: SyncPtr(y.slice_mut::<f32>().as_mut_ptr()), code };
            float(cx, &g, x.slice(), weight.slice(), bias.map(|b| b.slice()), &pool);
        }
        DType::F64 => {
            let (all, mut cx) = cx.split_scratch::<f64>(g.n * g.oh * g.ow * g.o);
            plain::forward::<f64>(&mut cx, &g, x.slice(), weight.slice(), bias.map(|b| b.slice()), false, all);
            pool_all(&cx, &g, all, &Pool { h, w, relu, y: SyncPtr(y.slice_mut::<f64>().as_mut_ptr()), code }, |row| {
                // SAFETY: rows of the result, each with one owner.
                unsafe { maxima(row) }
            });
        }
        DType::BF16 if paired(&g) => {
            let pool = Pool { h, w, relu, y: SyncPtr(y.slice_mut::<bf16>().as_mut_ptr()), code };
            halves(cx, &g, x.slice(), weight.slice(), bias.map(|b| b.slice()), false, pool.y, Some(&pool));
        }
        _ => {
            let (wx, mut cx) = cx.split_scratch::<f32>(x.numel());
            let (ww, mut cx) = cx.split_scratch::<f32>(weight.numel());
            let (wy, mut cx) = cx.split_scratch::<f32>(y.numel());
            let (wb, mut cx) = cx.split_scratch::<f32>(g.o);
            widen(&cx, x, wx);
            widen(&cx, weight, ww);
            if let Some(bias) = bias {
                widen(&cx, bias, wb);
            }
            let pool = Pool { h, w, relu, y: SyncPtr(wy.as_mut_ptr()), code };
            float(&mut cx, &g, wx, ww, bias.map(|_| &*wb), &pool);
            narrow(&cx, wy, y);
        }
    }
    Ok(())
}

fn float(cx: &mut Cx, g: &Geometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>, pool: &Pool<f32>) {
    if pools(g, [pool.h, pool.w]) {
        return convolve(cx, g, x, weight, bias, false, pool.y, Some(pool));
    }
    let (all, mut cx) = cx.split_scratch::<f32>(g.n * g.oh * g.ow * g.o);
    convolve(&mut cx, g, x, weight, bias, false, SyncPtr(all.as_mut_ptr()), None);
    // SAFETY: rows of the result, each with one owner.
    pool_all(&cx, g, all, pool, |row| unsafe { row.run() });
}

/// The windows of a spread or a pick.
struct Windows<'a> {
    code: &'a [u8],
    /// Pooled sizes.
    n: usize,
    h: usize,
    w: usize,
    c: usize,
    pool: [usize; 2],
}

impl<'a> Windows<'a> {
    fn new(code: &'a View, pool: &[i64]) -> Windows<'a> {
        let [n, h, w, c] = code.dims().try_into().expect("four dimensions, by the shape rule");
        Windows { code: code.slice::<u8>(), n, h, w, c, pool: [pool[0] as usize, pool[1] as usize] }
    }
    /// Calls `f` for each pooled row with its first element and the first of the large rows that it covers.
    fn each_row(&self, cx: &Cx, f: impl Fn(usize, usize) + Sync) {
        let row = self.w * self.c;
        cx.par_ranges(self.n * self.h, PIXELS.div_ceil(self.w.max(1)), |rows| {
            for r in rows {
                f(r * row, r * row * self.pool[0] * self.pool[1]);
            }
        });
    }
}

/// dx [N, PH * pool[0], PW * pool[1], C] = dy [N, PH, PW, C] at the places that `code` names, zeros elsewhere: the gradient of the pooling in
/// [`conv2d_pool`] and of its ReLU.
pub fn pool_spread(cx: &mut Cx, dy: &View, code: &View, pool: &[i64], dx: &mut ViewMut) -> Result {
    let windows = Windows::new(code, pool);
    if dy.dtype() == DType::F32 {
        let (dy, dx) = (dy.slice::<f32>(), SyncPtr(dx.slice_mut::<f32>().as_mut_ptr()));
        windows.each_row(cx, |small, large| {
            // SAFETY: the large rows of one pooled row have one owner.
            vectorize(Spread { windows: &windows, dy: &dy[small..], code: &windows.code[small..], dx: unsafe { dx.get().add(large) } });
        });
        return Ok(());
    }
    with_float!(dy.dtype(), T => {
        let (dy, dx) = (dy.slice::<T>(), SyncPtr(dx.slice_mut::<T>().as_mut_ptr()));
        windows.each_row(cx, |small, large| {
            // SAFETY: as above.
            vectorize(Blocks::<T, true> { windows: &windows, small: dy[small..].as_ptr().cast_mut(), code: &windows.code[small..], large: unsafe { dx.get().add(large) } });
        });
        Ok(())
    })
}

/// One pooled row of any float type, in blocks of channels: spread from `small` over `large`, or picked from there.
struct Blocks<'a, T, const SPREAD: bool> {
    windows: &'a Windows<'a>,
    small: *mut T,
    code: &'a [u8],
    large: *mut T,
}

impl<T: Float, const SPREAD: bool> Kernel for Blocks<'_, T, SPREAD> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Windows { w, c, .. } = *self.windows;
        for col in 0..w {
            let mut first = 0;
            while first + WIDEST <= c {
                // SAFETY: a whole block of the pixel's channels.
                unsafe { self.block::<WIDEST>(col, first) };
                first += WIDEST;
            }
            for channel in first..c {
                // SAFETY: as above.
                unsafe { self.block::<1>(col, channel) };
            }
        }
    }
}

impl<T: Float, const SPREAD: bool> Blocks<'_, T, SPREAD> {
    /// `N` channels of a pixel: what is not at the place of the code is zero.
    #[inline(always)]
    unsafe fn block<const N: usize>(&self, col: usize, first: usize) {
        let Windows { w, c, pool: [ph, pw], .. } = *self.windows;
        let at = col * c + first;
        let code: [u8; N] = std::array::from_fn(|i| self.code[at..at + N][i]);
        // SAFETY: by the caller's promise; `large` and `small` are rows of one picture and of its windows, and the written one is ours.
        unsafe {
            let small = self.small.add(at).cast::<[T; N]>();
            let mut value = if SPREAD { small.read_unaligned() } else { [T::default(); N] };
            for k in 0..ph * pw {
                let large = self.large.add(((k / pw * w + col) * pw + k % pw) * c + first).cast::<[T; N]>();
                if SPREAD {
                    let mut out = [T::default(); N];
                    for i in 0..N {
                        out[i] = if code[i] == k as u8 { value[i] } else { T::default() };
                    }
                    large.write_unaligned(out);
                } else {
                    let x = large.read_unaligned();
                    for i in 0..N {
                        value[i] = if code[i] == k as u8 { x[i] } else { value[i] };
                    }
                }
            }
            if !SPREAD {
                small.write_unaligned(value);
            }
        }
    }
}

/// One pooled row of float32.
struct Spread<'a> {
    windows: &'a Windows<'a>,
    dy: &'a [f32],
    code: &'a [u8],
    dx: *mut f32,
}

impl Kernel for Spread<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Windows { w, c, pool: [ph, pw], .. } = *self.windows;
        for col in 0..w {
            for first in (0..c).step_by(S::LANES) {
                let (at, lanes) = (col * c + first, S::LANES.min(c - first));
                let mut places = [0i32; WIDEST];
                if lanes == S::LANES {
                    let code: &[u8] = &self.code[at..at + S::LANES];
                    (0..S::LANES).for_each(|i| places[i] = code[i] as i32);
                } else {
                    self.code[at..at + lanes].iter().zip(&mut places).for_each(|(&code, place)| *place = code as i32);
                }
                // SAFETY: lanes of the gradient, and of the large pixels, which are ours.
                unsafe {
                    let places = s.as_int(s.load(places.as_ptr().cast()));
                    let dy = self.dy[at..at + lanes].as_ptr();
                    let dy = if lanes == S::LANES { s.load(dy) } else { s.load_partial(dy, lanes) };
                    for k in 0..ph * pw {
                        let to = self.dx.add(((k / pw * w + col) * pw + k % pw) * c + first);
                        let value = s.select(s.eq_i(places, s.splat_i(k as i32)), dy, s.zero());
                        if lanes == S::LANES { s.store(to, value) } else { s.store_partial(to, lanes, value) }
                    }
                }
            }
        }
    }
}

/// y [N, PH, PW, C] = x [N, PH * pool[0], PW * pool[1], C] at the places that `code` names, zeros where it names none: the gradient of
/// [`pool_spread`].
pub fn pool_pick(cx: &mut Cx, x: &View, code: &View, pool: &[i64], y: &mut ViewMut) -> Result {
    let windows = Windows::new(code, pool);
    with_float!(x.dtype(), T => {
        let (x, y) = (x.slice::<T>(), SyncPtr(y.slice_mut::<T>().as_mut_ptr()));
        windows.each_row(cx, |small, large| {
            // SAFETY: each pooled row has one owner.
            vectorize(Blocks::<T, false> { windows: &windows, small: unsafe { y.get().add(small) }, code: &windows.code[small..], large: x[large..].as_ptr().cast_mut() });
        });
        Ok(())
    })
}
