//! A bounded single-producer single-consumer ring: what the driver hands back to a session.
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keeps what different threads write on different cache lines: a shared one would travel between the cores with every command.
#[repr(align(128))]
pub struct Padded<T>(pub T);

/// One end's counter, and what it last saw of the other's: looked at again only when the ring seems full, or empty.
struct End {
    own: AtomicUsize,
    seen: Cell<usize>,
}

impl End {
    fn new() -> Padded<End> {
        Padded(End { own: AtomicUsize::new(0), seen: Cell::new(0) })
    }
}

pub struct Ring<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    head: Padded<End>,
    tail: Padded<End>,
}

// SAFETY: each slot is touched by one end at a time, as the counters say; `seen` by its own end alone.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> Ring<T> {
    pub fn new(capacity: usize) -> Ring<T> {
        assert!(capacity.is_power_of_two());
        let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        Ring { slots, head: End::new(), tail: End::new() }
    }

    /// # Safety
    /// One thread at a time pushes.
    pub unsafe fn push(&self, value: T) -> Result<(), T> {
        let End { own, seen } = &self.tail.0;
        let tail = own.load(Ordering::Relaxed);
        if tail.wrapping_sub(seen.get()) == self.slots.len() {
            seen.set(self.head.0.own.load(Ordering::Acquire));
            if tail.wrapping_sub(seen.get()) == self.slots.len() {
                return Err(value);
            }
        }
        // SAFETY: the slot is free (taken, by the consumer's counter), and we are the only producer.
        unsafe { (*self.slots[tail & (self.slots.len() - 1)].get()).write(value) };
        own.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// # Safety
    /// One thread at a time pops.
    pub unsafe fn pop(&self) -> Option<T> {
        let End { own, seen } = &self.head.0;
        let head = own.load(Ordering::Relaxed);
        if head == seen.get() {
            seen.set(self.tail.0.own.load(Ordering::Acquire));
            if head == seen.get() {
                return None;
            }
        }
        // SAFETY: the producer published this slot, and we are the only consumer.
        let value = unsafe { (*self.slots[head & (self.slots.len() - 1)].get()).assume_init_read() };
        own.store(head.wrapping_add(1), Ordering::Release);
        Some(value)
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: nobody else holds the ring any more.
        while unsafe { self.pop() }.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_across_threads_and_refuses_when_full() {
        let ring = Ring::new(8);
        std::thread::scope(|s| {
            s.spawn(|| {
                for i in 0..10_000u32 {
                    // SAFETY: the only producer.
                    while unsafe { ring.push(i) }.is_err() {
                        std::thread::yield_now();
                    }
                }
            });
            let mut expected = 0;
            while expected < 10_000 {
                // SAFETY: the only consumer.
                if let Some(value) = unsafe { ring.pop() } {
                    assert_eq!(value, expected);
                    expected += 1;
                }
            }
        });
        // SAFETY: one thread.
        unsafe {
            (0..8).for_each(|i| assert!(ring.push(i).is_ok()));
            assert_eq!(ring.push(9), Err(9));
        }
    }
}
