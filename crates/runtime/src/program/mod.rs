//! Captured programs: the commands of one step, recorded once and replayed as one job, command by command.
//!
//! Recording runs shapes only. Each buffer the commands touch becomes a slot: an argument, a temporary of the program, or a persistent buffer
//! (parameters, optimizer state, running statistics, generators), which keeps its identity. A replay is all or nothing: what a failed step had
//! already written in place is restored.
mod fuse;
mod plan;
mod print;

use crate::allocator::Block;
use crate::command::{Bound, Call, Command, Executor};
use crate::dispatch::Op;
use crate::failure::Failure;
use crate::spec::Attrs;
use crate::storage::{Buffer, Tensor};
use ferrograd_cpu::Link;
use ferrograd_tensor::{Error, Meta, Result};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Collects the commands of the step that is being recorded.
pub struct Recorder {
    arguments: Vec<Rc<Tensor>>,
    commands: Vec<Command>,
    made: HashSet<*const Tensor>,
}

/// A program as its session knows it.
pub struct Captured {
    program: Arc<Program>,
    /// The owners of the storages that outlive a replay.
    pub persistent: Vec<Rc<Tensor>>,
}

enum Slot {
    Argument(usize),
    Temporary {
        bytes: usize,
        /// Where it lies in the room for temporaries; `None` for what leaves the program.
        place: Option<usize>,
    },
    /// Number `.0` of the storages that the session's side holds.
    Persistent(usize),
}

/// A command, its tensors replaced by slots.
struct Step {
    op: Op,
    anomaly: bool,
    module: u32,
    scratch: usize,
    local: usize,
    arity: Vec<u16>,
    attrs: Attrs,
    /// Functions that run in the op's place: the op is the last of them.
    links: Vec<Link>,
    operands: Vec<(Meta, u32)>,
    outputs: Vec<(Meta, u32)>,
    /// Temporaries whose last use this is.
    frees: Vec<u32>,
    /// In-place targets to be copied first, for a later command may fail.
    guarded: Vec<u32>,
}

impl Step {
    /// The slots that the command writes in place.
    fn written(&self) -> Vec<u32> {
        let kinds = self.op.spec().operands.iter().zip(&self.arity);
        let written = kinds.flat_map(|((_, kind), &count)| std::iter::repeat_n(kind.is_written(), count as usize));
        self.operands.iter().zip(written).filter(|(_, written)| *written).map(|(&(_, slot), _)| slot).collect()
    }
    fn call(&self) -> Call<'_> {
        Call {
            op: self.op,
            anomaly: self.anomaly,
            module: self.module,
            scratch: self.scratch,
            local: self.local,
            arity: &self.arity,
            ints: &self.attrs.ints,
            floats: &self.attrs.floats,
            links: &self.links,
        }
    }
}

pub struct Program {
    slots: Vec<Slot>,
    steps: Vec<Step>,
    arguments: Vec<Meta>,
    outputs: Vec<(Meta, u32)>,
    /// Bytes of the block in which temporaries lie.
    room: usize,
    /// Recorded commands that nobody needed.
    left_out: usize,
}

