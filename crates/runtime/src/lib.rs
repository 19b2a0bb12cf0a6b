//! Streams, storage, allocation, the thread pool and captured programs, and THE op table (`ops.rs`). Knows nothing of JavaScript.
mod allocator;
mod command;
mod dispatch;
mod driver;
mod failure;
mod filling;
mod fence;
#[cfg(all(test, unix))]
mod guard_pages;
mod limits;
mod ops;
mod packet;
mod pool;
mod profile;
mod program;
mod queue;
mod ring;
mod session;
mod spec;
mod storage;
mod stream;

pub use allocator::{MemoryStats, memory_stats, set_memory_limit, trim};
pub use command::{Command, Tensors};
pub use dispatch::Op;
pub use failure::{Failure, has_unseen, take_unseen};
pub use filling::{Filling, Part};
pub use limits::Limits;
pub use pool::Pool;
pub use profile::{ProfileRow, start_profile, take_profile};
pub use program::Captured;
pub use session::Session;
pub use spec::{AttrKind, Attrs, Kind, OpSpec, Section};
pub use storage::{Buffer, Device, Parcel, Storage, Tensor};
pub use stream::{Event, Notice, Runtime, Stream};

/// What the first CUDA device is, or why it is not available.
pub use ferrograd_cuda::status as cuda_status;
pub use ferrograd_simd::isa_note;

/// The vector instructions in use.
pub fn isa_name() -> &'static str {
    ferrograd_simd::isa().name()
}
