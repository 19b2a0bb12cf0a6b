//! C = A B where B's columns lie one after the other (a Linear's weight) and are many times A's rows. The smaller of the two is packed: the tiles
//! compute C's transpose, B's columns being their rows, and each is turned on its way into C. The sums, and so the bits, are those of the other way.
use super::loops::{Gemm, each};
use super::micro::{Ahead, Job, Tiles, even_cut};
use super::pack::Panel;
use super::tune::KC;
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{Parallel, SyncPtr};

/// Steps of K that a task packs.
const STEPS: usize = 128;
/// Rows and columns of the largest tile of any path.
const TALL: usize = 16;
const WIDE: usize = 32;

impl Gemm {
    pub(super) fn is_swapped(&self, tiles: &Tiles) -> bool {
        let shape = self.m % tiles.width == 0 && self.n >= 8 * self.m && (128..=KC).contains(&self.k);
        shape && self.packed_b.is_none() && self.a.cs == 1 && self.b.rs == 1 && self.b.cs != 1
    }

    /// # Safety
    /// As for [`Gemm::run`]; `packed` has m * k elements.
    pub(super) unsafe fn run_swapped(&self, tiles: &Tiles, pool: &dyn Parallel, packed: SyncPtr<f32>) {
        let (m, n, k, nr) = (self.m, self.n, self.k, tiles.nr());
        let (panels, n_tiles, stretches) = (m.div_ceil(nr), n.div_ceil(tiles.mr()), k.div_ceil(STEPS));
        let panel = |p: usize| (p * nr, nr.min(m - p * nr));
        each(pool, panels * stretches, |task| {
            let ((first, width), from) = (panel(task / stretches), task % stretches * STEPS);
            // SAFETY: rows of A; each stretch has its own part of the copy.
            unsafe {
                let src = self.a.ptr.offset(first as isize * self.a.rs).add(from);
                let dst = packed.get().add(first * k + from * width);
                Panel { src, len: STEPS.min(k - from), width, k_stride: 1, stride: self.a.rs, dst, ld: width }.pack();
            }
        });
        each(pool, panels * n_tiles, |task| {
            let ((first, width), t) = (panel(task % panels), task / panels);
            let (col, rows) = even_cut(n, n_tiles, t);
            let mut tile = [0f32; TALL * WIDE];
            // SAFETY: columns of B and the panel that was packed above; each tile of C is one task's.
            unsafe {
                let column = |j: usize| self.b.ptr.wrapping_offset(j as isize * self.b.cs);
                let mut table = [self.b.ptr; TALL];
                for (j, p) in table[..rows].iter_mut().enumerate() {
                    *p = column(col + j);
                }
                let job = Job {
                    taps: &[(0, 0)],
                    k,
                    b: packed.get().add(first * k),
                    ldb: width as isize,
                    c: tile.as_mut_ptr(),
                    ldc: WIDE,
                    n: width,
                    add: false,
                    bias: std::ptr::null(),
                    relu: false,
                    // The next tile's columns, where they lie without gaps.
                    ahead: if first == 0 { Ahead::over(column(col + rows), rows * k, k) } else { Ahead::NONE },
                };
                tiles.rows(&table[..rows], &job);
            }
            vectorize(Turn { g: self, tile: &tile, row: first, rows: width, col, cols: rows });
        });
    }
}

/// C[row + i, col + j] = tile[j, i], with bias and ReLU.
struct Turn<'a> {
    g: &'a Gemm,
    tile: &'a [f32; TALL * WIDE],
    row: usize,
    rows: usize,
    col: usize,
    cols: usize,
}

impl Kernel for Turn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let g = self.g;
        let mut turned = [0f32; TALL * WIDE];
        let (src, dst) = (self.tile.as_ptr(), turned.as_mut_ptr());
        // SAFETY: up to WIDE rows and TALL columns of both arrays; rows and columns of C and the bias by the caller's promise.
        unsafe {
            Panel { src, len: self.rows, width: self.cols, k_stride: 1, stride: WIDE as isize, dst, ld: TALL }.pack();
            for at in (0..self.cols).step_by(S::LANES) {
                let lanes = S::LANES.min(self.cols - at);
                let bias = if g.bias.get().is_null() { s.zero() } else { s.load_partial(g.bias.get().add(self.col + at), lanes) };
                for i in 0..self.rows {
                    let mut y = s.load(turned.as_ptr().add(i * TALL + at));
                    if g.relu || !g.bias.get().is_null() {
                        y = s.add(y, bias);
                    }
                    if g.relu {
                        y = s.select(s.lt(y, s.zero()), s.zero(), y);
                    }
                    s.store_partial(g.c.get().add((self.row + i) * g.ldc + self.col + at), lanes, y);
                }
            }
        }
    }
}
