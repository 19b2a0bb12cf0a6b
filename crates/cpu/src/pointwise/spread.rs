//! The operands of a chain: how each lies beside the results, and where a tile of it is read.
use super::chain::TILE;
use crate::strided::Nest;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Layout, SyncPtr, View};
use std::fmt;

/// Elements of a cache line: the most that a vector holds.
const LINE: usize = 16;

/// What repeats after at most so many elements is laid out once a task, for every tile of it.
const PERIOD: usize = 2 * TILE;

/// How an operand lies beside results of its (broadcast) shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Element by element, as they do.
    Whole,
    /// One element for all.
    Single,
    /// One row for all rows: `[N]` over `[M, N]`.
    Row,
    /// One element for each row: `[M, 1]` over `[M, N]`.
    Column,
    /// Anyhow else.
    Strided,
}

impl Spread {
    pub fn of(layout: &Layout) -> Spread {
        Spread::walked(&Nest::new(layout.dims(), [layout.strides()]))
    }
    fn walked(nest: &Nest<1>) -> Spread {
        match nest.strides[..nest.rank] {
            [[1]] => Spread::Whole,
            [[0]] => Spread::Single,
            [[0], [1]] => Spread::Row,
            [[1], [0]] => Spread::Column,
            _ => Spread::Strided,
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Spread::Whole => "whole",
            Spread::Single => "single",
            Spread::Row => "row",
            Spread::Column => "column",
            Spread::Strided => "strided",
        })
    }
}

/// An operand made ready.
pub(super) struct Source {
    base: SyncPtr<f32>,
    nest: Nest<1>,
    spread: Spread,
    /// After how many elements it repeats, if these are few.
    period: Option<usize>,
    /// Its place in the room of a thread, in elements.
    place: usize,
}

impl Source {
    pub fn new(view: &View, place: usize) -> Source {
        let nest = Nest::new(view.dims(), [view.layout().strides()]);
        let base = SyncPtr(view.ptr::<f32>().cast_mut());
        Source { base, nest, spread: Spread::walked(&nest), period: period(&nest), place }
    }

    /// Where the tile `at..at + len` is read, and by which step (0 or 1): as it lies, or in the thread's `room`.
    ///
    /// # Safety
    /// The elements must be the operand's; `room` must be what [`Source::load`] was given for them.
    pub unsafe fn find(&self, at: usize, len: usize, room: *const f32) -> (*const f32, usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            match (self.spread, self.period) {
                (Spread::Whole, _) => (self.base.get().cast_const().add(at), 1),
                (Spread::Single, _) => (self.base.get().cast_const(), 0),
                (_, Some(period)) => (room.add(self.place + at % period), 1),
                _ => self.lying(at, len).unwrap_or((room.add(self.place), 1)),
            }
        }
    }

    /// Lays out the tile `at..at + len` in the thread's `room`, where it cannot be read as it lies. `first`: of its task.
    ///
    /// # Safety
    /// As for [`Source::find`]; `room` is writable, as long as [`room`] says for all operands, and holds what earlier tiles of the task left there.
    pub unsafe fn load(&self, at: usize, len: usize, first: bool, room: *mut f32) {
        // SAFETY: by the caller's promise.
        unsafe {
            let room = room.add(self.place);
            match (self.spread, self.period) {
                (Spread::Whole | Spread::Single, _) => {}
                (_, Some(period)) if first => {
                    self.gather(0, period, room);
                    // Behind it again what it begins with, so that a tile may start anywhere.
                    let (mut done, all) = (period, period + TILE.min(self.nest.turns()));
                    while done < all {
                        let part = done.min(all - done);
                        std::ptr::copy_nonoverlapping(room, room.add(done), part);
                        done += part;
                    }
                }
                (_, Some(_)) => {}
                _ if self.lying(at, len).is_some() => {}
                _ => self.gather(at, len, room),
            }
        }
    }

    /// Where the tile lies, if it lies within one row whose elements follow each other, or are all the same.
    ///
    /// # Safety
    /// As for [`Source::find`].
    unsafe fn lying(&self, at: usize, len: usize) -> Option<(*const f32, usize)> {
        let (inner, [step]) = self.nest.inner();
        let (row, column) = (at / inner, at % inner);
        if !matches!(step, 0 | 1) || column + len > inner {
            return None;
        }
        let mut start = 0;
        self.nest.each_row(row..row + 1, &mut |[offset]| start = offset + column as isize * step);
        // SAFETY: the offset of an element.
        Some((unsafe { self.base.get().cast_const().offset(start) }, step as usize))
    }

    /// # Safety
    /// `len` elements from `at` on must be the operand's, and `to` have room for them and a line.
    unsafe fn gather(&self, at: usize, len: usize, to: *mut f32) {
        let (inner, [step]) = self.nest.inner();
        let base = self.base.get().cast_const();
        if self.spread == Spread::Column {
            let from = base.wrapping_add(at / inner);
            return vectorize(Repeat { from, first: inner - at % inner, inner, to, len });
        }
        let mut done = 0;
        self.nest.each_row(at / inner..(at + len).div_ceil(inner), &mut |[offset]| {
            let column = (at + done) % inner;
            let part = (inner - column).min(len - done);
            // SAFETY: the elements are the operand's, and `done + part <= len`.
            unsafe {
                let from = base.offset(offset + column as isize * step);
                let to = to.add(done);
                match step {
                    0 => vectorize(Repeat { from, first: part, inner: part, to, len: part }),
                    1 => std::ptr::copy_nonoverlapping(from, to, part),
                    _ => (0..part).for_each(|i| *to.add(i) = *from.offset(i as isize * step)),
                }
            }
            done += part;
        });
    }
}

