//! Lines of 32-bit words (two bf16, four bytes) turned, so that words of one place stand side by side: how operands whose lines run along k are
//! packed.
use core::arch::x86_64::*;

/// `dst[w * ld + j]` = word `w` of line `j`, which starts at `src + j * stride` bytes, for `w < words` (a multiple of 4) and `j < width`.
///
/// # Safety
/// The CPU has the features; the words are readable and their places writable; nobody else touches these.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn turn(src: *const u8, stride: isize, dst: *mut i32, ld: usize, words: usize, width: usize) {
    // A whole cache line of each line at a time: lines a power of two apart push each other out of L1.
    for first in (0..words).step_by(16) {
        for j in (0..width).step_by(16) {
            for w in (first..words.min(first + 16)).step_by(4) {
                // SAFETY: four words of lines below `width`; `block` stores no others.
                unsafe { block(src.offset(4 * w as isize + j as isize * stride), stride, dst.add(w * ld + j), ld, width - j) };
            }
        }
    }
}

// SAFETY: four words of `left` lines (sixteen at most) are readable and their places writable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn block(src: *const u8, stride: isize, dst: *mut i32, ld: usize, left: usize) {
    let last = left.min(16) - 1;
    // SAFETY: beyond the last line, the last line is read again, and not stored.
    unsafe {
        let line = |j: usize| _mm_loadu_si128(src.offset(j.min(last) as isize * stride).cast());
        // Lines j, j + 4, j + 8 and j + 12 share a register.
        let four = |j: usize| {
            let x = _mm512_castsi128_si512(line(j));
            let x = _mm512_inserti32x4::<1>(x, line(j + 4));
            let x = _mm512_inserti32x4::<2>(x, line(j + 8));
            _mm512_inserti32x4::<3>(x, line(j + 12))
        };
        let (a, b, c, d) = (four(0), four(1), four(2), four(3));
        let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
        let (ef, gh) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
        let mask = if left >= 16 { !0 } else { (1u16 << left) - 1 };
        _mm512_mask_storeu_epi32(dst, mask, _mm512_unpacklo_epi64(ab, cd));
        _mm512_mask_storeu_epi32(dst.add(ld), mask, _mm512_unpackhi_epi64(ab, cd));
        _mm512_mask_storeu_epi32(dst.add(2 * ld), mask, _mm512_unpacklo_epi64(ef, gh));
        _mm512_mask_storeu_epi32(dst.add(3 * ld), mask, _mm512_unpackhi_epi64(ef, gh));
    }
}
