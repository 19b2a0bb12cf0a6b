//! A command: an op with its tensors and attributes, and how it is run on the CPU.
use crate::allocator::Block;
use crate::dispatch::{Op, Operands, execute_cpu};
use crate::failure::Failure;
use crate::spec::Attrs;
use crate::storage::{Buffer, Tensor};
use ferrograd_tensor::{Cx, Error, ErrorKind, Meta, Parallel, View, ViewMut, with_float};
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub type Tensors = SmallVec<[Arc<Tensor>; 4]>;

#[derive(Clone, Default)]
pub struct Command {
    pub op: Op,
    /// Look for NaN and infinity in the outputs.
    pub anomaly: bool,
    /// Number of the module path the call came from.
    pub module: u32,
    pub operands: Tensors,
    /// How many tensors each operand of the row stands for.
    pub arity: SmallVec<[u16; 8]>,
    pub attrs: Attrs,
    pub outputs: Tensors,
    pub scratch: usize,
}

impl Command {
    /// Lets go of all it refers to, and keeps the room.
    pub fn clear(&mut self) {
        self.operands.clear();
        self.arity.clear();
        self.attrs.ints.clear();
        self.attrs.floats.clear();
        self.outputs.clear();
    }
}

/// An operand or output with the buffer that stands for it in this run (a captured program binds others than it recorded).
pub type Bound<'a> = (&'a Meta, &'a Buffer);

/// What a command runs with: the pool, and scratch that grows to the largest wish.
pub struct Executor<'p> {
    pub pool: &'p dyn Parallel,
    scratch: Option<Block>,
    scratch_bytes: usize,
}

impl<'p> Executor<'p> {
    pub fn new(pool: &'p dyn Parallel) -> Self {
        Executor { pool, scratch: None, scratch_bytes: 0 }
    }

    fn scratch(&mut self, bytes: usize) -> Result<&mut [u8], Error> {
        if bytes > self.scratch_bytes {
            self.scratch = None;
            self.scratch_bytes = 0;
            self.scratch = Some(Block::new(bytes)?);
            self.scratch_bytes = bytes;
        }
        Ok(match &mut self.scratch {
            // SAFETY: the block is ours, `scratch_bytes` long, and borrowed through `self`.
            Some(block) => unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), self.scratch_bytes) },
            None => &mut [],
        })
    }

    /// Runs `command` on the bound buffers. A failure, its own or an operand's, poisons every output, leaves in-place targets whole, and is returned.
    pub fn execute(&mut self, command: &Command, operands: &[Bound], outputs: &[Bound], sequence: u64) -> Result<(), Arc<Failure>> {
        let inherited = operands.iter().find_map(|(_, buffer)| buffer.poison().cloned());
        let result = match inherited {
            Some(failure) => Err(failure),
            None => self.attempt(command, operands, outputs).map_err(|error| {
                Arc::new(Failure::new(error.kind, command.op.spec().name, error.message, command.module, sequence))
            }),
        };
        if let Err(failure) = &result {
            outputs.iter().for_each(|(_, buffer)| buffer.set_poison(failure.clone()));
        }
        result
    }

    fn attempt(&mut self, command: &Command, operands: &[Bound], outputs: &[Bound]) -> Result<(), Error> {
        let spec = command.op.spec();
        let mut reads: SmallVec<[View; 4]> = SmallVec::new();
        let mut writes: SmallVec<[ViewMut; 4]> = SmallVec::new();
        let mut rest = operands;
        for ((_, kind), &count) in spec.operands.iter().zip(&command.arity) {
            let (taken, after) = rest.split_at(count as usize);
            rest = after;
            for (meta, buffer) in taken {
                // SAFETY: this is the driver thread; the layout was checked against the buffer when the tensor was made; commands of a stream run
                // one after another, so nobody else touches the memory.
                unsafe {
                    let base = buffer.ensure()?;
                    if kind.is_written() { writes.push(ViewMut::new(base, **meta)) } else { reads.push(View::new(base, **meta)) }
                }
            }
        }
        let mut targets: SmallVec<[ViewMut; 3]> = SmallVec::new();
        for (meta, buffer) in outputs {
            // SAFETY: as above; an output is no operand, so its memory is not read.
            targets.push(unsafe { ViewMut::new(buffer.ensure()?, **meta) });
        }
        let pool = self.pool;
        let mut cx = Cx::new(pool, self.scratch(command.scratch)?);
        let views = Operands { reads: &reads, writes: &mut writes, outputs: &mut targets, arity: &command.arity };
        match catch_unwind(AssertUnwindSafe(|| execute_cpu(command.op, &mut cx, views, &command.attrs))) {
            Ok(result) => result?,
            Err(panic) => return Err(Error::internal(format!("the kernel panicked: {}. This is a fault of the library.", panic_text(&panic)))),
        }
        if command.anomaly {
            targets.iter().try_for_each(|target| check_finite(&target.as_view()))?;
            writes.iter().try_for_each(|target| check_finite(&target.as_view()))?;
        }
        Ok(())
    }
}

pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Anomaly mode: the first NaN or infinity of a float result.
fn check_finite(view: &View) -> Result<(), Error> {
    use ferrograd_tensor::Element;
    if !view.dtype().is_float() || !view.is_contiguous() {
        return Ok(());
    }
    let found: Option<(usize, f64)> = with_float!(view.dtype(), T => {
        Ok(view.slice::<T>().iter().map(|v| v.to_f64()).enumerate().find(|(_, v)| !v.is_finite()))
    })?;
    match found {
        None => Ok(()),
        Some((index, value)) => Err(Error::new(
            ErrorKind::NonFinite,
            format!("gave {value} at element {index} of {:?}. Look at this layer's inputs and learning rate; clip gradients or lower the rate.", view.dims()),
        )),
    }
}
