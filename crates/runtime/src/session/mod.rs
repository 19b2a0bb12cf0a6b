//! A session: one JavaScript thread's way into the runtime. It checks shapes, inserts casts and copies, and hands commands to its stream,
//! or to the recorder while a step is being captured.
mod capture;
mod release;
mod transfer;

use crate::command::{Call, Command, Tensors};
use crate::dispatch::{Inferred, Op, infer, infer_view};
use crate::program::Recorder;
use crate::spec::{Attrs, Kind, OpSpec, Section};
use crate::storage::{Bin, Buffer, Device, Mark, Storage, Tensor};
use crate::stream::{Job, Runtime, Stream};
use ferrograd_tensor::{DType, Error, ErrorKind, Layout, Meta, Result, Shape, common_dtype, rules};
use smallvec::SmallVec;
use std::rc::Rc;
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
    /// Buffers of storages that are gone.
    bin: Rc<Bin>,
    /// Those of them that go with the current stream's next command.
    releases: Vec<Arc<Buffer>>,
    /// Commands and tensors to fill in again. Boxed: a command is handed back and forth with every call, and is large.
    #[allow(clippy::vec_box)]
    spare_commands: Vec<Box<Command>>,
    spare_tensors: Vec<Rc<Tensor>>,
    spare_buffers: Vec<Arc<Buffer>>,
    /// The shapes of the op being called.
    inferred: Option<Box<Inferred>>,
}

