//! Matrix products. float32 goes through register tiles ([`micro`]), the half types are converted to float32 and back ([`half`]),
//! bf16 only where the CPU has no instruction for it ([`bf16`]); products of a few rows have kernels of their own ([`thin`]);
//! uint8 by int8 is for quantised layers ([`int8`]); float64 and other integers take the plain code of [`plain`], which is also the reference.
mod alias;
pub(crate) mod bf16;
mod half;
pub(crate) mod int8;
mod long;
mod loops;
mod micro;
mod next;
mod pack;
mod parts;
mod plain;
#[cfg(test)]
pub(crate) mod shuffled;
mod swapped;
mod thin;
mod tune;
#[cfg(target_arch = "x86_64")]
mod words;

pub(crate) use half::{narrow, widen, widen_strided};
pub(crate) use loops::{Gemm, Inline, Mat, scratch_len};
pub(crate) use micro::{Ahead, Job, Tap, Tiles, even_cut};
pub(crate) use next::Next;
pub(crate) use pack::{Panel, Rows};
pub(crate) use plain::{Number, Plain, plain_scratch_len};
