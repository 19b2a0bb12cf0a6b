//! Copies of a matrix in pairs: `[pair of k][width]`, which is how the tile kernels read it.
use super::Pair;
#[cfg(target_arch = "x86_64")]
use crate::gemm::words;
use ferrograd_tensor::bf16;

/// `dst[p * ld + j]` = the elements `2 p` and `2 p + 1` of line `j`, at `src + k * k_stride + j * stride`, for `j < width` and all k below
/// `len`; the partner of an odd last one is zero.
#[derive(Clone, Copy)]
pub(crate) struct Strip {
    pub src: *const bf16,
    pub len: usize,
    pub width: usize,
    pub k_stride: isize,
    pub stride: isize,
    pub dst: *mut Pair,
    pub ld: usize,
}

impl Strip {
    /// # Safety
    /// Every address named is valid, and nobody else touches `dst`.
    pub unsafe fn pack(self) {
        // SAFETY: the caller's promise; `available` has seen the features.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if super::available() {
                if self.stride == 1 && self.width > 1 {
                    return avx512::interleave(self);
                }
                if self.k_stride == 1 {
                    // All but the last three at most.
                    let pairs = self.len / 8 * 4;
                    words::turn(self.src.cast(), 2 * self.stride, self.dst, self.ld, pairs, self.width);
                    return self.each(pairs);
                }
            }
            self.each(0);
        }
    }

    /// The pairs from `first` on, one by one.
    // SAFETY: as for `pack`.
    unsafe fn each(&self, first: usize) {
        for p in first..self.len.div_ceil(2) {
            for j in 0..self.width {
                // SAFETY: as for `pack`.
                unsafe {
                    let at = self.src.offset(2 * p as isize * self.k_stride + j as isize * self.stride);
                    let high = if 2 * p + 1 < self.len { (*at.offset(self.k_stride)).to_bits() } else { 0 };
                    *self.dst.add(p * self.ld + j) = (u32::from((*at).to_bits()) | u32::from(high) << 16) as Pair;
                }
            }
        }
    }
}

/// `dst[i]` = the pair of `low[i]` and `high[i]` for `i < len`, zeros for a line that is null.
///
/// # Safety
/// Lines that are not null are readable for `len` elements, `dst` is writable for as many and nobody else's, and [`super::available`] holds.
pub(crate) unsafe fn weave(low: *const bf16, high: *const bf16, len: usize, dst: *mut Pair) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise.
    unsafe {
        match (low.is_null(), high.is_null()) {
            (true, true) => std::ptr::write_bytes(dst, 0, len),
            (false, true) => avx512::weave::<true, false>(low, high, len, dst),
            (true, false) => avx512::weave::<false, true>(low, high, len, dst),
            (false, false) => avx512::weave::<true, true>(low, high, len, dst),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("no path for it: {low:?} {high:?} {len} {dst:?}");
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::super::Pair;
    use super::Strip;
    use core::arch::x86_64::*;
    use ferrograd_tensor::bf16;

    /// Rows of k that are asked for before they are woven.
    const AHEAD: isize = 24;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn spread(p: *const bf16, mask: __mmask16) -> __m512i {
        // SAFETY: masked lanes do not fault; the others are the caller's promise.
        _mm512_cvtepu16_epi32(unsafe { _mm256_maskz_loadu_epi16(mask, p.cast()) })
    }

    /// Lines are neighbours: rows of k, two woven into one.
    // SAFETY: as for `pack`, `stride` being 1.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub unsafe fn interleave(s: Strip) {
        // SAFETY: the caller's promise; masked lanes are not touched.
        unsafe {
            for p in 0..s.len.div_ceil(2) {
                let low = s.src.offset(2 * p as isize * s.k_stride);
                // Rows are pages apart, where no hardware looks ahead. A prefetch never faults.
                for row in 0..2 {
                    _mm_prefetch::<_MM_HINT_T0>(low.wrapping_offset((AHEAD + row) * s.k_stride).cast());
                }
                let whole = 2 * p + 1 < s.len;
                let dst = s.dst.add(p * s.ld);
                for j in (0..s.width).step_by(16) {
                    let mask = mask(s.width - j);
                    let mut pair = spread(low.add(j), mask);
                    if whole {
                        let high = spread(low.offset(s.k_stride).add(j), mask);
                        pair = _mm512_or_si512(pair, _mm512_slli_epi32::<16>(high));
                    }
                    _mm512_mask_storeu_epi32(dst.add(j), mask, pair);
                }
            }
        }
    }

    /// Where the pairs from `first` on stand in two vectors, the low line's and behind it the high line's.
    const fn places(first: i16) -> [i16; 32] {
        let (mut all, mut i) = ([0; 32], 0);
        while i < 32 {
            all[i as usize] = first + i / 2 + i % 2 * 32;
            i += 1;
        }
        all
    }

    // SAFETY: as for `super::weave`, with `LOW` and `HIGH` where the lines are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub unsafe fn weave<const LOW: bool, const HIGH: bool>(low: *const bf16, high: *const bf16, len: usize, dst: *mut Pair) {
        // Whole vectors of both lines: the first and the second half of the pairs are one permutation each.
        let whole = if LOW && HIGH { len / 32 * 32 } else { 0 };
        let (first, second) = (const { places(0) }, const { places(16) });
        for i in (0..whole).step_by(32) {
            // SAFETY: the caller's promise.
            unsafe {
                let (first, second) = (_mm512_loadu_epi16(first.as_ptr()), _mm512_loadu_epi16(second.as_ptr()));
                let (a, b) = (_mm512_loadu_epi16(low.add(i).cast()), _mm512_loadu_epi16(high.add(i).cast()));
                _mm512_storeu_epi16(dst.add(i).cast(), _mm512_permutex2var_epi16(a, first, b));
                _mm512_storeu_epi16(dst.add(i + 16).cast(), _mm512_permutex2var_epi16(a, second, b));
            }
        }
        for i in (whole..len).step_by(16) {
            let mask = mask(len - i);
            // SAFETY: the caller's promise; masked lanes are not touched.
            unsafe {
                let mut pair = if LOW { spread(low.add(i), mask) } else { _mm512_setzero_si512() };
                if HIGH {
                    pair = _mm512_or_si512(pair, _mm512_slli_epi32::<16>(spread(high.add(i), mask)));
                }
                _mm512_mask_storeu_epi32(dst.add(i), mask, pair);
            }
        }
    }

    #[inline]
    fn mask(left: usize) -> __mmask16 {
        if left >= 16 { !0 } else { (1u16 << left) - 1 }
    }
}