/// Tensors and buffers that are kept: some more than a training step has at once.
const SPARES: usize = 4096;

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    pub fn new() -> Session {
        Session {
            runtime: None,
            streams: Vec::new(),
            current: 0,
            recorder: None,
            suspended: None,
            anomaly: false,
            module: 0,
            copies: 0,
            commands: 0,
            bin: Rc::default(),
            releases: Vec::new(),
            spare_commands: Vec::new(),
            spare_tensors: Vec::new(),
            spare_buffers: Vec::new(),
            inferred: None,
        }
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
        self.start();
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
        self.start();
        let before = if self.current == 0 { 0 } else { self.streams[self.current].id };
        let next = if id == 0 {
            0
        } else {
            self.streams.iter().position(|s| s.id == id).ok_or_else(|| Error::value(format!("there is no stream {id}")))?
        };
        if next != self.current {
            self.flush_releases();
            self.current = next;
        }
        Ok(before)
    }
    pub fn close_stream(&mut self, id: u32) {
        let Some(position) = self.streams.iter().position(|s| s.id == id) else { return };
        if position == 0 {
            return;
        }
        self.flush_releases();
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
        let mut command = self.spare_commands.pop().unwrap_or_default();
        command.op = op;
        command
    }
    /// Takes a command back that `call` gave.
    pub fn recycle(&mut self, mut command: Box<Command>) {
        command.clear();
        self.spare_commands.push(command);
    }

    /// A contiguous tensor whose memory comes when a command first writes it.
    pub fn planned(&mut self, dtype: DType, shape: &Shape, device: Device) -> Rc<Tensor> {
        let bytes = if device == Device::Meta { 0 } else { shape.numel() * dtype.size() };
        let buffer = self.spare_buffer();
        match self.spare_tensors.pop() {
            Some(room) => Tensor::renew(room, dtype, shape, device, buffer, bytes),
            None => Tensor::new(Meta { dtype, layout: Layout::contiguous(*shape) }, device, buffer, bytes, &self.bin),
        }
    }
    fn spare_buffer(&mut self) -> Arc<Buffer> {
        let from_driver = || {
            let stream = self.streams.get(self.current)?;
            // SAFETY: a session belongs to one thread, and its streams to it.
            unsafe { stream.spare_buffer() }
        };
        self.spare_buffers.pop().or_else(from_driver).unwrap_or_default()
    }
    /// Lets go of a tensor; its room is kept for the next.
    pub fn let_go(&mut self, tensor: Rc<Tensor>) {
        if let Some(room) = Tensor::empty(tensor)
            && self.spare_tensors.len() < SPARES
        {
            self.spare_tensors.push(room);
        }
    }

    /// Calls an op: checks, casts, copies where a kernel needs it, and queues the command. The answer comes before anything has run.
    /// `device` counts for ops without operands.
    /// Gives the command back with its outputs, for `recycle`.
    pub fn call(&mut self, mut command: Box<Command>, device: Device) -> Result<Box<Command>> {
        match self.prepare(&mut command, device) {
            Ok(()) => Ok(command),
            Err(error) => {
                self.recycle(command);
                Err(error)
            }
        }
    }

    fn prepare(&mut self, command: &mut Command, device: Device) -> Result {
        let op = command.op;
        let spec = op.spec();
        let device = command.operands.first().map_or(device, |t| t.device);
        if command.operands.iter().any(|t| t.device != device) {
            return Err(Error::new(ErrorKind::Device, "operands are on different devices. Move them to one with .to(device)."));
        }
        if spec.section == Section::View {
            let view = self.view(op, &command.operands[0], &command.attrs)?;
            command.outputs.push(view);
            return Ok(());
        }
        if !spec.promote.is_empty() {
            self.promote(command)?;
        }
        if !spec.strided {
            for i in 0..command.operands.len() {
                if !command.operands[i].contiguous && !kind_at(spec, &command.arity, i).1.is_written() {
                    command.operands[i] = self.contiguous(&command.operands[i])?;
                    self.copies += 1;
                }
            }
        }
        let mut inferred = self.inferred.take().unwrap_or_default();
        let result = self.queue(command, device, &mut inferred);
        self.inferred = Some(inferred);
        result
    }

    fn queue(&mut self, command: &mut Command, device: Device, inferred: &mut Inferred) -> Result {
        let op = command.op;
        infer(op, &command.operands, &command.arity, command.attrs.slices(), inferred)?;
        if let Some(compute) = inferred.compute {
            for operand in command.operands.iter_mut().filter(|t| t.meta.dtype != compute) {
                *operand = self.cast(operand, compute)?;
            }
        }
        if op.spec().in_place {
            self.check_targets(op, &command.operands, &command.arity)?;
        }
        self.start();
        for (dtype, shape) in &inferred.outputs {
            let output = self.planned(*dtype, shape, device);
            command.outputs.push(output);
        }
        if device == Device::Cpu {
            command.anomaly = self.anomaly;
            command.module = self.module;
            command.scratch = inferred.scratch;
            command.local = inferred.local;
            self.submit(command);
        }
        Ok(())
    }

    fn submit(&mut self, command: &Command) {
        if let Some(recorder) = &mut self.recorder {
            self.commands += 1;
            recorder.record(command.clone());
            return;
        }
        let in_place = command.op.spec().in_place;
        if in_place {
            self.each_target(command, |target| target.each_reader(|mark| self.order_after(mark)));
        }
        let mark = self.send(command.call(), &command.operands, &command.outputs);
        if in_place {
            self.each_target(command, |target| target.set_writer(mark));
        }
    }

    /// Queues a command behind what writes its operands. Gives its place.
    fn send(&mut self, call: Call, operands: &[Rc<Tensor>], outputs: &[Rc<Tensor>]) -> Mark {
        self.commands += 1;
        self.empty_bin();
        let current = self.streams[self.current].id;
        for operand in operands {
            let writer = operand.storage().writer();
            if writer.stream != current {
                self.order_after(writer);
            }
        }
        let stream = &self.streams[self.current];
        let mark = Mark { stream: current, sequence: stream.pushed() + 1 };
        for operand in operands {
            operand.storage().add_reader(mark);
        }
        for output in outputs {
            output.storage().set_writer(mark);
        }
        let runtime = self.runtime.as_ref().expect("started before a push");
        // SAFETY: a session belongs to one thread, and its streams to it.
        unsafe { runtime.push_command(stream, call, operands, outputs, &mut self.releases) };
        mark
    }

    /// An element-by-element op on operands of the dtype that it computes in, outside of captures: by far the commonest call, without the detours
    /// of the general one. `None` where `call` must do it.
    pub fn pointwise(&mut self, op: Op, operands: &[Rc<Tensor>], floats: [f64; 2]) -> Result<Option<Rc<Tensor>>> {
        let spec = op.spec();
        let Some(category) = spec.category else { return Ok(None) };
        if self.recorder.is_some() || operands.len() != spec.operands.len() {
            return Ok(None);
        }
        let x = &operands[0];
        let (compute, output) = match operands {
            [x] => {
                let (compute, dtype) = rules::unary(category, &x.meta, floats[0])?;
                (compute, (dtype, x.meta.shape()))
            }
            [x, y] if x.device == y.device && x.meta.dtype == y.meta.dtype => {
                let result = rules::binary(category, &x.meta, &y.meta)?;
                (result.compute, (result.dtype, result.shape))
            }
            _ => return Ok(None),
        };
        if compute != x.meta.dtype || x.device != Device::Cpu {
            return Ok(None);
        }
        self.start();
        let result = self.planned(output.0, &output.1, Device::Cpu);
        let call = Call {
            op,
            anomaly: self.anomaly,
            module: self.module,
            scratch: 0,
            local: 0,
            arity: &[1, 1][..operands.len()],
            ints: &[],
            floats: &floats,
            links: &[],
        };
        self.send(call, operands, std::slice::from_ref(&result));
        Ok(Some(result))
    }

    fn each_target(&self, command: &Command, visit: impl Fn(&Storage)) {
        for ((_, kind), position) in expand(command.op.spec().operands, &command.arity) {
            if kind.is_written() {
                visit(command.operands[position].storage());
            }
        }
    }

    /// Waits, on the current stream, for another one to come as far as the mark.
    fn order_after(&self, mark: Mark) {
        if mark.stream == 0 || mark.stream == self.streams[self.current].id {
            return;
        }
        if let Some(other) = self.runtime.as_ref().and_then(|runtime| runtime.find_stream(mark.stream))
            && other.completed() < mark.sequence
        {
            self.push(Job::After(other, mark.sequence));
        }
    }

    /// The runtime has been started. Gives the job's sequence number.
    fn push(&self, job: Job) -> u64 {
        let runtime = self.runtime.as_ref().expect("started before a push");
        let stream = &self.streams[self.current];
        // SAFETY: a session belongs to one thread, and its streams to it.
        unsafe { runtime.push_job(stream, job) };
        stream.pushed()
    }

    /// Starts the runtime on first use.
    fn start(&mut self) {
        if self.streams.is_empty() {
            let runtime = self.runtime.get_or_insert_with(Runtime::get);
            self.streams.push(runtime.stream());
        }
    }

    fn view(&mut self, op: Op, x: &Rc<Tensor>, attrs: &Attrs) -> Result<Rc<Tensor>> {
        let (base, layout) = match infer_view(op, &x.meta, attrs.slices())? {
            Some(layout) => (x.clone(), layout),
            None => {
                let copy = self.contiguous(x)?;
                self.copies += 1;
                let layout =
                    infer_view(op, &copy.meta, attrs.slices())?.ok_or_else(|| Error::internal("a contiguous tensor takes any shape"))?;
                (copy, layout)
            }
        };
        let meta = Meta { dtype: base.meta.dtype, layout };
        Ok(match self.spare_tensors.pop() {
            Some(room) => Tensor::renew_view(room, &base, &meta),
            None => Tensor::view(&base, &meta),
        })
    }

    fn one(&mut self, op: Op, x: &Rc<Tensor>, ints: &[i64]) -> Result<Rc<Tensor>> {
        let mut command = self.command(op);
        command.operands.push(x.clone());
        command.arity.push(1);
        command.attrs.ints.extend_from_slice(ints);
        let mut command = self.call(command, x.device)?;
        let result = command.outputs.pop().ok_or_else(|| Error::internal("an op of one result gave none"));
        self.recycle(command);
        result
    }
    pub fn contiguous(&mut self, x: &Rc<Tensor>) -> Result<Rc<Tensor>> {
        self.one(Op::contiguous, x, &[])
    }
    pub fn cast(&mut self, x: &Rc<Tensor>, dtype: DType) -> Result<Rc<Tensor>> {
        self.one(Op::cast, x, &[dtype as i64])
    }

    fn promote(&mut self, command: &mut Command) -> Result<()> {
        let spec = command.op.spec();
        let named = |i: usize| spec.promote.contains(&kind_at(spec, &command.arity, i).0);
        let positions: SmallVec<[usize; 4]> = (0..command.operands.len()).filter(|&i| named(i)).collect();
        let Some(common) = common_dtype(positions.iter().map(|&i| &command.operands[i].meta)) else { return Ok(()) };
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
                return Err(Error::shape(format!(
                    "{name} is written in place and must be contiguous, got strides {:?}",
                    target.meta.layout.strides()
                )));
            }
            if target.meta.layout.strides().iter().zip(target.meta.dims()).any(|(&s, &d)| s == 0 && d > 1) {
                return Err(Error::shape(format!(
                    "{name} repeats its elements (a broadcast view): writing it in place has no single meaning. Copy it with .clone() first."
                )));
            }
            let _ = kind;
            if operands.iter().enumerate().any(|(j, other)| j != i && Rc::ptr_eq(other.root(), target.root())) {
                return Err(Error::value(format!("{name} shares its storage with another operand. Copy one of them with .clone() first.")));
            }
        }
        Ok(())
    }

    /// Ends every stream: what has not begun is dropped, what has is waited for.
    pub fn close(&mut self) {
        self.recorder = None;
        if let Some(runtime) = self.runtime.take() {
            for stream in self.streams.drain(..) {
                runtime.close(&stream);
            }
        }
        self.releases.clear();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
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
fn expand<'a>(operands: &'static [(&'static str, Kind)], arity: &'a [u16]) -> impl Iterator<Item = ((&'static str, Kind), usize)> + 'a {
    let mut position = 0;
    operands.iter().zip(arity).flat_map(move |(&operand, &count)| {
        let start = position;
        position += count as usize;
        (start..position).map(move |i| (operand, i))
    })
}
