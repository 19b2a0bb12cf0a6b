//! contiguous, cast, assign, fill: elements from one layout into another.
use crate::short_rows::{are_short, copy_short_rows};
use crate::strided::{GRAIN, Nest, ReadPtr, bytes, bytes_mut, streams};
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Error, Result, SyncPtr, View, ViewMut, rules, with_element};

/// A row-major copy of `x`.
pub fn contiguous(cx: &mut Cx, x: &View, y: &mut ViewMut) -> Result {
    copy_view(cx, x, y);
    Ok(())
}

/// `x` in `y`'s dtype. Floats truncate towards zero and saturate in integers, NaN becomes 0; integers wrap in narrower ones; anything
/// but 0 is true.
pub fn cast(cx: &mut Cx, x: &View, _dtype: i64, y: &mut ViewMut) -> Result {
    copy_view(cx, x, y);
    Ok(())
}

/// Writes `source`, broadcast and converted, over `target`.
pub fn assign(cx: &mut Cx, target: &mut ViewMut, source: &View) -> Result {
    rules::assign(target.meta(), source.meta())?;
    let Some(layout) = source.layout().broadcast_to(target.layout().shape) else {
        return Err(Error::internal("assign: shapes passed the rule and do not broadcast"));
    };
    let (dims, to) = (*target.layout(), *target.layout());
    let (from, dtype) = (source.dtype(), target.dtype());
    // SAFETY: both layouts lie inside their storages; the broadcast one touches the source's own elements.
    unsafe { copy_between(cx, dims.dims(), (from, bytes(source), layout.strides()), (dtype, bytes_mut(target), to.strides())) };
    Ok(())
}

/// Writes `value` over `target`.
pub fn fill(cx: &mut Cx, target: &mut ViewMut, value: f64) -> Result {
    with_element!(target.dtype(), T => fill_typed(cx, target, T::from_f64(value)));
    Ok(())
}

/// Writes `value` over all of `target`, whatever its strides.
pub(crate) fn fill_typed<T: Element>(cx: &Cx, target: &mut ViewMut, value: T) {
    let layout = *target.layout();
    let nest = Nest::new(layout.dims(), [layout.strides()]);
    let base = SyncPtr(target.ptr_mut::<T>());
    for_pieces(cx, &nest, &|[at], len| {
        let step = nest.inner().1[0];
        // SAFETY: offsets of the target's own layout; pieces are disjoint.
        unsafe {
            let p = base.get().offset(at);
            if step == 1 {
                std::slice::from_raw_parts_mut(p, len).fill(value);
            } else {
                (0..len as isize).for_each(|i| *p.offset(i * step) = value);
            }
        }
    });
}

/// Copies `x` into `y` (equal shapes), converting where the dtypes differ.
pub(crate) fn copy_view(cx: &Cx, x: &View, y: &mut ViewMut) {
    let (from, to) = (*x.layout(), *y.layout());
    let dtype = y.dtype();
    // SAFETY: both views' layouts lie inside their storages, and a ViewMut overlaps nothing.
    unsafe { copy_between(cx, from.dims(), (x.dtype(), bytes(x), from.strides()), (dtype, bytes_mut(y), to.strides())) };
}

/// Copies elements between two layouts of shape `dims`; strides may be negative.
///
/// # Safety
/// Every element that the strides reach from the pointers must be allocated; the written ones must be distinct, overlap nothing read,
/// and be ours.
pub(crate) unsafe fn copy_between(cx: &Cx, dims: &[usize], from: (DType, *const u8, &[isize]), to: (DType, *mut u8, &[isize])) {
    let nest = Nest::new(dims, [from.2, to.2]);
    // SAFETY: by the caller's promise.
    unsafe {
        if from.0 != to.0 {
            return with_element!(from.0, A => with_element!(to.0, B => convert::<A, B>(cx, &nest, from.1.cast(), to.1.cast())));
        }
        match from.0.size() {
            1 => copy_typed::<u8>(cx, nest, from.1.cast(), to.1.cast()),
            2 => copy_typed::<u16>(cx, nest, from.1.cast(), to.1.cast()),
            4 => copy_typed::<u32>(cx, nest, from.1.cast(), to.1.cast()),
            _ => copy_typed::<u64>(cx, nest, from.1.cast(), to.1.cast()),
        }
    }
}

