//! A session: one JavaScript thread's way into the runtime. It checks shapes, inserts casts and copies, and hands commands to its stream,
//! or to the recorder while a step is being captured.
use crate::command::{Command, Tensors};
use crate::dispatch::{Op, infer, infer_view};
use crate::failure::Failure;
use crate::program::{Program, Recorder};
use crate::spec::{Attrs, Kind, OpSpec, Section};
use crate::storage::{Buffer, Device, Tensor};
use crate::stream::{Job, Runtime, Stream};
use ferrograd_tensor::{DType, Error, ErrorKind, Meta, Result, promote};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;



pub struct Session {
    runtime: Option<Arc<Runtime>>,
    streams: Vec<Arc<Stream>>,
    current: usize,
    recorder: Option<Recorder>,
    /// The recorder while something is made that must outlive the program.
    suspended: Option<Recorder>,
    pub anomaly: bool,
    /// The module path that calls come from.
    pub module: u32,
    /// Operands that had to be copied because a kernel takes no strides, and commands pushed: for benches and tests.
    pub copies: u64,
    pub commands: u64,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    pub fn new() -> Session {
        Session { runtime: None, streams: Vec::new(), current: 0, recorder: None, suspended: None, anomaly: false, module: 0, copies: 0, commands: 0 }
    }

    /// Starts the runtime on first use.
    pub fn runtime(&mut self) -> Arc<Runtime> {
        self.start();
        self.runtime.clone().expect("just started")
    }
    pub fn is_started(&self) -> bool {
        self.runtime.is_some()
    }
    pub fn stream(&mut self) -> Arc<Stream> {
        self.runtime();
        self.streams[self.current].clone()
    }
    /// A new stream; its number is for `use_stream` and `close_stream`.
    pub fn open_stream(&mut self) -> u32 {
        let stream = self.runtime().stream();
        let id = stream.id;
        self.streams.push(stream);
        id
    }
    /// Makes a stream current and gives the number of the one before. 0 is the session's first.
    pub fn use_stream(&mut self, id: u32) -> Result<u32> {
        self.runtime();
        let before = if self.current == 0 { 0 } else { self.streams[self.current].id };
        self.current = if id == 0 { 0 } else { self.streams.iter().position(|s| s.id == id).ok_or_else(|| Error::value(format!("there is no stream {id}")))? };
        Ok(before)
    }
    pub fn close_stream(&mut self, id: u32) {
        let Some(position) = self.streams.iter().position(|s| s.id == id) else { return };
        if position == 0 {
            return;
        }
        let stream = self.streams.remove(position);
        if self.current == position {
            self.current = 0;
        } else if self.current > position {
            self.current -= 1;
        }
        if let Some(runtime) = &self.runtime {
            runtime.close(&stream);
        }
    }

    /// A command to fill in: operands, arity and attributes.
    pub fn command(&mut self, op: Op) -> Box<Command> {
        self.start();
        // SAFETY: a session belongs to one thread, and its streams to it.
        let mut command = unsafe { self.streams[self.current].spare_command() };
        command.op = op;
        command
    }

    /// Calls an op: checks, casts, copies where a kernel needs it, and queues the command. The answer comes before anything has run.
    /// `device` counts for ops without operands.
    pub fn call(&mut self, mut command: Box<Command>, device: Device) -> Result<Tensors> {
        let op = command.op;
        let spec = op.spec();
        let device = command.operands.first().map_or(device, |t| t.device);
        if command.operands.iter().any(|t| t.device != device) {
            return Err(Error::new(ErrorKind::Device, "operands are on different devices. Move them to one with .to(device)."));
        }
        if spec.section == Section::View {
            return self.view(op, &command.operands[0], &command.attrs);
        }
        if !spec.promote.is_empty() {
            self.promote(&mut command)?;
        }
        if !spec.strided {
            for i in 0..command.operands.len() {
                if !command.operands[i].meta.layout.is_contiguous() && !kind_at(spec, &command.arity, i).1.is_written() {
                    command.operands[i] = self.contiguous(&command.operands[i])?;
                    self.copies += 1;
                }
            }
        }
        let inferred = {
            let metas: SmallVec<[&Meta; 8]> = command.operands.iter().map(|t| &t.meta).collect();
            infer(op, &metas, &command.arity, &command.attrs)?
        };
        if let Some(compute) = inferred.compute {
            for operand in command.operands.iter_mut().filter(|t| t.meta.dtype != compute) {
                *operand = self.cast(operand, compute)?;
            }
        }
        let in_place = spec.writes_in_place();
        if in_place {
            self.check_targets(op, &command.operands, &command.arity)?;
        }
        command.outputs.extend(inferred.outputs.iter().map(|meta| Tensor::planned(*meta, device)));
        let outputs = command.outputs.clone();
        if device == Device::Cpu {
            command.anomaly = self.anomaly;
            command.module = self.module;
            command.scratch = inferred.scratch;
            self.submit(command);
        }
        Ok(outputs)
    }

