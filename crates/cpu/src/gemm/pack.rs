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
                self.transpose();
            } else {
                self.each(0..self.len, 0..self.width);
            }
        }
    }
}

impl Panel {
    /// Columns with k contiguous.
    ///
    // SAFETY: as in `pack`.
    #[inline(always)]
    unsafe fn transpose(&self) {
        // SAFETY: as in `pack`; the path says that the CPU has AVX.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if self.len >= 8 && self.width >= 4 && matches!(ferrograd_simd::isa(), ferrograd_simd::Isa::Avx512 | ferrograd_simd::Isa::Avx2)
            {
                return avx::transpose(self);
            }
            for k in (0..self.len).step_by(8) {
                for j in 0..self.width {
                    self.each(k..self.len.min(k + 8), j..j + 1);
                }
            }
        }
    }

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

/// Panels of rows that lie anywhere: `dst[first * rows.len() + i * width + j] = rows[i][first + j]` for each panel's (`first`, `width`). `even` panels as
/// even as can be, or with 0 panels of `width` columns.
pub(crate) struct Rows<'a> {
    pub rows: &'a [*const f32],
    pub len: usize,
    pub even: usize,
    pub width: usize,
    pub dst: *mut f32,
}

impl Rows<'_> {
    /// # Safety
    /// `len` elements of every row are valid, as many of `dst` are, and nobody else touches those.
    pub unsafe fn pack(self) {
        vectorize(self)
    }
}

impl Kernel for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let base = self.len.checked_div(self.even).unwrap_or(self.width);
        let more = self.len.checked_rem(self.even).unwrap_or(0);
        for (i, &row) in self.rows.iter().enumerate() {
            let (mut first, mut panel) = (0, 0);
            while first < self.len {
                let width = (base + usize::from(panel < more)).min(self.len - first);
                // SAFETY: by the promise made to `pack`.
                unsafe { copy(row.add(first), self.dst.add(first * self.rows.len() + i * width), width) };
                (first, panel) = (first + width, panel + 1);
            }
        }
    }
}

/// `len` elements, in sizes that the compiler turns into vector moves rather than a call. The last move overlaps the one before it where `len` is no
/// multiple: writing elements twice is quicker than going one by one.
#[inline(always)]
unsafe fn copy(src: *const f32, dst: *mut f32, len: usize) {
    // SAFETY: the caller's promise; nothing in front of the first or behind the last element is touched.
    unsafe {
        if len >= 16 {
            moves::<16>(src, dst, len);
        } else if len >= 8 {
            moves::<8>(src, dst, len);
        } else if len >= 4 {
            moves::<4>(src, dst, len);
        } else {
            for i in 0..len {
                *dst.add(i) = *src.add(i);
            }
        }
    }
}

/// At least `N` elements, `N` at a time.
#[inline(always)]
unsafe fn moves<const N: usize>(src: *const f32, dst: *mut f32, len: usize) {
    let mut i = 0;
    while i < len {
        let at = i.min(len - N);
        // SAFETY: as in `copy`.
        unsafe { *dst.add(at).cast::<[f32; N]>() = *src.add(at).cast::<[f32; N]>() };
        i = at + N;
    }
}

/// Transposition in registers, by blocks of eight or four columns. The last block of a row or column overlaps the one before it, where the size is no
/// multiple: writing an element twice is quicker than going one by one (a tile of 12 rows would take a third of its elements so).
#[cfg(target_arch = "x86_64")]
mod avx {
    use super::Panel;
    use core::arch::x86_64::*;
    use ferrograd_simd::prefetch;

    /// `len` >= 8, `width` >= 4, `k_stride` 1.
    #[target_feature(enable = "avx")]
    pub unsafe fn transpose(p: &Panel) {
        // A whole cache line of each source row at a time: rows a power of two apart push each other out of L1.
        for line in (0..p.len).step_by(16) {
            let ks = [line.min(p.len - 8), (line + 8).min(p.len - 8)];
            let ks = if ks[0] == ks[1] { &ks[..1] } else { &ks[..] };
            // Columns are as many streams as no hardware follows.
            for j in 0..p.width {
                prefetch(p.src.wrapping_offset((line + 64) as isize + j as isize * p.stride), 1);
            }
            let mut j = 0;
            while j < p.width {
                let left = p.width - j;
                // Five to seven columns take an overlapping eight where there are eight, else two fours.
                let wide = left >= 8 || (left > 4 && p.width >= 8);
                let step = if wide { 8 } else { 4 };
                let at = j.min(p.width - step);
                for &k in ks {
                    // SAFETY: the block lies inside the panel, by the caller's promise.
                    unsafe {
                        let (src, dst) = (p.src.offset(k as isize + at as isize * p.stride), p.dst.add(k * p.ld + at));
                        if wide { eight(src, p.stride, dst, p.ld) } else { four(src, p.stride, dst, p.ld) }
                    }
                }
                j = at + step;
            }
        }
    }

    /// Four columns, eight steps of k.
    #[inline]
    #[target_feature(enable = "avx")]
    unsafe fn four(src: *const f32, stride: isize, dst: *mut f32, ld: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            for half in [0, 4] {
                let row = |j: isize| _mm_loadu_ps(src.offset(j * stride + half));
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
                let (ef, gh) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
                let dst = dst.add(half as usize * ld);
                _mm_storeu_ps(dst, _mm_movelh_ps(ab, cd));
                _mm_storeu_ps(dst.add(ld), _mm_movehl_ps(cd, ab));
                _mm_storeu_ps(dst.add(2 * ld), _mm_movelh_ps(ef, gh));
                _mm_storeu_ps(dst.add(3 * ld), _mm_movehl_ps(gh, ef));
            }
        }
    }

    /// Eight columns, eight steps of k.
    #[inline]
    #[target_feature(enable = "avx")]
    unsafe fn eight(src: *const f32, stride: isize, dst: *mut f32, ld: usize) {
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