/// Calls `f(offsets, length)` for pieces of the innermost loop, over the pool where there is enough to do.
pub(crate) fn for_pieces<const N: usize>(cx: &Cx, nest: &Nest<N>, f: &(dyn Fn([isize; N], usize) + Sync)) {
    let (len, steps) = nest.inner();
    let rows = nest.rows();
    if len == 0 {
        return;
    }
    if rows * len <= GRAIN / 2 {
        return nest.each_row(0..rows, &mut |at| f(at, len));
    }
    if len >= GRAIN {
        // Long rows: a piece a task.
        let pieces = len.div_ceil(GRAIN);
        return cx.par(rows * pieces, |task| {
            let (row, start) = (task / pieces, task % pieces * GRAIN);
            nest.each_row(row..row + 1, &mut |at| {
                f(std::array::from_fn(|k| at[k] + start as isize * steps[k]), GRAIN.min(len - start));
            });
        });
    }
    cx.par_ranges(rows, GRAIN / len, |range| nest.each_row(range, &mut |at| f(at, len)));
}

// SAFETY: every offset that `nest` gives must lie inside what `from` and `to` point to; no two of `to`'s are equal.
unsafe fn copy_typed<T: Copy + Send + Sync>(cx: &Cx, nest: Nest<2>, from: *const T, to: *mut T) {
    let (len, [s, d]) = nest.inner();
    let (from, to) = (ReadPtr(from), SyncPtr(to));
    let last = nest.rank - 1;
    // Reading along one dimension and writing along another is a transposition, done in blocks that fit the first cache.
    let across = (0..last).find(|&i| (d == 1 && nest.strides[i][0] == 1 && s != 1) || (s == 1 && nest.strides[i][1] == 1 && d != 1));
    if let Some(i) = across
        && nest.dims[i] >= 4
        && len >= 4
    {
        // SAFETY: by the caller's promise.
        return unsafe { transpose(cx, nest, i, from, to) };
    }
    if are_short::<T>(&nest) {
        // SAFETY: by the caller's promise.
        return unsafe { copy_short_rows(cx, nest, from.get(), to.get()) };
    }
    for_pieces(cx, &nest, &|[a, b], len| {
        // SAFETY: offsets of the two layouts; pieces write distinct elements.
        unsafe {
            let (p, q) = (from.get().offset(a), to.get().offset(b));
            match (s, d) {
                (1, 1) => std::ptr::copy_nonoverlapping(p, q, len),
                (0, 1) => std::slice::from_raw_parts_mut(q, len).fill(*p),
                _ => (0..len as isize).for_each(|k| *q.offset(k * d) = *p.offset(k * s)),
            }
        }
    });
}

/// Side of a block: rows of it are long enough for the memory's prefetching, and the whole stays in the first cache.
const SIDE: usize = 64;

