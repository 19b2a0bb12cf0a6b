//! What JavaScript calls besides `run`: one file a subject.
mod capture;
mod machine;
mod memory;
mod setup;
mod share;
mod streams;
mod text;

use crate::environment::{Environment, expect};
use ferrograd_tensor::Result;

/// Runs `f`; its error waits for `takeError`, and the answer says so.
fn guarded(op: &'static str, f: impl FnOnce(&mut Environment) -> Result<()>) -> napi::Result<()> {
    expect(|environment| {
        if let Err(error) = environment.drain_frees().and_then(|()| f(environment)) {
            environment.refuse(op, error);
        }
    })
}
