//! What the machine can do: multiply-adds and memory traffic, for the benches' shares of peak.
use std::hint::black_box;
use std::time::Instant;

/// Best of several short runs on `threads` threads: [GFLOP/s float32, GB/s read, GB/s copied (read plus written)].
pub fn measure(threads: usize) -> Vec<f64> {
    vec![
        best(threads, 6, || ((), 20_000_000.0), |_, n| multiply_adds(n)),
        best(threads, 6, || (vec![1.0f32; 16 << 20], 0.0), |data, _| read(data)),
        best(threads, 6, || ((vec![1.0f32; 16 << 20], vec![0.0f32; 16 << 20]), 0.0), |(a, b), _| copy(a, b)),
    ]
}

/// Runs `work` on every thread at once and adds up billions of units a second; the best run counts.
fn best<S: Send>(threads: usize, runs: usize, state: impl Fn() -> (S, f64) + Sync, work: impl Fn(&mut S, f64) -> f64 + Sync) -> f64 {
    let barrier = std::sync::Barrier::new(threads);
    let rates: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| {
            scope.spawn(|| {
                let (mut own, n) = state();
                (0..runs).map(|_| {
                    barrier.wait();
                    let start = Instant::now();
                    let units = work(&mut own, n);
                    units / start.elapsed().as_secs_f64() / 1e9
                }).collect()
            })
        }).collect();
        handles.into_iter().map(|h| h.join().unwrap_or_default()).collect()
    });
    (0..runs).map(|run| rates.iter().map(|r| r.get(run).copied().unwrap_or(0.0)).sum::<f64>()).fold(0.0, f64::max)
}

/// Independent chains of fused multiply-adds, enough to fill every pipe. Gives the floating-point operations done.
fn multiply_adds(n: f64) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { chains_avx512(n as usize) };
        }
        if is_x86_feature_detected!("fma") {
            // SAFETY: the feature was just detected.
            return unsafe { chains_fma(n as usize) };
        }
    }
    chains::<4>(n as usize)
}

#[inline(always)]
fn chains<const LANES: usize>(n: usize) -> f64 {
    const CHAINS: usize = 12;
    let mut sums = [[1.0f32; LANES]; CHAINS];
    let (scale, offset) = (black_box(0.999_999f32), black_box(1e-7f32));
    let rounds = n / (CHAINS * LANES / 4).max(1);
    for _ in 0..rounds {
        for chain in &mut sums {
            for lane in chain.iter_mut() {
                *lane = lane.mul_add(scale, offset);
            }
        }
    }
    black_box(&sums);
    (rounds * CHAINS * LANES * 2) as f64
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn chains_avx512(n: usize) -> f64 {
    chains::<16>(n)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn chains_fma(n: usize) -> f64 {
    chains::<8>(n)
}

fn read(data: &mut [f32]) -> f64 {
    let mut sums = [0.0f32; 64];
    for block in data.chunks_exact(64) {
        sums.iter_mut().zip(block).for_each(|(s, v)| *s += v);
    }
    black_box(&sums);
    (data.len() * 4) as f64
}

fn copy(from: &mut [f32], to: &mut [f32]) -> f64 {
    to.copy_from_slice(from);
    black_box(&to);
    (from.len() * 8) as f64
}