/// Copies planes of which one side is read and the other written in steps of 1.
unsafe fn transpose<T: Copy + Send + Sync>(cx: &Cx, mut nest: Nest<2>, across: usize, from: ReadPtr<T>, to: SyncPtr<T>) {
    let one = nest.take(nest.rank - 1);
    let two = nest.take(across);
    // `i` runs where reading steps by 1, `j` where writing does.
    let ((rows, [_, di]), (cols, [sj, _])) = if two.1[0] == 1 && one.1[1] == 1 { (two, one) } else { (one, two) };
    let planes = nest.turns();
    let stripe = (GRAIN / cols.max(1)).next_multiple_of(SIDE).clamp(SIDE, rows.next_multiple_of(SIDE));
    let stripes = rows.div_ceil(stripe);
    let together = (GRAIN / (stripe.min(rows) * cols).max(1)).max(1);
    let stream = streams(planes * rows * cols * size_of::<T>());
    cx.par_ranges(planes * stripes, together, |range| {
        for unit in range {
            let (plane, first) = (unit / stripes, unit % stripes * stripe);
            nest.each_turn(plane..plane + 1, &mut |[a, b]| {
                let h = stripe.min(rows - first);
                // SAFETY: offsets of the two layouts; stripes of planes are written by one task each.
                unsafe {
                    let (from, to) = (from.get().offset(a + first as isize), to.get().offset(b + first as isize * di));
                    if size_of::<T>() == 4 {
                        vectorize(Stripe { from: from.cast(), sj, to: to.cast(), di, h, cols, stream });
                    } else {
                        let mut block = Block([[std::mem::MaybeUninit::uninit(); SIDE]; SIDE]);
                        for j0 in (0..cols).step_by(SIDE) {
                            for i0 in (0..h).step_by(SIDE) {
                                let (p, q) = (from.offset(i0 as isize + j0 as isize * sj), to.offset(i0 as isize * di + j0 as isize));
                                block.turn(p, sj, q, di, SIDE.min(h - i0), SIDE.min(cols - j0));
                            }
                        }
                    }
                }
            });
        }
    });
}

/// `cols` columns of `h` elements, `sj` apart, into `h` rows `di` apart, through registers; of 4 bytes each.
struct Stripe {
    from: *const u32,
    sj: isize,
    to: *mut u32,
    di: isize,
    h: usize,
    cols: usize,
    stream: bool,
}

/// Columns whose pieces are read one after the other: a piece is a few lines, which the memory then fetches together.
const WIDE: usize = 256;

impl Kernel for Stripe {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Stripe { from, sj, to, di, h, cols, stream } = self;
        let lanes = S::LANES;
        let stream = stream && to.addr().is_multiple_of(4 * lanes) && di.unsigned_abs().is_multiple_of(lanes);
        let (whole_h, whole_w) = (h / lanes * lanes, cols / lanes * lanes);
        // SAFETY: every offset is that of an element i < h, j < cols, by whoever made the stripe.
        unsafe {
            for j0 in (0..whole_w).step_by(WIDE) {
                for i0 in (0..whole_h).step_by(WIDE) {
                    for j in (j0..whole_w.min(j0 + WIDE)).step_by(lanes) {
                        for i in (i0..whole_h.min(i0 + WIDE)).step_by(lanes) {
                            let (p, q) = (from.offset(i as isize + j as isize * sj), to.offset(i as isize * di + j as isize));
                            s.turn(p, sj, q, di, stream);
                        }
                    }
                }
            }
            for i in 0..h {
                for j in if i < whole_h { whole_w } else { 0 }..cols {
                    *to.offset(i as isize * di + j as isize) = *from.offset(i as isize + j as isize * sj);
                }
            }
        }
        if stream {
            s.fence();
        }
    }
}

#[repr(align(64))]
struct Block<T>([[std::mem::MaybeUninit<T>; SIDE]; SIDE]);

impl<T: Copy> Block<T> {
    /// Reads `w` columns of `h` elements, `sj` apart, and writes them as `h` rows of `w`, `di` apart.
    unsafe fn turn(&mut self, p: *const T, sj: isize, q: *mut T, di: isize, h: usize, w: usize) {
        // SAFETY: by the caller's promise, with h and w at most SIDE; what is copied out has been written before.
        unsafe {
            if h == SIDE && w == SIDE {
                for j in 0..SIDE {
                    let column = p.offset(j as isize * sj);
                    for i in 0..SIDE {
                        self.0[i][j].write(*column.add(i));
                    }
                }
                for i in 0..SIDE {
                    std::ptr::copy_nonoverlapping(self.0[i].as_ptr().cast::<T>(), q.offset(i as isize * di), SIDE);
                }
            } else {
                for j in 0..w {
                    let column = p.offset(j as isize * sj);
                    for i in 0..h {
                        self.0[i][j].write(*column.add(i));
                    }
                }
                for i in 0..h {
                    std::ptr::copy_nonoverlapping(self.0[i].as_ptr().cast::<T>(), q.offset(i as isize * di), w);
                }
            }
        }
    }
}

