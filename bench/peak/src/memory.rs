//! Memory speeds over arrays of `bytes` a thread. Plain loops: the compiler's vector code saturates memory, wide or not.

use crate::best_time;
use std::hint::black_box;

/// Reads an array `times` times (in cache when it is small), in GB/s over all threads.
pub fn read_gb_s(threads: usize, bytes: usize, times: usize) -> f64 {
    let seconds = best_time(threads, 25, |_| vec![1_u64; bytes / 8], |data| {
        for _ in 0..times {
            // Sixteen sums, so that additions do not limit the reading.
            let mut sums = [0_u64; 16];
            for block in data.chunks_exact(16) {
                for (sum, value) in sums.iter_mut().zip(block) {
                    *sum ^= value;
                }
            }
            black_box(sums);
        }
    });
    (bytes * times * threads) as f64 / seconds / 1e9
}

/// x = a x, in GB/s read plus written.
pub fn update_gb_s(threads: usize, bytes: usize) -> f64 {
    let seconds = best_time(threads, 25, |_| vec![1_f32; bytes / 4], |data| {
        let a = black_box(0.999_f32);
        data.iter_mut().for_each(|x| *x *= a);
    });
    (2 * bytes * threads) as f64 / seconds / 1e9
}

/// z = x + a y, in GB/s: two arrays read, one written.
pub fn triad_gb_s(threads: usize, bytes: usize) -> f64 {
    let array = || vec![1_f32; bytes / 4];
    let seconds = best_time(threads, 25, |_| [array(), array(), array()], |[x, y, z]| {
        let a = black_box(0.999_f32);
        for ((z, x), y) in z.iter_mut().zip(x.iter()).zip(y.iter()) {
            *z = x + a * y;
        }
    });
    (3 * bytes * threads) as f64 / seconds / 1e9
}
