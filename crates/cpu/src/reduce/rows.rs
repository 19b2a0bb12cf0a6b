//! Reduced elements that lie together, or anyhow: 32 accumulators take turns at them.
use super::{LANES, Walk, on_path};
use crate::fold::Fold;
use crate::strided::{GRAIN, Nest, ReadPtr};
use ferrograd_simd::{Kernel, Scalar, Simd};
use ferrograd_tensor::Cx;

pub(super) fn fold_rows<F: Fold>(cx: &mut Cx, x: ReadPtr<F::T>, walk: &Walk, y: &mut [F::Y]) {
    let n = walk.n;
    let chunks = n.div_ceil(GRAIN);
    if chunks == 1 {
        let group = if y.len() * n <= GRAIN / 2 { y.len() } else { (GRAIN / n).max(1) };
        let plain = walk.kept.rank == 1 && walk.reduced.rank == 1;
        cx.par_chunks_mut(y, group, |first, part| {
            if plain {
                let ((_, [across]), (len, [step])) = (walk.kept.inner(), walk.reduced.inner());
                // SAFETY: the layout is rows `across` apart, of elements `step` apart.
                let x = unsafe { x.get().offset(first as isize * across) };
                return on_path::<F, _>(Rows::<F> { x, across, len, step, divisor: walk.divisor, y: part });
            }
            let mut at = 0;
            walk.kept.each_turn(first..first + part.len(), &mut |[offset]| {
                // SAFETY: an offset of the layout.
                let a = unsafe { fold_range::<F>(x.get().offset(offset), &walk.reduced, 0, n) };
                part[at] = F::finish(a, walk.divisor);
                at += 1;
            });
        });
        return;
    }
    let outputs = y.len();
    let (partial, cx) = cx.split_scratch::<F::A>(outputs * chunks);
    cx.par_chunks_mut(partial, 1, |i, part| {
        let (output, start) = (i / chunks, i % chunks * GRAIN);
        walk.kept.each_turn(output..output + 1, &mut |[offset]| {
            // SAFETY: an offset of the layout; the range ends at n.
            part[0] = unsafe { fold_range::<F>(x.get().offset(offset), &walk.reduced, start, (start + GRAIN).min(n)) };
        });
    });
    for (y, part) in y.iter_mut().zip(partial.chunks_exact(chunks)) {
        *y = F::finish(part.iter().fold(F::start(), |a, &b| F::join(a, b)), walk.divisor);
    }
}

/// Folds the elements `start..end` of the loops `over`, counted flat.
unsafe fn fold_range<F: Fold>(x: *const F::T, over: &Nest<1>, start: usize, end: usize) -> F::A {
    let (len, [step]) = over.inner();
    let mut a = F::start();
    let mut at = start;
    over.each_row(start / len..end.div_ceil(len), &mut |[offset]| {
        let skip = at % len;
        let take = (len - skip).min(end - at);
        // SAFETY: by the caller's promise, elements of one layout.
        let run = Run::<F> { x: unsafe { x.offset(offset + skip as isize * step) }, len: take, step };
        a = F::join(a, if take >= LANES { on_path::<F, _>(run) } else { run.run(Scalar) });
        at += take;
    });
    a
}

/// One run of elements a constant step apart.
struct Run<F: Fold> {
    x: *const F::T,
    len: usize,
    step: isize,
}

impl<F: Fold> Kernel for Run<F> {
    type Output = F::A;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> F::A {
        let Run { x, len, step } = self;
        let mut a = F::start();
        // SAFETY: `len` elements `step` apart, by whoever made the run.
        unsafe {
            // Lanes are for the fast dtypes: elsewhere they would only be more code.
            if !F::FAST || step != 1 || len < LANES {
                for i in 0..len as isize {
                    a = F::step(a, *x.offset(i * step));
                }
                return a;
            }
            let whole = len / LANES * LANES;
            let mut lanes = [a; LANES];
            turns::<F>(&mut lanes, x, whole);
            close::<F>(lanes, x.add(whole), len - whole)
        }
    }
}

