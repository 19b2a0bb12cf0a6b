//! A program as text, for people.
use super::{Program, Slot, Step};
use crate::spec::AttrKind;
use ferrograd_cpu::Spread;
use ferrograd_tensor::Meta;
use std::fmt::Write;

impl Program {
    /// One line a command: its operands and results (`arg` for an argument, `t` for a temporary, `p` for what outlives the program, `out` for what it
    /// gives; in a chain how it lies beside the results, unless as they do), its attributes but for zeros, and the bytes of all of them; then the totals.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        let mut moved = 0;
        for (i, step) in self.steps.iter().enumerate() {
            let reads = |(meta, slot): &(Meta, u32)| match Spread::of(&meta.layout) {
                spread if !step.links.is_empty() && spread != Spread::Whole => format!("{spread} {}", self.name(*slot)),
                _ => self.name(*slot),
            };
            let operands = step.operands.iter().map(reads).collect::<Vec<_>>().join(", ");
            let outputs = step.outputs.iter().map(|&(_, slot)| self.name(slot)).collect::<Vec<_>>().join(", ");
            let shapes = step.outputs.iter().map(|(meta, _)| format!("{} {}", meta.dtype, meta.shape())).collect::<Vec<_>>().join(", ");
            let bytes: usize = step.operands.iter().chain(&step.outputs).map(|(meta, _)| meta.bytes()).sum();
            moved += bytes;
            let (name, attrs) = (title(step), attributes(step));
            let _ = writeln!(text, "{i:4}  {name} ({operands}) -> ({outputs}) {shapes}{attrs}  {}", size(bytes));
        }
        let temporaries: Vec<usize> =
            self.slots.iter().filter_map(|s| if let Slot::Temporary { bytes, place: Some(_) } = s { Some(*bytes) } else { None }).collect();
        let persistent = self.slots.iter().filter(|s| matches!(s, Slot::Persistent(_))).count();
        let _ = writeln!(
            text,
            "{} commands read and write {}; {} left out that nobody needed; {} arguments, {persistent} tensors that stay, {} outputs;\n\
             {} temporaries of {} in one block of {}",
            self.steps.len(),
            size(moved),
            self.left_out,
            self.arguments.len(),
            self.outputs.len(),
            temporaries.len(),
            size(temporaries.iter().sum()),
            size(self.room)
        );
        text
    }

    fn name(&self, slot: u32) -> String {
        match self.slots[slot as usize] {
            Slot::Argument(i) => format!("arg{i}"),
            Slot::Temporary { place: None, .. } => format!("out{slot}"),
            Slot::Temporary { .. } => format!("t{slot}"),
            Slot::Persistent(_) => format!("p{slot}"),
        }
    }
}

/// The op's name, or those of the functions that run as one.
fn title(step: &Step) -> String {
    match &step.links[..] {
        [] => step.op.spec().name.into(),
        links => links.iter().map(|link| link.function.name()).collect::<Vec<_>>().join(" + "),
    }
}

/// ' {stride: [1, 1], activation: 1}'; what is 0, false or empty goes without saying.
fn attributes(step: &Step) -> String {
    let (mut ints, mut floats) = (step.attrs.ints.iter(), step.attrs.floats.iter());
    let mut said = Vec::new();
    for (name, kind) in step.op.spec().attrs {
        match kind {
            AttrKind::F64 => said.extend(floats.next().filter(|&&v| v != 0.0).map(|v| format!("{name}: {v}"))),
            AttrKind::I64 | AttrKind::Bool => said.extend(ints.next().filter(|&&v| v != 0).map(|v| format!("{name}: {v}"))),
            AttrKind::Dims => {
                let len = ints.next().map_or(0, |&n| n as usize);
                let dims: Vec<i64> = ints.by_ref().take(len).copied().collect();
                if dims.iter().any(|&d| d != 0) {
                    said.push(format!("{name}: {dims:?}"));
                }
            }
        }
    }
    if said.is_empty() { String::new() } else { format!(" {{{}}}", said.join(", ")) }
}

/// Bytes as people read them.
fn size(bytes: usize) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