    fn submit(&mut self, command: Box<Command>) {
        self.commands += 1;
        if let Some(recorder) = &mut self.recorder {
            recorder.record(*command);
            return;
        }
        self.start();
        for operand in &command.operands {
            self.order_after(&operand.buffer);
        }
        let stream = &self.streams[self.current];
        let sequence = stream.pushed() + 1;
        command.outputs.iter().for_each(|t| t.buffer.set_writer(stream.id, sequence));
        let spec = command.op.spec();
        if spec.writes_in_place() {
            for ((_, kind), position) in expand(spec.operands, &command.arity) {
                if kind.is_written() {
                    command.operands[position].buffer.set_writer(stream.id, sequence);
                }
            }
        }
        let bytes = command.outputs.iter().map(|t| t.buffer.bytes()).sum();
        self.push(Job::Command(command), bytes);
    }

    /// Waits, on the stream, for what another stream still has to write.
    fn order_after(&self, buffer: &Buffer) {
        let (writer, sequence) = buffer.writer();
        if writer == 0 || writer == self.streams[self.current].id {
            return;
        }
        if let Some(other) = self.runtime.as_ref().and_then(|runtime| runtime.find_stream(writer))
            && other.completed() < sequence
        {
            self.push(Job::After(other, sequence), 0);
        }
    }

    /// The runtime has been started.
    fn push(&self, job: Job, bytes: usize) -> u64 {
        let runtime = self.runtime.as_ref().expect("started before a push");
        // SAFETY: a session belongs to one thread, and its streams to it.
        unsafe { runtime.push(&self.streams[self.current], job, bytes) }
    }

    /// Starts the runtime on first use.
    fn start(&mut self) {
        if self.streams.is_empty() {
            let runtime = self.runtime.get_or_insert_with(Runtime::get);
            self.streams.push(runtime.stream());
        }
    }

    fn view(&mut self, op: Op, x: &Arc<Tensor>, attrs: &Attrs) -> Result<Tensors> {
        let (base, layout) = match infer_view(op, &x.meta, attrs)? {
            Some(layout) => (x.clone(), layout),
            None => {
                let copy = self.contiguous(x)?;
                self.copies += 1;
                let layout = infer_view(op, &copy.meta, attrs)?.ok_or_else(|| Error::internal("a contiguous tensor takes any shape"))?;
                (copy, layout)
            }
        };
        let meta = Meta { dtype: base.meta.dtype, layout };
        Ok(smallvec![Arc::new(Tensor { meta, device: base.device, buffer: base.buffer.clone() })])
    }

    fn one(&mut self, op: Op, x: &Arc<Tensor>, ints: &[i64]) -> Result<Arc<Tensor>> {
        let mut command = self.command(op);
        command.operands.push(x.clone());
        command.arity.push(1);
        command.attrs.ints.extend_from_slice(ints);
        Ok(self.call(command, x.device)?.remove(0))
    }
    pub fn contiguous(&mut self, x: &Arc<Tensor>) -> Result<Arc<Tensor>> {
        self.one(Op::contiguous, x, &[])
    }
    pub fn cast(&mut self, x: &Arc<Tensor>, dtype: DType) -> Result<Arc<Tensor>> {
        self.one(Op::cast, x, &[dtype as i64])
    }

    fn promote(&mut self, command: &mut Command) -> Result<()> {
        let spec = command.op.spec();
        let named = |i: usize| spec.promote.contains(&kind_at(spec, &command.arity, i).0);
        let positions: SmallVec<[usize; 4]> = (0..command.operands.len()).filter(|&i| named(i)).collect();
        let Some(common) = positions.iter().map(|&i| command.operands[i].meta.dtype).reduce(promote) else { return Ok(()) };
        for &i in &positions {
            if command.operands[i].meta.dtype != common {
                command.operands[i] = self.cast(&command.operands[i], common)?;
            }
        }
        Ok(())
    }

