//! Streams and the driver. A stream is a bounded queue of jobs in order; one driver thread a process takes turns between the streams at commands
//! and runs each on the pool. JavaScript's thread never computes.
use crate::command::{Bound, Command, Executor};
use crate::failure::Failure;
use crate::limits::Limits;
use crate::pool::Pool;
use crate::program::Replay;
use crate::ring::{Padded, Ring};
use ferrograd_tensor::{ErrorKind, Parallel};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

const QUEUE: usize = 4096;
/// Bytes of results that may wait in one stream before a pushing thread blocks.
const QUEUE_BYTES: usize = 2 << 30;
/// How long the driver looks for work before it parks.
const SPIN: Duration = Duration::from_micros(100);

/// A flag that jobs can wait for.
#[derive(Default)]
pub struct Event(AtomicBool);

impl Event {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

pub enum Job {
    Command(Box<Command>),
    Replay(Box<Replay>),
    /// Runs on the driver thread, in stream order: reads, completions.
    Host(Box<dyn FnOnce() + Send>),
    Wait(Arc<Event>),
    /// Until another stream has come this far.
    After(Arc<Stream>, u64),
}

pub struct Stream {
    pub id: u32,
    ring: Ring<Job>,
    /// Commands that have run, emptied, on their way back to the session: memory freed by another thread than took it is slow.
    spare: Ring<Box<Command>>,
    pushed: Padded<AtomicU64>,
    completed: Padded<AtomicU64>,
    /// Bytes of results ever pushed, written by the session alone, and ever finished, written by the driver alone.
    pushed_bytes: Padded<AtomicUsize>,
    finished_bytes: Padded<AtomicUsize>,
    cancelled: AtomicBool,
    /// Failures that began here and were not yet reported.
    failure: Mutex<Option<Arc<Failure>>>,
}

impl Stream {
    pub fn completed(&self) -> u64 {
        self.completed.0.load(Ordering::Acquire)
    }
    /// The sequence number of the last job pushed.
    pub fn pushed(&self) -> u64 {
        self.pushed.0.load(Ordering::Acquire)
    }
    /// A command to fill: one that came back, or a new one.
    ///
    /// # Safety
    /// Only the thread that pushes to this stream may call this.
    pub unsafe fn spare_command(&self) -> Box<Command> {
        // SAFETY: one consumer, by the caller's promise; the driver is the only producer.
        unsafe { self.spare.pop() }.unwrap_or_default()
    }
    /// The first failure since the last call that nobody has seen.
    pub fn take_failure(&self) -> Option<Arc<Failure>> {
        lock(&self.failure).take().filter(|f| !f.is_seen())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

struct Shared {
    streams: Mutex<Vec<Arc<Stream>>>,
    /// Raised whenever `streams` changes.
    generation: AtomicU64,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// The process's driver and pool. They start with the first runtime and end with the last.
pub struct Runtime {
    shared: Arc<Shared>,
    driver: Thread,
    handle: Option<JoinHandle<()>>,
    pub limits: Limits,
}

static RUNTIME: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());
static NEXT_STREAM: AtomicU32 = AtomicU32::new(1);

impl Runtime {
    /// The running runtime, or a new one.
    pub fn get() -> Arc<Runtime> {
        let mut current = lock(&RUNTIME);
        if let Some(runtime) = current.upgrade() {
            return runtime;
        }
        let limits = Limits::read();
        let shared = Arc::new(Shared {
            streams: Mutex::new(Vec::new()),
            generation: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let (for_driver, threads) = (shared.clone(), limits.threads);
        let handle = std::thread::Builder::new()
            .name("ferrograd-driver".into())
            .spawn(move || drive(&for_driver, &Pool::new(threads)))
            .expect("one thread can be started");
        let runtime = Arc::new(Runtime { shared, driver: handle.thread().clone(), handle: Some(handle), limits });
        *current = Arc::downgrade(&runtime);
        runtime
    }

    pub fn stream(&self) -> Arc<Stream> {
        let stream = Arc::new(Stream {
            id: NEXT_STREAM.fetch_add(1, Ordering::Relaxed),
            ring: Ring::new(QUEUE),
            spare: Ring::new(QUEUE),
            pushed: Padded(AtomicU64::new(0)),
            completed: Padded(AtomicU64::new(0)),
            pushed_bytes: Padded(AtomicUsize::new(0)),
            finished_bytes: Padded(AtomicUsize::new(0)),
            cancelled: AtomicBool::new(false),
            failure: Mutex::new(None),
        });
        lock(&self.shared.streams).push(stream.clone());
        self.shared.generation.fetch_add(1, Ordering::Release);
        stream
    }

    pub fn find_stream(&self, id: u32) -> Option<Arc<Stream>> {
        lock(&self.shared.streams).iter().find(|s| s.id == id).cloned()
    }

    /// Appends a job; blocks while the stream is full. Gives the job's sequence number.
    ///
    /// # Safety
    /// One thread at a time pushes to a stream.
    pub unsafe fn push(&self, stream: &Stream, job: Job, bytes: usize) -> u64 {
        let mut turns = 0u32;
        let mut pause = |this: &Runtime| {
            this.wake();
            turns += 1;
            if turns < 1000 { std::thread::yield_now() } else { std::thread::sleep(Duration::from_micros(200)) }
        };
        if bytes > 0 {
            let before = stream.pushed_bytes.0.load(Ordering::Relaxed);
            let waiting = |stream: &Stream| before.wrapping_sub(stream.finished_bytes.0.load(Ordering::Acquire)) > QUEUE_BYTES;
            // Small results cannot fill the bound before the ring is full: the driver's counter is left alone for them.
            while bytes > QUEUE_BYTES / QUEUE && waiting(stream) && !stream.cancelled.load(Ordering::Relaxed) {
                pause(self);
            }
            stream.pushed_bytes.0.store(before.wrapping_add(bytes), Ordering::Relaxed);
        }
        let sequence = stream.pushed.0.load(Ordering::Relaxed) + 1;
        stream.pushed.0.store(sequence, Ordering::Release);
        let mut job = job;
        // SAFETY: one producer, by the caller's promise.
        while let Err(back) = unsafe { stream.ring.push(job) } {
            job = back;
            pause(self);
        }
        self.wake();
        sequence
    }

    fn wake(&self) {
        // A swap only where it is needed: the flag's line stays shared while the driver is busy.
        if self.shared.parked.load(Ordering::SeqCst) && self.shared.parked.swap(false, Ordering::SeqCst) {
            self.driver.unpark();
        }
    }

    pub fn set(&self, event: &Event) {
        event.0.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Blocks until everything pushed so far has run.
    pub fn wait(&self, stream: &Stream, sequence: u64) {
        let mut turns = 0u32;
        while stream.completed() < sequence {
            turns += 1;
            match turns {
                0..4096 if turns % 64 != 0 => std::hint::spin_loop(),
                0..4096 => std::thread::yield_now(),
                _ => std::thread::sleep(Duration::from_micros(50)),
            }
        }
    }

    /// Drops what the stream has not begun, waits for what it has, and forgets the stream.
    pub fn close(&self, stream: &Arc<Stream>) {
        stream.cancelled.store(true, Ordering::SeqCst);
        self.wake();
        self.wait(stream, stream.pushed());
        lock(&self.shared.streams).retain(|s| s.id != stream.id);
        self.shared.generation.fetch_add(1, Ordering::Release);
        self.wake();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.driver.unpark();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

/// A stream as the driver sees it, with the job it is in the middle of.
struct Lane {
    stream: Arc<Stream>,
    pending: Option<Job>,
    sequence: u64,
}

impl Lane {
    fn finish(&mut self) {
        self.stream.completed.0.store(self.sequence, Ordering::Release);
    }

    fn fail(&self, failure: Arc<Failure>) {
        let mut slot = lock(&self.stream.failure);
        if slot.as_ref().is_none_or(|f| f.is_seen()) {
            *slot = Some(failure);
        }
    }

    /// Another stream may wait for the results of what will not run: they are poisoned, not left without values.
    fn cancel(&self, job: Job) {
        let message = "the stream was closed before this ran. Await results before closing it, or before its worker ends.";
        let failure = Arc::new(Failure::new(ErrorKind::Cancelled, "stream", message.into(), 0, self.sequence));
        match job {
            Job::Command(command) => command.outputs.iter().for_each(|t| t.buffer.set_poison(failure.clone())),
            Job::Replay(replay) => replay.cancel(&failure),
            Job::Host(_) | Job::Wait(_) | Job::After(..) => {}
        }
    }

    /// Runs one command. False where there was nothing to do, or only waiting.
    fn turn(&mut self, executor: &mut Executor) -> bool {
        let job = match self.pending.take() {
            Some(job) => job,
            None => {
                // SAFETY: the driver is the only consumer.
                let Some(job) = (unsafe { self.stream.ring.pop() }) else { return false };
                self.sequence += 1;
                job
            }
        };
        if self.stream.cancelled.load(Ordering::Relaxed) {
            self.cancel(job);
            self.finish();
            return true;
        }
        match job {
            Job::Command(mut command) => {
                let bytes = command.outputs.iter().map(|t| t.buffer.bytes()).sum::<usize>();
                let operands: SmallVec<[Bound; 8]> = command.operands.iter().map(|t| (&t.meta, &*t.buffer)).collect();
                let outputs: SmallVec<[Bound; 4]> = command.outputs.iter().map(|t| (&t.meta, &*t.buffer)).collect();
                if let Err(failure) = executor.execute(&command, &operands, &outputs, self.sequence)
                    && failure.sequence == self.sequence
                {
                    self.fail(failure);
                }
                drop((operands, outputs));
                command.clear();
                // SAFETY: the driver is the only producer of spares. Where the ring is full, the command is freed here.
                drop(unsafe { self.stream.spare.push(command) });
                let finished = &self.stream.finished_bytes.0;
                finished.store(finished.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Release);
                self.finish();
            }
            Job::Replay(mut replay) => match replay.advance(executor, self.sequence) {
                Ok(true) => {
                    drop(replay);
                    self.finish();
                }
                Ok(false) => self.pending = Some(Job::Replay(replay)),
                Err(failure) => {
                    drop(replay);
                    self.fail(failure);
                    self.finish();
                }
            },
            Job::Host(task) => {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
                self.finish();
            }
            Job::Wait(event) => {
                if !event.is_set() {
                    self.pending = Some(Job::Wait(event));
                    return false;
                }
                self.finish();
            }
            Job::After(other, sequence) => {
                if other.completed() < sequence && !other.cancelled.load(Ordering::Relaxed) {
                    self.pending = Some(Job::After(other, sequence));
                    return false;
                }
                self.finish();
            }
        }
        true
    }
}

fn drive(shared: &Shared, pool: &dyn Parallel) {
    let mut executor = Executor::new(pool);
    let mut lanes: Vec<Lane> = Vec::new();
    let mut generation = 0;
    let mut idle_since = Instant::now();
    let mut turns = 0u32;
    loop {
        if shared.generation.load(Ordering::Acquire) != generation {
            let streams = lock(&shared.streams);
            generation = shared.generation.load(Ordering::Acquire);
            lanes.retain(|lane| streams.iter().any(|s| s.id == lane.stream.id));
            for stream in streams.iter() {
                if !lanes.iter().any(|lane| lane.stream.id == stream.id) {
                    lanes.push(Lane { stream: stream.clone(), pending: None, sequence: 0 });
                }
            }
        }
        let mut worked = false;
        for lane in &mut lanes {
            worked |= lane.turn(&mut executor);
        }
        if worked {
            turns = 0;
            continue;
        }
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        turns += 1;
        if turns == 1 {
            idle_since = Instant::now();
        }
        if turns % 64 != 0 {
            std::hint::spin_loop();
            continue;
        }
        std::thread::yield_now();
        if idle_since.elapsed() < SPIN {
            continue;
        }
        shared.parked.store(true, Ordering::SeqCst);
        // Looked at once more after saying so: a job pushed in between has either seen the flag or is seen here.
        let runnable = lanes.iter().any(|lane| match &lane.pending {
            Some(Job::Wait(event)) => event.is_set(),
            Some(Job::After(other, sequence)) => other.completed() >= *sequence,
            Some(_) => true,
            None => !lane.stream.ring.is_empty(),
        } || lane.stream.cancelled.load(Ordering::SeqCst) && lane.pending.is_some());
        if !runnable && shared.generation.load(Ordering::SeqCst) == generation && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        shared.parked.store(false, Ordering::SeqCst);
        turns = 0;
    }
}
