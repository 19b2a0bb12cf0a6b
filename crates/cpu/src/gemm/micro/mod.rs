//! Tile kernels: C[m, n] (+)= sum over k of A[m, k] B[k, n], with the whole tile of C in vector registers; one set a vector path.
//!
//! Vectors run along n, each element of A is broadcast. A tile reads A in one of two ways: `rows`, a pointer a row and k contiguous
//! (row-major A, and the pixels of a convolution); or `cols`, m contiguous and a stride from k to k (a transposed A, and packed panels).
//! The reduction runs over a list of taps, each `k` steps long: a convolution's kernel rows, or the image rows of a weight gradient.
//! Every element of C is summed in the order of k in one accumulator, so the bits depend neither on the tile nor on where K was cut.
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use ferrograd_simd::Isa;

/// Displacements of a tap in A and in B, in elements.
pub(crate) type Tap = (isize, isize);

/// What a tile kernel reads and writes besides A.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub taps: &'a [Tap],
    /// Steps in each tap.
    pub k: usize,
    pub b: *const f32,
    /// From one k to the next, in elements.
    pub ldb: isize,
    pub c: *mut f32,
    pub ldc: usize,
    /// Columns, at most the width of the tile.
    pub n: usize,
    /// Start from what C holds instead of from 0.
    pub add: bool,
    /// `n` values added at the end, or null.
    pub bias: *const f32,
    pub relu: bool,
    pub ahead: Ahead,
}

/// Memory that the next tile reads, asked for while this one computes: an address a step, `step` elements apart. All at once they would hold up
/// the loads behind them.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    pub start: *const f32,
    pub step: usize,
}

static NOTHING: [f32; 16] = [0.0; 16];

impl Ahead {
    /// One line again and again, which costs next to nothing.
    pub const NONE: Ahead = Ahead { start: &raw const NOTHING as *const f32, step: 0 };

    /// `len` elements from `start`, spread over so many steps.
    pub fn over(start: *const f32, len: usize, steps: usize) -> Ahead {
        Ahead { start, step: len / steps.max(1) }
    }
}

/// `a`: one pointer a row. Reads `a[m] + tap + k` and `b + tap + k * ldb`.
pub(crate) type RowsFn = unsafe fn(a: *const *const f32, job: &Job);
/// Reads `a + tap + k * lda + m`.
pub(crate) type ColsFn = unsafe fn(a: *const f32, lda: isize, job: &Job);

/// The tile kernels of one vector path: `rows[vectors - 1][whole][m - 1]`, `whole` being 1 for columns that fill all vectors. Those load without
/// masks, on which loads from L2 wait (12 % of a large product on Zen 5).
pub(crate) struct Tiles {
    /// Elements in a vector.
    pub width: usize,
    pub rows: &'static [[&'static [RowsFn]; 2]],
    pub cols: &'static [[&'static [ColsFn]; 2]],
}

impl Tiles {
    pub fn of(isa: Isa) -> &'static Tiles {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &avx512::TILES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &avx2::TILES,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &neon::TILES,
            _ => &scalar::TILES,
        }
    }
    /// Columns of the widest tile, which is the width of a packed panel.
    pub fn nr(&self) -> usize {
        self.width * self.rows.len()
    }
    /// Rows of the tallest tile.
    pub fn mr(&self) -> usize {
        self.rows[0][0].len()
    }
    /// # Safety
    /// The path's instructions exist; 1 <= rows <= `mr()`; every address that the job names is valid.
    #[inline]
    pub unsafe fn rows(&self, a: &[*const f32], job: &Job) {
        // SAFETY: by the caller's promise.
        unsafe { self.rows[job.n.div_ceil(self.width) - 1][usize::from(job.n % self.width == 0)][a.len() - 1](a.as_ptr(), job) }
    }
    /// # Safety
    /// As for [`Tiles::rows`].
    #[inline]
    pub unsafe fn cols(&self, rows: usize, a: *const f32, lda: isize, job: &Job) {
        // SAFETY: by the caller's promise.
        unsafe { self.cols[job.n.div_ceil(self.width) - 1][usize::from(job.n % self.width == 0)][rows - 1](a, lda, job) }
    }
}

