use super::{Compiled, Run};
use crate::copy::convert_run;
use crate::strided::{GRAIN, Nest, streams};
use ferrograd_tensor::{Cx, DType, Element, Layout, SyncPtr, View, ViewMut, with_element};
use std::mem::MaybeUninit;

/// Elements that go through buffers at once: two operands and the result stay in the first-level cache.
const TILE: usize = 512;
/// Rows from this length on are worked on where they lie; shorter ones are gathered into tiles first.
const LONG: usize = 32;

/// An operand and the layout in which it is read, of the result's shape.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    base: SyncPtr<u8>,
    dtype: DType,
    layout: Layout,
}

impl Operand {
    /// `layout` is `x`'s own or a broadcast of it.
    pub(super) fn new(x: &View, layout: Layout) -> Operand {
        let base = with_element!(x.dtype(), T => x.ptr::<T>().cast::<u8>());
        Operand { base: SyncPtr(base.cast_mut()), dtype: x.dtype(), layout }
    }
    /// 1 where the elements follow each other, 0 where there is but one.
    fn flat_step(&self) -> Option<usize> {
        if self.layout.is_contiguous() {
            return Some(1);
        }
        self.layout.is_single().then_some(0)
    }
}

/// A type that elements are computed in.
trait Compute: Element {
    fn load<T: Element>(x: T) -> Self;
    fn store<T: Element>(self) -> T;
}

macro_rules! compute {
    ($($c:ident $to:ident $from:ident),*) => { $(
        impl Compute for $c {
            #[inline(always)]
            fn load<T: Element>(x: T) -> $c {
                x.$to()
            }
            #[inline(always)]
            fn store<T: Element>(self) -> T {
                T::$from(self)
            }
        }
    )* };
}
compute!(f32 to_f32 from_f32, f64 to_f64 from_f64, i64 to_i64 from_i64);

/// The dtype has no meaning for the function.
pub(super) struct Meaningless;

/// Runs a row of a table over its operands (one or two), all of one dtype, into the contiguous `out`.
pub(super) fn drive<const N: usize>(
    cx: &Cx,
    row: Compiled,
    operands: [Operand; N],
    a: f64,
    b: f64,
    out: &mut ViewMut,
) -> Result<(), Meaningless> {
    match operands[0].dtype {
        DType::F32 | DType::BF16 | DType::F16 => all(cx, row.single, operands, a, b, out),
        DType::F64 => all(cx, row.double, operands, a, b, out),
        _ => all(cx, row.integer.ok_or(Meaningless)?, operands, a, b, out),
    }
    Ok(())
}

/// The commonest case, with no layouts to work out: float32 operands of the result's own shape, one after the other in memory. False for any other.
pub(super) fn aligned(cx: &Cx, row: Compiled, x: &View, y: &View, a: f64, b: f64, out: &mut ViewMut) -> bool {
    let plain = |v: &View| v.dtype() == DType::F32 && v.dims() == out.dims() && v.is_contiguous();
    if out.dtype() != DType::F32 || !plain(x) || !plain(y) {
        return false;
    }
    let (x, y) = (x.slice::<f32>(), y.slice::<f32>());
    let stream = streams(4 * out.numel());
    cx.par_chunks_mut(out.slice_mut::<f32>(), GRAIN, |first, part| {
        let (x, y) = (x[first..].as_ptr(), y[first..].as_ptr());
        // SAFETY: x and y have the result's length, so `part.len()` elements lie behind each pointer.
        unsafe { (row.single)(&Run { x, x_step: 1, y, y_step: 1, out: part.as_mut_ptr(), len: part.len(), a, b, stream }) }
    });
    true
}