/// Each lane takes its elements of `len`, a multiple of the lanes.
///
/// # Safety
/// `len` elements must be readable.
#[inline(always)]
unsafe fn turns<F: Fold>(lanes: &mut [F::A; LANES], x: *const F::T, len: usize) {
    for i in (0..len).step_by(LANES) {
        // SAFETY: by the caller's promise.
        let block: [F::T; LANES] = unsafe { *x.add(i).cast() };
        for l in 0..LANES {
            lanes[l] = F::step(lanes[l], block[l]);
        }
    }
}

/// Joins the lanes, and the last `len` elements behind them.
///
/// # Safety
/// As for [`turns`].
#[inline(always)]
unsafe fn close<F: Fold>(mut lanes: [F::A; LANES], x: *const F::T, len: usize) -> F::A {
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            lanes[l] = F::join(lanes[l], lanes[l + width]);
        }
        width /= 2;
    }
    let mut a = F::start();
    for i in 0..len {
        // SAFETY: by the caller's promise.
        a = F::step(a, unsafe { *x.add(i) });
    }
    F::join(lanes[0], a)
}

/// A row that comes in pieces, all but the last as long as many turns of the lanes. Gives the bits of the row as a whole: one shorter than the
/// lanes is taken in order there too, for joining accumulators of nothing changes nothing.
pub(crate) struct Pieces<F: Fold>([F::A; LANES]);

impl<F: Fold> Pieces<F> {
    pub fn new() -> Pieces<F> {
        Pieces([F::start(); LANES])
    }
    /// Takes in a piece that is not the last.
    ///
    /// # Safety
    /// `len` elements must be readable, a multiple of the lanes.
    pub unsafe fn take(&mut self, x: *const F::T, len: usize) {
        on_path::<F, _>(Piece::<F> { lanes: &mut self.0, x, len, last: false });
    }
    /// What the row gives with its last piece.
    ///
    /// # Safety
    /// `len` elements must be readable.
    pub unsafe fn finish(&mut self, x: *const F::T, len: usize) -> F::A {
        let a = on_path::<F, _>(Piece::<F> { lanes: &mut self.0, x, len, last: true });
        self.0 = [F::start(); LANES];
        F::join(F::start(), a)
    }
}

struct Piece<'a, F: Fold> {
    lanes: &'a mut [F::A; LANES],
    x: *const F::T,
    len: usize,
    last: bool,
}

impl<F: Fold> Kernel for Piece<'_, F> {
    type Output = F::A;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> F::A {
        let whole = self.len / LANES * LANES;
        let mut lanes = *self.lanes;
        // SAFETY: `len` elements, by whoever made the piece.
        unsafe {
            turns::<F>(&mut lanes, self.x, whole);
            *self.lanes = lanes;
            if self.last { close::<F>(lanes, self.x.add(whole), self.len - whole) } else { F::start() }
        }
    }
}

/// Rows of `len` elements that follow each other, a result each.
///
/// # Safety
/// `len` elements must be readable for each result.
pub(crate) unsafe fn fold_whole_rows<F: Fold>(x: *const F::T, len: usize, divisor: usize, y: &mut [F::Y]) {
    on_path::<F, _>(Rows::<F> { x, across: len as isize, len, step: 1, divisor, y });
}

/// Whole rows, a result each.
struct Rows<'a, F: Fold> {
    x: *const F::T,
    across: isize,
    len: usize,
    step: isize,
    divisor: usize,
    y: &'a mut [F::Y],
}

impl<F: Fold> Kernel for Rows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (i, y) in self.y.iter_mut().enumerate() {
            // SAFETY: a row of the layout.
            let x = unsafe { self.x.offset(i as isize * self.across) };
            *y = F::finish(F::join(F::start(), Run::<F> { x, len: self.len, step: self.step }.run(s)), self.divisor);
        }
    }
}