impl Recorder {
    /// Arguments must be contiguous from their buffer's start, so that any later argument of that shape can stand in for them.
    pub fn new(arguments: Vec<Rc<Tensor>>) -> Recorder {
        Recorder { arguments, commands: Vec::new(), made: HashSet::new() }
    }
    pub fn add_argument(&mut self, argument: Rc<Tensor>) {
        self.arguments.push(argument);
    }
    pub fn record(&mut self, command: Command) {
        self.made.extend(command.outputs.iter().map(|t| Rc::as_ptr(t.root())));
        self.commands.push(command);
    }
    /// True for a tensor made while recording: it has no values, and none can be read.
    pub fn has_made(&self, tensor: &Rc<Tensor>) -> bool {
        self.made.contains(&Rc::as_ptr(tensor.root()))
    }
    pub fn finish(self, outputs: &[Rc<Tensor>]) -> Captured {
        let (program, persistent) = self.plan(outputs);
        Captured { program: Arc::new(program), persistent }
    }
    fn plan(self, outputs: &[Rc<Tensor>]) -> (Program, Vec<Rc<Tensor>>) {
        let recorded = self.commands.len();
        let commands = plan::needed(self.commands, outputs, &self.made);
        let left_out = recorded - commands.len();
        let mut slots: Vec<Slot> = Vec::new();
        let mut persistent: Vec<Rc<Tensor>> = Vec::new();
        let mut index: HashMap<*const Tensor, u32> = HashMap::new();
        for (i, argument) in self.arguments.iter().enumerate() {
            // Two arguments may be one tensor: the first stands for both, and replays check that they still are.
            index.entry(Rc::as_ptr(argument.root())).or_insert_with(|| {
                slots.push(Slot::Argument(i));
                slots.len() as u32 - 1
            });
        }
        let mut slot_of = |tensor: &Rc<Tensor>| -> (Meta, u32) {
            let slot = *index.entry(Rc::as_ptr(tensor.root())).or_insert_with(|| {
                slots.push(if self.made.contains(&Rc::as_ptr(tensor.root())) {
                    Slot::Temporary { bytes: tensor.storage().bytes(), place: None }
                } else {
                    persistent.push(tensor.root().clone());
                    Slot::Persistent(persistent.len() - 1)
                });
                slots.len() as u32 - 1
            });
            (tensor.meta, slot)
        };
        let steps = commands.into_iter().map(|command| Step {
            operands: command.operands.iter().map(&mut slot_of).collect(),
            outputs: command.outputs.iter().map(&mut slot_of).collect(),
            op: command.op,
            anomaly: command.anomaly,
            module: command.module,
            scratch: command.scratch,
            local: command.local,
            arity: command.arity,
            attrs: command.attrs,
            links: Vec::new(),
            frees: Vec::new(),
            guarded: Vec::new(),
        });
        let steps = steps.collect();
        let outputs = outputs.iter().map(slot_of).collect();
        let arguments = self.arguments.iter().map(|t| t.meta).collect();
        let mut program = Program { slots, steps, arguments, outputs, room: 0, left_out };
        program.plan_chains();
        program.plan_frees();
        program.plan_places();
        program.plan_guards();
        (program, persistent)
    }
}

impl Captured {
    pub fn commands(&self) -> usize {
        self.program.steps.len()
    }
    /// One line a command, for people.
    pub fn describe(&self) -> String {
        self.program.describe()
    }

    /// Binds arguments and makes, by `planned` (of so many bytes), the storages that this replay will fill.
    pub fn bind(
        &self,
        arguments: &[Rc<Tensor>],
        mut planned: impl FnMut(usize) -> Result<Rc<Tensor>>,
    ) -> Result<(Replay, Vec<Rc<Tensor>>)> {
        let program = &self.program;
        if arguments.len() != program.arguments.len() {
            return Err(Error::internal(format!(
                "the program was recorded with {} arguments, got {}",
                program.arguments.len(),
                arguments.len()
            )));
        }
        for (argument, recorded) in arguments.iter().zip(&program.arguments) {
            if argument.meta.dtype != recorded.dtype
                || argument.meta.shape() != recorded.shape()
                || !argument.meta.layout.is_contiguous()
                || argument.meta.layout.offset != 0
            {
                return Err(Error::internal("an argument differs from the recorded one"));
            }
        }
        let mut bound: Vec<Option<Rc<Tensor>>> = program
            .slots
            .iter()
            .map(|slot| match *slot {
                Slot::Argument(i) => Some(arguments[i].clone()),
                Slot::Persistent(i) => Some(self.persistent[i].clone()),
                Slot::Temporary { .. } => None,
            })
            .collect();
        let mut outputs = Vec::with_capacity(program.outputs.len());
        for &(meta, slot) in &program.outputs {
            let slot = slot as usize;
            if let (None, &Slot::Temporary { bytes, .. }) = (&bound[slot], &program.slots[slot]) {
                // Views of one result share its storage, which is as large as the whole.
                bound[slot] = Some(planned(bytes)?);
            }
            outputs.push(Tensor::view(bound[slot].as_ref().expect("bound just now, or before"), &meta));
        }
        let bindings = bound.iter().map(|t| t.as_ref().map(|t| t.storage().buffer().clone())).collect();
        Ok((Replay { program: program.clone(), bindings, cursor: 0, undo: Vec::new(), copies: None, room: None }, outputs))
    }
}

/// A buffer as it was before a command wrote it: so many bytes at a place among the copies.
struct Undo {
    slot: u32,
    place: usize,
    bytes: usize,
}

/// A program under way. The driver runs one command at a time, so that other streams get their turns.
pub struct Replay {
    program: Arc<Program>,
    bindings: Vec<Option<Arc<Buffer>>>,
    cursor: usize,
    undo: Vec<Undo>,
    /// Where the copies are.
    copies: Option<Block>,
    /// The memory of all temporaries.
    room: Option<Arc<Block>>,
}