fn all<C: Compute, const N: usize>(cx: &Cx, row: unsafe fn(&Run<C>), operands: [Operand; N], a: f64, b: f64, out: &mut ViewMut) {
    let flat = operands.each_ref().map(|o| if o.dtype == C::DTYPE { o.flat_step() } else { None });
    if out.dtype() == C::DTYPE && flat.iter().all(Option::is_some) {
        let stream = streams(4 * out.numel());
        let sources = std::array::from_fn::<_, N, _>(|k| (operands[k].base, flat[k].unwrap_or(0)));
        cx.par_chunks_mut(out.slice_mut::<C>(), GRAIN, |first, part| {
            let [(x, x_step), (y, y_step)] = [sources[0], sources[N - 1]].map(|(base, step)| {
                // SAFETY: the operand has the result's elements one after the other, or a single one.
                (unsafe { base.get().cast::<C>().cast_const().add(first * step) }, step)
            });
            // SAFETY: `len` elements lie behind each pointer, steps considered.
            unsafe { row(&Run { x, x_step, y, y_step, out: part.as_mut_ptr(), len: part.len(), a, b, stream }) }
        });
        return;
    }
    let nest = Nest::new(out.dims(), std::array::from_fn(|k| operands[k].layout.strides()));
    let work = Work { row, operands, nest, a, b, out_dtype: out.dtype(), stream: streams(4 * out.numel()) };
    let out_base = SyncPtr(with_element!(out.dtype(), T => out.ptr_mut::<T>().cast::<u8>()));
    cx.par_ranges(out.numel(), GRAIN, |range| {
        // SAFETY: `out` is contiguous and ours; ranges are disjoint and inside it; the operands have its shape.
        unsafe { work.range(out_base.get(), range) }
    });
}

struct Work<C, const N: usize> {
    row: unsafe fn(&Run<C>),
    operands: [Operand; N],
    nest: Nest<N>,
    a: f64,
    b: f64,
    out_dtype: DType,
    stream: bool,
}

impl<C: Compute, const N: usize> Work<C, N> {
    /// True where operand `k` can be read in place, row by row.
    fn in_place(&self, k: usize) -> bool {
        self.operands[k].dtype == C::DTYPE && matches!(self.nest.inner().1[k], 0 | 1)
    }

    /// True where operand `k` is the same in every row.
    fn repeats(&self, k: usize) -> bool {
        self.nest.strides[..self.nest.rank - 1].iter().all(|s| s[k] == 0)
    }

    /// Computes the elements `range` of the result.
    ///
    /// # Safety
    /// `out` must have that many elements of `out_dtype`, and nobody else may touch these.
    unsafe fn range(&self, out: *mut u8, range: std::ops::Range<usize>) {
        let (inner, steps) = self.nest.inner();
        let out_direct = self.out_dtype == C::DTYPE;
        let long = inner >= LONG;
        let direct: [bool; N] = std::array::from_fn(|k| long && self.in_place(k));
        if out_direct && direct.iter().all(|&d| d) {
            // SAFETY: by the caller's promise; the operands are read where they lie.
            return unsafe { self.rows(out.cast(), range) };
        }
        // Tiles of short rows hold whole periods of them, so that an operand that repeats its row is gathered once.
        let limit = if long { TILE } else { TILE - TILE % inner };
        let mut buffers = [[const { MaybeUninit::<C>::uninit() }; TILE]; N];
        let mut result = [const { MaybeUninit::<C>::uninit() }; TILE];
        let mut at = range.start;
        while at < range.end {
            let mut len = (range.end - at).min(limit);
            let mut offsets = [0isize; N];
            if long {
                let (row, column) = (at / inner, at % inner);
                len = len.min(inner - column);
                if self.nest.rank > 1 {
                    self.nest.each_row(row..row + 1, &mut |o| offsets = o);
                }
                for k in 0..N {
                    offsets[k] += column as isize * steps[k];
                }
            }
            let mut sources = [(std::ptr::null::<C>(), 1usize); N];
            for k in 0..N {
                let operand = &self.operands[k];
                // SAFETY: offsets are those of elements of the operand's layout, and a tile holds `len` elements.
                unsafe {
                    let base = operand.base.get().cast_const();
                    let size = operand.dtype.size() as isize;
                    let buffer = buffers[k].as_mut_ptr().cast::<C>();
                    sources[k] = (buffer.cast_const(), 1);
                    if direct[k] {
                        sources[k] = (base.offset(offsets[k] * size).cast(), steps[k] as usize);
                    } else if long {
                        load(operand.dtype, base.offset(offsets[k] * size), steps[k], len, buffer);
                    } else if operand.layout.is_contiguous() {
                        if operand.dtype == C::DTYPE {
                            sources[k] = (base.cast::<C>().add(at), 1);
                        } else {
                            load(operand.dtype, base.offset(at as isize * size), 1, len, buffer);
                        }
                    } else if at == range.start || !self.repeats(k) {
                        self.gather(k, at, len, buffer);
                    }
                }
            }
            let (x, x_step) = sources[0];
            let (y, y_step) = sources[N - 1];
            // SAFETY: the sources hold `len` elements, the result lies in `out` or in the tile.
            unsafe {
                let place = out.add(at * self.out_dtype.size());
                let to = if out_direct { place.cast::<C>() } else { result.as_mut_ptr().cast() };
                (self.row)(&Run { x, x_step, y, y_step, out: to, len, a: self.a, b: self.b, stream: self.stream && out_direct });
                if !out_direct {
                    store(self.out_dtype, std::slice::from_raw_parts(to, len), place);
                }
            }
            at += len;
        }
    }

