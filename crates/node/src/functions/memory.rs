//! Values in and out, and the memory they take.
use super::guarded;
use crate::environment::{Environment, expect};
use crate::linger::Hand;
use ferrograd_runtime::{Failure, Tensor, memory_stats, set_memory_limit, trim};
use ferrograd_tensor::{DType, Error, Meta, Result};
use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// A tensor from the bytes of a typed array; the command buffer holds dtype, rank, sizes.
#[napi(catch_unwind)]
pub fn upload(bytes: &[u8]) -> napi::Result<()> {
    guarded("tensor", |e| {
        let dtype = DType::from_code(e.commands.get(0)? as i64)?;
        let rank = e.commands.get(1)? as usize;
        let dims = (0..rank).map(|i| Ok(e.commands.get(2 + i)? as usize)).collect::<Result<Vec<_>>>()?;
        let meta = Meta::new(dtype, &dims)?;
        if bytes.len() != meta.numel() * dtype.size() {
            return Err(Error::shape(format!(
                "{} bytes do not fill {dtype} {}: that takes {}",
                bytes.len(),
                meta.shape(),
                meta.numel() * dtype.size()
            )));
        }
        let tensor = e.session.upload(meta, |target| target.copy_from_slice(bytes))?;
        e.answer([tensor].into_iter())
    })
}

/// Memory of JavaScript's that the driver fills. `ts/native.ts` keeps it alive until the completion, and the environment's end waits for the driver.
struct Destination {
    ptr: *mut u8,
    len: usize,
}
// SAFETY: JavaScript does not look at the memory before the completion.
unsafe impl Send for Destination {}

impl Destination {
    fn fill(&self, bytes: &[u8]) {
        let count = bytes.len().min(self.len);
        // SAFETY: inside the array, which is alive (see above); tensors' memory is never JavaScript's.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.ptr, count) };
    }
}

fn contiguous_read(e: &mut Environment, slot: i32, generation: i32) -> Result<Rc<Tensor>> {
    let tensor = e.handles.get(slot, generation)?.clone();
    if tensor.meta.layout.is_contiguous() || e.session.is_recording() { Ok(tensor) } else { e.session.contiguous(&tensor) }
}

/// Copies a tensor's bytes into `target` in stream order; answers with the number that the completion will carry, or 0 where they are there already.
#[napi(catch_unwind)]
pub fn read(slot: i32, generation: i32, mut target: Uint8ArraySlice) -> napi::Result<()> {
    // SAFETY: only the driver writes here until the completion.
    let target = unsafe { target.as_mut() };
    let destination = Destination { ptr: target.as_mut_ptr(), len: target.len() };
    guarded("data", move |e| {
        let tensor = contiguous_read(e, slot, generation)?;
        let mailbox = e.completions.mailbox.clone();
        let id = e.completions.number();
        let hand = Arc::new(Hand::default());
        let theirs = hand.clone();
        e.session.read(&tensor, move |result| {
            // The whole wrapper moves in, so that the closure may go to the driver.
            let destination = destination;
            let failure = result.map(|bytes| destination.fill(bytes)).err();
            Some(Box::new(move || {
                if theirs.give(failure.is_some()) {
                    mailbox.post(id, failure);
                }
            }))
        })?;
        // Answers keep their order: none overtakes what waits for the event loop.
        let alone = e.completions.is_idle();
        if !(if alone { e.linger.wait(&hand) } else { hand.leave() }) {
            return e.announce(id);
        }
        if alone && e.linger.may_answer() {
            return e.announce(0);
        }
        e.completions.mailbox.post(id, None);
        e.announce(id)
    })
}

/// As `read`, but blocks until the bytes are there.
#[napi(catch_unwind)]
pub fn read_sync(slot: i32, generation: i32, mut target: Uint8Array) -> napi::Result<()> {
    // SAFETY: as in `read`.
    let target = unsafe { target.as_mut() };
    let destination = Destination { ptr: target.as_mut_ptr(), len: target.len() };
    guarded("dataSync", move |e| {
        let tensor = contiguous_read(e, slot, generation)?;
        let outcome: Arc<Mutex<Option<Arc<Failure>>>> = Arc::default();
        let theirs = outcome.clone();
        let sequence = e.session.read(&tensor, move |result| {
            let destination = destination;
            match result {
                Ok(bytes) => destination.fill(bytes),
                Err(failure) => *theirs.lock().unwrap_or_else(|e| e.into_inner()) = Some(failure),
            }
            None
        })?;
        let stream = e.session.stream();
        e.session.runtime().wait(&stream, sequence);
        e.commands.set(0, 1)?;
        match outcome.lock().unwrap_or_else(|e| e.into_inner()).take() {
            None => Ok(()),
            Some(f) => {
                e.commands.set(1, f.module as i32)?;
                e.commands.set(2, f.sequence as i32)?;
                Err(Error::new(f.kind, format!("{}\u{1f}{}", f.op, f.message)))
            }
        }
    })
}

/// [live bytes, cached bytes, peak bytes, live handles, handles' bytes, commands, copies, calls from JavaScript, blocks handed out]
#[napi(catch_unwind)]
pub fn memory() -> napi::Result<Vec<f64>> {
    expect(|e| {
        let _ = e.drain_frees();
        e.session.flush_releases();
        let stats = memory_stats();
        let (live, bytes) = (e.handles.live(), e.handles.bytes());
        let (commands, copies) = (e.session.commands as usize, e.session.copies as usize);
        [stats.live, stats.cached, stats.peak, live, bytes, commands, copies, e.calls, stats.blocks].map(|n| n as f64).to_vec()
    })
}

/// Gives cached memory back to the system.
#[napi(catch_unwind)]
pub fn trim_memory() {
    trim();
}

/// The most bytes that tensors may use; 0 for no limit.
#[napi(catch_unwind)]
pub fn limit_memory(bytes: f64) {
    set_memory_limit(if bytes > 0.0 { bytes as usize } else { usize::MAX });
}

/// Tells V8 of memory that unscoped tensors hold.
#[napi(catch_unwind)]
pub fn adjust_external(env: Env, bytes: f64) {
    let mut total = 0;
    // SAFETY: the environment is the caller's.
    unsafe { sys::napi_adjust_external_memory(env.raw(), bytes as i64, &mut total) };
}
