//! The queue between a session and the driver: packets of words, one behind the other in a ring. A command is written where the driver reads it,
//! so that an op costs two or three cache lines, read in order, and no allocation.
use crate::fence;
use crate::ring::Padded;
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Words of a queue: room for some thousand commands on small operands.
pub const WORDS: usize = 1 << 16;
/// The longest packet. Longer ones are boxed, and only their address is queued.
pub const LONGEST: usize = WORDS / 8;
/// Stands at the ring's end where the next packet did not fit: the rest is skipped.
const SKIP: u64 = 1 << 63;

pub struct Queue {
    words: Box<[UnsafeCell<MaybeUninit<u64>>]>,
    /// Words ever consumed, and ever produced.
    head: Padded<AtomicUsize>,
    tail: Padded<AtomicUsize>,
    /// What the producer last saw of `head`: looked at again only when the ring seems full.
    seen_head: Padded<Cell<usize>>,
}

// SAFETY: each word is touched by one end at a time, as the counters say; `seen_head` by the producer alone.
unsafe impl Sync for Queue {}
// SAFETY: as above.
unsafe impl Send for Queue {}

impl Queue {
    pub fn new() -> Queue {
        Queue {
            words: (0..WORDS).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
            head: Padded(AtomicUsize::new(0)),
            tail: Padded(AtomicUsize::new(0)),
            seen_head: Padded(Cell::new(0)),
        }
    }

    /// Room for a packet of `len` words; `None` while the ring is too full. The packet's first word must be its length, plus bits of the caller's
    /// between 32 and 63.
    ///
    /// # Safety
    /// One thread produces. The slice is given up at the next call.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn reserve(&self, len: usize) -> Option<&mut [MaybeUninit<u64>]> {
        debug_assert!(len <= LONGEST);
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        let to_end = WORDS - tail % WORDS;
        let skipped = if len <= to_end { 0 } else { to_end };
        if tail + skipped + len - self.seen_head.0.get() > WORDS {
            self.seen_head.0.set(self.head.0.load(Ordering::Acquire));
            if tail + skipped + len - self.seen_head.0.get() > WORDS {
                return None;
            }
        }
        if skipped > 0 {
            // SAFETY: the word is free, as just found, and we are the only producer.
            unsafe { (*self.words[tail % WORDS].get()).write(SKIP | skipped as u64) };
            tail += skipped;
            self.tail.0.store(tail, Ordering::Release);
        }
        let start = self.words[tail % WORDS].get();
        // SAFETY: `len` words from here are free and inside the ring.
        Some(unsafe { std::slice::from_raw_parts_mut(start, len) })
    }

    /// Hands over the packet that was written into the room reserved last.
    ///
    /// # Safety
    /// As for `reserve`; all `len` words were written.
    pub unsafe fn publish(&self, len: usize) {
        self.tail.0.store(self.tail.0.load(Ordering::Relaxed) + len, Ordering::Release);
        // Against the driver's look at the queue after it has said that it parks.
        fence::light();
    }

    /// The packet to be read next.
    ///
    /// # Safety
    /// One thread consumes. The slice is given up at `pop`.
    pub unsafe fn front(&self) -> Option<&[u64]> {
        loop {
            let head = self.head.0.load(Ordering::Relaxed);
            if head == self.tail.0.load(Ordering::Acquire) {
                return None;
            }
            let start = self.words[head % WORDS].get().cast::<u64>();
            // SAFETY: the producer has written this word: it starts a packet or a skip.
            let first = unsafe { *start };
            let len = (first & 0xffff_ffff) as usize;
            if first & SKIP != 0 {
                self.head.0.store(head + len, Ordering::Release);
                continue;
            }
            // SAFETY: the producer has written the whole packet, which lies inside the ring.
            return Some(unsafe { std::slice::from_raw_parts(start, len) });
        }
    }

    /// Gives the room of the packet at the front, of `len` words, back to the producer.
    ///
    /// # Safety
    /// As for `front`, which gave this packet.
    pub unsafe fn pop(&self, len: usize) {
        self.head.0.store(self.head.0.load(Ordering::Relaxed) + len, Ordering::Release);
    }

    pub fn is_empty(&self) -> bool {
        self.head.0.load(Ordering::SeqCst) == self.tail.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_all_lengths_arrive_whole_and_in_order() {
        let queue = Queue::new();
        let length = |i: u64| 1 + (i * 7919 % 1000) as usize;
        const COUNT: u64 = 5_000;
        std::thread::scope(|s| {
            s.spawn(|| {
                for i in 0..COUNT {
                    let len = length(i);
                    loop {
                        // SAFETY: the only producer.
                        if let Some(room) = unsafe { queue.reserve(len) } {
                            room.iter_mut().for_each(|w| {
                                w.write(i);
                            });
                            room[0].write(len as u64);
                            break;
                        }
                        std::thread::yield_now();
                    }
                    // SAFETY: every word was written.
                    unsafe { queue.publish(len) };
                }
            });
            let mut i = 0;
            while i < COUNT {
                // SAFETY: the only consumer.
                let Some(packet) = (unsafe { queue.front() }) else {
                    std::thread::yield_now();
                    continue;
                };
                assert_eq!(packet.len(), length(i));
                assert!(packet[1..].iter().all(|&w| w == i));
                let len = packet.len();
                // SAFETY: the packet that `front` gave.
                unsafe { queue.pop(len) };
                i += 1;
            }
        });
        assert!(queue.is_empty());
    }

    #[test]
    fn a_full_queue_gives_no_room() {
        let queue = Queue::new();
        let mut count = 0;
        // SAFETY: one thread.
        while let Some(room) = unsafe { queue.reserve(LONGEST) } {
            room.iter_mut().for_each(|w| {
                w.write(LONGEST as u64);
            });
            // SAFETY: every word was written.
            unsafe { queue.publish(LONGEST) };
            count += 1;
        }
        assert_eq!(count, WORDS / LONGEST);
    }
}