    /// As [`Work::range`], row by row with nothing in between: long rows that every operand has where the function can read them.
    ///
    /// # Safety
    /// As for [`Work::range`]; the operands are of this dtype, and step by 0 or 1 within a row.
    unsafe fn rows(&self, out: *mut C, range: std::ops::Range<usize>) {
        let (inner, steps) = self.nest.inner();
        if range.is_empty() {
            return;
        }
        let mut at = range.start;
        self.nest.each_row(range.start / inner..(range.end - 1) / inner + 1, &mut |offsets| {
            // Only the first row may begin in its midst, and only the last one end there.
            let column = if at == range.start { at % inner } else { 0 };
            let len = (inner - column).min(range.end - at);
            // SAFETY: elements of the operands' rows, and of this range of the result.
            unsafe {
                let [(x, x_step), (y, y_step)] = [0, N - 1].map(|k| {
                    let from = self.operands[k].base.get().cast::<C>().cast_const().offset(offsets[k] + column as isize * steps[k]);
                    (from, steps[k] as usize)
                });
                (self.row)(&Run { x, x_step, y, y_step, out: out.add(at), len, a: self.a, b: self.b, stream: self.stream });
            }
            at += len;
        });
    }

    /// Elements `at..at + len` of operand `k`, which lie in short rows, into a tile.
    ///
    /// # Safety
    /// `to` must have room for `len` elements.
    unsafe fn gather(&self, k: usize, at: usize, len: usize, to: *mut C) {
        let operand = &self.operands[k];
        let (inner, steps) = self.nest.inner();
        let (first, last) = (at / inner, (at + len - 1) / inner);
        let mut done = 0;
        let mut column = at % inner;
        let size = operand.dtype.size() as isize;
        self.nest.each_row(first..last + 1, &mut |offsets| {
            let part = (inner - column).min(len - done);
            // SAFETY: the elements are the operand's, and `done + part <= len`.
            unsafe {
                let from = operand.base.get().cast_const().offset((offsets[k] + column as isize * steps[k]) * size);
                load(operand.dtype, from, steps[k], part, to.add(done));
            }
            done += part;
            column = 0;
        });
    }
}

/// # Safety
/// `len` elements `step` apart must be readable at `from`, and `to` must have room for them.
unsafe fn load<C: Compute>(dtype: DType, from: *const u8, step: isize, len: usize, to: *mut C) {
    with_element!(dtype, T => {
        let from = from.cast::<T>();
        // SAFETY: by the caller's promise. The steps of 1 and 0 stand alone so that they vectorise; the half types
        // do so on the path in force.
        unsafe {
            match step {
                1 if size_of::<T>() == 2 => convert_run(from, to, len),
                1 => for i in 0..len { *to.add(i) = C::load(*from.add(i)) },
                0 => std::slice::from_raw_parts_mut(to, len).fill(C::load(*from)),
                _ => for i in 0..len { *to.add(i) = C::load(*from.offset(i as isize * step)) },
            }
        }
    })
}

/// # Safety
/// `to` must have room for the elements of `from`.
unsafe fn store<C: Compute>(dtype: DType, from: &[C], to: *mut u8) {
    with_element!(dtype, T => {
        let to = to.cast::<T>();
        // SAFETY: by the caller's promise.
        unsafe {
            if size_of::<T>() == 2 {
                return convert_run(from.as_ptr(), to, from.len());
            }
            for (i, x) in from.iter().enumerate() {
                *to.add(i) = x.store();
            }
        }
    })
}
