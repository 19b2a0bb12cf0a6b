//! The words every Ferrograd crate shares. Nothing here owns tensor memory.
mod context;
mod dtype;
mod error;
mod half_bits;
mod layout;
mod packs;
pub mod rules;
mod view;

pub use context::{Cx, Parallel, SyncPtr};
pub use dtype::{B8, DType, Element, Float, common_dtype, promote};
pub use error::{Error, ErrorKind, Result};
pub use half::{bf16, f16};
pub use layout::{Layout, MAX_RANK, Meta, Shape};
pub use packs::{NoPacks, PackKey, Packs};
pub use view::{View, ViewMut};
