//! Captured programs: the commands of one step, recorded once and replayed as one job, command by command.
//!
//! Recording runs shapes only. Each buffer the commands touch becomes a slot: an argument, a temporary of the program, or a persistent buffer
//! (parameters, optimizer state, running statistics, generators), which keeps its identity. A replay is all or nothing: what a failed step had
//! already written in place is restored.
use crate::allocator::Block;
use crate::command::{Bound, Command, Executor};
use crate::failure::Failure;
use crate::storage::{Buffer, Device, Tensor};
use ferrograd_tensor::{Error, Meta, Result};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Collects the commands of the step that is being recorded.
pub struct Recorder {
    arguments: Vec<Arc<Tensor>>,
    commands: Vec<Command>,
    made: HashSet<*const Buffer>,
}

enum Slot {
    Argument(usize),
    Temporary { bytes: usize },
    Persistent(Arc<Buffer>),
}

struct Step {
    command: Command,
    operands: Vec<u32>,
    outputs: Vec<u32>,
    /// Temporaries whose last use this is.
    frees: Vec<u32>,
    /// In-place targets to be copied first, for a later command may fail.
    guarded: Vec<u32>,
}

pub struct Program {
    slots: Vec<Slot>,
    steps: Vec<Step>,
    arguments: Vec<Meta>,
    outputs: Vec<(Meta, u32)>,
}

impl Recorder {
    /// Arguments must be contiguous from their buffer's start, so that any later argument of that shape can stand in for them.
    pub fn new(arguments: Vec<Arc<Tensor>>) -> Recorder {
        Recorder { arguments, commands: Vec::new(), made: HashSet::new() }
    }
    pub fn add_argument(&mut self, argument: Arc<Tensor>) {
        self.arguments.push(argument);
    }
    pub fn record(&mut self, command: Command) {
        self.made.extend(command.outputs.iter().map(|t| Arc::as_ptr(&t.buffer)));
        self.commands.push(command);
    }
    /// True for a tensor made while recording: it has no values, and none can be read.
    pub fn has_made(&self, tensor: &Tensor) -> bool {
        self.made.contains(&Arc::as_ptr(&tensor.buffer))
    }
    pub fn finish(self, outputs: &[Arc<Tensor>]) -> Result<Program> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut index: HashMap<*const Buffer, u32> = HashMap::new();
        for (i, argument) in self.arguments.iter().enumerate() {
            // Two arguments may be one tensor: the first stands for both, and replays check that they still are.
            index.entry(Arc::as_ptr(&argument.buffer)).or_insert_with(|| {
                slots.push(Slot::Argument(i));
                slots.len() as u32 - 1
            });
        }
        let mut slot_of = |tensor: &Arc<Tensor>, slots: &mut Vec<Slot>| -> u32 {
            *index.entry(Arc::as_ptr(&tensor.buffer)).or_insert_with(|| {
                slots.push(if self.made.contains(&Arc::as_ptr(&tensor.buffer)) {
                    Slot::Temporary { bytes: tensor.buffer.bytes() }
                } else {
                    Slot::Persistent(tensor.buffer.clone())
                });
                slots.len() as u32 - 1
            })
        };
        let mut steps = Vec::with_capacity(self.commands.len());
        for command in self.commands {
            let operands = command.operands.iter().map(|t| slot_of(t, &mut slots)).collect();
            let made = command.outputs.iter().map(|t| slot_of(t, &mut slots)).collect();
            steps.push(Step { command, operands, outputs: made, frees: Vec::new(), guarded: Vec::new() });
        }
        let outputs: Vec<(Meta, u32)> = outputs.iter().map(|t| (t.meta, slot_of(t, &mut slots))).collect();
        let mut program = Program { slots, steps, arguments: self.arguments.iter().map(|t| t.meta).collect(), outputs };
        program.plan_frees();
        program.plan_guards();
        Ok(program)
    }
}

impl Program {
    /// Each temporary is let go after the last command that names it, unless it leaves the program.
    fn plan_frees(&mut self) {
        let mut live: HashSet<u32> = self.outputs.iter().map(|&(_, slot)| slot).collect();
        for step in self.steps.iter_mut().rev() {
            for &slot in step.operands.iter().chain(&step.outputs) {
                if live.insert(slot) && matches!(self.slots[slot as usize], Slot::Temporary { .. }) {
                    step.frees.push(slot);
                }
            }
        }
    }

    /// An in-place write to a persistent buffer is copied beforehand only where something after it may still fail: for want of memory, or on a value.
    fn plan_guards(&mut self) {
        let mut may_fail = false;
        for step in self.steps.iter_mut().rev() {
            if may_fail {
                let mut position = 0;
                for ((_, kind), &count) in step.command.op.spec().operands.iter().zip(&step.command.arity) {
                    if kind.is_written() {
                        let targets = &step.operands[position..position + count as usize];
                        step.guarded.extend(targets.iter().filter(|&&s| !matches!(self.slots[s as usize], Slot::Temporary { .. })));
                    }
                    position += count as usize;
                }
            }
            may_fail |= !step.command.outputs.is_empty() || step.command.anomaly || step.command.op.spec().fallible;
        }
    }

    pub fn commands(&self) -> usize {
        self.steps.len()
    }

