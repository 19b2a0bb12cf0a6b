//! The caching allocator. Freed blocks stay at hand by size class, for a fresh page costs more than most kernels; large blocks are aligned to
//! 2 MiB and ask for huge pages. Nothing is zeroed. A refused allocation is an error, never an abort.
use crate::ring::Padded;
use ferrograd_tensor::{Error, Result};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

const ALIGN: usize = 64;
const HUGE: usize = 2 << 20;

/// Bytes in use and kept, process-wide.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStats {
    pub live: usize,
    pub cached: usize,
    pub peak: usize,
    /// Blocks handed out so far.
    pub blocks: usize,
}

struct Free(NonNull<u8>);
// SAFETY: a block nobody uses may be handed to any thread.
unsafe impl Send for Free {}

/// Free blocks by class, and what is accounted for. One lock, held for a few instructions: the driver takes and gives nearly all blocks.
struct Cache {
    free: [Vec<Free>; CLASSES],
    stats: MemoryStats,
    limit: usize,
}

/// On cache lines of its own: the driver writes it with every command, and what the linker put beside it would be slow to read for JavaScript's
/// thread.
static CACHE: Padded<Mutex<Cache>> = Padded(Mutex::new(Cache {
    free: [const { Vec::new() }; CLASSES],
    stats: MemoryStats { live: 0, cached: 0, peak: 0, blocks: 0 },
    limit: usize::MAX,
}));

fn lock() -> MutexGuard<'static, Cache> {
    CACHE.0.lock().unwrap_or_else(|e| e.into_inner())
}

/// A block of at least the bytes asked for, given back to the cache when dropped.
pub struct Block {
    ptr: NonNull<u8>,
    class: Class,
}

// SAFETY: a block is plain memory with one owner.
unsafe impl Send for Block {}
// SAFETY: a shared reference gives only the address.
unsafe impl Sync for Block {}

/// Sizes are rounded to four steps a power of two: at most a quarter is wasted, and steps of a training loop find each other's blocks. Blocks above
/// 64 MB, of which there are few, come in sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class(u16);

/// log2 of the size from which there are sixteen steps.
const FINE: usize = 26;
/// Classes up to that size: those up to 256 bytes, and four for each power of two.
const COARSE: usize = 4 + 4 * (FINE - 8);
const CLASSES: usize = COARSE + 16 * (usize::BITS as usize - FINE);

impl Class {
    fn of(bytes: usize) -> Class {
        if bytes <= 256 {
            return Class((bytes.max(1).div_ceil(ALIGN) - 1) as u16);
        }
        // 2^k < bytes <= 2^(k + 1)
        let k = (bytes - 1).ilog2() as usize;
        let (first, steps) = if k < FINE { (4 + 4 * (k - 8), 4) } else { (COARSE + 16 * (k - FINE), 16) };
        let step = (bytes - (1 << k)).div_ceil((1 << k) / steps);
        Class((first + step - 1) as u16)
    }
    fn bytes(self) -> usize {
        let class = self.0 as usize;
        if class < 4 {
            return ALIGN * (class + 1);
        }
        let (first, k, steps) = if class < COARSE { (4, 8, 4) } else { (COARSE, FINE, 16) };
        let (k, step) = ((class - first) / steps + k, (class - first) % steps + 1);
        (1 << k) + step * ((1 << k) / steps)
    }
    fn layout(self) -> Layout {
        let align = if self.bytes() >= HUGE { HUGE } else { ALIGN };
        Layout::from_size_align(self.bytes(), align).expect("a class is far below isize::MAX")
    }
}

impl Block {
    pub fn new(bytes: usize) -> Result<Block> {
        if bytes > isize::MAX as usize / 4 {
            return Err(refused(bytes));
        }
        let class = Class::of(bytes);
        let mut cache = lock();
        if cache.stats.live + class.bytes() > cache.limit {
            drop(cache);
            return Err(refused(bytes));
        }
        let kept = cache.free[class.0 as usize].pop();
        cache.stats.live += class.bytes();
        cache.stats.blocks += 1;
        cache.stats.peak = cache.stats.peak.max(cache.stats.live);
        if kept.is_some() {
            cache.stats.cached -= class.bytes();
        }
        drop(cache);
        let found = kept.map(|Free(ptr)| ptr).or_else(|| fresh(class)).or_else(|| {
            // The cache may hold what this block needs in other sizes.
            trim();
            fresh(class)
        });
        let Some(ptr) = found else {
            lock().stats.live -= class.bytes();
            return Err(refused(bytes));
        };
        let block = Block { ptr, class };
        #[cfg(debug_assertions)]
        // SAFETY: the block is ours and `class` bytes long. 0xFF.. is a NaN in every float dtype: a kernel that reads before it writes shows.
        unsafe {
            block.as_ptr().write_bytes(0xFF, class.bytes())
        };
        Ok(block)
    }

    pub fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut cache = lock();
        cache.stats.live -= self.class.bytes();
        cache.stats.cached += self.class.bytes();
        cache.free[self.class.0 as usize].push(Free(self.ptr));
    }
}

fn refused(bytes: usize) -> Error {
    let stats = memory_stats();
    Error::memory(format!(
        "no memory for {bytes} bytes ({} in use, {} cached). Use a smaller batch, dispose of tensors no longer needed, or checkpoint activations.",
        stats.live, stats.cached
    ))
}

fn fresh(class: Class) -> Option<NonNull<u8>> {
    // SAFETY: the layout has a size above 0.
    let ptr = NonNull::new(unsafe { alloc(class.layout()) })?;
    #[cfg(target_os = "linux")]
    if class.bytes() >= HUGE {
        // SAFETY: advice on whole pages of a mapping that is ours; a refusal changes nothing.
        unsafe { libc::madvise(ptr.as_ptr().cast(), class.bytes() / HUGE * HUGE, libc::MADV_HUGEPAGE) };
    }
    Some(ptr)
}

/// Gives every cached block back to the system.
pub fn trim() {
    for class in (0..CLASSES).map(|i| Class(i as u16)) {
        let mut cache = lock();
        let blocks = std::mem::take(&mut cache.free[class.0 as usize]);
        cache.stats.cached -= blocks.len() * if blocks.is_empty() { 0 } else { class.bytes() };
        drop(cache);
        for Free(ptr) in blocks {
            // SAFETY: the block came from `alloc` with this layout, and nobody holds it.
            unsafe { dealloc(ptr.as_ptr(), class.layout()) };
        }
    }
}

pub fn memory_stats() -> MemoryStats {
    lock().stats
}

/// The most bytes that may be in use; `usize::MAX` for no limit.
pub fn set_memory_limit(bytes: usize) {
    lock().limit = bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_waste_at_most_a_quarter() {
        for bytes in
            [1usize, 63, 64, 65, 256, 257, 1000, 4096, 5000, 1 << 20, (1 << 21) + 1, 1 << 26, (1 << 26) + 1, 123_456_789, 2_400_000_000]
        {
            let class = Class::of(bytes);
            let size = class.bytes();
            assert!(size >= bytes && size % ALIGN == 0, "{bytes} -> {size}");
            let wasted = if bytes > 1 << FINE { bytes / 16 } else { bytes / 4 };
            assert!(bytes < 256 || size <= bytes + wasted + ALIGN, "{bytes} -> {size}");
            assert_eq!(Class::of(size), class);
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
