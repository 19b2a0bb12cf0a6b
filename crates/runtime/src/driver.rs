//! The driver: one thread a process that takes turns between the streams at commands and runs each on the pool. JavaScript's thread never computes.
use crate::command::Executor;
use crate::failure::Failure;
use crate::fence;
use crate::packet::{self, CommandPacket, Packet, Released};
use crate::ring::Padded;
use crate::storage::Buffer;
use crate::stream::{Job, Stream};
use ferrograd_tensor::{ErrorKind, Parallel};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long the driver looks for work before it parks.
const SPIN: Duration = Duration::from_micros(100);

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// What the driver shares with the threads that push.
pub(crate) struct Shared {
    pub streams: Mutex<Vec<Arc<Stream>>>,
    /// Raised whenever `streams` changes.
    pub generation: AtomicU64,
    pub parked: Padded<AtomicBool>,
    pub stop: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Shared {
            streams: Mutex::default(),
            generation: AtomicU64::new(0),
            parked: Padded(AtomicBool::new(false)),
            stop: AtomicBool::new(false),
        }
    }
}

/// A stream as the driver sees it, with the job it is in the middle of.
struct Lane {
    stream: Arc<Stream>,
    pending: Cell<Option<Job>>,
    sequence: Cell<u64>,
}

impl Lane {
    fn finish(&self) {
        self.stream.completed.0.store(self.sequence.get(), Ordering::Release);
    }

    fn fail(&self, failure: Arc<Failure>) {
        let mut slot = lock(&self.stream.failure);
        if slot.as_ref().is_none_or(|f| f.is_seen()) {
            *slot = Some(failure);
        }
    }

    fn cancelled(&self) -> bool {
        self.stream.cancelled.load(Ordering::Relaxed)
    }

    /// Another stream may wait for the results of what will not run: they are poisoned, not left without values.
    fn cancellation(&self) -> Arc<Failure> {
        let message = "the stream was closed before this ran. Await results before closing it, or before its worker ends.";
        Arc::new(Failure::new(ErrorKind::Cancelled, "stream", message.into(), 0, self.sequence.get()))
    }

    /// Empties the buffers that their session has let go of, and hands them back to it.
    fn take_back(&self, released: Released) {
        // SAFETY: the packet is read once.
        for buffer in unsafe { released.take() } {
            if let Some(buffer) = Buffer::recycle(buffer) {
                // SAFETY: the driver is the only producer of spares. Where the ring is full, the buffer is freed here.
                drop(unsafe { self.stream.spares.push(buffer) });
            }
        }
    }

    fn command(&self, packet: CommandPacket, executor: &mut Executor) {
        self.take_back(packet.released);
        let (operands, outputs) = packet.tensors();
        let bytes = outputs.clone().map(|(meta, _)| meta.numel() * meta.dtype.size()).sum::<usize>();
        if self.cancelled() {
            let failure = self.cancellation();
            outputs.for_each(|(_, buffer)| buffer.set_poison(failure.clone()));
            return;
        }
        // SAFETY: this is the driver thread, and the session checked the layouts.
        if let Err(failure) = unsafe { executor.execute(packet.call, operands, outputs, self.sequence.get()) }
            && failure.sequence == self.sequence.get()
        {
            self.fail(failure);
        }
        let finished = &self.stream.finished_bytes.0;
        finished.store(finished.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Release);
    }

    /// Goes on with a job. False where it only waits.
    fn job(&self, job: Job, executor: &mut Executor) -> bool {
        if self.cancelled() {
            if let Job::Replay(replay) = job {
                replay.cancel(&self.cancellation());
            }
            self.finish();
            return true;
        }
        match job {
            Job::Replay(mut replay) => match replay.advance(executor, self.sequence.get()) {
                Ok(true) => drop(replay),
                Ok(false) => {
                    self.pending.set(Some(Job::Replay(replay)));
                    return true;
                }
                Err(failure) => {
                    drop(replay);
                    self.fail(failure);
                }
            },
            Job::Host(task) => {
                let notice = catch_unwind(AssertUnwindSafe(task)).unwrap_or(None);
                // Whoever hears of it finds the stream idle, if this was the last.
                self.finish();
                if let Some(notice) = notice {
                    let _ = catch_unwind(AssertUnwindSafe(notice));
                }
                return true;
            }
            Job::Wait(event) if !event.is_set() => {
                self.pending.set(Some(Job::Wait(event)));
                return false;
            }
            Job::After(other, sequence) if other.completed() < sequence && !other.cancelled.load(Ordering::Relaxed) => {
                self.pending.set(Some(Job::After(other, sequence)));
                return false;
            }
            Job::Wait(_) | Job::After(..) => {}
        }
        self.finish();
        true
    }

    /// Runs one command, or goes on with a job. False where there was nothing to do, or only waiting.
    fn turn(&self, executor: &mut Executor) -> bool {
        if let Some(job) = self.pending.take() {
            return self.job(job, executor);
        }
        let queue = &self.stream.queue;
        // SAFETY: the driver is the only consumer.
        let Some(words) = (unsafe { queue.front() }) else { return false };
        self.sequence.set(self.sequence.get() + 1);
        let len = words.len();
        // SAFETY: the session wrote the packet with the functions beside `decode`, and it is read once.
        match unsafe { packet::decode(words) } {
            Packet::Command(command) => self.command(command, executor),
            Packet::Boxed(words) => self.command(CommandPacket::new(&words), executor),
            Packet::Released(released) => self.take_back(released),
            Packet::Job(job) => {
                // SAFETY: the packet at the front; the job is ours already.
                unsafe { queue.pop(len) };
                return self.job(*job, executor);
            }
        }
        // SAFETY: the packet at the front.
        unsafe { queue.pop(len) };
        self.finish();
        true
    }

    fn is_runnable(&self) -> bool {
        let pending = self.pending.take();
        let runnable = match &pending {
            Some(_) if self.stream.cancelled.load(Ordering::SeqCst) => true,
            Some(Job::Wait(event)) => event.is_set(),
            Some(Job::After(other, sequence)) => other.completed() >= *sequence || other.cancelled.load(Ordering::SeqCst),
            Some(_) => true,
            None => !self.stream.queue.is_empty(),
        };
        self.pending.set(pending);
        runnable
    }
}

/// Runs until told to stop.
pub(crate) fn drive(shared: &Shared, pool: &dyn Parallel) {
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
                    lanes.push(Lane { stream: stream.clone(), pending: Cell::new(None), sequence: Cell::new(0) });
                }
            }
        }
        let mut worked = false;
        for lane in &lanes {
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
        shared.parked.0.store(true, Ordering::SeqCst);
        // Looked at once more after saying so: a packet published in between has either seen the flag or is seen here.
        fence::heavy();
        let runnable = lanes.iter().any(Lane::is_runnable);
        if !runnable && shared.generation.load(Ordering::SeqCst) == generation && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        shared.parked.0.store(false, Ordering::SeqCst);
        turns = 0;
    }
}
