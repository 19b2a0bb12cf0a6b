//! Chains: commands that follow each other and work on each element by itself run as one, tile by tile. What only passes between them needs no memory.
use super::{Program, Step};
use crate::dispatch::pointwise;
use crate::spec::Attrs;
use ferrograd_cpu::{Link, Place, TILES, chain_local};
use ferrograd_tensor::{DType, Meta};
use std::collections::{HashMap, HashSet};

/// The longest chain: longer ones would keep more results of their own than they spare.
const LONGEST: usize = 32;

impl Program {
    /// Joins commands where one reads what another, before it in a run of such commands, gives.
    pub(super) fn plan_chains(&mut self) {
        let mut last_use: HashMap<u32, usize> = HashMap::new();
        for (i, step) in self.steps.iter().enumerate() {
            last_use.extend(step.operands.iter().map(|&(_, slot)| (slot, i)));
        }
        last_use.extend(self.outputs.iter().map(|&(_, slot)| (slot, usize::MAX)));
        let mut steps = std::mem::take(&mut self.steps).into_iter().enumerate().peekable();
        let mut joined = Vec::new();
        while let Some((i, step)) = steps.next() {
            let Some(numel) = elements(&step) else {
                joined.push(step);
                continue;
            };
            let mut made: HashSet<u32> = step.outputs.iter().map(|&(_, slot)| slot).collect();
            let mut run = vec![step];
            while run.len() < LONGEST
                && let Some((_, next)) = steps.next_if(|(_, next)| elements(next) == Some(numel) && reads_whole(next, numel, &made))
            {
                made.extend(next.outputs.iter().map(|&(_, slot)| slot));
                run.push(next);
            }
            let end = i + run.len();
            joined.extend(chains(run, &made, |slot| last_use.get(&slot).is_some_and(|&last| last >= end)));
        }
        self.steps = joined;
    }
}

/// How many elements a command works on one by one, all float32. `None` for any other command.
fn elements(step: &Step) -> Option<usize> {
    let &(out, _) = step.outputs.first()?;
    let single = step.operands.iter().chain(&step.outputs).all(|(meta, _)| meta.dtype == DType::F32);
    let fusible = pointwise(step.op).is_some() && !step.anomaly && single;
    fusible.then(|| out.numel())
}

/// Whether the command reads what others before it in its run give element by element: any other part of it is not there while they have done a
/// tile only.
fn reads_whole(step: &Step, numel: usize, made: &HashSet<u32>) -> bool {
    let whole = |meta: &Meta| meta.numel() == numel && meta.layout.is_contiguous();
    step.operands.iter().all(|(meta, slot)| whole(meta) || !made.contains(slot))
}

/// The run as one chain, or as it is where nothing passes from one command to another.
fn chains(run: Vec<Step>, made: &HashSet<u32>, needed_later: impl Fn(u32) -> bool) -> Vec<Step> {
    if !run.iter().flat_map(|step| &step.operands).any(|(_, slot)| made.contains(slot)) {
        return run;
    }
    let mut last_reader: HashMap<u32, usize> = HashMap::new();
    for (i, step) in run.iter().enumerate() {
        last_reader.extend(step.operands.iter().map(|&(_, slot)| (slot, i)));
    }
    let mut chain = Chain::default();
    for (i, step) in run.iter().enumerate() {
        chain.add(step, &needed_later);
        // Tiles whose last reader this was are free for the results behind it.
        chain.tiles.iter_mut().for_each(|tile| *tile = tile.filter(|slot| last_reader.get(slot).is_some_and(|&last| last > i)));
    }
    let last = &run[run.len() - 1];
    vec![Step {
        op: last.op,
        anomaly: false,
        module: last.module,
        scratch: 0,
        local: chain_local(chain.reads.iter().map(|(meta, _)| meta)),
        arity: vec![chain.reads.len() as u16],
        attrs: Attrs::default(),
        links: chain.links,
        operands: chain.reads,
        outputs: chain.results,
        frees: Vec::new(),
        guarded: Vec::new(),
    }]
}

/// A chain as far as it is made.
#[derive(Default)]
struct Chain {
    links: Vec<Link>,
    reads: Vec<(Meta, u32)>,
    results: Vec<(Meta, u32)>,
    places: HashMap<u32, Place>,
    /// Whose elements lie in each tile.
    tiles: [Option<u32>; TILES],
}