/// One element in another dtype. Half types go through float32, as in PyTorch.
#[inline(always)]
pub(crate) fn convert_one<A: Element, B: Element>(x: A) -> B {
    let float = |d: DType| matches!(d, DType::F32 | DType::F64 | DType::BF16 | DType::F16);
    match (float(A::DTYPE), float(B::DTYPE)) {
        (true, true) if size_of::<A>() >= 4 && size_of::<B>() >= 4 => B::from_f64(x.to_f64()),
        (true, true) => B::from_f32(x.to_f32()),
        (true, false) if A::DTYPE == DType::F64 => B::from_f64(x.to_f64()),
        (true, false) => B::from_f32(x.to_f32()),
        (false, true) if B::DTYPE == DType::F64 => B::from_f64(x.to_i64() as f64),
        (false, true) => B::from_f32(x.to_i64() as f32),
        (false, false) => B::from_i64(x.to_i64()),
    }
}

/// `len` elements one after the other, in another dtype, on the vector path in force: for the half types and float32.
///
/// # Safety
/// They are readable at `from`, and as many writable at `to`.
pub(crate) unsafe fn convert_run<A: Element, B: Element>(from: *const A, to: *mut B, len: usize) {
    vectorize(Convert { from, to, len, steps: [1, 1] });
}

struct Convert<A, B> {
    from: *const A,
    to: *mut B,
    len: usize,
    steps: [isize; 2],
}

impl<A: Element, B: Element> Kernel for Convert<A, B> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [s, d] = self.steps;
        // SAFETY: the caller's pieces lie inside both layouts.
        unsafe {
            if s == 1 && d == 1 {
                for i in 0..self.len {
                    *self.to.add(i) = convert_one(*self.from.add(i));
                }
            } else {
                for i in 0..self.len as isize {
                    *self.to.offset(i * d) = convert_one(*self.from.offset(i * s));
                }
            }
        }
    }
}

