//! Streams: each a bounded queue of commands and jobs in order, from one session to the process's driver.
use crate::command::Call;
use crate::driver::{Shared, drive, lock};
use crate::failure::Failure;
use crate::limits::Limits;
use crate::packet::{self, Enough};
use crate::pool::Pool;
use crate::program::Replay;
use crate::queue::{LONGEST, Queue, WORDS};
use crate::ring::{Padded, Ring};
use crate::storage::{Buffer, Tensor};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

/// Bytes of results that may wait in one stream before a pushing thread blocks.
const QUEUE_BYTES: usize = 2 << 30;
/// Results below this cannot fill the bound before the queue is full: its length is the shortest command's.
const SMALL: usize = QUEUE_BYTES / (WORDS / 8);
/// Buffers on their way back to the session.
const SPARES: usize = 4096;

/// A flag that jobs can wait for.
#[derive(Default)]
pub struct Event(AtomicBool);

impl Event {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Tells whoever waits, once the job counts as over.
pub type Notice = Option<Box<dyn FnOnce() + Send>>;

/// What a stream does besides commands.
pub enum Job {
    Replay(Box<Replay>),
    /// Runs on the driver thread, in stream order: reads, completions.
    Host(Box<dyn FnOnce() -> Notice + Send>),
    Wait(Arc<Event>),
    /// Until another stream has come this far.
    After(Arc<Stream>, u64),
}

pub struct Stream {
    pub id: u32,
    pub(crate) queue: Queue,
    /// Emptied buffers: memory freed by another thread than took it is slow.
    pub(crate) spares: Ring<Arc<Buffer>>,
    pushed: Padded<AtomicU64>,
    pub(crate) completed: Padded<AtomicU64>,
    /// Bytes of results ever pushed, written by the session alone, and ever finished, written by the driver alone.
    pushed_bytes: Padded<AtomicUsize>,
    pub(crate) finished_bytes: Padded<AtomicUsize>,
    pub(crate) cancelled: AtomicBool,
    /// Failures that began here and were not yet reported.
    pub(crate) failure: Mutex<Option<Arc<Failure>>>,
}

impl Stream {
    pub fn completed(&self) -> u64 {
        self.completed.0.load(Ordering::Acquire)
    }
    /// The sequence number of the last packet pushed.
    pub fn pushed(&self) -> u64 {
        self.pushed.0.load(Ordering::Relaxed)
    }
    pub fn is_idle(&self) -> bool {
        self.completed() == self.pushed()
    }
    /// An empty buffer that came back.
    ///
    /// # Safety
    /// Only the thread that pushes to this stream may call this.
    pub unsafe fn spare_buffer(&self) -> Option<Arc<Buffer>> {
        // SAFETY: one consumer, by the caller's promise; the driver is the only producer.
        unsafe { self.spares.pop() }
    }
    /// The first failure since the last call that nobody has seen.
    pub fn take_failure(&self) -> Option<Arc<Failure>> {
        lock(&self.failure).take().filter(|f| !f.is_seen())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What was never run still owns buffers and jobs.
        // SAFETY: nobody else holds the queue any more; each packet is read once.
        unsafe {
            while let Some(words) = self.queue.front() {
                let len = words.len();
                match packet::decode(words) {
                    packet::Packet::Command(command) => command.released.take().for_each(drop),
                    packet::Packet::Boxed(words) => packet::CommandPacket::new(&words).released.take().for_each(drop),
                    packet::Packet::Released(released) => released.take().for_each(drop),
                    packet::Packet::Job(job) => drop(job),
                }
                self.queue.pop(len);
            }
        }
    }
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
        let shared = Arc::new(Shared::default());
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
            queue: Queue::new(),
            spares: Ring::new(SPARES),
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

