//! A fork-join for tests: real threads that take tasks in a shuffled order.
use ferrograd_tensor::{Cx, Parallel};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Shuffled(pub usize);

impl Parallel for Shuffled {
    fn run(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        let mut order: Vec<usize> = (0..count).collect();
        let mut state = count as u64 * 977 + self.0 as u64;
        for i in (1..count).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            order.swap(i, (state >> 33) as usize % (i + 1));
        }
        let next = AtomicUsize::new(0);
        std::thread::scope(|s| {
            for lane in 0..self.0 {
                let (order, next) = (&order, &next);
                s.spawn(move || {
                    while let Some(&i) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                        task(i, lane);
                    }
                });
            }
        });
    }
    fn threads(&self) -> usize {
        self.0
    }
}

/// Calls `f` with a context of `threads` threads and `scratch` bytes of NaN patterns, and fails if it wrote behind them.
pub(crate) fn on_threads<R>(threads: usize, scratch: usize, f: impl FnOnce(&mut Cx) -> R) -> R {
    on_lanes(threads, scratch, 0, f)
}

/// As [`on_threads`], with `local` bytes for each thread.
pub(crate) fn on_lanes<R>(threads: usize, scratch: usize, local: usize, f: impl FnOnce(&mut Cx) -> R) -> R {
    let local = local.next_multiple_of(64);
    let scratch = scratch.next_multiple_of(64) + local * threads;
    let guard = 256;
    let mut bytes = vec![0xffu8; scratch + 64 + guard];
    let lead = bytes.as_ptr().align_offset(64);
    let (used, rest) = bytes[lead..].split_at_mut(scratch);
    let result = f(&mut Cx::new(&Shuffled(threads), used, local));
    assert!(rest[..guard - 64].iter().all(|&b| b == 0xff), "written behind {scratch} bytes of scratch");
    result
}

/// The same bits on 1, 2, 3 and 7 threads: gives what `f` gave on one.
pub(crate) fn same_bits(scratch: usize, what: &str, f: impl Fn(&mut Cx) -> Vec<f32>) -> Vec<f32> {
    let one = on_threads(1, scratch, &f);
    for threads in [2, 3, 7] {
        let other = on_threads(threads, scratch, &f);
        assert!(one.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits()), "{what}: other bits on {threads} threads");
    }
    one
}
