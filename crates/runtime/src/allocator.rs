//! The caching allocator. Freed blocks stay at hand by size class, for a fresh page costs more than most kernels; large blocks are aligned to
//! 2 MiB and ask for huge pages. Nothing is zeroed. A refused allocation is an error, never an abort.
use ferrograd_tensor::{Error, Result};
use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const ALIGN: usize = 64;
const HUGE: usize = 2 << 20;
/// Blocks up to this size pass through a thread's own magazine, so that the thread that frees and the one that allocates do not meet at every op.
const SMALL: usize = 4096;
/// Blocks of a class that a magazine holds; half of them move at once.
const MAGAZINE: usize = 64;

/// Bytes in use and kept, process-wide.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStats {
    pub live: usize,
    pub cached: usize,
    pub peak: usize,
}

static PEAK: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static FREE: Mutex<BTreeMap<usize, Vec<Free>>> = Mutex::new(BTreeMap::new());
/// What threads that have ended had counted.
static ENDED: Counts = Counts { live: AtomicIsize::new(0), cached: AtomicIsize::new(0) };
/// Every thread counts for itself; whoever asks adds up.
static COUNTS: Mutex<Vec<Arc<Counts>>> = Mutex::new(Vec::new());

/// A thread's bytes: a block may be taken on one thread and freed on another, so each may be negative. On a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Counts {
    live: AtomicIsize,
    cached: AtomicIsize,
}

struct Free(NonNull<u8>);
// SAFETY: a block nobody uses may be handed to any thread.
unsafe impl Send for Free {}

/// A thread's own small blocks, by class.
struct Magazine {
    classes: [Vec<Free>; SMALL / ALIGN + 1],
    counts: Arc<Counts>,
}

thread_local! {
    static OWN: RefCell<Magazine> = RefCell::new(Magazine::new());
}

impl Magazine {
    fn new() -> Magazine {
        let counts = Arc::<Counts>::default();
        COUNTS.lock().unwrap_or_else(|e| e.into_inner()).push(counts.clone());
        Magazine { classes: std::array::from_fn(|_| Vec::new()), counts }
    }
    fn take(&mut self, class: usize) -> Option<Free> {
        let own = &mut self.classes[class / ALIGN];
        if own.is_empty()
            && let Some(kept) = lock().get_mut(&class)
        {
            own.extend(kept.drain(kept.len().saturating_sub(MAGAZINE / 2)..));
        }
        own.pop()
    }
    fn give(&mut self, class: usize, block: Free) {
        let own = &mut self.classes[class / ALIGN];
        own.push(block);
        if own.len() >= MAGAZINE {
            lock().entry(class).or_default().extend(own.drain(MAGAZINE / 2..));
        }
    }
    /// Gives all blocks to the others.
    fn empty(&mut self) {
        let mut shared = lock();
        for (i, blocks) in self.classes.iter_mut().enumerate().filter(|(_, blocks)| !blocks.is_empty()) {
            shared.entry(i * ALIGN).or_default().append(blocks);
        }
    }
}

