//! The op call: JavaScript writes opcode, handles and attributes into a shared Int32Array and calls `run()`, which answers in the same array.
//! One call, integers only; no value crosses the boundary.
//!
//! ```text
//! in   [op, module, device, operands ..., integer attributes ...]      floats [float attributes ...]
//!      In, Mut: slot, generation     Opt: slot (-1: absent), generation     List, MutList: count, then pairs     Dims: count, then values
//! out  [count, (slot, generation, dtype, device, rank, sizes ...) ...]  or [-1]: an error waits in `takeError`
//! ```
use crate::environment::{Environment, with};
use ferrograd_runtime::{AttrKind, Device, Kind, Op};
use ferrograd_tensor::{Error, Result};
use napi::sys;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub fn device_of(code: i32) -> Device {
    if code == Device::Meta as i32 { Device::Meta } else { Device::Cpu }
}

fn call(environment: &mut Environment) {
    if let Err((op, error)) = attempt(environment) {
        environment.refuse(op, error);
    }
}

fn attempt(environment: &mut Environment) -> std::result::Result<(), (&'static str, Error)> {
    let unnamed = |error: Error| ("ferrograd", error);
    environment.drain_frees().map_err(unnamed)?;
    let code = environment.commands.get(0).map_err(unnamed)?;
    let op = Op::from_code(code).ok_or_else(|| unnamed(Error::internal(format!("no op has the code {code}"))))?;
    decode(environment, op).map_err(|error| (op.spec().name, error))
}

/// Reads the command buffer in order. What would lie behind its end panics, which the caller of `call` catches.
struct Reader<'a> {
    words: &'a [i32],
    at: usize,
}

impl Reader<'_> {
    #[inline]
    fn next(&mut self) -> i32 {
        self.at += 1;
        self.words[self.at - 1]
    }
}

fn decode(environment: &mut Environment, op: Op) -> Result<()> {
    let (commands, floats) = (environment.commands, environment.floats);
    let mut words = Reader { words: commands.words(), at: 1 };
    environment.session.module = words.next() as u32;
    let device = device_of(words.next());
    let spec = op.spec();
    if spec.category.is_some() {
        // One operand or two, and two floats.
        let mut handle = || {
            let (slot, generation) = (words.next(), words.next());
            environment.handles.get(slot, generation).cloned()
        };
        let x = handle()?;
        let floats = [floats.words()[0], floats.words()[1]];
        let session = &mut environment.session;
        let result = match spec.operands.len() {
            1 => session.pointwise(op, &[x], floats)?,
            _ => session.pointwise(op, &[x, handle()?], floats)?,
        };
        if let Some(result) = result {
            return environment.answer_one(result);
        }
        words.at = 3;
    }
    let mut command = environment.session.command(op);
    for (_, kind) in spec.operands {
        let count = match kind {
            Kind::In | Kind::Mut => 1,
            Kind::Opt => {
                if words.words[words.at] < 0 {
                    words.at += 2;
                    command.arity.push(0);
                    continue;
                }
                1
            }
            Kind::List | Kind::MutList => words.next(),
        };
        command
            .arity
            .push(u16::try_from(count).map_err(|_| Error::value(format!("takes at most {} tensors in a list, got {count}", u16::MAX)))?);
        for _ in 0..count {
            let (slot, generation) = (words.next(), words.next());
            command.operands.push(environment.handles.get(slot, generation)?.clone());
        }
    }
    let mut float = 0;
    for (_, kind) in spec.attrs {
        match kind {
            AttrKind::F64 => {
                command.attrs.floats.push(floats.words()[float]);
                float += 1;
            }
            AttrKind::I64 | AttrKind::Bool => command.attrs.ints.push(words.next() as i64),
            AttrKind::Dims => {
                let len = words.next();
                command.attrs.ints.push(len as i64);
                for _ in 0..len {
                    command.attrs.ints.push(words.next() as i64);
                }
            }
        }
    }
    let mut command = environment.session.call(command, device)?;
    let answered = environment.answer(command.outputs.drain(..));
    environment.session.recycle(command);
    answered
}

/// `run()`: no arguments, no result.
pub unsafe extern "C" fn run(_env: sys::napi_env, _info: sys::napi_callback_info) -> sys::napi_value {
    with(|environment| {
        if catch_unwind(AssertUnwindSafe(|| call(environment))).is_err() {
            environment.refuse("ferrograd", Error::internal("the call panicked. This is a fault of the library."));
        }
    });
    std::ptr::null_mut()
}
