//! What JavaScript calls besides `run`: set-up, memory in and out, captured programs, streams, and questions about the machine.
use crate::completion::Completions;
use crate::environment::{Environment, SharedArray, expect};
use crate::peak;
use ferrograd_runtime::{AttrKind, Device, Failure, Kind, Op, Section, Tensor, memory_stats, set_memory_limit, take_unseen, trim};
use ferrograd_tensor::{DType, Error, Meta, Result};
use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

#[napi(module_exports)]
pub fn exports(mut exports: Object, env: Env) -> napi::Result<()> {
    let mut function = std::ptr::null_mut();
    let name = c"run";
    // SAFETY: the environment is the one being initialised; `run` has the callback's signature.
    let status = unsafe {
        sys::napi_create_function(env.raw(), name.as_ptr(), name.count_bytes() as isize, Some(crate::protocol::run), std::ptr::null_mut(), &mut function)
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

/// Runs `f`; its error waits for `takeError`, and the answer says so.
fn guarded(op: &'static str, f: impl FnOnce(&mut Environment) -> Result<()>) -> napi::Result<()> {
    expect(|environment| {
        if let Err(error) = environment.drain_frees().and_then(|()| f(environment)) {
            environment.refuse(op, error);
        }
    })
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

/// Hands over the handles listed as free.
#[napi(catch_unwind)]
pub fn flush() -> napi::Result<()> {
    expect(|e| e.drain_frees())?.map_err(|e| napi::Error::from_reason(e.message))
}

/// A tensor from the bytes of a typed array; the command buffer holds dtype, rank, sizes.
#[napi(catch_unwind)]
pub fn upload(bytes: Uint8Array) -> napi::Result<()> {
    guarded("tensor", |e| {
        let dtype = DType::from_code(e.commands.get(0)? as i64)?;
        let rank = e.commands.get(1)? as usize;
        let dims = (0..rank).map(|i| Ok(e.commands.get(2 + i)? as usize)).collect::<Result<Vec<_>>>()?;
        let meta = Meta::new(dtype, &dims)?;
        if bytes.len() != meta.numel() * dtype.size() {
            return Err(Error::shape(format!("{} bytes do not fill {dtype} {}: that takes {}", bytes.len(), meta.shape(), meta.numel() * dtype.size())));
        }
        let tensor = e.session.upload(meta, |target| target.copy_from_slice(&bytes))?;
        e.answer([&tensor].into_iter())
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

fn contiguous_read(e: &mut Environment, slot: i32, generation: i32) -> Result<Arc<Tensor>> {
    let tensor = e.handles.get(slot, generation)?.clone();
    if tensor.meta.layout.is_contiguous() || e.session.is_recording() { Ok(tensor) } else { e.session.contiguous(&tensor) }
}

/// Copies a tensor's bytes into `target` in stream order; answers with the number that the completion will carry.
#[napi(catch_unwind)]
pub fn read(slot: i32, generation: i32, mut target: Uint8Array) -> napi::Result<()> {
    // SAFETY: only the driver writes here until the completion.
    let target = unsafe { target.as_mut() };
    let destination = Destination { ptr: target.as_mut_ptr(), len: target.len() };
    guarded("data", move |e| {
        let tensor = contiguous_read(e, slot, generation)?;
        let mailbox = e.completions.mailbox.clone();
        let id = e.completions.expect();
        let queued = e.session.read(tensor, move |result| match result {
            Ok(bytes) => {
                // The whole wrapper moves in, so that the closure may go to the driver.
                let destination = destination;
                destination.fill(bytes);
                mailbox.post(id, None);
            }
            Err(failure) => mailbox.post(id, Some(failure)),
        });
        if let Err(error) = queued {
            e.completions.delivered(1);
            return Err(error);
        }
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
        let sequence = e.session.read(tensor, move |result| {
            let destination = destination;
            match result {
                Ok(bytes) => destination.fill(bytes),
                Err(failure) => *theirs.lock().unwrap_or_else(|e| e.into_inner()) = Some(failure),
            }
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

/// Answers with the number of a completion that comes when everything queued so far in the current stream has run.
#[napi(catch_unwind)]
pub fn sync() -> napi::Result<()> {
    guarded("sync", |e| {
        let mailbox = e.completions.mailbox.clone();
        let id = e.completions.expect();
        if let Err(error) = e.session.host(move |failure| mailbox.post(id, failure)) {
            e.completions.delivered(1);
            return Err(error);
        }
        e.announce(id)
    })
}

/// Starts recording; the command buffer lists the arguments, the answer their stand-ins.
#[napi(catch_unwind)]
pub fn capture_begin() -> napi::Result<()> {
    guarded("compile", |e| {
        let arguments = e.listed(0)?;
        let stand_ins = e.session.begin_capture(arguments)?;
        e.answer(stand_ins.iter())
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
        e.programs.insert(id, program);
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
        e.answer(stand_ins.iter())
    })
}

/// Answers with the tensors that a program reads or writes besides its arguments and outputs, each as flat bytes.
#[napi(catch_unwind)]
pub fn program_state(program: u32) -> napi::Result<()> {
    guarded("compile", |e| {
        let program = e.programs.get(&program).cloned().ok_or_else(|| Error::internal("the program is gone"))?;
        let flat = program.persistent().map(|buffer| {
            let meta = Meta::new(DType::U8, &[buffer.bytes()])?;
            Ok(Arc::new(Tensor { meta, device: Device::Cpu, buffer: buffer.clone() }))
        });
        let tensors = flat.collect::<Result<Vec<_>>>()?;
        e.answer(tensors.iter())
    })
}

/// Replays a program on the arguments listed in the command buffer; answers with fresh outputs.
#[napi(catch_unwind)]
pub fn replay(program: u32) -> napi::Result<()> {
    guarded("compile", |e| {
        let arguments = e.listed(0)?;
        let program = e.programs.get(&program).cloned().ok_or_else(|| Error::internal("the program is gone"))?;
        let outputs = e.session.replay(&program, arguments)?;
        e.answer(outputs.iter())
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

#[napi(catch_unwind)]
pub fn open_stream() -> napi::Result<u32> {
    expect(|e| e.session.open_stream())
}

/// Makes a stream current (0: the environment's first); gives the one before.
#[napi(catch_unwind)]
pub fn use_stream(id: u32) -> napi::Result<u32> {
    expect(|e| e.session.use_stream(id))?.map_err(|e| napi::Error::from_reason(e.message))
}

#[napi(catch_unwind)]
pub fn close_stream(id: u32) -> napi::Result<()> {
    expect(|e| e.session.close_stream(id))
}

/// Holds the current stream until `openGate`: for tests of what is queued and what has run.
#[napi(catch_unwind)]
pub fn gate() -> napi::Result<u32> {
    expect(|e| {
        let (id, event) = (e.fresh_id(), Arc::default());
        e.gates.insert(id, Arc::clone(&event));
        e.session.gate(event);
        id
    })
}

#[napi(catch_unwind)]
pub fn open_gate(id: u32) -> napi::Result<()> {
    expect(|e| {
        if let Some(event) = e.gates.remove(&id) {
            e.session.runtime().set(&event);
        }
    })
}

/// Jobs pushed to and finished by the current stream.
#[napi(catch_unwind)]
pub fn stream_progress() -> napi::Result<Vec<f64>> {
    expect(|e| {
        let stream = e.session.stream();
        vec![stream.pushed() as f64, stream.completed() as f64]
    })
}

/// Anomaly mode: every command's float results are searched for NaN and infinity. Gives the mode before.
#[napi(catch_unwind)]
pub fn set_anomaly(on: bool) -> napi::Result<bool> {
    expect(|e| std::mem::replace(&mut e.session.anomaly, on))
}

/// Tensors handed from one worker to another by number.
static SHARED: Mutex<Option<HashMap<u32, Arc<Tensor>>>> = Mutex::new(None);

/// Publishes a tensor to the process's other environments, once its commands have run. The answer's first number is for `adopt`.
#[napi(catch_unwind)]
pub fn publish(slot: i32, generation: i32) -> napi::Result<()> {
    guarded("share", |e| {
        let tensor = e.handles.get(slot, generation)?.clone();
        let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        let shared = shared.get_or_insert_default();
        let id = (1..=u32::MAX).find(|id| !shared.contains_key(id)).ok_or_else(|| Error::value("no share number is free"))?;
        shared.insert(id, tensor);
        e.commands.set(0, 1)?;
        e.commands.set(1, id as i32)
    })
}

/// A handle of this environment on a published tensor.
#[napi(catch_unwind)]
pub fn adopt(id: u32) -> napi::Result<()> {
    guarded("fromShared", |e| {
        let shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        let tensor = shared.as_ref().and_then(|s| s.get(&id)).cloned().ok_or_else(|| Error::value("the share token was revoked, or is none"))?;
        e.answer([&tensor].into_iter())
    })
}

#[napi(catch_unwind)]
pub fn unpublish(id: u32) {
    if let Some(shared) = SHARED.lock().unwrap_or_else(|e| e.into_inner()).as_mut() {
        shared.remove(&id);
    }
}

/// [live bytes, cached bytes, peak bytes, live handles, handles' bytes, commands, copies]
#[napi(catch_unwind)]
pub fn memory() -> napi::Result<Vec<f64>> {
    expect(|e| {
        let _ = e.drain_frees();
        let stats = memory_stats();
        [stats.live, stats.cached, stats.peak, e.handles.live(), e.handles.bytes(), e.session.commands as usize, e.session.copies as usize]
            .map(|n| n as f64)
            .to_vec()
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

/// Late errors in results that are gone and that nobody read; at the end, also those that a `sync` could still have told.
#[napi(catch_unwind)]
pub fn unseen_failures(at_end: bool) -> napi::Result<Vec<String>> {
    expect(|e| {
        if at_end {
            e.session.forget_failures();
        }
        take_unseen()
    })
}

/// The op table as JSON: what the build writes `ts/native/run.ts` from.
#[napi(catch_unwind)]
pub fn op_table() -> String {
    let rows = Op::ALL.iter().map(|op| {
        let spec = op.spec();
        let section = match spec.section {
            Section::Unary => "unary",
            Section::Binary => "binary",
            Section::View => "view",
            Section::Kernel => "kernel",
        };
        let operands = spec.operands.iter().map(|(name, kind)| {
            let kind = match kind {
                Kind::In => "In",
                Kind::Opt => "Opt",
                Kind::List => "List",
                Kind::Mut => "Mut",
                Kind::MutList => "MutList",
            };
            format!("[\"{name}\",\"{kind}\"]")
        });
        let attrs = spec.attrs.iter().map(|(name, kind)| {
            let kind = match kind {
                AttrKind::I64 => "i64",
                AttrKind::F64 => "f64",
                AttrKind::Bool => "bool",
                AttrKind::Dims => "Dims",
            };
            format!("[\"{name}\",\"{kind}\"]")
        });
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        format!(
            "{{\"code\":{},\"name\":\"{}\",\"section\":\"{section}\",\"category\":\"{}\",\"operands\":{},\"attrs\":{},\"outputs\":{},\"strided\":{},\"fallible\":{}}}",
            *op as u16, spec.name, spec.category, list(operands.collect()), list(attrs.collect()),
            list(spec.outputs.iter().map(|o| format!("\"{o}\"")).collect()), spec.strided, spec.fallible,
        )
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

#[napi(object)]
pub struct MachineInfo {
    pub version: String,
    pub isa: String,
    pub isa_note: Option<String>,
    pub threads: u32,
    pub affinity: u32,
    pub quota: Option<f64>,
    pub requested_threads: Option<u32>,
    pub cuda: bool,
    pub cuda_note: String,
}

/// What `ferrograd doctor` shows. Starts nothing but a look for the CUDA driver.
#[napi(catch_unwind)]
pub fn machine() -> MachineInfo {
    let limits = ferrograd_runtime::Limits::read();
    let cuda = ferrograd_runtime::cuda_status();
    MachineInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        isa: ferrograd_runtime::isa_name().into(),
        isa_note: ferrograd_runtime::isa_note().map(Into::into),
        threads: limits.threads as u32,
        affinity: limits.affinity as u32,
        quota: limits.quota,
        requested_threads: limits.requested.map(|n| n as u32),
        cuda: cuda.is_ok(),
        cuda_note: cuda.unwrap_or_else(|why| why),
    }
}

/// The machine's peaks, measured now: [GFLOP/s of float32 multiply-adds, GB/s of memory read, GB/s of copy]. Blocks for about a second.
#[napi(catch_unwind)]
pub fn peak(threads: u32) -> Vec<f64> {
    peak::measure(threads.clamp(1, 256) as usize)
}