    /// In-place targets must not overlap: not each other, not an operand that is read, not themselves (a broadcast view).
    fn check_targets(&self, op: Op, operands: &Tensors, arity: &[u16]) -> Result<()> {
        let spec = op.spec();
        for ((name, kind), i) in expand(spec.operands, arity).filter(|((_, kind), _)| kind.is_written()) {
            let target = &operands[i];
            if !spec.strided && !target.meta.layout.is_contiguous() {
                return Err(Error::shape(format!("{name} is written in place and must be contiguous, got strides {:?}", target.meta.layout.strides())));
            }
            if target.meta.layout.strides().iter().zip(target.meta.dims()).any(|(&s, &d)| s == 0 && d > 1) {
                return Err(Error::shape(format!("{name} repeats its elements (a broadcast view): writing it in place has no single meaning. Copy it with .clone() first.")));
            }
            let _ = kind;
            if operands.iter().enumerate().any(|(j, other)| j != i && Arc::ptr_eq(&other.buffer, &target.buffer)) {
                return Err(Error::value(format!("{name} shares its storage with another operand. Copy one of them with .clone() first.")));
            }
        }
        Ok(())
    }

    /// A tensor from bytes already at hand.
    pub fn upload(&mut self, meta: Meta, fill: impl FnOnce(&mut [u8])) -> Result<Arc<Tensor>> {
        let buffer = Buffer::filled(meta.numel() * meta.dtype.size(), fill)?;
        Ok(Arc::new(Tensor { meta, device: Device::Cpu, buffer }))
    }

    /// Runs `task` on the driver thread when all before it in the stream has run, with the tensor's bytes or its failure.
    /// The tensor must be contiguous.
    pub fn read(&mut self, tensor: Arc<Tensor>, task: impl FnOnce(std::result::Result<&[u8], Arc<Failure>>) + Send + 'static) -> Result<u64> {
        if let Some(recorder) = &self.recorder
            && (recorder.has_made(&tensor) || tensor.device == Device::Cpu)
        {
            return Err(capture_refusal("reading values"));
        }
        if tensor.device == Device::Meta {
            return Err(Error::new(ErrorKind::Device, "a tensor on the meta device has a shape but no values"));
        }
        debug_assert!(tensor.meta.layout.is_contiguous());
        self.start();
        self.order_after(&tensor.buffer);
        let job = Job::Host(Box::new(move || {
            if let Some(failure) = tensor.buffer.poison() {
                failure.mark_seen();
                return task(Err(failure.clone()));
            }
            let (offset, bytes) = (tensor.meta.layout.offset * tensor.meta.dtype.size(), tensor.meta.numel() * tensor.meta.dtype.size());
            // SAFETY: the driver thread, after the commands that write the buffer.
            match unsafe { tensor.buffer.ensure() } {
                // SAFETY: the layout lies inside the buffer.
                Ok(base) if bytes > 0 => task(Ok(unsafe { std::slice::from_raw_parts(base.add(offset), bytes) })),
                Ok(_) => task(Ok(&[])),
                Err(error) => task(Err(Arc::new(Failure::new(error.kind, "read", error.message, 0, 0)))),
            }
        }));
        Ok(self.push(job, 0))
    }

    /// Runs `task` on the driver thread when all before it in the stream has run.
    pub fn host(&mut self, task: impl FnOnce(Option<Arc<Failure>>) + Send + 'static) -> Result<u64> {
        if self.recorder.is_some() {
            return Err(capture_refusal("waiting"));
        }
        let stream = self.stream();
        let job = move || {
            let failure = stream.take_failure();
            if let Some(failure) = &failure {
                failure.mark_seen();
            }
            task(failure)
        };
        Ok(self.push(Job::Host(Box::new(job)), 0))
    }

    /// Failures that wait for a `sync` and that nobody has seen, as text. They count as seen from then on.
    pub fn untold_failures(&self) -> Vec<String> {
        self.streams.iter().filter_map(|stream| stream.take_failure()).filter(|failure| failure.mark_seen()).map(|failure| failure.describe()).collect()
    }

    /// Holds the stream until the event is set.
    pub fn gate(&mut self, event: Arc<crate::stream::Event>) {
        self.start();
        self.push(Job::Wait(event), 0);
    }