    /// Appends a command, and the buffers let go before it; blocks while the stream is full.
    ///
    /// # Safety
    /// One thread at a time pushes to a stream.
    pub unsafe fn push_command(
        &self,
        stream: &Stream,
        call: Call,
        operands: &[Rc<Tensor>],
        outputs: &[Rc<Tensor>],
        releases: &mut Vec<Arc<Buffer>>,
    ) {
        let mut bytes = 0;
        for output in outputs {
            bytes += output.storage().bytes();
        }
        if bytes > 0 {
            self.hold_back(stream, bytes);
        }
        let len = packet::words(call, operands.len() + outputs.len(), releases.len());
        // SAFETY: by the caller's promise.
        unsafe {
            if len <= LONGEST {
                return self.put(stream, len, |room| packet::encode(call, operands, outputs, releases, room));
            }
            let mut boxed = vec![0];
            boxed.reserve(len);
            boxed[0] = packet::encode(call, operands, outputs, releases, &mut boxed);
            self.put(stream, packet::BOXED_WORDS, |room| packet::encode_boxed(boxed, room));
        }
    }

    /// Appends a job; blocks while the stream is full.
    ///
    /// # Safety
    /// One thread at a time pushes to a stream.
    pub unsafe fn push_job(&self, stream: &Stream, job: Job) {
        // SAFETY: by the caller's promise.
        unsafe { self.put(stream, packet::JOB_WORDS, |room| packet::encode_job(Box::new(job), room)) };
    }

    /// Appends buffers that were let go.
    ///
    /// # Safety
    /// One thread at a time pushes to a stream.
    pub unsafe fn push_released(&self, stream: &Stream, releases: &mut Vec<Arc<Buffer>>) {
        while !releases.is_empty() {
            let count = releases.len().min(LONGEST - 1);
            // SAFETY: by the caller's promise.
            unsafe { self.put(stream, 1 + count, |room| packet::encode_released(releases.drain(..count), room)) };
        }
    }

    /// Appends a packet of up to `len` words; `write` puts those behind the first, and gives the first one's bits.
    ///
    /// # Safety
    /// One thread at a time pushes to a stream; `write` calls one of the encoding functions, which writes at most `len` words.
    unsafe fn put(&self, stream: &Stream, len: usize, write: impl FnOnce(&mut Enough) -> u64) {
        let mut turns = 0;
        let mut room = loop {
            // SAFETY: one producer, by the caller's promise.
            if let Some(room) = unsafe { stream.queue.reserve(len) } {
                break room;
            }
            self.pause(&mut turns);
        };
        // SAFETY: by the caller's promise.
        let bits = write(&mut unsafe { Enough::new(&mut room) });
        stream.pushed.0.store(stream.pushed.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        room.publish(bits);
        self.wake();
    }

    /// Waits while the stream holds too many bytes of results to come.
    fn hold_back(&self, stream: &Stream, bytes: usize) {
        let before = stream.pushed_bytes.0.load(Ordering::Relaxed);
        let waiting = || before.wrapping_sub(stream.finished_bytes.0.load(Ordering::Acquire)) > QUEUE_BYTES;
        let mut turns = 0;
        while bytes > SMALL && waiting() && !stream.cancelled.load(Ordering::Relaxed) {
            self.pause(&mut turns);
        }
        stream.pushed_bytes.0.store(before.wrapping_add(bytes), Ordering::Relaxed);
    }

    fn pause(&self, turns: &mut u32) {
        self.wake();
        *turns += 1;
        if *turns < 1000 { std::thread::yield_now() } else { std::thread::sleep(Duration::from_micros(200)) }
    }

    fn wake(&self) {
        // A swap only where it is needed: the flag's line stays shared while the driver is busy.
        if self.shared.parked.0.load(Ordering::Relaxed) && self.shared.parked.0.swap(false, Ordering::SeqCst) {
            self.driver.unpark();
        }
    }

    fn wake_after_fence(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        self.wake();
    }

    pub fn set(&self, event: &Event) {
        event.0.store(true, Ordering::SeqCst);
        self.wake_after_fence();
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
        self.wake_after_fence();
        self.wait(stream, stream.pushed());
        lock(&self.shared.streams).retain(|s| s.id != stream.id);
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        self.wake_after_fence();
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