impl Chain {
    fn add(&mut self, step: &Step, needed_later: impl Fn(u32) -> bool) {
        let Some(function) = pointwise(step.op) else { return };
        let (meta, slot) = step.outputs[0];
        let mut find = |&(from, slot): &(Meta, u32)| match self.places.get(&slot) {
            Some(&place) => place,
            None => {
                // As it is read: of the result's shape.
                let layout = from.layout.broadcast_to(meta.shape()).unwrap_or(from.layout);
                let read = (Meta { layout, ..from }, slot);
                let at = self.reads.iter().position(|&known| known == read);
                Place::Read(at.unwrap_or_else(|| {
                    self.reads.push(read);
                    self.reads.len() - 1
                }))
            }
        };
        let x = find(&step.operands[0]);
        let y = step.operands.get(1).map_or(x, find);
        // A result that is not needed later passes through a tile, if there is one.
        let tile = if needed_later(slot) { None } else { self.tiles.iter().position(Option::is_none) };
        let out = match tile {
            Some(tile) => {
                self.tiles[tile] = Some(slot);
                Place::Tile(tile)
            }
            None => {
                self.results.push((meta, slot));
                Place::Written(self.results.len() - 1)
            }
        };
        self.places.insert(slot, out);
        let floats = &step.attrs.floats;
        let attr = |i: usize| floats.get(i).copied().unwrap_or(0.0);
        self.links.push(Link { function, a: attr(0), b: attr(1), operands: [x, y], out });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Recorder;
    use crate::storage::Tensor;
    use crate::{Device, Op, Session};
    use ferrograd_cpu::Spread;
    use ferrograd_tensor::{Layout, Shape};
    use std::rc::Rc;

    struct Made {
        session: Session,
        recorder: Recorder,
    }

    impl Made {
        fn new(x: &Rc<Tensor>, session: Session) -> Made {
            Made { session, recorder: Recorder::new(vec![x.clone()]) }
        }
        fn op(&mut self, op: Op, operands: &[&Rc<Tensor>]) -> Rc<Tensor> {
            let mut command = self.session.command(op);
            command.operands.extend(operands.iter().map(|&t| t.clone()));
            command.arity.extend(operands.iter().map(|_| 1));
            let y = self.session.planned(DType::F32, &operands[0].meta.shape(), Device::Cpu);
            command.outputs.push(y.clone());
            self.recorder.record(*command);
            y
        }
        fn steps(self, outputs: &[Rc<Tensor>]) -> Vec<(usize, usize, usize)> {
            let program = self.recorder.plan(outputs).0;
            program.steps.iter().map(|step| (step.links.len(), step.operands.len(), step.outputs.len())).collect()
        }
    }

    fn made() -> (Made, Rc<Tensor>) {
        let mut session = Session::new();
        let x = session.planned(DType::F32, &Shape::new(&[100]).unwrap(), Device::Cpu);
        (Made::new(&x, session), x)
    }

    #[test]
    fn a_run_becomes_one_command_that_gives_what_is_needed_later() {
        let (mut m, x) = made();
        let a = m.op(Op::exp, &[&x]);
        let b = m.op(Op::mul, &[&a, &x]);
        let c = m.op(Op::tanh, &[&b]);
        assert_eq!(m.steps(&[b, c]), [(3, 1, 2)]);
    }

    #[test]
    fn commands_that_pass_nothing_on_stay_apart() {
        let (mut m, x) = made();
        let (a, b) = (m.op(Op::exp, &[&x]), m.op(Op::tanh, &[&x]));
        assert_eq!(m.steps(&[a, b]), [(0, 1, 1), (0, 1, 1)]);
    }

    #[test]
    fn more_results_than_tiles_get_memory() {
        let (mut m, x) = made();
        let all: Vec<_> = (0..TILES + 3).map(|_| m.op(Op::exp, &[&x])).collect();
        let mut sum = all[0].clone();
        for y in &all[1..] {
            sum = m.op(Op::add, &[&sum, y]);
        }
        // Each sum needs a tile too, and the first finds none.
        assert_eq!(m.steps(&[sum]), [(2 * TILES + 5, 1, 5)]);
    }

    fn view(of: &Rc<Tensor>, dims: &[usize]) -> Rc<Tensor> {
        Tensor::view(of, &Meta { dtype: DType::F32, layout: Layout::contiguous(Shape::new(dims).unwrap()) })
    }

    #[test]
    fn a_part_of_what_a_command_gives_is_no_operand_of_its_chain() {
        let (mut m, x) = made();
        let a = m.op(Op::exp, &[&x]);
        let b = m.op(Op::tanh, &[&a]);
        let c = m.op(Op::mul, &[&b, &view(&a, &[1])]);
        let d = m.op(Op::exp, &[&c]);
        assert_eq!(m.steps(&[d]), [(2, 1, 2), (2, 2, 1)]);
    }

    #[test]
    fn rows_and_columns_are_operands_of_a_chain() {
        let mut session = Session::new();
        let x = session.planned(DType::F32, &Shape::new(&[4, 25]).unwrap(), Device::Cpu);
        let mut m = Made::new(&x, session);
        let y = m.op(Op::add, &[&x, &view(&x, &[25])]);
        let y = m.op(Op::mul, &[&y, &view(&x, &[4, 1])]);
        let y = m.op(Op::sub, &[&y, &view(&x, &[])]);
        let program = m.recorder.plan(&[y]).0;
        let spreads: Vec<Spread> = program.steps[0].operands.iter().map(|(meta, _)| Spread::of(&meta.layout)).collect();
        assert_eq!((program.steps.len(), spreads), (1, vec![Spread::Whole, Spread::Row, Spread::Column, Spread::Single]));
        // What repeats is laid out in the room of a thread.
        assert!(program.steps[0].local >= 4 * (25 + 100));
    }

    #[test]
    fn what_broadcasts_to_more_elements_begins_a_chain_of_its_own() {
        let mut session = Session::new();
        let x = session.planned(DType::F32, &Shape::new(&[25]).unwrap(), Device::Cpu);
        let whole = session.planned(DType::F32, &Shape::new(&[4, 25]).unwrap(), Device::Cpu);
        let mut m = Made::new(&x, session);
        m.recorder.add_argument(whole.clone());
        let row = m.op(Op::exp, &[&x]);
        let row = m.op(Op::tanh, &[&row]);
        let y = m.op(Op::add, &[&whole, &row]);
        let y = m.op(Op::exp, &[&y]);
        assert_eq!(m.steps(&[y]), [(2, 1, 1), (2, 2, 1)]);
    }
}
