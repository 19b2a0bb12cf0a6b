//! Products of float32, by the register tiles of large products; half types are widened to it.
use super::{Products, Side, Way, Weights};
use crate::gemm::{Ahead, Gemm, Job, Mat, Next, Rows, Tiles, even_cut};
use ferrograd_simd::{Kernel, Simd, isa, prefetch, vectorize};
use ferrograd_tensor::{Cx, DType, Element, PackKey, SyncPtr, View, bf16, f16};

#[derive(Clone, Copy)]
pub(in crate::recurrent) struct Tiled(&'static Tiles);

impl Tiled {
    pub fn new() -> Tiled {
        Tiled(Tiles::of(isa()))
    }
}

/// The weights in scratch as float32.
fn widen<T: Element>(weight: &View, to: &mut [f32]) {
    to.iter_mut().zip(weight.slice::<T>()).for_each(|(to, w)| *to = w.to_f32());
}

impl Products for Tiled {
    type Acc = f32;
    type Row = f32;

    fn weights<'c>(self, cx: &'c mut Cx, weight: &View, way: Way) -> (Weights, Cx<'c>) {
        let (k, n, strides) = Weights::shape(weight, way);
        let tiles = self.0;
        let pack = |cx: &Cx, from: *const f32, to: SyncPtr<f32>| {
            let b = Mat { ptr: from, rs: strides.0, cs: strides.1 };
            let a = Mat { ptr: from, rs: 0, cs: 0 };
            let null = SyncPtr(std::ptr::null_mut());
            Gemm { m: 1, n, k, a, b, c: null, ldc: n, bias: null, relu: false, packed_b: None, next: Next::NOTHING }.pack_b(tiles, cx.pool(), to);
        };
        let key = PackKey { order: "recurrent", sizes: [k as isize, n as isize, strides.0, strides.1, tiles.nr() as isize, 0] };
        let (b, cx) = if weight.dtype() == DType::F32 {
            let from = weight.ptr::<f32>();
            cx.packed(from, &key, k * n, |cx, to| pack(cx, from, to))
        } else {
            let whole = (k * n).next_multiple_of(16);
            let (room, cx) = cx.split_scratch::<f32>(2 * whole);
            let (packed, wide) = room.split_at_mut(whole);
            match weight.dtype() {
                DType::BF16 => widen::<bf16>(weight, wide),
                _ => widen::<f16>(weight, wide),
            }
            let to = SyncPtr(packed.as_mut_ptr());
            pack(&cx, wide.as_ptr(), to);
            (to, cx)
        };
        (Weights { k, n, b: SyncPtr(b.get().cast()), strides }, cx)
    }

    // SAFETY: as the trait says.
    unsafe fn product(self, w: &Weights, a: &[*const f32], c: *mut f32, add: bool) {
        let tiles = self.0;
        let (nr, parts, b) = (tiles.nr(), a.len().div_ceil(tiles.mr()), w.b.get().cast::<f32>());
        if let [row] = *a
            && w.n % nr == 0
            && vectorize(OneRow { k: w.k, n: w.n, nr, a: row, b, c, add })
        {
            return;
        }
        for first in (0..w.n).step_by(nr) {
            let cols = nr.min(w.n - first);
            // Weights larger than the second-level cache come from further away: the next panel is asked for meanwhile.
            let next = (first + nr).min(w.n - 1) * w.k;
            for part in 0..parts {
                let (row, some) = even_cut(a.len(), parts, part);
                // SAFETY: rows and columns lie inside A, C and the packed weights.
                unsafe {
                    let job = Job {
                        taps: &[(0, 0)],
                        k: w.k,
                        b: b.add(first * w.k),
                        ldb: cols as isize,
                        c: c.add(row * w.n + first),
                        ldc: w.n,
                        n: cols,
                        add,
                        bias: std::ptr::null(),
                        relu: false,
                        ahead: Ahead::over(b.add(next + part * cols * w.k / parts), cols * w.k / parts, w.k),
                    };
                    tiles.rows(&a[row..row + some], &job);
                }
            }
        }
    }

    // SAFETY: as the trait says.
    unsafe fn pack(self, rows: &[*const f32], len: usize, side: Side, room: *mut u8) {
        let tiles = self.0;
        let count = if side == Side::Left { len.div_ceil(tiles.mr()) } else { 0 };
        // SAFETY: the caller's promise; the panels make up the rows.
        unsafe { Rows { rows, len, even: count, width: tiles.nr(), dst: room.cast() }.pack() };
    }

    // SAFETY: as the trait says.
    unsafe fn outer(self, rows: usize, left: *const u8, m: usize, right: *const u8, n: usize, c: *mut f32, add: bool) {
        let tiles = self.0;
        let (nr, heights) = (tiles.nr(), m.div_ceil(tiles.mr()));
        for first in (0..n).step_by(nr) {
            let cols = nr.min(n - first);
            for tile in 0..heights {
                let (row, height) = even_cut(m, heights, tile);
                // Sums of large weights come from further away than the packed sides: the next tile's are asked for meanwhile.
                for line in (row + height..(row + 2 * height).min(m)).flat_map(|i| [0, 16].map(|col| i * n + first + col)) {
                    prefetch(c.wrapping_add(line), 1);
                }
                // SAFETY: tiles and panels lie inside what was packed and inside C.
                unsafe {
                    let job = Job {
                        taps: &[(0, 0)],
                        k: rows,
                        b: right.cast::<f32>().add(first * rows),
                        ldb: cols as isize,
                        c: c.add(row * n + first),
                        ldc: n,
                        n: cols,
                        add,
                        bias: std::ptr::null(),
                        relu: false,
                        ahead: Ahead::NONE,
                    };
                    tiles.cols(height, left.cast::<f32>().add(row * rows), height as isize, &job);
                }
            }
        }
    }
}

/// Vectors in a row of a panel that [`OneRow`] knows.
const PANEL: usize = 2;
/// Panels that it reads side by side.
const BESIDE: usize = 4;

/// The product of one row, as in streaming. A tile of one row waits for its own few sums at every step; here several panels' go on at once, each
/// summed in the order of k as in a tile, so that the bits are the same. False, and nothing done, on paths whose panels have other widths.
struct OneRow {
    k: usize,
    n: usize,
    nr: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    add: bool,
}

impl Kernel for OneRow {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> bool {
        let (width, mut first) = (PANEL * S::LANES, 0);
        if self.nr != width {
            return false;
        }
        while first + BESIDE * width <= self.n {
            self.panels::<S, BESIDE>(s, first);
            first += BESIDE * width;
        }
        while first < self.n {
            self.panels::<S, 1>(s, first);
            first += width;
        }
        true
    }
}

impl OneRow {
    #[inline(always)]
    fn panels<S: Simd, const P: usize>(&self, s: S, first: usize) {
        let width = PANEL * S::LANES;
        // SAFETY: P panels of k rows from column `first` on, k elements of A, and the columns' sums, by the promise of `product`.
        unsafe {
            let mut sums = [[s.zero(); PANEL]; P];
            if self.add {
                for (p, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = s.load(self.c.add(first + p * width + v * S::LANES));
                    }
                }
            }
            let b = self.b.add(first * self.k);
            for k in 0..self.k {
                let a = s.splat(*self.a.add(k));
                for (p, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = s.fma(a, s.load(b.add((p * self.k + k) * width + v * S::LANES)), *sum);
                    }
                }
            }
            for (p, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    s.store(self.c.add(first + p * width + v * S::LANES), sum);
                }
            }
        }
    }
}
