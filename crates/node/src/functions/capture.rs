//! Captured programs.
use super::guarded;
use crate::environment::expect;
use ferrograd_runtime::Tensor;
use ferrograd_tensor::{DType, Error, Meta, Result};
use napi_derive::napi;
use std::rc::Rc;

/// Starts recording; the command buffer lists the arguments, the answer their stand-ins.
#[napi(catch_unwind)]
pub fn capture_begin() -> napi::Result<()> {
    guarded("compile", |e| {
        let arguments = e.listed(0)?;
        let stand_ins = e.session.begin_capture(&arguments)?;
        e.answer(stand_ins.into_iter())
    })
}

/// Ends recording; the command buffer lists the outputs. Answers with the program's number and how many commands it has.
#[napi(catch_unwind)]
pub fn capture_end() -> napi::Result<()> {
    guarded("compile", |e| {
        let outputs = e.listed(0)?;
        let program = e.session.end_capture(&outputs)?;
        let id = e.fresh_id();
        let commands = program.commands() as i32;
        e.programs.insert(id, Rc::new(program));
        e.commands.set(0, 2)?;
        e.commands.set(1, id as i32)?;
        e.commands.set(2, commands)
    })
}

#[napi(catch_unwind)]
pub fn capture_abort() -> napi::Result<()> {
    expect(|e| e.session.abort_capture())
}

/// Records no longer, or again: for state that is made inside a step but belongs outside it.
#[napi(catch_unwind)]
pub fn capture_suspend(suspended: bool) -> napi::Result<()> {
    expect(|e| e.session.suspend_capture(suspended))
}

/// Makes the listed tensors further arguments of the program; answers with their stand-ins.
#[napi(catch_unwind)]
pub fn capture_arguments() -> napi::Result<()> {
    guarded("compile", |e| {
        let stand_ins = e.listed(0)?.iter().map(|t| e.session.capture_argument(t)).collect::<Result<Vec<_>>>()?;
        e.answer(stand_ins.into_iter())
    })
}

/// Answers with the tensors that a program reads or writes besides its arguments and outputs, each as flat bytes.
#[napi(catch_unwind)]
pub fn program_state(program: u32) -> napi::Result<()> {
    guarded("compile", |e| {
        let program = e.programs.get(&program).cloned().ok_or_else(|| Error::internal("the program is gone"))?;
        let flat = program.persistent.iter().map(|t| Ok(Tensor::view(t, &Meta::new(DType::U8, &[t.storage().bytes()])?)));
        let tensors = flat.collect::<Result<Vec<_>>>()?;
        e.answer(tensors.into_iter())
    })
}

/// Replays a program on the arguments listed in the command buffer; answers with fresh outputs.
#[napi(catch_unwind)]
pub fn replay(program: u32) -> napi::Result<()> {
    guarded("compile", |e| {
        let arguments = e.listed(0)?;
        let program = e.programs.get(&program).cloned().ok_or_else(|| Error::internal("the program is gone"))?;
        let outputs = e.session.replay(&program, arguments)?;
        e.answer(outputs.into_iter())
    })
}

#[napi(catch_unwind)]
pub fn describe_program(program: u32) -> napi::Result<Option<String>> {
    expect(|e| e.programs.get(&program).map(|p| p.describe()))
}

#[napi(catch_unwind)]
pub fn drop_program(program: u32) -> napi::Result<()> {
    expect(|e| drop(e.programs.remove(&program)))
}
