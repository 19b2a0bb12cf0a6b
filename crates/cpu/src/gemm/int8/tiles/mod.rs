//! Tile kernels: a tile of C in vector registers, vectors along n, each quad of A broadcast; and dot products along k, for a few rows. One set
//! a path.
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod ymm;

use super::thin::ROWS;
use super::{Finish, Quad, QuadGemm};
use std::ops::Range;

/// What a tile kernel reads and writes besides A.
pub(super) struct Job<'a> {
    /// Whole quads of k.
    pub quads: usize,
    /// Bytes behind them, 0 to 3. Packed operands have them as a quad filled up with zeros; in a row of A what follows them is not to be read.
    pub tail: usize,
    /// Packed, `[quad][column]` in whole vectors, and behind the last quad the sums of the columns.
    pub b: *const Quad,
    /// Columns, at most the width of the tile.
    pub n: usize,
    pub c: *mut f32,
    pub ldc: usize,
    /// The tile's first column, counted in C.
    pub col: usize,
    pub finish: &'a Finish,
}

/// `a`: one pointer a row, k contiguous.
type RowsFn = unsafe fn(a: *const *const u8, job: &Job);
/// `a`: packed, `[quad][rows]`.
type PackedFn = unsafe fn(a: *const Quad, job: &Job);
/// Columns of a thin product.
type DotsFn = unsafe fn(g: &QuadGemm, cols: Range<usize>);
/// Writes the sums of `n` columns, a multiple of a vector's, behind their packed quads.
type SumsFn = unsafe fn(b: *mut Quad, quads: usize, n: usize);

/// The kernels of one path. To call them is safe only where the CPU has its instructions.
pub(crate) struct Table {
    /// Columns of a vector.
    pub(super) width: usize,
    /// `[vectors - 1][rows - 1]`
    pub(super) rows: &'static [&'static [RowsFn]],
    pub(super) packed: &'static [&'static [PackedFn]],
    /// `[rows - 1]`
    pub(super) dots: [DotsFn; ROWS],
    pub(super) sums: SumsFn,
}

impl Table {
    /// The kernels of the path in force.
    pub fn get() -> &'static Table {
        #[cfg(target_arch = "x86_64")]
        {
            use ferrograd_simd::{Isa, has_byte_dot, isa};
            match (isa(), has_byte_dot()) {
                (Isa::Avx512, true) => return &avx512::TABLE,
                (Isa::Avx2, true) => return &avx_vnni::TABLE,
                (Isa::Avx512 | Isa::Avx2, false) => return &avx2::TABLE,
                _ => {}
            }
        }
        &scalar::TABLE
    }
    /// All that this CPU can run, those that a better one hides among them.
    #[cfg(test)]
    pub fn every() -> Vec<(&'static str, &'static Table)> {
        let mut tables = Vec::new();
        ferrograd_simd::Isa::available().for_each(|isa| tables.push((isa.name(), ferrograd_simd::with_isa(isa, Table::get))));
        #[cfg(target_arch = "x86_64")]
        if ferrograd_simd::Isa::Avx2.is_available() {
            tables.push(("avx2 without byte products", &avx2::TABLE));
        }
        tables
    }
    /// Columns of the widest tile, which is the width of a packed panel.
    pub fn nr(&self) -> usize {
        self.width * self.rows.len()
    }
    /// Rows of the tallest tile.
    pub fn mr(&self) -> usize {
        self.rows[0].len()
    }
}

