//! The fork-join pool. The driver thread is worker 0: it publishes a job, takes tasks itself and waits only for tasks that a worker really claimed.
//! Idle workers spin, yielding, for a moment, then park: no processor time is used while nothing runs.
use ferrograd_tensor::Parallel;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a worker looks for the next job before it parks. Longer than the gap between two commands, shorter than anyone would notice.
const SPIN: Duration = Duration::from_micros(50);
/// Turns between looks at the clock; each ends in a yield, so that a shared core is given up.
const TURNS: u32 = 64;
const COUNT_BITS: u32 = 22;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

type Task = dyn Fn(usize, usize) + Sync + 'static;

/// The tasks of a job that one thread has before it, and all that is needed to claim one: epoch, first task, end. Its owner takes the first, a thread
/// without tasks of its own the last. A compare-and-swap on it can only succeed while that very job is unfinished, for the publisher does not return
/// before each claimed task has ended. On a cache line of its own.
#[repr(align(128))]
struct Share(AtomicU64);

fn pack(epoch: u64, first: usize, end: usize) -> u64 {
    (epoch << (2 * COUNT_BITS)) | ((first as u64) << COUNT_BITS) | end as u64
}

impl Share {
    fn bounds(word: u64) -> (u64, u64) {
        ((word >> COUNT_BITS) & COUNT_MASK, word & COUNT_MASK)
    }

    fn is_empty(&self, order: Ordering) -> bool {
        let (first, end) = Share::bounds(self.0.load(order));
        first >= end
    }

    fn claim(&self, owner: bool) -> Option<usize> {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let (first, end) = Share::bounds(word);
            if first >= end {
                return None;
            }
            let (rest, task) = if owner { (word + (1 << COUNT_BITS), first) } else { (word - 1, end - 1) };
            match self.0.compare_exchange_weak(word, rest, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(task as usize),
                Err(now) => word = now,
            }
        }
    }
}

struct Shared {
    /// One a thread, the driver's first.
    shares: Vec<Share>,
    done: AtomicUsize,
    task: UnsafeCell<Option<*const Task>>,
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
    parked: Vec<AtomicBool>,
    stop: AtomicBool,
}

// SAFETY: `task` is written by the publisher alone, before the shares that announce it, and read only after a successful claim.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

thread_local! {
    /// Set while this thread runs a task: a fork inside a task runs its tasks in place.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The worker's number; 0 for the driver.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

impl Shared {
    /// Claims and runs tasks until none is left: this thread's own, in their order, then what the others have not begun.
    /// Threads so keep to the same part of an operand from command to command, which then lies in their own caches. False where there was none.
    fn work(&self) -> bool {
        let mut worked = false;
        let lane = LANE.get();
        for turn in 0..self.shares.len() {
            let share = &self.shares[(lane + turn) % self.shares.len()];
            while let Some(index) = share.claim(turn == 0) {
                worked = true;
                // SAFETY: the claim succeeded, so the publisher waits for this task and the closure lives.
                let task = unsafe { &*(*self.task.get()).expect("a claimed job has a task") };
                let inside = INSIDE.replace(true);
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(index, lane))) {
                    self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(panic);
                }
                INSIDE.set(inside);
                self.done.fetch_add(1, Ordering::Release);
            }
        }
        worked
    }
}

pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, Option<JoinHandle<()>>)>,
    /// One job at a time: a second publisher (tests; there is one driver) runs its tasks in place.
    publishing: AtomicBool,
}