    /// One line a command, for people.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (i, step) in self.steps.iter().enumerate() {
            let name = |slots: &[u32]| slots.iter().map(|&s| match self.slots[s as usize] {
                Slot::Argument(i) => format!("arg{i}"),
                Slot::Temporary { .. } => format!("t{s}"),
                Slot::Persistent(_) => format!("p{s}"),
            }).collect::<Vec<_>>().join(", ");
            let shapes = step.command.outputs.iter().map(|t| format!("{} {}", t.meta.dtype, t.meta.shape())).collect::<Vec<_>>().join(", ");
            text += &format!("{i:4}  {} ({}) -> ({}) {shapes}\n", step.command.op.spec().name, name(&step.operands), name(&step.outputs));
        }
        text
    }

    /// Binds arguments and makes the tensors that this replay will fill.
    pub fn bind(self: &Arc<Program>, arguments: &[Arc<Tensor>]) -> Result<(Replay, Vec<Arc<Tensor>>)> {
        if arguments.len() != self.arguments.len() {
            return Err(Error::internal(format!("the program was recorded with {} arguments, got {}", self.arguments.len(), arguments.len())));
        }
        for (argument, recorded) in arguments.iter().zip(&self.arguments) {
            if argument.meta.dtype != recorded.dtype || argument.meta.shape() != recorded.shape() || !argument.meta.layout.is_contiguous()
                || argument.meta.layout.offset != 0
            {
                return Err(Error::internal("an argument differs from the recorded one"));
            }
        }
        let mut bindings: Vec<Option<Arc<Buffer>>> = self.slots.iter().map(|slot| match slot {
            Slot::Argument(i) => Some(arguments[*i].buffer.clone()),
            Slot::Persistent(buffer) => Some(buffer.clone()),
            Slot::Temporary { .. } => None,
        }).collect();
        let outputs = self.outputs.iter().map(|&(meta, slot)| {
            let binding = &mut bindings[slot as usize];
            let buffer = match (&binding, &self.slots[slot as usize]) {
                (Some(buffer), _) => buffer.clone(),
                (None, Slot::Temporary { bytes }) => Buffer::planned(*bytes),
                (None, _) => unreachable!("only temporaries start unbound"),
            };
            *binding = Some(buffer.clone());
            Arc::new(Tensor { meta, device: Device::Cpu, buffer })
        }).collect();
        Ok((Replay { program: self.clone(), bindings, cursor: 0, undo: Vec::new() }, outputs))
    }

    /// The buffers that outlive a replay.
    pub fn persistent(&self) -> impl Iterator<Item = &Arc<Buffer>> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Persistent(buffer) => Some(buffer),
            _ => None,
        })
    }
}

/// A program under way. The driver runs one command at a time, so that other streams get their turns.
pub struct Replay {
    program: Arc<Program>,
    bindings: Vec<Option<Arc<Buffer>>>,
    cursor: usize,
    undo: Vec<(u32, Block)>,
}

impl Replay {
    /// Runs the next command. `Ok(true)` when the program is over.
    pub fn advance(&mut self, executor: &mut Executor, sequence: u64) -> std::result::Result<bool, Arc<Failure>> {
        let program = self.program.clone();
        let Some(step) = program.steps.get(self.cursor) else { return Ok(true) };
        self.cursor += 1;
        for &slot in &step.outputs {
            if let (None, Slot::Temporary { bytes }) = (&self.bindings[slot as usize], &program.slots[slot as usize]) {
                self.bindings[slot as usize] = Some(Buffer::planned(*bytes));
            }
        }
        let result = self.guard(step).and_then(|()| {
            let bound = |tensors: &[Arc<Tensor>], slots: &[u32]| -> SmallVec<[usize; 8]> {
                debug_assert_eq!(tensors.len(), slots.len());
                slots.iter().map(|&s| s as usize).collect()
            };
            let (reads, writes) = (bound(&step.command.operands, &step.operands), bound(&step.command.outputs, &step.outputs));
            let pairs = |tensors: &'_ [Arc<Tensor>], slots: &[usize]| -> Vec<(Meta, Arc<Buffer>)> {
                tensors.iter().zip(slots).map(|(t, &s)| (t.meta, self.bindings[s].clone().expect("bound before use"))).collect()
            };
            let (operands, outputs) = (pairs(&step.command.operands, &reads), pairs(&step.command.outputs, &writes));
            let operands: SmallVec<[Bound; 8]> = operands.iter().map(|(m, b)| (m, &**b)).collect();
            let outputs: SmallVec<[Bound; 4]> = outputs.iter().map(|(m, b)| (m, &**b)).collect();
            executor.execute(&step.command, &operands, &outputs, sequence)
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

    fn guard(&mut self, step: &Step) -> std::result::Result<(), Arc<Failure>> {
        for &slot in &step.guarded {
            let Some(buffer) = &self.bindings[slot as usize] else { continue };
            // SAFETY: the driver thread, between commands.
            let Some(memory) = (unsafe { buffer.memory() }) else { continue };
            let copy = Block::new(buffer.bytes())
                .map_err(|e| Arc::new(Failure::new(e.kind, step.command.op.spec().name, e.message, step.command.module, 0)))?;
            // SAFETY: both are `bytes` long and apart.
            unsafe { std::ptr::copy_nonoverlapping(memory, copy.as_ptr(), buffer.bytes()) };
            self.undo.push((slot, copy));
        }
        Ok(())
    }

    fn restore(&mut self) {
        while let Some((slot, copy)) = self.undo.pop() {
            let Some(buffer) = &self.bindings[slot as usize] else { continue };
            // SAFETY: the driver thread, between commands; the memory existed when it was copied.
            if let Some(memory) = unsafe { buffer.memory() } {
                // SAFETY: both are `bytes` long and apart.
                unsafe { std::ptr::copy_nonoverlapping(copy.as_ptr(), memory, buffer.bytes()) };
            }
        }
    }
}