/// The first element `first` times, and each further one `inner` times, `len` in all; a line behind them is written too.
struct Repeat {
    from: *const f32,
    first: usize,
    inner: usize,
    to: *mut f32,
    len: usize,
}

impl Kernel for Repeat {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Repeat { mut from, first, inner, to, len } = self;
        let (mut at, mut end) = (0, first.min(len));
        while at < len {
            // SAFETY: as many elements are read as there are for `len`; whole vectors reach a line behind them at the most, and what they write of the
            // next row this overwrites.
            unsafe {
                let v = s.splat(*from);
                while at < end {
                    s.store(to.add(at), v);
                    at += S::LANES;
                }
                from = from.add(1);
            }
            (at, end) = (end, (end + inner).min(len));
        }
    }
}

fn period(nest: &Nest<1>) -> Option<usize> {
    let inner: usize = nest.dims[1..nest.rank].iter().product();
    (nest.rank > 1 && nest.strides[0] == [0] && inner <= PERIOD).then_some(inner)
}

/// Elements of a thread's room that an operand may take.
pub(super) fn room(layout: &Layout) -> usize {
    let nest = Nest::new(layout.dims(), [layout.strides()]);
    match Spread::walked(&nest) {
        Spread::Whole | Spread::Single => 0,
        _ => (TILE + period(&nest).unwrap_or(0) + LINE).next_multiple_of(LINE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrograd_tensor::Shape;

    #[test]
    fn layouts_have_their_spreads() {
        let of = |from: &[usize], to: &[usize]| {
            let layout = Layout::contiguous(Shape::new(from).unwrap()).broadcast_to(Shape::new(to).unwrap()).unwrap();
            Spread::of(&layout)
        };
        assert_eq!(of(&[2, 3], &[2, 3]), Spread::Whole);
        assert_eq!(of(&[3], &[1, 3]), Spread::Whole);
        assert_eq!(of(&[], &[2, 3]), Spread::Single);
        assert_eq!(of(&[1, 1], &[2, 3]), Spread::Single);
        assert_eq!(of(&[3], &[2, 3]), Spread::Row);
        assert_eq!(of(&[3, 4], &[2, 3, 4]), Spread::Row);
        assert_eq!(of(&[2, 3, 1], &[2, 3, 4]), Spread::Column);
        assert_eq!(of(&[2, 1, 1], &[2, 3, 4]), Spread::Column);
        assert_eq!(of(&[3, 1], &[2, 3, 4]), Spread::Strided);
        assert_eq!(Spread::of(&Layout::strided(Shape::new(&[3]).unwrap(), &[2], 0)), Spread::Strided);
    }
}
