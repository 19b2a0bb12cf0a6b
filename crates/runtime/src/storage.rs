//! Storage: what a tensor's elements live in. It may exist before its memory does: the stream allocates when it first writes.
use crate::allocator::Block;
use crate::failure::Failure;
use ferrograd_tensor::{Meta, Result};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Where an operand lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Cpu,
    /// Shapes only: nothing is computed.
    Meta,
}

pub struct Buffer {
    bytes: usize,
    block: UnsafeCell<Option<Block>>,
    poison: OnceLock<Arc<Failure>>,
    /// Stream and sequence number of the last command that writes here, so that another stream knows what to wait for.
    writer: AtomicU64,
}

// SAFETY: `block` is written by the driver thread alone (or before the buffer is shared), and read by others only after a stream has said that the
// command that wrote it is over.
unsafe impl Sync for Buffer {}
// SAFETY: as above.
unsafe impl Send for Buffer {}

const SEQUENCE_BITS: u32 = 44;

impl Buffer {
    /// A buffer that gets its memory when a command first writes it.
    pub fn planned(bytes: usize) -> Arc<Buffer> {
        Arc::new(Buffer { bytes, block: UnsafeCell::new(None), poison: OnceLock::new(), writer: AtomicU64::new(0) })
    }
    /// A buffer filled by the caller, before anyone else sees it.
    pub fn filled(bytes: usize, fill: impl FnOnce(&mut [u8])) -> Result<Arc<Buffer>> {
        let block = Block::new(bytes)?;
        // SAFETY: the block is ours and at least `bytes` long; `fill` writes every byte of it (uninitialised u8 are never read before).
        fill(unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), bytes) });
        Ok(Arc::new(Buffer { bytes, block: UnsafeCell::new(Some(block)), poison: OnceLock::new(), writer: AtomicU64::new(0) }))
    }
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// Allocates on first use.
    ///
    /// # Safety
    /// Only the driver thread may call this.
    pub unsafe fn ensure(&self) -> Result<*mut u8> {
        // SAFETY: one thread, by the caller's promise.
        let block = unsafe { &mut *self.block.get() };
        if block.is_none() {
            *block = Some(Block::new(self.bytes)?);
        }
        Ok(block.as_ref().map_or(std::ptr::null_mut(), Block::as_ptr))
    }
    /// The memory, or `None` before the first write.
    ///
    /// # Safety
    /// The caller is the driver thread, or the commands that write this buffer have ended.
    pub unsafe fn memory(&self) -> Option<*mut u8> {
        // SAFETY: nobody writes `block` now, by the caller's promise.
        unsafe { (*self.block.get()).as_ref().map(Block::as_ptr) }
    }
    pub fn poison(&self) -> Option<&Arc<Failure>> {
        self.poison.get()
    }
    pub fn set_poison(&self, failure: Arc<Failure>) {
        let _ = self.poison.set(failure);
    }
    pub fn set_writer(&self, stream: u32, sequence: u64) {
        self.writer.store(((stream as u64) << SEQUENCE_BITS) | (sequence & ((1 << SEQUENCE_BITS) - 1)), Ordering::Release);
    }
    pub fn writer(&self) -> (u32, u64) {
        let word = self.writer.load(Ordering::Acquire);
        ((word >> SEQUENCE_BITS) as u32, word & ((1 << SEQUENCE_BITS) - 1))
    }
}

/// A tensor as the runtime knows it: a layout over a buffer. Views share the buffer.
pub struct Tensor {
    pub meta: Meta,
    pub device: Device,
    pub buffer: Arc<Buffer>,
}

impl Tensor {
    /// A new contiguous tensor whose memory comes later.
    pub fn planned(meta: Meta, device: Device) -> Arc<Tensor> {
        let bytes = if device == Device::Meta { 0 } else { meta.numel() * meta.dtype.size() };
        Arc::new(Tensor { meta, device, buffer: Buffer::planned(bytes) })
    }
}
