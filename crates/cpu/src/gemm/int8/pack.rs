//! Copies of a matrix in quads: `[quad of k][line]`, which is how the tile kernels read it.
use super::Quad;
use ferrograd_simd::{Kernel, Simd, vectorize};

/// `dst[q * ld + j]` = the bytes `4 q .. 4 q + 4` of line `j`, at `src + k * k_stride + j * stride`, for `j < width` and all k below `len`; what the
/// last quad lacks is zero, and so are the places from `width` to `ld`.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub src: *const u8,
    pub len: usize,
    pub width: usize,
    pub k_stride: isize,
    pub stride: isize,
    pub dst: *mut Quad,
    pub ld: usize,
}

impl Strip {
    /// # Safety
    /// Every address named is valid, and nobody else touches `dst`.
    pub unsafe fn pack(self) {
        let whole = self.len / 4;
        if self.width < self.ld {
            for q in 0..self.len.div_ceil(4) {
                // SAFETY: the caller's promise.
                unsafe { self.dst.add(q * self.ld + self.width).write_bytes(0, self.ld - self.width) };
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            if self.k_stride != 1 {
                vectorize(Weave(self));
                return self.bytes(whole, self.len % 4);
            }
            let done = self.turn(whole / 4 * 4);
            for q in done..whole {
                for j in 0..self.width {
                    let quad = self.src.offset(4 * q as isize + j as isize * self.stride).cast::<Quad>();
                    *self.dst.add(q * self.ld + j) = quad.read_unaligned();
                }
            }
            self.bytes(whole, self.len % 4);
        }
    }

    /// The first quads in registers, `quads` of them (a multiple of 4) or none: gives how many.
    // SAFETY: as for `pack`, `k_stride` being 1.
    unsafe fn turn(&self, quads: usize) -> usize {
        #[cfg(target_arch = "x86_64")]
        if ferrograd_simd::isa() == ferrograd_simd::Isa::Avx512 {
            // SAFETY: the caller's promise; the path in force has the features.
            unsafe { crate::gemm::words::turn(self.src, self.stride, self.dst, self.ld, quads, self.width) };
            return quads;
        }
        let _ = quads;
        0
    }

    /// The quad `q`, of which there are `some` bytes, 0 to 4; nothing where there is none.
    // SAFETY: as for `pack`.
    #[inline(always)]
    unsafe fn bytes(&self, q: usize, some: usize) {
        if some == 0 {
            return;
        }
        for j in 0..self.width {
            let mut quad = [0u8; 4];
            for i in 0..some {
                // SAFETY: as for `pack`.
                quad[i] = unsafe { *self.src.offset((4 * q + i) as isize * self.k_stride + j as isize * self.stride) };
            }
            // SAFETY: as for `pack`.
            unsafe { *self.dst.add(q * self.ld + j) = Quad::from_ne_bytes(quad) };
        }
    }
}

/// The whole quads of a strip whose lines do not run along k. Where the lines are neighbours, four rows of k are woven into one.
struct Weave(Strip);

impl Kernel for Weave {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let s = self.0;
        for q in 0..s.len / 4 {
            // SAFETY: by the promise made to `pack`.
            unsafe {
                if s.stride != 1 {
                    s.bytes(q, 4);
                    continue;
                }
                let first = s.src.offset(4 * q as isize * s.k_stride);
                let row = [first, first.offset(s.k_stride), first.offset(2 * s.k_stride), first.offset(3 * s.k_stride)]
                    .map(|row| std::slice::from_raw_parts(row, s.width));
                let dst = std::slice::from_raw_parts_mut(s.dst.add(q * s.ld), s.width);
                for j in 0..s.width {
                    dst[j] = Quad::from_ne_bytes([row[0][j], row[1][j], row[2][j], row[3][j]]);
                }
            }
        }
    }
}