impl Replay {
    /// Runs the next command. `Ok(true)` when the program is over.
    pub fn advance(&mut self, executor: &mut Executor, sequence: u64) -> std::result::Result<bool, Arc<Failure>> {
        let program = self.program.clone();
        let Some(step) = program.steps.get(self.cursor) else { return Ok(true) };
        self.cursor += 1;
        let result = self.place(step).and_then(|()| self.guard(step)).and_then(|()| {
            let bound = |&(meta, slot): &(Meta, u32)| -> Bound { (meta, self.bindings[slot as usize].as_ref().expect("bound before use")) };
            // SAFETY: this is the driver thread; metas and slots were checked when the program was recorded and bound.
            unsafe { executor.execute(step.call(), step.operands.iter().map(bound), step.outputs.iter().map(bound), sequence) }
        });
        if let Err(failure) = result {
            self.restore();
            self.poison(&failure);
            return Err(failure);
        }
        step.frees.iter().for_each(|&slot| self.bindings[slot as usize] = None);
        Ok(self.cursor == program.steps.len())
    }

    /// Gives the program up where it stands: what it wrote in place is put back.
    pub fn cancel(mut self, failure: &Arc<Failure>) {
        self.restore();
        self.poison(failure);
    }

    fn poison(&self, failure: &Arc<Failure>) {
        for &(_, slot) in &self.program.outputs {
            if let (Some(buffer), Slot::Temporary { .. }) = (&self.bindings[slot as usize], &self.program.slots[slot as usize]) {
                buffer.set_poison(failure.clone());
            }
        }
    }

    /// Gives the command's results their memory: temporaries theirs in the block that the first of them takes for all.
    fn place(&mut self, step: &Step) -> std::result::Result<(), Arc<Failure>> {
        let program = &self.program;
        for &(_, slot) in &step.outputs {
            let Slot::Temporary { bytes, place: Some(place) } = program.slots[slot as usize] else { continue };
            if self.bindings[slot as usize].is_some() {
                continue;
            }
            let room = match &self.room {
                Some(room) => room.clone(),
                None => {
                    let room = Block::new(program.room);
                    let room = room.map_err(|e| Arc::new(Failure::new(e.kind, step.op.spec().name, e.message, step.module, 0)))?;
                    self.room.insert(Arc::new(room)).clone()
                }
            };
            self.bindings[slot as usize] = Some(Arc::new(Buffer::within(room, place, bytes)));
        }
        Ok(())
    }

    /// Copies what the command will write in place and a later failure would have to undo: all copies of a replay lie in one block.
    fn guard(&mut self, step: &Step) -> std::result::Result<(), Arc<Failure>> {
        for &slot in &step.guarded {
            // SAFETY: the driver thread, between commands.
            let Some((memory, bytes)) = self.bindings[slot as usize].as_ref().and_then(|buffer| unsafe { buffer.memory() }) else {
                continue;
            };
            let copies = match &self.copies {
                Some(copies) => copies,
                None => {
                    let block = Block::new(self.guarded_bytes());
                    let block = block.map_err(|e| Arc::new(Failure::new(e.kind, step.op.spec().name, e.message, step.module, 0)))?;
                    self.copies.insert(block)
                }
            };
            let place = self.undo.last().map_or(0, |last| last.place + last.bytes);
            // SAFETY: the copies' block has room for every guarded buffer; both places are `bytes` long and apart.
            unsafe { std::ptr::copy_nonoverlapping(memory, copies.as_ptr().add(place), bytes) };
            self.undo.push(Undo { slot, place, bytes });
        }
        Ok(())
    }

    /// Bytes of all that the program's commands guard.
    fn guarded_bytes(&self) -> usize {
        let guarded = self.program.steps.iter().flat_map(|step| &step.guarded);
        // SAFETY: the driver thread, between commands.
        guarded.filter_map(|&slot| unsafe { self.bindings[slot as usize].as_ref()?.memory() }).map(|(_, bytes)| bytes).sum()
    }

    fn restore(&mut self) {
        while let Some(Undo { slot, place, bytes }) = self.undo.pop() {
            let (Some(buffer), Some(copies)) = (&self.bindings[slot as usize], &self.copies) else { continue };
            // SAFETY: the driver thread, between commands; the memory existed when it was copied.
            if let Some((memory, _)) = unsafe { buffer.memory() } {
                // SAFETY: both are `bytes` long and apart.
                unsafe {
                    buffer.forget_packs();
                    std::ptr::copy_nonoverlapping(copies.as_ptr().add(place), memory, bytes);
                }
            }
        }
    }
}
