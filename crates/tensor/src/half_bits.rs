//! bfloat16 and float16 from and to float32 on their bits, without branches, so that loops over them vectorise. Rounding is to the
//! nearest, ties to even.

/// Exact; a NaN becomes quiet.
#[inline(always)]
pub(crate) fn bf16_to_f32(h: u16) -> f32 {
    let quiet = if h & 0x7fff > 0x7f80 { 0x0040 } else { 0 };
    f32::from_bits(((h | quiet) as u32) << 16)
}

/// Overflow to infinity comes with the carry; a NaN stays one.
#[inline(always)]
pub(crate) fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let nan = bits >> 16 | 0x0040;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded }) as u16
}

/// Exact, subnormals too; a NaN becomes quiet.
#[inline(always)]
pub(crate) fn f16_to_f32(h: u16) -> f32 {
    let sign = ((h & 0x8000) as u32) << 16;
    // Exponent and mantissa moved to their places; the exponents' biases differ by 112, which a product brings in, normalising
    // subnormals as well.
    let moved = ((h & 0x7fff) as u32) << 13;
    let finite = (f32::from_bits(moved) * f32::from_bits((127 + 112) << 23)).to_bits();
    let quiet = if h & 0x7fff > 0x7c00 { 0x0040_0000 } else { 0 };
    let special = moved | 0x7f80_0000 | quiet;
    f32::from_bits(sign | if h & 0x7c00 == 0x7c00 { special } else { finite })
}

/// Infinity from 65520 on; below 2^-14 subnormal; a NaN stays one.
#[inline(always)]
pub(crate) fn f32_to_f16(x: f32) -> u16 {
    let sign = (x.to_bits() >> 16 & 0x8000) as u16;
    let bits = x.to_bits() & 0x7fff_ffff;
    // Normal: other bias, then round the thirteen bits that go.
    let normal = bits.wrapping_sub(112 << 23).wrapping_add(0x0fff + (bits >> 13 & 1)) >> 13;
    // Subnormal: adding 0.5 leaves, rounded, a multiple of 2^-24 in the low bits.
    let small = (f32::from_bits(bits) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let finite = if bits < 113 << 23 { small } else { normal };
    let large = if bits > 0x7f80_0000 { 0x7e00 | (bits >> 13 & 0x01ff) } else { 0x7c00 };
    sign | (if bits >= (127 + 16) << 23 { large } else { finite }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bf16, f16};

    #[test]
    fn every_half_number() {
        for h in 0..=u16::MAX {
            assert_eq!(bf16_to_f32(h).to_bits(), bf16::from_bits(h).to_f32().to_bits(), "bf16 {h:x}");
            let (got, want) = (f16_to_f32(h), f16::from_bits(h).to_f32());
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "f16 {h:x}");
        }
    }

    #[test]
    fn every_rounding() {
        // All exponents, and mantissas around every place where rounding changes its mind.
        for high in 0..=u16::MAX {
            for low in [0u32, 1, 0x0fff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x3000, 0x7fff, 0x8000, 0x8001, 0xf000, 0xffff] {
                let x = f32::from_bits((high as u32) << 16 | low);
                let same = |got: u16, want: u16, nan: bool| got == want || nan && x.is_nan();
                assert!(same(f32_to_bf16(x), bf16::from_f32(x).to_bits(), bf16::from_bits(f32_to_bf16(x)).is_nan()), "bf16 {x:e}");
                assert!(same(f32_to_f16(x), f16::from_f32(x).to_bits(), f16::from_bits(f32_to_f16(x)).is_nan()), "f16 {x:e}");
            }
        }
    }
}
