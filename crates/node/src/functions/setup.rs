//! Connecting an environment, and its errors.
use crate::completion::Completions;
use crate::environment::{self, Environment, SharedArray, expect};
use ferrograd_runtime::take_unseen;
use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;

#[napi(module_exports)]
pub fn exports(mut exports: Object, env: Env) -> napi::Result<()> {
    let mut function = std::ptr::null_mut();
    let name = c"run";
    // SAFETY: the environment is the one being initialised; `run` has the callback's signature.
    let status = unsafe {
        sys::napi_create_function(
            env.raw(),
            name.as_ptr(),
            name.count_bytes() as isize,
            Some(crate::protocol::run),
            std::ptr::null_mut(),
            &mut function,
        )
    };
    if status != sys::Status::napi_ok {
        return Err(napi::Error::from_reason("the op call could not be made"));
    }
    // SAFETY: the value was just made in this environment.
    exports.set("run", unsafe { Unknown::from_raw_unchecked(env.raw(), function) })
}

/// Connects this environment: the buffers that calls travel in, and the function that hears of completions.
#[napi(catch_unwind)]
pub fn init(env: Env, mut commands: Int32Array, mut floats: Float64Array, mut frees: Int32Array, callback: Unknown) -> napi::Result<()> {
    // A second one would take the first one's place, and with it the tensors of whoever uses that.
    if environment::with(|_| ()).is_some() {
        return Err(napi::Error::from_reason(
            "ferrograd is loaded twice in this thread. Load one copy: see `npm ls ferrograd`, and what resets the cache of modules.",
        ));
    }
    // SAFETY: `ts/native.ts` holds the arrays for the environment's life and only this thread touches them.
    let (commands, floats, frees) = unsafe {
        let (c, f, r) = (commands.as_mut(), floats.as_mut(), frees.as_mut());
        (SharedArray::new(c.as_mut_ptr(), c.len()), SharedArray::new(f.as_mut_ptr(), f.len()), SharedArray::new(r.as_mut_ptr(), r.len()))
    };
    // SAFETY: the callback is a value of this environment.
    let completions = unsafe { Completions::new(env.raw(), callback.raw()) }
        .ok_or_else(|| napi::Error::from_reason("no threadsafe function could be made"))?;
    // SAFETY: as above.
    unsafe { Environment::install(env.raw(), commands, floats, frees, completions) };
    Ok(())
}

#[napi(object)]
pub struct NativeError {
    pub code: String,
    pub op: String,
    pub message: String,
}

#[napi(catch_unwind)]
pub fn take_error() -> napi::Result<Option<NativeError>> {
    expect(|e| e.error.take().map(|c| NativeError { code: c.error.kind.code().into(), op: c.op.into(), message: c.error.message }))
}

/// Hands over the handles listed as free, and their memory where nothing runs.
#[napi(catch_unwind)]
pub fn flush() -> napi::Result<()> {
    expect(|e| {
        e.drain_frees()?;
        e.session.release_at_rest();
        Ok(())
    })?
    .map_err(|e: ferrograd_tensor::Error| napi::Error::from_reason(e.message))
}

/// Late errors in results that are gone and that nobody read; at the end, also those that a `sync` could still have told.
#[napi(catch_unwind)]
pub fn unseen_failures(at_end: bool) -> napi::Result<Vec<String>> {
    expect(|e| {
        let mut messages = if at_end { e.session.untold_failures() } else { Vec::new() };
        messages.extend(take_unseen());
        messages
    })
}
