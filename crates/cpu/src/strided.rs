//! Nested loops over several operands' strides, and the sizes at which work is cut.
use ferrograd_simd::Simd;
use ferrograd_tensor::{MAX_RANK, View, ViewMut, with_element};
use std::ops::Range;

/// Elements a task: large enough to hide a fork, small enough that few tasks keep many threads busy. Part of the results' order: a
/// constant.
pub(crate) const GRAIN: usize = 32 * 1024;

/// Results of this many bytes leave the caches before anybody reads them: they are written past them, which spares the reading of their lines.
/// No result depends on it. (The tests take a size that they reach.)
const LARGE: usize = if cfg!(test) { 1 << 12 } else { 32 << 20 };

/// Whether a result of `bytes` is better written past the caches.
pub(crate) fn streams(bytes: usize) -> bool {
    bytes >= LARGE
}

/// Stores a vector, past the caches where `STREAM`.
///
/// # Safety
/// As for [`Simd::store`], or for [`Simd::stream`].
#[inline(always)]
pub(crate) unsafe fn put<S: Simd, const STREAM: bool>(s: S, p: *mut f32, v: S::F) {
    // SAFETY: by the caller's promise.
    unsafe { if STREAM { s.stream(p, v) } else { s.store(p, v) } }
}

/// # Safety
/// `m` elements must be readable, m <= LANES.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(s: S, p: *const f32, m: usize) -> S::F {
    // SAFETY: by the caller's promise.
    unsafe { if m == S::LANES { s.load(p) } else { s.load_partial(p, m) } }
}

/// # Safety
/// `m` elements must be writable, m <= LANES.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(s: S, p: *mut f32, m: usize, v: S::F) {
    // SAFETY: by the caller's promise.
    unsafe { if m == S::LANES { s.store(p, v) } else { s.store_partial(p, m, v) } }
}

/// Loops over `N` operands of one shape. Sizes of 1 are dropped, dimensions that step evenly in every operand are merged,
/// so that the last one is as long as it can be. There is always at least one dimension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nest<const N: usize> {
    pub rank: usize,
    pub dims: [usize; MAX_RANK],
    pub strides: [[isize; N]; MAX_RANK],
}

impl<const N: usize> Nest<N> {
    pub fn new(dims: &[usize], strides: [&[isize]; N]) -> Nest<N> {
        let mut nest = Nest { rank: 0, dims: [1; MAX_RANK], strides: [[0; N]; MAX_RANK] };
        if dims.contains(&0) {
            nest.rank = 1;
            nest.dims[0] = 0;
            return nest;
        }
        for (i, &d) in dims.iter().enumerate() {
            if d == 1 {
                continue;
            }
            let step: [isize; N] = std::array::from_fn(|k| strides[k][i]);
            let merges = nest.rank > 0 && (0..N).all(|k| nest.strides[nest.rank - 1][k] == step[k] * d as isize);
            if merges {
                nest.dims[nest.rank - 1] *= d;
                nest.strides[nest.rank - 1] = step;
            } else {
                nest.dims[nest.rank] = d;
                nest.strides[nest.rank] = step;
                nest.rank += 1;
            }
        }
        nest.rank = nest.rank.max(1);
        nest
    }
    /// Length and steps of the innermost loop.
    pub fn inner(&self) -> (usize, [isize; N]) {
        (self.dims[self.rank - 1], self.strides[self.rank - 1])
    }
    /// Turns of all loops but the innermost.
    pub fn rows(&self) -> usize {
        self.dims[..self.rank - 1].iter().product()
    }
    /// The operands' offsets at the start of each row of `range`.
    pub fn each_row(&self, range: Range<usize>, f: &mut dyn FnMut([isize; N])) {
        each_index(&self.dims[..self.rank - 1], &self.strides[..self.rank - 1], range, f);
    }
    /// Takes dimension `i` out of the loops: its size and steps.
    pub fn take(&mut self, i: usize) -> (usize, [isize; N]) {
        let taken = (self.dims[i], self.strides[i]);
        self.dims.copy_within(i + 1..self.rank, i);
        self.strides.copy_within(i + 1..self.rank, i);
        self.rank -= 1;
        taken
    }
    /// Turns of all loops (used after `take`, which may leave none).
    pub fn turns(&self) -> usize {
        self.dims[..self.rank].iter().product()
    }
    /// The operands' offsets at each turn of all loops.
    pub fn each_turn(&self, range: Range<usize>, f: &mut dyn FnMut([isize; N])) {
        each_index(&self.dims[..self.rank], &self.strides[..self.rank], range, f);
    }
}