    pub fn is_recording(&self) -> bool {
        self.recorder.is_some()
    }
    /// Starts recording. Arguments are made contiguous; the tensors that stand for them while recording are given back.
    pub fn begin_capture(&mut self, arguments: Vec<Arc<Tensor>>) -> Result<Vec<Arc<Tensor>>> {
        if self.recorder.is_some() || self.suspended.is_some() {
            return Err(Error::new(ErrorKind::Capture, "a compiled function was called while another is being recorded. Call the plain function inside."));
        }
        let arguments = arguments.into_iter().map(|a| Tensor::planned(contiguous_meta(&a.meta), a.device)).collect::<Vec<_>>();
        self.recorder = Some(Recorder::new(arguments.clone()));
        Ok(arguments)
    }
    pub fn end_capture(&mut self, outputs: &[Arc<Tensor>]) -> Result<Arc<Program>> {
        let recorder = self.recorder.take().ok_or_else(|| Error::internal("no recording is under way"))?;
        Ok(Arc::new(recorder.finish(outputs)?))
    }
    pub fn abort_capture(&mut self) {
        self.recorder = None;
        self.suspended = None;
    }
    /// Runs commands at once, or records them again: for state that is made inside a step but belongs outside it.
    pub fn suspend_capture(&mut self, suspended: bool) {
        if suspended && self.recorder.is_some() {
            self.suspended = self.recorder.take();
        } else if !suspended && self.suspended.is_some() {
            self.recorder = self.suspended.take();
        }
    }
    /// A further argument, found while recording. Gives its stand-in.
    pub fn capture_argument(&mut self, argument: &Arc<Tensor>) -> Result<Arc<Tensor>> {
        let recorder = self.recorder.as_mut().ok_or_else(|| Error::internal("no recording is under way"))?;
        let stand_in = Tensor::planned(contiguous_meta(&argument.meta), argument.device);
        recorder.add_argument(stand_in.clone());
        Ok(stand_in)
    }
    pub fn replay(&mut self, program: &Arc<Program>, arguments: Vec<Arc<Tensor>>) -> Result<Vec<Arc<Tensor>>> {
        if self.recorder.is_some() || self.suspended.is_some() {
            return Err(Error::new(ErrorKind::Capture, "a compiled function was called while another is being recorded. Call the plain function inside."));
        }
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let ready = argument.meta.layout.is_contiguous() && argument.meta.layout.offset == 0;
            bound.push(if ready { argument } else { self.contiguous(&argument)? });
        }
        let (replay, outputs) = program.bind(&bound)?;
        self.start();
        for buffer in bound.iter().map(|t| &t.buffer).chain(program.persistent()) {
            self.order_after(buffer);
        }
        let stream = &self.streams[self.current];
        let sequence = stream.pushed() + 1;
        outputs.iter().map(|t| &t.buffer).chain(program.persistent()).for_each(|buffer| buffer.set_writer(stream.id, sequence));
        self.push(Job::Replay(Box::new(replay)), 0);
        Ok(outputs)
    }

    /// Ends every stream: what has not begun is dropped, what has is waited for.
    pub fn close(&mut self) {
        self.recorder = None;
        if let Some(runtime) = self.runtime.take() {
            for stream in self.streams.drain(..) {
                runtime.close(&stream);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

fn contiguous_meta(meta: &Meta) -> Meta {
    Meta { dtype: meta.dtype, layout: ferrograd_tensor::Layout::contiguous(meta.shape()) }
}

fn capture_refusal(what: &str) -> Error {
    Error::new(ErrorKind::Capture, format!("{what} is not possible inside a compiled function: it is recorded once and has no values then. Return the tensor and read it outside."))
}

/// The row's operand that tensor `position` belongs to.
fn kind_at(spec: &OpSpec, arity: &[u16], position: usize) -> (&'static str, Kind) {
    let mut end = 0;
    for (operand, &count) in spec.operands.iter().zip(arity) {
        end += count as usize;
        if position < end {
            return *operand;
        }
    }
    unreachable!("a command has as many tensors as its arity says")
}

/// The row's operands, each tensor with its position.
fn expand<'a>(
    operands: &'static [(&'static str, Kind)],
    arity: &'a [u16],
) -> impl Iterator<Item = ((&'static str, Kind), usize)> + 'a {
    let mut position = 0;
    operands.iter().zip(arity).flat_map(move |(&operand, &count)| {
        let start = position;
        position += count as usize;
        (start..position).map(move |i| (operand, i))
    })
}
