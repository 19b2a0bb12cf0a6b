//! A tensor in the making: threads outside the streams fill its memory, each a part of its own.
use crate::allocator::Block;
use crate::storage::{Buffer, Mark, Parcel};
use ferrograd_tensor::{Error, Meta, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A contiguous tensor whose elements are handed out front to back.
pub struct Filling {
    meta: Meta,
    bytes: usize,
    taken: usize,
    room: Arc<Room>,
}

struct Room {
    block: Block,
    filled: AtomicUsize,
}

/// Bytes of a `Filling` that nobody else has.
pub struct Part {
    room: Arc<Room>,
    start: usize,
    bytes: usize,
}

impl Filling {
    pub fn new(meta: Meta) -> Result<Filling> {
        let bytes = meta.numel() * meta.dtype.size();
        let room = Room { block: Block::new(bytes)?, filled: AtomicUsize::new(0) };
        Ok(Filling { meta, bytes, taken: 0, room: Arc::new(room) })
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The next bytes; `None` beyond the end.
    pub fn take(&mut self, bytes: usize) -> Option<Part> {
        let start = self.taken;
        self.taken = start.checked_add(bytes).filter(|&end| end <= self.bytes)?;
        Some(Part { room: self.room.clone(), start, bytes })
    }

    /// The tensor, once every part is filled.
    pub fn finish(self) -> Result<Parcel> {
        let room = Arc::try_unwrap(self.room).ok().filter(|room| room.filled.load(Ordering::Acquire) == self.bytes);
        let room = room.ok_or_else(|| Error::internal("a part of the tensor was not filled"))?;
        let buffer = Arc::new(Buffer::within(Arc::new(room.block), 0, self.bytes));
        Ok(Parcel { meta: self.meta, buffer, bytes: self.bytes, writer: Mark::default() })
    }
}

impl Part {
    /// `fill` writes every byte; what was there before is undefined.
    pub fn fill<T>(self, fill: impl FnOnce(&mut [u8]) -> T) -> T {
        // SAFETY: inside the block, whose parts do not overlap and are consumed here; `fill` writes every byte (uninitialised u8 are never read before).
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.room.block.as_ptr().add(self.start), self.bytes) };
        let result = fill(bytes);
        self.room.filled.fetch_add(self.bytes, Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrograd_tensor::DType;

    #[test]
    fn parts_filled_on_other_threads_make_the_tensor() {
        let mut filling = Filling::new(Meta::new(DType::U8, &[10]).unwrap()).unwrap();
        let parts = [filling.take(3).unwrap(), filling.take(0).unwrap(), filling.take(7).unwrap()];
        assert!(filling.take(1).is_none());
        std::thread::scope(|scope| {
            for (value, part) in (1..).zip(parts) {
                scope.spawn(move || part.fill(|bytes| bytes.fill(value)));
            }
        });
        let parcel = filling.finish().unwrap();
        // SAFETY: no command writes this buffer.
        let (memory, bytes) = unsafe { parcel.buffer.memory() }.unwrap();
        // SAFETY: filled above, and alive as long as the parcel.
        assert_eq!(unsafe { std::slice::from_raw_parts(memory, bytes) }, [1, 1, 1, 3, 3, 3, 3, 3, 3, 3]);
    }

    #[test]
    fn a_part_that_is_not_filled_makes_none() {
        let filling = || Filling::new(Meta::new(DType::I32, &[2]).unwrap()).unwrap();
        assert!(filling().finish().is_err());
        let mut dropped = filling();
        drop(dropped.take(8));
        assert!(dropped.finish().is_err());
        let mut held = filling();
        let part = held.take(8).unwrap();
        assert!(held.finish().is_err());
        part.fill(|bytes| bytes.fill(0));
    }
}