/// Offsets of the flat indices `range` of loops over `dims`, counted up like an odometer. (Not generic over `f`: it would be compiled
/// hundreds of times.)
fn each_index<const N: usize>(dims: &[usize], strides: &[[isize; N]], range: Range<usize>, f: &mut dyn FnMut([isize; N])) {
    if range.is_empty() {
        return;
    }
    let mut at = [0usize; MAX_RANK];
    let mut offsets = [0isize; N];
    let mut rest = range.start;
    for i in (0..dims.len()).rev() {
        at[i] = rest % dims[i];
        rest /= dims[i];
        for k in 0..N {
            offsets[k] += at[i] as isize * strides[i][k];
        }
    }
    for _ in range {
        f(offsets);
        for i in (0..dims.len()).rev() {
            at[i] += 1;
            for k in 0..N {
                offsets[k] += strides[i][k];
            }
            if at[i] < dims[i] {
                break;
            }
            at[i] = 0;
            for k in 0..N {
                offsets[k] -= dims[i] as isize * strides[i][k];
            }
        }
    }
}

/// `dims` around dimension `i`: product of those before, its own size, product of those after.
pub(crate) fn around(dims: &[usize], i: usize) -> (usize, usize, usize) {
    match dims.get(i) {
        Some(&n) => (dims[..i].iter().product(), n, dims[i + 1..].iter().product()),
        None => (1, 1, 1),
    }
}

/// The first element as bytes, whatever the dtype.
pub(crate) fn bytes(x: &View) -> *const u8 {
    with_element!(x.dtype(), T => x.ptr::<T>().cast())
}

/// As [`bytes`], for writing.
pub(crate) fn bytes_mut(y: &mut ViewMut) -> *mut u8 {
    with_element!(y.dtype(), T => y.ptr_mut::<T>().cast())
}

/// A pointer that tasks read.
#[derive(Clone, Copy)]
pub(crate) struct ReadPtr<T>(pub *const T);

impl<T> ReadPtr<T> {
    /// Through a method, so that closures capture the wrapper and not the bare pointer.
    #[inline(always)]
    pub fn get(&self) -> *const T {
        self.0
    }
}

// SAFETY: whoever dereferences it only reads, memory that nobody writes meanwhile.
unsafe impl<T> Send for ReadPtr<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for ReadPtr<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_merge_what_steps_evenly() {
        let n = Nest::new(&[2, 1, 3, 4], [&[12, 99, 4, 1], &[12, 0, 4, 1]]);
        assert_eq!((n.rank, n.inner()), (1, (24, [1, 1])));
        let n = Nest::new(&[2, 3, 4], [&[12, 4, 1], &[0, 4, 1]]);
        assert_eq!((n.rank, n.rows(), n.inner()), (2, 2, (12, [1, 1])));
        let n = Nest::new(&[], [&[]]);
        assert_eq!((n.rank, n.rows(), n.inner().0), (1, 1, 1));
        assert_eq!(Nest::new(&[3, 0], [&[1, 1]]).inner().0, 0);
    }

    #[test]
    fn odometer_starts_anywhere() {
        let n = Nest::new(&[2, 3, 5], [&[100, 10, 1], &[1, 2, 10]]);
        let mut all = vec![];
        n.each_turn(0..30, &mut |o| all.push(o));
        let mut tail = vec![];
        n.each_turn(17..30, &mut |o| tail.push(o));
        assert_eq!(all[17..], tail[..]);
        assert_eq!(all[29], [124, 45]);
    }
}