// SAFETY: as for `copy_typed`.
unsafe fn convert<A: Element, B: Element>(cx: &Cx, nest: &Nest<2>, from: *const A, to: *mut B) {
    let (from, to) = (ReadPtr(from), SyncPtr(to));
    let steps = nest.inner().1;
    for_pieces(cx, nest, &|[a, b], len| {
        // SAFETY: offsets of the two layouts; pieces write distinct elements.
        let piece = unsafe { Convert { from: from.get().offset(a), to: to.get().offset(b), len, steps } };
        // The frequent pairs have a path an instruction set; the others would only be more code.
        if A::DTYPE == DType::F32 || B::DTYPE == DType::F32 { vectorize(piece) } else { piece.run(ferrograd_simd::Scalar) }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{each_isa, run};
    use ferrograd_tensor::{Layout, Meta, Shape, bf16, f16};

    /// A view of `data` under `dims` and `strides`.
    fn strided<'a, T: Element>(data: &'a [T], dims: &[usize], strides: &[isize], offset: usize) -> View<'a> {
        let layout = Layout::strided(Shape::new(dims).unwrap(), strides, offset);
        // SAFETY: the tests keep their layouts inside `data`.
        unsafe { View::new(data.as_ptr().cast(), Meta { dtype: T::DTYPE, layout }) }
    }
    fn reference<T: Element>(data: &[T], dims: &[usize], strides: &[isize], offset: usize) -> Vec<T> {
        let mut at = vec![offset as isize];
        for (&d, &s) in dims.iter().zip(strides) {
            at = at.iter().flat_map(|&p| (0..d as isize).map(move |k| p + k * s)).collect();
        }
        at.iter().map(|&p| data[p as usize]).collect()
    }

    #[test]
    fn transposed_blocks_and_their_edges_on_every_path() {
        crate::testing::each_isa(|isa| {
            for (rows, cols) in [(64, 64), (70, 45), (300, 17), (16, 272), (5, 4)] {
                let x: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
                let meta = *View::of(&x, &[rows, cols]).meta();
                let turned = rules::permute(&meta, &[1, 0]).unwrap().unwrap();
                // Aligned and not, so that both kinds of store are seen.
                for skip in [0, 1] {
                    let mut room = vec![0f32; rows * cols + 32];
                    let first = (room.as_ptr().addr() / 4).next_multiple_of(16) - room.as_ptr().addr() / 4 + skip;
                    let y = &mut room[first..][..rows * cols];
                    // SAFETY: a permutation of the same elements.
                    let x = unsafe { View::of(&x, &[rows, cols]).with_layout(turned) };
                    crate::testing::run(0, |cx| contiguous(cx, &x, &mut ViewMut::of(y, &[cols, rows]))).unwrap();
                    assert!((0..rows * cols).all(|i| y[i] == (i % rows * cols + i / rows) as f32), "{isa:?} {rows} x {cols}, {skip}");
                }
            }
        });
    }

    #[test]
    fn any_layout_becomes_row_major() {
        let cases: &[(&[usize], &[isize], usize)] = &[
            (&[], &[], 3),
            (&[7], &[1], 0),
            (&[0, 4], &[4, 1], 0),
            (&[5, 7], &[1, 5], 0),
            (&[37, 53], &[1, 37], 2),
            (&[300, 200], &[1, 300], 0),
            (&[2, 64, 48], &[64 * 48, 1, 64], 0),
            (&[3, 2, 40, 33], &[2 * 40 * 33, 33, 66, 1], 0),
            (&[4, 40, 33], &[33, 132, 1], 0),
            (&[60, 1000], &[1000, 1], 0),
            (&[200, 500], &[0, 1], 0),
            (&[500, 200], &[1, 0], 0),
            (&[2, 40_000], &[40_000, 1], 1),
            (&[33, 3, 17], &[2, 1000, 66], 5),
        ];
        let data: Vec<f32> = (0..100_000).map(|i| i as f32).collect();
        let small: Vec<u8> = (0..100_000).map(|i| i as u8).collect();
        for (dims, strides, offset) in cases {
            let n = dims.iter().product();
            let mut y = vec![0f32; n];
            run(0, |cx| contiguous(cx, &strided(&data, dims, strides, *offset), &mut ViewMut::of(&mut y, dims))).unwrap();
            assert_eq!(y, reference(&data, dims, strides, *offset), "{dims:?} {strides:?}");
            let mut y = vec![0u8; n];
            run(0, |cx| contiguous(cx, &strided(&small, dims, strides, *offset), &mut ViewMut::of(&mut y, dims))).unwrap();
            assert_eq!(y, reference(&small, dims, strides, *offset), "{dims:?} {strides:?}");
        }
    }

    #[test]
    fn casts_truncate_saturate_and_wrap() {
        let x = [1.9f32, -1.9, 300.0, -300.0, f32::NAN, f32::INFINITY, -0.0, 3e9];
        let mut bytes = [0u8; 8];
        let mut ints = [0i32; 8];
        let mut bools = [ferrograd_tensor::B8(9); 8];
        each_isa(|_| {
            run(0, |cx| cast(cx, &View::of(&x, &[8]), 6, &mut ViewMut::of(&mut bytes, &[8]))).unwrap();
            run(0, |cx| cast(cx, &View::of(&x, &[8]), 5, &mut ViewMut::of(&mut ints, &[8]))).unwrap();
            run(0, |cx| cast(cx, &View::of(&x, &[8]), 8, &mut ViewMut::of(&mut bools, &[8]))).unwrap();
            assert_eq!(bytes, [1, 0, 255, 0, 0, 255, 0, 255]);
            assert_eq!(ints, [1, -1, 300, -300, 0, i32::MAX, 0, i32::MAX]);
            assert_eq!(bools.map(|b| b.0), [1, 1, 1, 1, 1, 1, 0, 1]);
        });
        let wide = [1i64 << 40 | 5, -1, i64::MAX, (1 << 24) + 1];
        let mut narrow = [0i32; 4];
        run(0, |cx| cast(cx, &View::of(&wide, &[4]), 5, &mut ViewMut::of(&mut narrow, &[4]))).unwrap();
        assert_eq!(narrow, [5, -1, -1, (1 << 24) + 1]);
        let mut floats = [0f32; 4];
        run(0, |cx| cast(cx, &View::of(&wide, &[4]), 0, &mut ViewMut::of(&mut floats, &[4]))).unwrap();
        assert_eq!(floats, wide.map(|v| v as f32));
        let mut halves = [f16::ZERO; 4];
        run(0, |cx| cast(cx, &View::of(&[1.5f64, -2.0, 1e9, 0.1], &[4]), 3, &mut ViewMut::of(&mut halves, &[4]))).unwrap();
        assert_eq!(halves, [f16::from_f32(1.5), f16::from_f32(-2.0), f16::INFINITY, f16::from_f32(0.1)]);
    }

    #[test]
    fn large_and_strided_casts() {
        let data: Vec<f32> = (0..70_000).map(|i| i as f32 * 0.5 - 1000.0).collect();
        each_isa(|isa| {
            let mut y = vec![bf16::ZERO; 70_000];
            run(0, |cx| cast(cx, &View::of(&data, &[70_000]), 2, &mut ViewMut::of(&mut y, &[70_000]))).unwrap();
            assert!(y.iter().zip(&data).all(|(y, &x)| *y == bf16::from_f32(x)), "{isa:?}");
            let mut y = vec![0f64; 70_000];
            run(0, |cx| cast(cx, &strided(&data, &[100, 700], &[1, 100], 0), 1, &mut ViewMut::of(&mut y, &[100, 700]))).unwrap();
            assert!(y.iter().zip(reference(&data, &[100, 700], &[1, 100], 0)).all(|(y, x)| *y == x as f64), "{isa:?}");
        });
    }

    #[test]
    fn assign_broadcasts_converts_and_keeps_what_lies_between() {
        let mut data = vec![9f32; 12];
        let layout = Layout::strided(Shape::new(&[3, 2]).unwrap(), &[4, 2], 1);
        {
            // SAFETY: 3 rows of 4, columns 1 and 3.
            let mut target = unsafe { ViewMut::new(data.as_mut_ptr().cast(), Meta { dtype: DType::F32, layout }) };
            run(0, |cx| assign(cx, &mut target, &View::of(&[1i32, 2], &[2]))).unwrap();
            assert!(run(0, |cx| assign(cx, &mut target, &View::of(&[1i32, 2, 3], &[3]))).is_err());
        }
        assert_eq!(data, [9., 1., 9., 2., 9., 1., 9., 2., 9., 1., 9., 2.]);
        // SAFETY: as above.
        let mut target = unsafe { ViewMut::new(data.as_mut_ptr().cast(), Meta { dtype: DType::F32, layout }) };
        run(0, |cx| fill(cx, &mut target, 0.5)).unwrap();
        assert_eq!(data, [9., 0.5, 9., 0.5, 9., 0.5, 9., 0.5, 9., 0.5, 9., 0.5]);
        // Into a transposed target.
        let source: Vec<f32> = (0..6000).map(|i| i as f32).collect();
        let mut data = vec![0f32; 6000];
        let layout = Layout::strided(Shape::new(&[60, 100]).unwrap(), &[1, 60], 0);
        // SAFETY: a permutation of the 6000 elements.
        let mut target = unsafe { ViewMut::new(data.as_mut_ptr().cast(), Meta { dtype: DType::F32, layout }) };
        run(0, |cx| assign(cx, &mut target, &View::of(&source, &[60, 100]))).unwrap();
        assert!((0..60).all(|i| (0..100).all(|j| data[i + 60 * j] == source[i * 100 + j])));
    }
}
