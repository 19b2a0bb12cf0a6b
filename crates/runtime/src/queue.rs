//! The queue between a session and the driver: packets of words, one behind the other in a ring. A command is written where the driver reads it,
//! so that an op costs two or three cache lines, read in order, and no allocation.
//!
//! A packet is announced by its own first word, which is written last; until then that word is 0. So the driver, looking for the next packet,
//! reads only the line where it will be: a counter beside the ring would travel between the cores with every command.
use crate::fence;
use crate::ring::Padded;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Words of a queue: room for some thousand commands on small operands.
pub const WORDS: usize = 1 << 16;
/// The longest packet. Longer ones are boxed, and only their address is queued.
pub const LONGEST: usize = WORDS / 8;
/// The first word of what is skipped: the ring's end where the next packet did not fit.
const SKIP: u64 = 1 << 63;
const LENGTH: u64 = 0xffff_ffff;

pub struct Queue {
    words: Box<[AtomicU64]>,
    /// Words ever consumed.
    head: Padded<AtomicUsize>,
    producer: Padded<Producer>,
}

/// What the producer alone knows.
struct Producer {
    /// Words ever produced.
    tail: Cell<usize>,
    /// What it last saw of `head`: looked at again only when the ring seems full.
    head: Cell<usize>,
}

// SAFETY: words are atomic; the producer's cells are used by the producer alone.
unsafe impl Sync for Queue {}

/// Room for a packet.
pub struct Room<'a> {
    queue: &'a Queue,
    words: &'a [AtomicU64],
    at: usize,
}

impl Room<'_> {
    /// Writes the next word behind the first.
    ///
    /// # Safety
    /// Fewer words have been put than there is room for.
    #[inline(always)]
    pub unsafe fn put(&mut self, word: u64) {
        debug_assert!(self.at < self.words.len());
        // SAFETY: by the caller's promise.
        unsafe { self.words.get_unchecked(self.at) }.store(word, Ordering::Relaxed);
        self.at += 1;
    }
    /// Announces the packet: what was put, which may be less than there was room for. `bits`, between 32 and 62, go beside the length into its
    /// first word.
    pub fn publish(self, bits: u64) {
        let tail = self.queue.producer.0.tail.get() + self.at;
        self.queue.words[tail % WORDS].store(0, Ordering::Relaxed);
        self.words[0].store(bits | self.at as u64, Ordering::Release);
        self.queue.producer.0.tail.set(tail);
        // Against the driver's look at the queue after it has said that it parks.
        fence::light();
    }
}

impl Queue {
    pub fn new() -> Queue {
        Queue {
            words: (0..WORDS).map(|_| AtomicU64::new(0)).collect(),
            head: Padded(AtomicUsize::new(0)),
            producer: Padded(Producer { tail: Cell::new(0), head: Cell::new(0) }),
        }
    }

    /// Room for a packet of up to `len` words; `None` while the ring is too full.
    ///
    /// # Safety
    /// One thread produces, one packet at a time.
    pub unsafe fn reserve(&self, len: usize) -> Option<Room<'_>> {
        debug_assert!(len <= LONGEST);
        let Producer { tail, head } = &self.producer.0;
        let to_end = WORDS - tail.get() % WORDS;
        let skipped = if len <= to_end { 0 } else { to_end };
        // One word more, which says that nothing follows yet.
        let fits = || tail.get() + skipped + len < head.get() + WORDS;
        if !fits() {
            head.set(self.head.0.load(Ordering::Acquire));
            if !fits() {
                return None;
            }
        }
        if skipped > 0 {
            self.words[0].store(0, Ordering::Relaxed);
            self.words[tail.get() % WORDS].store(SKIP | skipped as u64, Ordering::Release);
            tail.set(tail.get() + skipped);
        }
        let start = tail.get() % WORDS;
        Some(Room { queue: self, words: &self.words[start..start + len], at: 1 })
    }

    /// The packet to be read next.
    ///
    /// # Safety
    /// One thread consumes. The slice is given up at `pop`.
    #[inline]
    pub unsafe fn front(&self) -> Option<&[u64]> {
        loop {
            let head = self.head.0.load(Ordering::Relaxed);
            let start = head % WORDS;
            let first = self.words[start].load(Ordering::Acquire);
            if first == 0 {
                return None;
            }
            let len = (first & LENGTH) as usize;
            if first & SKIP != 0 {
                self.head.0.store(head + len, Ordering::Release);
                continue;
            }
            let packet = &self.words[start..start + len];
            // SAFETY: the producer has announced the packet and writes it no more until `pop`; AtomicU64 has the layout of u64.
            return Some(unsafe { std::slice::from_raw_parts(packet.as_ptr().cast::<u64>(), len) });
        }
    }

    /// Gives the room of the packet at the front, of `len` words, back to the producer.
    ///
    /// # Safety
    /// As for `front`, which gave this packet.
    #[inline]
    pub unsafe fn pop(&self, len: usize) {
        self.head.0.store(self.head.0.load(Ordering::Relaxed) + len, Ordering::Release);
    }

    /// For the consumer.
    pub fn is_empty(&self) -> bool {
        self.words[self.head.0.load(Ordering::Relaxed) % WORDS].load(Ordering::SeqCst) == 0
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
                    let mut room = loop {
                        // SAFETY: the only producer.
                        match unsafe { queue.reserve(length(i)) } {
                            Some(room) => break room,
                            None => std::thread::yield_now(),
                        }
                    };
                    // SAFETY: as many words as there is room for.
                    (1..length(i)).for_each(|_| unsafe { room.put(i) });
                    room.publish(5 << 32);
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
                assert_eq!(packet[0], 5 << 32 | packet.len() as u64);
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
    fn a_full_queue_gives_no_room_until_something_is_taken() {
        let queue = Queue::new();
        let mut count = 0;
        // SAFETY: one thread.
        while let Some(mut room) = unsafe { queue.reserve(LONGEST) } {
            // SAFETY: as many words as there is room for.
            (1..LONGEST).for_each(|_| unsafe { room.put(1) });
            room.publish(0);
            count += 1;
        }
        // The word that says that nothing follows takes the last packet's place.
        assert_eq!(count, WORDS / LONGEST - 1);
        // SAFETY: one thread.
        unsafe {
            assert_eq!(queue.front().map(<[u64]>::len), Some(LONGEST));
            queue.pop(LONGEST);
            assert!(queue.reserve(LONGEST).is_some());
        }
    }
}
