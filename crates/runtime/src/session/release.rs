//! Letting go of the memory of tensors that are gone, which commands under way may still use.
use super::{SPARES, Session};
use crate::storage::Buffer;

impl Session {
    /// Sends buffers of storages that are gone to the streams whose commands may still use them; those of the current stream go with its next command.
    pub(super) fn empty_bin(&mut self) {
        let current = self.streams.get(self.current).map_or(0, |s| s.id);
        while let Some(released) = self.bin.pop() {
            if released.is_of(current) {
                self.releases.push(released.buffer);
                continue;
            }
            // Streams that are closed have nothing in flight.
            for stream in self.streams.iter().filter(|s| released.is_used_by(s.id) && !s.is_idle()) {
                if stream.id == current {
                    self.releases.push(released.buffer.clone());
                } else if let Some(runtime) = &self.runtime {
                    // SAFETY: a session belongs to one thread, and its streams to it.
                    unsafe { runtime.push_released(stream, &mut vec![released.buffer.clone()]) };
                }
            }
        }
    }

    /// As `flush_releases`, where nothing runs; else what is gone goes with the next command. For what brings memory in without a command, which would
    /// wait for one that may never come.
    pub fn release_at_rest(&mut self) {
        if self.streams.get(self.current).is_none_or(|stream| stream.is_idle()) {
            self.flush_releases();
        }
    }

    /// Lets go of the buffers of storages that are gone: at once where nothing runs, else behind what does.
    pub fn flush_releases(&mut self) {
        self.empty_bin();
        let (Some(stream), Some(runtime)) = (self.streams.get(self.current), &self.runtime) else { return self.releases.clear() };
        if stream.is_idle() {
            for buffer in self.releases.drain(..) {
                let empty = Buffer::recycle(buffer).filter(|_| self.spare_buffers.len() < SPARES);
                self.spare_buffers.extend(empty);
            }
        } else {
            // SAFETY: a session belongs to one thread, and its streams to it.
            unsafe { runtime.push_released(stream, &mut self.releases) };
        }
    }
}