/// Cuts `len` rows into the fewest tiles of at most `mr`, as even as can be; gives tile `i` of `tiles` as (first row, rows).
#[inline]
pub(crate) fn even_cut(len: usize, tiles: usize, i: usize) -> (usize, usize) {
    let (base, more) = (len / tiles, len % tiles);
    (i * base + i.min(more), base + usize::from(i < more))
}

/// `$body` for each `$i` below the constant `$n`, written out: a loop that the compiler left as one would put the accumulators into memory.
macro_rules! unrolled {
    ($i:ident in 0..$n:ident $body:block) => { unrolled!(@ $i $n $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13) };
    (@ $i:ident $n:ident $body:block $($at:literal)*) => { $(if $at < $n { let $i: usize = $at; $body })* };
}
pub(super) use unrolled;

/// The tile kernels over the vector operations `V, Mask, W, mask, load, store, splat, fma, add, zero, relu` in scope.
/// The whole loop stands inside a function with the path's features, else the intrinsics would not be inlined.
macro_rules! tile_kernels {
    ([$($feature:meta),*]) => {
        use super::{ColsFn, Job, RowsFn, Tiles, unrolled};
        use ferrograd_simd::prefetch;

        // `start` and `finish` are inlined by force, since accumulators passed to a function would live in memory; the attribute does not
        // go with `target_feature`, and the operations are inlined once these stand in `rows` and `cols`.
        #[inline(always)]
        unsafe fn start<const MR: usize, const NV: usize>(job: &Job, masks: &[Mask; NV]) -> [[V; NV]; MR] {
            // SAFETY: addresses by the caller's promise; masked lanes are not touched.
            unsafe {
                let mut acc = [[zero(); NV]; MR];
                if job.add {
                    unrolled!(m in 0..MR {
                        for v in 0..NV {
                            acc[m][v] = load(job.c.add(m * job.ldc + v * W), masks[v]);
                        }
                    });
                }
                acc
            }
        }

        /// The last `STEPS` steps row after row, each row stored as soon as it is done: the stores of a whole tile at once fill the store queue and
        /// so hold up the next tile (14 x 32, Zen 4: 75 cycles, and 19 this way).
        #[inline(always)]
        unsafe fn finish<const MR: usize, const NV: usize, const STEPS: usize>(
            mut acc: [[V; NV]; MR],
            x: impl Fn(usize, usize) -> *const f32,
            b: *const f32,
            job: &Job,
            masks: &[Mask; NV],
        ) {
            // SAFETY: as in `start`.
            unsafe {
                let mut bv = [[zero(); NV]; STEPS];
                for k in 0..STEPS {
                    for v in 0..NV {
                        bv[k][v] = load(b.offset(k as isize * job.ldb).add(v * W), masks[v]);
                    }
                }
                let mut bias = [zero(); NV];
                if !job.bias.is_null() {
                    for v in 0..NV {
                        bias[v] = load(job.bias.add(v * W), masks[v]);
                    }
                }
                let bare = job.bias.is_null() && !job.relu;
                unrolled!(m in 0..MR {
                    for k in 0..STEPS {
                        let x = splat(x(m, k));
                        for v in 0..NV {
                            acc[m][v] = fma(x, bv[k][v], acc[m][v]);
                        }
                    }
                    for v in 0..NV {
                        let mut y = acc[m][v];
                        if !bare {
                            y = add(y, bias[v]);
                        }
                        if job.relu {
                            y = relu(y);
                        }
                        store(job.c.add(m * job.ldc + v * W), y, masks[v]);
                    }
                });
            }
        }

        // SAFETY: the CPU must have the features of this path.
        $(#[target_feature($feature)])*
        #[inline]
        unsafe fn masks<const NV: usize, const WHOLE: bool>(n: usize) -> [Mask; NV] {
            let mut all = [mask(W); NV];
            if !WHOLE {
                all[NV - 1] = mask(n - (NV - 1) * W);
            }
            all
        }

        /// `x(tap, m, k)`: where row `m` has step `k` of a tap.
        #[inline(always)]
        unsafe fn tile<const MR: usize, const NV: usize>(job: &Job, masks: [Mask; NV], x: impl Fn(isize, usize, usize) -> *const f32) {
            // SAFETY: as in `start`.
            unsafe {
                let mut acc = start::<MR, NV>(job, &masks);
                let mut ahead = job.ahead.start;
                let (mut tap, mut b) = (0, job.b);
                let kept = if job.k >= LAST { LAST } else { 0 };
                for (i, &(at, bt)) in job.taps.iter().enumerate() {
                    (tap, b) = (at, job.b.offset(bt));
                    for k in 0..job.k - if i + 1 == job.taps.len() { kept } else { 0 } {
                        prefetch(ahead, 1);
                        ahead = ahead.wrapping_add(job.ahead.step);
                        let mut bv = [zero(); NV];
                        for v in 0..NV {
                            bv[v] = load(b.add(v * W), masks[v]);
                        }
                        unrolled!(m in 0..MR {
                            let x = splat(x(tap, m, k));
                            for v in 0..NV {
                                acc[m][v] = fma(x, bv[v], acc[m][v]);
                            }
                        });
                        b = b.offset(job.ldb);
                    }
                }
                if kept > 0 && !job.taps.is_empty() {
                    finish::<MR, NV, LAST>(acc, |m, k| x(tap, m, job.k - LAST + k), b, job, &masks);
                } else {
                    finish::<MR, NV, 0>(acc, |m, k| x(tap, m, k), b, job, &masks);
                }
            }
        }

        $(#[target_feature($feature)])*
        unsafe fn rows<const MR: usize, const NV: usize, const WHOLE: bool>(a: *const *const f32, job: &Job) {
            // SAFETY: as in `start`.
            unsafe {
                let own: [*const f32; MR] = *a.cast();
                // More rows than registers hold are read where they are used: the compiler would put them on the stack, whose stores wait behind those
                // of the tile before.
                let row = |m: usize| if MR > 6 { a.add(m).read_volatile() } else { own[m] };
                // A row may start outside of its memory (a padded strip's origin); what is read lies inside.
                tile::<MR, NV>(job, masks::<NV, WHOLE>(job.n), |tap, m, k| row(m).wrapping_offset(tap + k as isize));
            }
        }

        $(#[target_feature($feature)])*
        unsafe fn cols<const MR: usize, const NV: usize, const WHOLE: bool>(a: *const f32, lda: isize, job: &Job) {
            // SAFETY: as in `start`.
            unsafe { tile::<MR, NV>(job, masks::<NV, WHOLE>(job.n), |tap, m, k| a.wrapping_offset(tap + k as isize * lda + m as isize)) }
        }
    };
    // The tables, for `$nv` vectors and every number of rows in `$mr`.
    (tables $($nv:literal)* ; $mr:tt) => {
        pub(super) static TILES: Tiles = Tiles {
            width: W,
            rows: &[$([tile_kernels!(@row rows $nv false $mr), tile_kernels!(@row rows $nv true $mr)]),*],
            cols: &[$([tile_kernels!(@row cols $nv false $mr), tile_kernels!(@row cols $nv true $mr)]),*],
        };
    };
    (@row rows $nv:literal $whole:literal [$($mr:literal)*]) => { &[$(rows::<$mr, $nv, $whole> as RowsFn),*] };
    (@row cols $nv:literal $whole:literal [$($mr:literal)*]) => { &[$(cols::<$mr, $nv, $whole> as ColsFn),*] };
}
use tile_kernels;
