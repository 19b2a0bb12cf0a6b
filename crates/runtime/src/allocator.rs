//! The caching allocator. Freed blocks stay at hand by size class, for a fresh page costs more than most kernels; large blocks are aligned to
//! 2 MiB and ask for huge pages. Nothing is zeroed. A refused allocation is an error, never an abort.
use ferrograd_tensor::{Error, Result};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const ALIGN: usize = 64;
const HUGE: usize = 2 << 20;

/// Bytes in use and kept, process-wide.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStats {
    pub live: usize,
    pub cached: usize,
    pub peak: usize,
}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CACHED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static FREE: Mutex<BTreeMap<usize, Vec<Free>>> = Mutex::new(BTreeMap::new());

struct Free(NonNull<u8>);
// SAFETY: a block nobody uses may be handed to any thread.
unsafe impl Send for Free {}

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
        if LIVE.load(Ordering::Relaxed).saturating_add(class) > LIMIT.load(Ordering::Relaxed) {
            return Err(refused(bytes));
        }
        let kept = lock().get_mut(&class).and_then(Vec::pop);
        let ptr = match kept {
            Some(Free(ptr)) => {
                CACHED.fetch_sub(class, Ordering::Relaxed);
                ptr
            }
            None => match fresh(class) {
                Some(ptr) => ptr,
                // The cache may hold what this block needs in other sizes.
                None => {
                    trim();
                    fresh(class).ok_or_else(|| refused(bytes))?
                }
            },
        };
        let live = LIVE.fetch_add(class, Ordering::Relaxed) + class;
        PEAK.fetch_max(live, Ordering::Relaxed);
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
        LIVE.fetch_sub(self.class, Ordering::Relaxed);
        CACHED.fetch_add(self.class, Ordering::Relaxed);
        lock().entry(self.class).or_default().push(Free(self.ptr));
    }
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

/// Gives every cached block back to the system.
pub fn trim() {
    let kept = std::mem::take(&mut *lock());
    for (class, blocks) in kept {
        for Free(ptr) in blocks {
            CACHED.fetch_sub(class, Ordering::Relaxed);
            // SAFETY: the block came from `alloc` with this layout, and nobody holds it.
            unsafe { dealloc(ptr.as_ptr(), system_layout(class)) };
        }
    }
}

pub fn memory_stats() -> MemoryStats {
    MemoryStats { live: LIVE.load(Ordering::Relaxed), cached: CACHED.load(Ordering::Relaxed), peak: PEAK.load(Ordering::Relaxed) }
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
    fn absurd_sizes_are_refused() {
        assert!(Block::new(usize::MAX / 2).is_err());
    }

    #[test]
    fn large_blocks_are_aligned_to_huge_pages() {
        let block = Block::new(3 << 20).unwrap();
        assert_eq!(block.as_ptr() as usize % HUGE, 0);
    }
}