impl Drop for Magazine {
    fn drop(&mut self) {
        self.empty();
        // What this thread counted stays counted.
        let mut all = COUNTS.lock().unwrap_or_else(|e| e.into_inner());
        all.retain(|counts| !Arc::ptr_eq(counts, &self.counts));
        ENDED.live.fetch_add(self.counts.live.load(Ordering::Relaxed), Ordering::Relaxed);
        ENDED.cached.fetch_add(self.counts.cached.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Changes this thread's counts, which nobody else writes.
fn count(counts: &Counts, live: isize, cached: isize) {
    for (counter, change) in [(&counts.live, live), (&counts.cached, cached)] {
        counter.store(counter.load(Ordering::Relaxed) + change, Ordering::Relaxed);
    }
}

/// Runs `f` with the thread's magazine; with a passing one where the thread is ending.
fn own<R>(f: impl FnOnce(&mut Magazine) -> R) -> R {
    let mut f = Some(f);
    let done = OWN.try_with(|own| own.try_borrow_mut().ok().map(|mut own| (f.take().expect("called once"))(&mut own)));
    match done {
        Ok(Some(result)) => result,
        _ => (f.take().expect("called once"))(&mut Magazine::new()),
    }
}

/// A block of at least the bytes asked for, given back to the cache when dropped.
pub struct Block {
    ptr: NonNull<u8>,
    class: usize,
}

// SAFETY: a block is plain memory with one owner.
unsafe impl Send for Block {}
// SAFETY: a shared reference gives only the address.
unsafe impl Sync for Block {}

/// Sizes are rounded to four steps a power of two: at most a quarter is wasted, and steps of a training loop find each other's blocks.
fn class_of(bytes: usize) -> usize {
    if bytes <= 256 {
        return bytes.max(1).next_multiple_of(ALIGN);
    }
    let step = ((bytes - 1).ilog2() - 2) as usize;
    bytes.next_multiple_of(1 << step).next_multiple_of(ALIGN)
}

fn system_layout(class: usize) -> Layout {
    let align = if class >= HUGE { HUGE } else { ALIGN };
    Layout::from_size_align(class, align).expect("a class is far below isize::MAX")
}

impl Block {
    pub fn new(bytes: usize) -> Result<Block> {
        if bytes > isize::MAX as usize / 4 {
            return Err(refused(bytes));
        }
        let class = class_of(bytes);
        let limit = LIMIT.load(Ordering::Relaxed);
        if limit != usize::MAX && live_bytes().saturating_add(class) > limit {
            return Err(refused(bytes));
        }
        let kept = own(|own| {
            let kept = if class <= SMALL { own.take(class) } else { lock().get_mut(&class).and_then(Vec::pop) };
            count(&own.counts, class as isize, if kept.is_some() { -(class as isize) } else { 0 });
            kept
        });
        let ptr = match kept.map(|Free(ptr)| ptr).or_else(|| fresh(class)) {
            Some(ptr) => ptr,
            // The cache may hold what this block needs in other sizes.
            None => {
                trim();
                match fresh(class) {
                    Some(ptr) => ptr,
                    None => {
                        own(|own| count(&own.counts, -(class as isize), 0));
                        return Err(refused(bytes));
                    }
                }
            }
        };
        if class > SMALL {
            PEAK.fetch_max(live_bytes(), Ordering::Relaxed);
        }
        let block = Block { ptr, class };
        #[cfg(debug_assertions)]
        // SAFETY: the block is ours and `class` bytes long. 0xFF.. is a NaN in every float dtype: a kernel that reads before it writes shows.
        unsafe {
            block.as_ptr().write_bytes(0xFF, class)
        };
        Ok(block)
    }

    pub fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let (class, block) = (self.class, Free(self.ptr));
        own(|own| {
            count(&own.counts, -(class as isize), class as isize);
            if class <= SMALL {
                own.give(class, block);
            } else {
                lock().entry(class).or_default().push(block);
            }
        });
    }
}

/// The sum over all threads.
fn total(of: impl Fn(&Counts) -> &AtomicIsize) -> usize {
    let all = COUNTS.lock().unwrap_or_else(|e| e.into_inner());
    let running: isize = all.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum();
    (running + of(&ENDED).load(Ordering::Relaxed)).max(0) as usize
}

fn live_bytes() -> usize {
    total(|counts| &counts.live)
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<usize, Vec<Free>>> {
    FREE.lock().unwrap_or_else(|e| e.into_inner())
}

fn refused(bytes: usize) -> Error {
    let stats = memory_stats();
    Error::memory(format!(
        "no memory for {bytes} bytes ({} in use, {} cached). Use a smaller batch, dispose of tensors no longer needed, or checkpoint activations.",
        stats.live, stats.cached
    ))
}

fn fresh(class: usize) -> Option<NonNull<u8>> {
    // SAFETY: the layout has a size above 0.
    let ptr = NonNull::new(unsafe { alloc(system_layout(class)) })?;
    #[cfg(target_os = "linux")]
    if class >= HUGE {
        // SAFETY: advice on whole pages of a mapping that is ours; a refusal changes nothing.
        unsafe { libc::madvise(ptr.as_ptr().cast(), class / HUGE * HUGE, libc::MADV_HUGEPAGE) };
    }
    Some(ptr)
}

/// Gives the cached blocks back to the system, but for other threads' few small ones.
pub fn trim() {
    own(|own| {
        own.empty();
        let kept = std::mem::take(&mut *lock());
        for (class, blocks) in kept {
            for Free(ptr) in blocks {
                count(&own.counts, 0, -(class as isize));
                // SAFETY: the block came from `alloc` with this layout, and nobody holds it.
                unsafe { dealloc(ptr.as_ptr(), system_layout(class)) };
            }
        }
    });
}

pub fn memory_stats() -> MemoryStats {
    let live = live_bytes();
    MemoryStats { live, cached: total(|counts| &counts.cached), peak: PEAK.fetch_max(live, Ordering::Relaxed).max(live) }
}

/// The most bytes that may be in use; `usize::MAX` for no limit.
pub fn set_memory_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_waste_at_most_a_quarter() {
        for bytes in [1usize, 63, 64, 65, 256, 257, 1000, 4096, 5000, 1 << 20, (1 << 21) + 1, 123_456_789] {
            let class = class_of(bytes);
            assert!(class >= bytes && class % ALIGN == 0, "{bytes} -> {class}");
            assert!(bytes < 256 || class <= bytes + bytes / 4 + ALIGN, "{bytes} -> {class}");
        }
    }

    #[test]
    fn small_blocks_travel_between_threads_and_every_byte_is_counted() {
        // Other tests of this process allocate too: the thread's own share is what is compared.
        std::thread::spawn(|| {
            let before = own(|own| own.counts.live.load(Ordering::Relaxed));
            let blocks: Vec<Block> = (0..500).map(|i| Block::new(1 + i % 300).unwrap()).collect();
            let bytes: usize = blocks.iter().map(|b| b.class).sum();
            assert_eq!(own(|own| own.counts.live.load(Ordering::Relaxed)) - before, bytes as isize);
            let addresses: std::collections::HashSet<usize> = blocks.iter().map(|b| b.as_ptr() as usize).collect();
            assert_eq!(addresses.len(), blocks.len());
            let there = std::thread::spawn(move || {
                drop(blocks);
                own(|own| own.counts.live.load(Ordering::Relaxed))
            });
            assert_eq!(there.join().unwrap(), -(bytes as isize));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(Block::new(usize::MAX / 2).is_err());
    }

    #[test]
    fn large_blocks_are_aligned_to_huge_pages() {
        let block = Block::new(3 << 20).unwrap();
        assert_eq!(block.as_ptr() as usize % HUGE, 0);
    }
}
