//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a counter-based generator: the words are a
//! pure function of (seed, counter of the op, position), so they do not depend on how work is cut.
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::View;

/// Words of one group: sixteen blocks of four. Word w of block b of a group stands at w * 16 + b, so that blocks can be computed side by side.
pub(crate) const GROUP: usize = 64;
const SIDE: usize = 16;

/// The words that a key stands for.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    seed: u64,
    counter: u64,
}

impl Stream {
    /// `key`: int64 [seed, counter], as `rng_next` hands it out.
    pub fn new(key: &View) -> Stream {
        let key = key.slice::<i64>();
        Stream { seed: key[0] as u64, counter: key[1] as u64 }
    }
    /// The words of `group`.
    pub fn words(self, group: u64) -> [u32; GROUP] {
        vectorize(Words { stream: self, group })
    }
    /// As [`Stream::words`], inside of a kernel.
    #[inline(always)]
    pub fn words_inline(self, group: u64) -> [u32; GROUP] {
        let mut c = [[0u32; SIDE]; 4];
        for b in 0..SIDE {
            let block = group * SIDE as u64 + b as u64;
            c[0][b] = block as u32;
            c[1][b] = (block >> 32) as u32;
            c[2][b] = self.counter as u32;
            c[3][b] = (self.counter >> 32) as u32;
        }
        let (mut k0, mut k1) = (self.seed as u32, (self.seed >> 32) as u32);
        for _ in 0..10 {
            for b in 0..SIDE {
                let first = 0xD251_1F53 * c[0][b] as u64;
                let second = 0xCD9E_8D57 * c[2][b] as u64;
                c[0][b] = (second >> 32) as u32 ^ c[1][b] ^ k0;
                c[2][b] = (first >> 32) as u32 ^ c[3][b] ^ k1;
                c[1][b] = second as u32;
                c[3][b] = first as u32;
            }
            k0 = k0.wrapping_add(0x9E37_79B9);
            k1 = k1.wrapping_add(0xBB67_AE85);
        }
        let mut words = [0; GROUP];
        for (w, side) in c.iter().enumerate() {
            words[w * SIDE..][..SIDE].copy_from_slice(side);
        }
        words
    }
    /// Thirty-two words of 64 bits from a group: number i is made of the words i and i + 32.
    pub fn longs(self, group: u64) -> [u64; GROUP / 2] {
        let words = self.words(group);
        std::array::from_fn(|i| words[i] as u64 | (words[i + GROUP / 2] as u64) << 32)
    }
}

struct Words {
    stream: Stream,
    group: u64,
}

impl Kernel for Words {
    type Output = [u32; GROUP];
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [u32; GROUP] {
        self.stream.words_inline(self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each_isa;

    /// The published vectors of Random123 (kat_vectors, philox4x32-10): counter, key, result.
    #[test]
    fn known_answers() {
        let known: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([!0; 4], [!0; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        let join = |low: u32, high: u32| low as u64 | (high as u64) << 32;
        each_isa(|_| {
            for (c, k, want) in known {
                let stream = Stream { seed: join(k[0], k[1]), counter: join(c[2], c[3]) };
                let block = join(c[0], c[1]);
                let words = stream.words(block / SIDE as u64);
                let got: [u32; 4] = std::array::from_fn(|w| words[w * SIDE + block as usize % SIDE]);
                assert_eq!(got, want);
            }
        });
    }
}