/// The kernels over the operations in scope: `W` lanes of 32 bits, `V` quads or int32, `F` floats, `Mask`; `left` and `right` make of quads the
/// operands of `dot`.
/// The whole loop stands inside a function with the path's features, else the intrinsics would not be inlined.
macro_rules! tile_kernels {
    ([$($feature:meta),*]) => {
        use super::{DotsFn, Job, PackedFn, RowsFn, Table};
        use crate::gemm::int8::{Quad, QuadGemm};
        use crate::gemm::micro::unrolled;
        use std::ops::Range;

        $(#[target_feature($feature)])*
        #[inline]
        fn masks<const NV: usize>(n: usize) -> [Mask; NV] {
            let mut all = [mask(W); NV];
            all[NV - 1] = mask(n - (NV - 1) * W);
            all
        }

        // `line`, `finish` and `block` are inlined by force, since accumulators passed to a function would live in memory; the attribute does
        // not go with `target_feature`, and the operations are inlined once these stand in a kernel.

        /// A quad of packed B.
        // SAFETY: `b` lies inside the panel; the features are the caller's.
        #[inline(always)]
        unsafe fn line<const NV: usize>(b: *const Quad) -> [Right; NV] {
            // SAFETY: the caller's promise.
            unsafe {
                let mut all = [right(load(b)); NV];
                for v in 1..NV {
                    all[v] = right(load(b.add(v * W)));
                }
                all
            }
        }

        /// `b`: the sums of the columns.
        // SAFETY: addresses by the caller's promise; masked lanes are not touched; the features are the caller's.
        #[inline(always)]
        unsafe fn finish<const MR: usize, const NV: usize>(acc: [[V; NV]; MR], b: *const Quad, job: &Job) {
            // SAFETY: as said.
            unsafe {
                let masks = masks::<NV>(job.n);
                let f = job.finish;
                let (mut zero, mut scale, mut bias) = ([zeros(); NV], [all(0.0); NV], [all(-0.0); NV]);
                for v in 0..NV {
                    let at = job.col + v * W;
                    zero[v] = times(load(b.add(v * W)), f.zero_point);
                    scale[v] = multiply(floats(f.scales.get().add(at), masks[v]), all(f.scale));
                    // Nothing to add is -0, which changes no number, not even -0.
                    if !f.bias.get().is_null() {
                        bias[v] = floats(f.bias.get().add(at), masks[v]);
                    }
                }
                let floor = all(if f.relu { 0.0 } else { f32::NEG_INFINITY });
                unrolled!(m in 0..MR {
                    for v in 0..NV {
                        let y = plus(multiply(number(minus(acc[m][v], zero[v])), scale[v]), bias[v]);
                        store(job.c.add(m * job.ldc + v * W), masks[v], at_least(y, floor));
                    }
                });
            }
        }

        /// # Safety
        /// The CPU has the features; every address that the job names is valid, as are the rows' `4 * quads + tail` bytes.
        $(#[target_feature($feature)])*
        unsafe fn rows<const MR: usize, const NV: usize>(a: *const *const u8, job: &Job) {
            // SAFETY: the caller's promise; a quad need not be aligned.
            unsafe {
                let mut acc = [[zeros(); NV]; MR];
                let a: [*const u8; MR] = *a.cast();
                let mut b = job.b;
                for i in 0..job.quads {
                    let bv = line::<NV>(b);
                    unrolled!(m in 0..MR {
                        let x = left(splat(a[m].add(4 * i).cast::<Quad>().read_unaligned()));
                        for v in 0..NV {
                            acc[m][v] = dot(acc[m][v], x, bv[v]);
                        }
                    });
                    b = b.add(NV * W);
                }
                if job.tail > 0 {
                    let bv = line::<NV>(b);
                    unrolled!(m in 0..MR {
                        let last = a[m].add(4 * job.quads);
                        let mut bytes = [0u8; 4];
                        for i in 0..job.tail {
                            bytes[i] = *last.add(i);
                        }
                        let x = left(splat(Quad::from_ne_bytes(bytes)));
                        for v in 0..NV {
                            acc[m][v] = dot(acc[m][v], x, bv[v]);
                        }
                    });
                    b = b.add(NV * W);
                }
                finish(acc, b, job);
            }
        }

        /// # Safety
        /// As for [`rows`], with A packed.
        $(#[target_feature($feature)])*
        unsafe fn packed<const MR: usize, const NV: usize>(mut a: *const Quad, job: &Job) {
            // SAFETY: the caller's promise.
            unsafe {
                let mut acc = [[zeros(); NV]; MR];
                let mut b = job.b;
                for _ in 0..job.quads + usize::from(job.tail > 0) {
                    let bv = line::<NV>(b);
                    unrolled!(m in 0..MR {
                        let x = left(splat(*a.add(m)));
                        for v in 0..NV {
                            acc[m][v] = dot(acc[m][v], x, bv[v]);
                        }
                    });
                    a = a.add(MR);
                    b = b.add(NV * W);
                }
                finish(acc, b, job);
            }
        }

        /// # Safety
        /// The CPU has the features; `quads` times `n` quads are readable at `b`, and `n` places behind them writable, `n` a multiple of `W`.
        $(#[target_feature($feature)])*
        unsafe fn sums(b: *mut Quad, quads: usize, n: usize) {
            let ones = left(splat(Quad::from_ne_bytes([1; 4])));
            for j in (0..n).step_by(W) {
                let mut sum = zeros();
                for q in 0..quads {
                    // SAFETY: the caller's promise.
                    sum = dot(sum, ones, right(unsafe { load(b.add(q * n + j)) }));
                }
                // SAFETY: as above.
                unsafe { store_sums(b.add(quads * n + j), sum) };
            }
        }

        /// Columns `cols` of a thin product of `M` rows, `C` at a time.
        ///
        /// # Safety
        /// The CPU has the features; the rows of A and the columns of B run along k; the columns of C are the caller's alone.
        $(#[target_feature($feature)])*
        unsafe fn dots<const M: usize, const C: usize>(g: &QuadGemm, cols: Range<usize>) {
            let mut col = cols.start;
            // SAFETY: the caller's promise.
            unsafe {
                while col + C <= cols.end {
                    block::<M, C>(g, col);
                    col += C;
                }
                for col in col..cols.end {
                    block::<M, 1>(g, col);
                }
            }
        }

        // SAFETY: as for `dots`.
        #[inline(always)]
        unsafe fn block<const M: usize, const C: usize>(g: &QuadGemm, col: usize) {
            // SAFETY: as for `dots`; `bytes` reads no more than it is told.
            unsafe {
                let ones = left(splat(Quad::from_ne_bytes([1; 4])));
                let (mut acc, mut of_b) = ([[zeros(); C]; M], [zeros(); C]);
                let mut k = 0;
                while k < g.k {
                    let len = (g.k - k).min(4 * W);
                    let mut rows = [left(splat(0)); M];
                    for m in 0..M {
                        rows[m] = left(bytes(g.a.ptr.offset(m as isize * g.a.rs).add(k), len));
                    }
                    for c in 0..C {
                        let x = right(bytes(g.b.ptr.offset((col + c) as isize * g.b.cs).add(k).cast(), len));
                        of_b[c] = dot(of_b[c], ones, x);
                        for m in 0..M {
                            acc[m][c] = dot(acc[m][c], rows[m], x);
                        }
                    }
                    k += 4 * W;
                }
                for c in 0..C {
                    for m in 0..M {
                        // Lane by lane the zero point is taken out; sums wrap, so that order is free.
                        let sum = total(minus(acc[m][c], times(of_b[c], g.finish.zero_point)));
                        let y = g.finish.value(sum, col + c);
                        *g.c.get().add(m * g.ldc + col + c) = y;
                    }
                }
            }
        }
    };
    // The tables, for `$nv` vectors and every number of rows in `$mr`; `$cols` columns at a time for each number of rows of a thin product.
    (table $($nv:literal)* ; $mr:tt ; $($thin:literal x $cols:literal),*) => {
        pub(super) static TABLE: Table = Table {
            width: W,
            rows: &[$(tile_kernels!(@row rows RowsFn; $nv $mr)),*],
            packed: &[$(tile_kernels!(@row packed PackedFn; $nv $mr)),*],
            dots: [$(dots::<$thin, $cols> as DotsFn),*],
            sums,
        };
    };
    (@row $kernel:ident $f:ty; $nv:literal [$($mr:literal)*]) => { &[$($kernel::<$mr, $nv> as $f),*] };
}
use tile_kernels;
