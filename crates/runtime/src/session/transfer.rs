//! What goes in and out of the tensors of a session: bytes, other threads' storages, and what waits for the driver.
use super::Session;
use super::capture::refusal;
use crate::failure::Failure;
use crate::storage::{Buffer, Device, Mark, Parcel, Tensor};
use crate::stream::{Event, Job, Notice};
use ferrograd_tensor::{Error, ErrorKind, Meta, Result};
use std::rc::Rc;
use std::sync::Arc;

impl Session {
    /// A tensor from bytes already at hand.
    pub fn upload(&mut self, meta: Meta, fill: impl FnOnce(&mut [u8])) -> Result<Rc<Tensor>> {
        self.release_at_rest();
        let bytes = meta.numel() * meta.dtype.size();
        let buffer = Buffer::filled(bytes, fill)?;
        Ok(Tensor::new(meta, Device::Cpu, buffer, bytes, &self.bin))
    }

    /// What another thread needs to know of a tensor.
    pub fn pack(&self, tensor: &Tensor) -> Parcel {
        let storage = tensor.storage();
        Parcel { meta: tensor.meta, buffer: storage.buffer().clone(), bytes: storage.bytes(), writer: storage.writer() }
    }
    /// A tensor on another thread's storage.
    pub fn unpack(&self, parcel: &Parcel) -> Rc<Tensor> {
        let tensor = Tensor::new(parcel.meta, Device::Cpu, parcel.buffer.clone(), parcel.bytes, &self.bin);
        tensor.storage().set_writer(parcel.writer);
        tensor
    }

    /// Runs `task` on the driver thread when all before it in the stream has run, with the tensor's bytes or its failure; what it gives is called
    /// when that is over. The tensor must be contiguous.
    pub fn read(
        &mut self,
        tensor: &Rc<Tensor>,
        task: impl FnOnce(std::result::Result<&[u8], Arc<Failure>>) -> Notice + Send + 'static,
    ) -> Result<u64> {
        if let Some(recorder) = &self.recorder
            && (recorder.has_made(tensor) || tensor.device == Device::Cpu)
        {
            return Err(refusal("reading values"));
        }
        if tensor.device == Device::Meta {
            return Err(Error::new(ErrorKind::Device, "a tensor on the meta device has a shape but no values"));
        }
        debug_assert!(tensor.meta.layout.is_contiguous());
        self.start();
        self.flush_releases();
        self.order_after(tensor.storage().writer());
        let (buffer, meta) = (tensor.storage().buffer().clone(), tensor.meta);
        let sequence = self.push(Job::Host(Box::new(move || {
            if let Some(failure) = buffer.poison() {
                failure.mark_seen();
                return task(Err(failure.clone()));
            }
            let (offset, bytes) = (meta.layout.offset * meta.dtype.size(), meta.numel() * meta.dtype.size());
            if bytes == 0 {
                return task(Ok(&[]));
            }
            // SAFETY: the driver thread, after the commands that write the buffer.
            match unsafe { buffer.written() } {
                // SAFETY: the layout lies inside the buffer.
                Ok(base) => task(Ok(unsafe { std::slice::from_raw_parts(base.add(offset), bytes) })),
                Err(error) => task(Err(Arc::new(Failure::new(error.kind, "read", error.message, 0, 0)))),
            }
        })));
        tensor.storage().add_reader(Mark { stream: self.streams[self.current].id, sequence });
        Ok(sequence)
    }

    /// Runs `task` on the driver thread when all before it in the stream has run; what it gives is called when that is over.
    pub fn host(&mut self, task: impl FnOnce(Option<Arc<Failure>>) -> Notice + Send + 'static) -> Result<u64> {
        if self.recorder.is_some() {
            return Err(refusal("waiting"));
        }
        let stream = self.stream();
        self.flush_releases();
        Ok(self.push(Job::Host(Box::new(move || {
            let failure = stream.take_failure();
            if let Some(failure) = &failure {
                failure.mark_seen();
            }
            task(failure)
        }))))
    }

    /// Failures that wait for a `sync` and that nobody has seen, as text. They count as seen from then on.
    pub fn untold_failures(&self) -> Vec<String> {
        self.streams
            .iter()
            .filter_map(|stream| stream.take_failure())
            .filter(|failure| failure.mark_seen())
            .map(|failure| failure.describe())
            .collect()
    }

    /// Holds the stream until the event is set.
    pub fn gate(&mut self, event: Arc<Event>) {
        self.start();
        self.push(Job::Wait(event));
    }
}
