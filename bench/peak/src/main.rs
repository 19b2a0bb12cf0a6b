//! Measures what the machine can do at best: float32, bfloat16 and int8 multiply-adds from registers, and memory read, scaled in place, and added (triad).
//! `peak THREADS` prints one JSON object: GFLOP/s (GOP/s) and GB/s over all threads, each the best of several rounds.

mod fma;
mod memory;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A meeting point whose waiters spin: sleepers are woken on the waker's processor, and would then measure half of it each.
struct Meeting {
    threads: usize,
    arrived: AtomicUsize,
}

impl Meeting {
    fn wait(&self) {
        let ticket = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (ticket / self.threads + 1) * self.threads;
        while self.arrived.load(Ordering::Acquire) < all {
            std::hint::spin_loop();
        }
    }
}

/// Runs `work` on `threads` threads at once, `rounds` times; the shortest time in seconds from the common start to the last one's end.
fn best_time<T: Send>(threads: usize, rounds: usize, make: impl Fn(usize) -> T + Sync, work: impl Fn(&mut T) + Sync) -> f64 {
    let barrier = Meeting { threads, arrived: AtomicUsize::new(0) };
    let times: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (barrier, make, work) = (&barrier, &make, &work);
                scope.spawn(move || {
                    let mut state = make(thread);
                    work(&mut state);
                    (0..rounds)
                        .map(|_| {
                            barrier.wait();
                            let start = Instant::now();
                            work(&mut state);
                            barrier.wait();
                            start.elapsed().as_secs_f64()
                        })
                        .collect()
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("a measuring thread panicked")).collect()
    });
    (0..rounds).map(|round| times.iter().map(|t| t[round]).fold(0.0, f64::max)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let available = std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(available).max(1);
    let (isa, flops_per_turn, multiply_add) = fma::kernel();
    const TURNS: u64 = 4_000_000;
    let rate = |flops_per_turn: u64, kernel: fn(u64)| {
        let seconds = best_time(threads, 60, |_| (), |()| kernel(TURNS));
        (TURNS * flops_per_turn) as f64 * threads as f64 / seconds / 1e9
    };
    let gflops = rate(flops_per_turn, multiply_add);
    // Without an instruction of their own, bfloat16 and int8 are rated as float32.
    let bfloat16 = fma::bfloat16_kernel().map_or(gflops, |(flops_per_turn, kernel)| rate(flops_per_turn, kernel));
    let int8 = fma::int8_kernel().map_or(gflops, |(ops_per_turn, kernel)| rate(ops_per_turn, kernel));
    let cache = memory::read_gb_s(threads, 256 * 1024, 4000);
    // What one large weight takes: beyond the second-level caches, within the third where there is one.
    let shared = memory::read_gb_s(threads, 9 << 19, 40);
    let read = memory::read_gb_s(threads, 128 << 20, 1);
    let update = memory::update_gb_s(threads, 128 << 20);
    let triad = memory::triad_gb_s(threads, 64 << 20);
    println!(
        r#"{{"threads":{threads},"isa":"{isa}","gflops":{gflops:.1},"bfloat16Gflops":{bfloat16:.1},"int8Gops":{int8:.1},"cacheReadGBs":{cache:.1},"sharedReadGBs":{shared:.1},"readGBs":{read:.1},"updateGBs":{update:.1},"triadGBs":{triad:.1}}}"#
    );
}