impl Pool {
    /// `threads` counts the caller of `run`.
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared {
            shares: (0..threads.max(1)).map(|_| Share(AtomicU64::new(0))).collect(),
            done: AtomicUsize::new(0),
            task: UnsafeCell::new(None),
            panic: Mutex::new(None),
            parked: (1..threads.max(1)).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
        });
        let mut workers = Vec::new();
        for index in 0..threads.max(1) - 1 {
            let shared = shared.clone();
            // A thread that cannot be had (a process limit) costs speed, not correctness.
            match std::thread::Builder::new().name(format!("ferrograd-{}", index + 1)).spawn(move || worker(&shared, index)) {
                Ok(handle) => workers.push((handle.thread().clone(), Some(handle))),
                Err(_) => break,
            }
        }
        Pool { shared, workers, publishing: AtomicBool::new(false) }
    }

    fn publish(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync + '_)) {
        let shared = &*self.shared;
        // SAFETY: no job is active (`publishing` is ours and the last one has ended), so nobody reads `task`; the lifetime is erased, and the
        // closure outlives the job because this function waits for every claimed task.
        unsafe { *shared.task.get() = Some(std::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + '_), *const Task>(task)) };
        shared.done.store(0, Ordering::Relaxed);
        let epoch = ((shared.shares[0].0.load(Ordering::Relaxed) >> (2 * COUNT_BITS)) + 1) & (u64::MAX >> (2 * COUNT_BITS));
        let lanes = shared.shares.len();
        for (lane, share) in shared.shares.iter().enumerate() {
            share.0.store(pack(epoch, count * lane / lanes, count * (lane + 1) / lanes), Ordering::SeqCst);
        }
        for (index, (thread, _)) in self.workers.iter().enumerate().take(count - 1) {
            if shared.parked[index].swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        shared.work();
        let mut turns = 0u32;
        while shared.done.load(Ordering::Acquire) < count {
            turns += 1;
            if turns % TURNS == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        if let Some(panic) = shared.panic.lock().unwrap_or_else(|e| e.into_inner()).take() {
            self.publishing.store(false, Ordering::Release);
            resume_unwind(panic);
        }
    }
}

impl Parallel for Pool {
    fn run(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        let alone = self.workers.is_empty() || count <= 1 || INSIDE.get();
        if alone || self.publishing.swap(true, Ordering::Acquire) {
            let lane = LANE.get();
            (0..count).for_each(|i| task(i, lane));
            return;
        }
        let most = COUNT_MASK as usize;
        if count <= most {
            self.publish(count, task);
        } else {
            for start in (0..count).step_by(most) {
                self.publish(most.min(count - start), &|i, lane| task(start + i, lane));
            }
        }
        self.publishing.store(false, Ordering::Release);
    }

    fn threads(&self) -> usize {
        self.workers.len() + 1
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for (thread, handle) in &mut self.workers {
            thread.unpark();
            if let Some(handle) = handle.take() {
                let _ = handle.join();
            }
        }
    }
}

fn worker(shared: &Shared, index: usize) {
    LANE.set(index + 1);
    let mut idle_since = Instant::now();
    let mut turns = 0u32;
    while !shared.stop.load(Ordering::Relaxed) {
        if shared.work() {
            idle_since = Instant::now();
            turns = 0;
            continue;
        }
        turns += 1;
        if turns % TURNS != 0 {
            std::hint::spin_loop();
            continue;
        }
        std::thread::yield_now();
        if idle_since.elapsed() < SPIN {
            continue;
        }
        shared.parked[index].store(true, Ordering::SeqCst);
        // Looked at once more after saying so: a job published in between has either seen the flag or is seen here.
        if shared.shares.iter().all(|share| share.is_empty(Ordering::SeqCst)) && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        shared.parked[index].store(false, Ordering::SeqCst);
        idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_on_any_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads);
            for count in [0usize, 1, 2, 3, 100, 1000] {
                for _ in 0..50 {
                    let hits: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                    pool.run(count, &|i, _| {
                        hits[i].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1));
                }
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3);
        let caught = catch_unwind(AssertUnwindSafe(|| pool.run(10, &|i, _| assert!(i != 7, "seven"))));
        assert!(caught.is_err());
        let sum = AtomicUsize::new(0);
        pool.run(10, &|i, _| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 45);
    }

    #[test]
    fn tasks_at_the_same_time_have_lanes_of_their_own() {
        let pool = Pool::new(3);
        let busy: Vec<AtomicBool> = (0..pool.threads()).map(|_| AtomicBool::new(false)).collect();
        pool.run(2000, &|_, lane| {
            assert!(!busy[lane].swap(true, Ordering::SeqCst));
            std::hint::spin_loop();
            busy[lane].store(false, Ordering::SeqCst);
        });
    }

    #[test]
    fn a_fork_inside_a_task_runs_in_place() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        pool.run(4, &|_, _| {
            pool.run(4, &|i, _| {
                sum.fetch_add(i, Ordering::Relaxed);
            })
        });
        assert_eq!(sum.load(Ordering::Relaxed), 24);
    }
}
