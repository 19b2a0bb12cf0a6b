//! Products of bf16 pairs by `vdpbf16ps`, where the CPU has it: operands are rounded to bf16, sums are float32.
use super::{Products, Side, Way, Weights};
use crate::gemm::bf16::{self as pairs, MR, NR, Pair, PairGemm, Table, Target, table, weave};
use crate::gemm::{Ahead, Mat, even_cut};
use ferrograd_tensor::{Cx, PackKey, SyncPtr, View, bf16};

#[derive(Clone, Copy)]
pub(in crate::recurrent) struct Dots(&'static Table);

impl Dots {
    /// None where the CPU has no such instruction.
    pub fn new() -> Option<Dots> {
        table().map(Dots)
    }
}

impl Products for Dots {
    type Acc = f32;
    type Row = bf16;

    fn weights<'c>(self, cx: &'c mut Cx, weight: &View, way: Way) -> (Weights, Cx<'c>) {
        let (k, n, strides) = Weights::shape(weight, way);
        let from = weight.ptr::<bf16>();
        let mat = |rs, cs| Mat { ptr: from, rs, cs };
        let null = SyncPtr(std::ptr::null_mut());
        let gemm =
            PairGemm { m: 1, n, k, a: mat(0, 0), b: mat(strides.0, strides.1), c: null, ldc: n, bias: null, relu: false, packed_b: None };
        let key = PackKey { order: "recurrent pairs", sizes: [k as isize, n as isize, strides.0, strides.1, NR as isize, 0] };
        let len = 2 * gemm.packed_len();
        let (b, cx) = cx.packed(from, &key, len, |cx, to| gemm.pack_b(cx.pool(), SyncPtr(to.get().cast())));
        (Weights { k, n, b: SyncPtr(b.get().cast()), strides }, cx)
    }

    // SAFETY: as the trait says.
    unsafe fn product(self, w: &Weights, a: &[*const bf16], c: *mut f32, add: bool) {
        let table = self.0;
        let (parts, packed, b) = (a.len().div_ceil(MR), w.k.div_ceil(2), w.b.get().cast::<Pair>());
        for first in (0..w.n).step_by(NR) {
            let cols = NR.min(w.n - first);
            for part in 0..parts {
                let (row, some) = even_cut(a.len(), parts, part);
                // SAFETY: rows and columns lie inside A, C and the packed weights.
                unsafe {
                    let job = pairs::Job {
                        taps: &[(0, 0)],
                        pairs: w.k / 2,
                        odd: w.k % 2 == 1,
                        b: b.add(first * packed),
                        ldb: cols,
                        n: cols,
                        to: Target::Part { to: c.add(row * w.n + first), ld: w.n, add },
                        ahead: Ahead::NONE,
                    };
                    table.rows(&a[row..row + some], &job);
                }
            }
        }
    }

    // SAFETY: as the trait says.
    unsafe fn pack(self, rows: &[*const bf16], len: usize, side: Side, room: *mut u8) {
        let (pairs, tiles) = (rows.len().div_ceil(2), len.div_ceil(MR));
        let panels = if side == Side::Left { tiles } else { len.div_ceil(NR) };
        for panel in 0..panels {
            let (first, width) = if side == Side::Left { even_cut(len, tiles, panel) } else { (panel * NR, NR.min(len - panel * NR)) };
            for (p, two) in rows.chunks(2).enumerate() {
                // SAFETY: parts of the rows, and places of the room; a row that is missing is null.
                unsafe {
                    let high = two.get(1).map_or(std::ptr::null(), |row| row.add(first));
                    weave(two[0].add(first), high, width, room.cast::<Pair>().add(first * pairs + p * width));
                }
            }
        }
    }

    // SAFETY: as the trait says.
    unsafe fn outer(self, rows: usize, left: *const u8, m: usize, right: *const u8, n: usize, c: *mut f32, add: bool) {
        let table = self.0;
        let (pairs, heights) = (rows.div_ceil(2), m.div_ceil(MR));
        for first in (0..n).step_by(NR) {
            let cols = NR.min(n - first);
            for tile in 0..heights {
                let (row, height) = even_cut(m, heights, tile);
                // SAFETY: tiles and panels lie inside what was packed and inside C.
                unsafe {
                    let job = pairs::Job {
                        taps: &[(0, 0)],
                        pairs,
                        odd: false,
                        b: right.cast::<Pair>().add(first * pairs),
                        ldb: cols,
                        n: cols,
                        to: Target::Part { to: c.add(row * n + first), ld: n, add },
                        ahead: Ahead::NONE,
                    };
                    table.packed(height, left.cast::<Pair>().add(row * pairs), height as isize, &job);
                }
            }
        }
    }
}
