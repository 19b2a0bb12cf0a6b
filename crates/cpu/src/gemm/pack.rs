//! Copies of a matrix in the order in which the tile kernels read it: panels of some rows or columns (`width`), k outermost.
use ferrograd_simd::{Kernel, Simd, vectorize};

/// One panel: `dst[k * ld + j] = src[k * k_stride + j * stride]` for `j < width`, `k < len`.
#[derive(Clone, Copy)]
pub(crate) struct Panel {
    pub src: *const f32,
    pub len: usize,
    pub width: usize,
    pub k_stride: isize,
    pub stride: isize,
    pub dst: *mut f32,
    pub ld: usize,
}

impl Panel {
    /// # Safety
    /// Every address named is valid, and nobody else touches `dst`.
    pub unsafe fn pack(self) {
        vectorize(self)
    }
}

impl Kernel for Panel {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        // SAFETY: by the promise made to `pack`.
        unsafe {
            if self.stride == 1 {
                for k in 0..self.len {
                    copy(self.src.offset(k as isize * self.k_stride), self.dst.add(k * self.ld), self.width);
                }
            } else if self.k_stride == 1 {
                let (k8, j8) = (self.len / 8 * 8, self.width / 8 * 8);
                transpose(self.src, self.stride, self.dst, self.ld, k8, j8);
                self.each(0..k8, j8..self.width);
                self.each(k8..self.len, 0..self.width);
            } else {
                self.each(0..self.len, 0..self.width);
            }
        }
    }
}

impl Panel {
    // SAFETY: as in `pack`: the ranges lie inside the panel.
    #[inline(always)]
    unsafe fn each(&self, ks: std::ops::Range<usize>, js: std::ops::Range<usize>) {
        for k in ks {
            for j in js.clone() {
                // SAFETY: as in `pack`.
                unsafe { *self.dst.add(k * self.ld + j) = *self.src.offset(k as isize * self.k_stride + j as isize * self.stride) };
            }
        }
    }
}

/// Panels that lie side by side in rows: `dst[first * k + i * width + j] = src[i * stride + first + j]` for `j < width`, `i` in `ks` and each panel's
/// (`first`, `width`). A row's share of all of them is read at once: panel by panel, rows a power of two apart would be fetched a line at a time,
/// into the same few sets of the cache.
#[derive(Clone, Copy)]
pub(super) struct SideBySide<'a> {
    pub src: *const f32,
    pub stride: isize,
    pub panels: &'a [(usize, usize)],
    pub from: usize,
    pub len: usize,
    pub dst: *mut f32,
    /// Rows of the whole copy.
    pub k: usize,
}

impl SideBySide<'_> {
    /// # Safety
    /// Every address named is valid, and nobody else touches these parts of `dst`.
    pub unsafe fn pack(self) {
        vectorize(self)
    }
}

impl Kernel for SideBySide<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for i in self.from..self.from + self.len {
            for &(first, width) in self.panels {
                // SAFETY: by the promise made to `pack`.
                unsafe {
                    copy(self.src.offset(i as isize * self.stride + first as isize), self.dst.add(first * self.k + i * width), width)
                };
            }
        }
    }
}

/// `len` elements, in sizes that the compiler turns into vector moves rather than a call.
#[inline(always)]
unsafe fn copy(src: *const f32, dst: *mut f32, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut i = 0;
        while i + 16 <= len {
            *dst.add(i).cast::<[f32; 16]>() = *src.add(i).cast::<[f32; 16]>();
            i += 16;
        }
        if i + 8 <= len {
            *dst.add(i).cast::<[f32; 8]>() = *src.add(i).cast::<[f32; 8]>();
            i += 8;
        }
        if i + 4 <= len {
            *dst.add(i).cast::<[f32; 4]>() = *src.add(i).cast::<[f32; 4]>();
            i += 4;
        }
        while i < len {
            *dst.add(i) = *src.add(i);
            i += 1;
        }
    }
}

/// dst[k * ld + j] = src[j * stride + k] for `k < len`, `j < width`, both multiples of 8, in blocks that caches like.
unsafe fn transpose(src: *const f32, stride: isize, dst: *mut f32, ld: usize, len: usize, width: usize) {
    // SAFETY: the caller's promise; the path says that the CPU has AVX.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if matches!(ferrograd_simd::isa(), ferrograd_simd::Isa::Avx512 | ferrograd_simd::Isa::Avx2) {
            return avx::transpose(src, stride, dst, ld, len, width);
        }
        for k in (0..len).step_by(8) {
            for j in 0..width {
                for k in k..k + 8 {
                    *dst.add(k * ld + j) = *src.offset(j as isize * stride + k as isize);
                }
            }
        }
    }
}

/// The same in registers, eight by eight.
#[cfg(target_arch = "x86_64")]
mod avx {
    use core::arch::x86_64::*;

    /// Blocks of 8 x 8 for `len` steps of k (a multiple of 8) and `width` columns (a multiple of 8).
    #[target_feature(enable = "avx")]
    pub unsafe fn transpose(src: *const f32, stride: isize, dst: *mut f32, ld: usize, len: usize, width: usize) {
        // A whole cache line of each source row at a time: rows a power of two apart push each other out of L1.
        for line in (0..len).step_by(16) {
            for j in (0..width).step_by(8) {
                for k in (line..len.min(line + 16)).step_by(8) {
                    // SAFETY: the caller's promise.
                    unsafe { block(src.offset(k as isize + j as isize * stride), stride, dst.add(k * ld + j), ld) };
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx")]
    unsafe fn block(src: *const f32, stride: isize, dst: *mut f32, ld: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            // Rows j and j + 4 share a register: the lower halves of eight rows, then the upper ones.
            for half in 0..2 {
                let load = |j: isize| {
                    let low = _mm_loadu_ps(src.offset(j * stride + 4 * half));
                    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), _mm_loadu_ps(src.offset((j + 4) * stride + 4 * half)))
                };
                let (a, b, c, d) = (load(0), load(1), load(2), load(3));
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                let dst = dst.add(4 * half as usize * ld);
                _mm256_storeu_ps(dst, _mm256_shuffle_ps::<0x44>(ab, cd));
                _mm256_storeu_ps(dst.add(ld), _mm256_shuffle_ps::<0xee>(ab, cd));
                _mm256_storeu_ps(dst.add(2 * ld), _mm256_shuffle_ps::<0x44>(ef, gh));
                _mm256_storeu_ps(dst.add(3 * ld), _mm256_shuffle_ps::<0xee>(ef, gh));
            }
        }
    }
}
