//! Neighbouring outputs that lie together, as in a bias gradient: a block of accumulators takes one row after the other.
use super::{SHORT, WIDTH, Walk, on_path};
use crate::fold::Fold;
use crate::strided::{GRAIN, ReadPtr};
use ferrograd_simd::{Kernel, Simd};
use ferrograd_tensor::{Cx, SyncPtr};

pub(super) fn fold_columns<F: Fold>(cx: &mut Cx, x: ReadPtr<F::T>, walk: &Walk, columns: usize, y: &mut [F::Y]) {
    let n = walk.n;
    let width = columns.min(WIDTH);
    let blocks = columns.div_ceil(width);
    let rows = if y.len() * n <= GRAIN / 2 { n } else { (GRAIN / width).max(SHORT).min(n) };
    let chunks = n.div_ceil(rows);
    let outer = y.len() / columns;
    let outputs = y.len();
    let to = SyncPtr(y.as_mut_ptr());
    let (partial, cx) = cx.split_scratch::<F::A>(if chunks > 1 { outputs * chunks } else { 0 });
    let spill = SyncPtr(partial.as_mut_ptr());
    cx.par(outer * blocks * chunks, |task| {
        let (chunk, block, group) = (task % chunks, task / chunks % blocks, task / chunks / blocks);
        let (first, w) = (block * width, width.min(columns - block * width));
        let mut acc = [F::start(); WIDTH];
        let acc = &mut acc[..w.max(FOLDED.min(WIDTH))];
        let mut at = chunk * rows;
        let end = (at + rows).min(n);
        walk.kept.each_row(group..group + 1, &mut |[base]| {
            let (len, [step]) = walk.reduced.inner();
            walk.reduced.each_row(at / len..end.div_ceil(len), &mut |[offset]| {
                let skip = at % len;
                let take = (len - skip).min(end - at);
                // SAFETY: `take` rows of `w` columns inside the layout.
                let x = unsafe { x.get().offset(base + first as isize + offset + skip as isize * step) };
                on_path::<F, _>(Columns::<F> { x, rows: take, step, width: w, acc });
                at += take;
            });
        });
        for (c, &a) in acc[..w].iter().enumerate() {
            // SAFETY: output (group, first + c), and its partial result of this chunk, belong to this task.
            unsafe {
                if chunks == 1 {
                    *to.get().add(group * columns + first + c) = F::finish(a, walk.divisor);
                } else {
                    *spill.get().add((group * chunks + chunk) * columns + first + c) = a;
                }
            }
        }
    });
    if chunks > 1 {
        let partial = ReadPtr(partial.as_ptr());
        cx.par_chunks_mut(y, (GRAIN / chunks).max(1), |start, part| {
            for (i, y) in part.iter_mut().enumerate() {
                let (group, c) = ((start + i) / columns, (start + i) % columns);
                // SAFETY: all partial results are written, and inside the scratch.
                let of = |chunk: usize| unsafe { *partial.get().add((group * chunks + chunk) * columns + c) };
                *y = F::finish((1..chunks).fold(of(0), |a, k| F::join(a, of(k))), walk.divisor);
            }
        });
    }
}

/// Adjacent narrow rows are taken together, as one row of up to this many columns.
const FOLDED: usize = 64;

/// `rows` rows, `step` apart, of `width` neighbouring columns, each into its accumulator.
struct Columns<'a, F: Fold> {
    x: *const F::T,
    rows: usize,
    step: isize,
    width: usize,
    /// At least `FOLDED` of them.
    acc: &'a mut [F::A],
}

impl<F: Fold> Kernel for Columns<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Columns { x, rows, step, width, acc } = self;
        let together = if step == width as isize { FOLDED / width } else { 1 };
        // SAFETY: `rows` rows of `width` columns lie inside the layout; where rows are adjacent, so do they as fewer, longer rows.
        unsafe {
            if !F::FAST {
                for i in 0..rows as isize {
                    for (c, a) in acc[..width].iter_mut().enumerate() {
                        *a = F::step(*a, *x.offset(i * step).add(c));
                    }
                }
                return;
            }
            if together < 2 || rows < 2 * together {
                return columns::<F>(x, rows, step, &mut acc[..width]);
            }
            let long = width * together;
            let mut wide = [F::start(); FOLDED];
            columns::<F>(x, rows / together, long as isize, &mut wide[..long]);
            columns::<F>(x.add(rows / together * long), rows % together, step, &mut wide[..width]);
            for (i, &a) in wide[..long].iter().enumerate() {
                acc[i % width] = F::join(acc[i % width], a);
            }
        }
    }
}

#[inline(always)]
unsafe fn columns<F: Fold>(x: *const F::T, rows: usize, step: isize, acc: &mut [F::A]) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut i = 0;
        // Four rows a visit to the accumulators: stores are what is scarce. Arrays of constant length become vectors where accumulators are as wide
        // as elements; else the plain loop does better.
        const TOGETHER: usize = 16;
        let whole = if size_of::<F::A>() == size_of::<F::T>() { acc.len() / TOGETHER * TOGETHER } else { 0 };
        while i + 4 <= rows {
            let row: [*const F::T; 4] = std::array::from_fn(|k| x.offset((i + k) as isize * step));
            for c in (0..whole).step_by(TOGETHER) {
                let mut sums: [F::A; TOGETHER] = *acc.as_ptr().add(c).cast();
                for row in row {
                    let x: [F::T; TOGETHER] = *row.add(c).cast();
                    for l in 0..TOGETHER {
                        sums[l] = F::step(sums[l], x[l]);
                    }
                }
                *acc.as_mut_ptr().add(c).cast() = sums;
            }
            for (c, a) in acc[whole..].iter_mut().enumerate() {
                let c = whole + c;
                let v = F::step(F::step(*a, *row[0].add(c)), *row[1].add(c));
                *a = F::step(F::step(v, *row[2].add(c)), *row[3].add(c));
            }
            i += 4;
        }
        while i < rows {
            let row = x.offset(i as isize * step);
            for (c, a) in acc.iter_mut().enumerate() {
                *a = F::step(*a, *row.add(c));
            }
            i += 1;
        }
    }
}
