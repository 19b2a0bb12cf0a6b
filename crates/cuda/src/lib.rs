//! The CUDA device. Libraries are looked for when asked, never linked: one addon serves machines with and without a GPU.
mod device;

pub use device::status;
