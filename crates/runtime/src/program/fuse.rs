//! Chains: commands that follow each other and work on each element by itself run as one, tile by tile, and so does a sum or mean of rows behind them.
//! What only passes between them needs no memory.
use super::{Program, Step};
use crate::dispatch::{Op, pointwise};
use crate::spec::Attrs;
use ferrograd_cpu::{Function, Link, Place, TILES, chain_local, chain_scratch};
use ferrograd_tensor::{DType, Meta, rules};
use std::collections::{HashMap, HashSet};

/// The longest chain: longer ones would keep more results of their own than they spare.
const LONGEST: usize = 32;
/// Commands that a chain may reach over for more of its own. Few, for what it makes earlier takes memory longer.
const BETWEEN: usize = 4;

impl Program {
    /// Joins commands where one reads what another, before it in a run of such commands, gives.
    pub(super) fn plan_chains(&mut self) {
        let mut reads: HashMap<u32, usize> = HashMap::new();
        for (_, slot) in self.steps.iter().flat_map(|step| &step.operands).chain(&self.outputs) {
            *reads.entry(*slot).or_default() += 1;
        }
        let mut steps: Vec<Option<Step>> = std::mem::take(&mut self.steps).into_iter().map(Some).collect();
        for i in 0..steps.len() {
            match Run::first(&mut steps[i..]) {
                Some(run) => self.steps.extend(run.joined(&reads)),
                None => self.steps.extend(steps[i].take()),
            }
        }
    }
}

/// Commands that may become one chain.
struct Run {
    numel: usize,
    steps: Vec<Step>,
    /// The sum or mean that ends them.
    total: Option<(Step, Function)>,
    /// The slots that they fill.
    made: HashSet<u32>,
}

impl Run {
    /// The run that the first command begins: with those that follow, and, over a few others that do not concern them, those that read what it makes.
    fn first(steps: &mut [Option<Step>]) -> Option<Run> {
        let (first, rest) = steps.split_first_mut()?;
        let mut run = Run { numel: elements(first.as_ref()?)?, steps: Vec::new(), total: None, made: HashSet::new() };
        run.take(first.take()?);
        // How many commands it has reached over, and what these give and write.
        let (mut between, mut theirs) = (0, HashSet::new());
        for place in rest {
            let Some(step) = place else { continue };
            let free = step.operands.iter().all(|(_, slot)| !theirs.contains(slot));
            let total = if free && run.total.is_none() { total(step, run.numel, &run.made) } else { None };
            let reads_ours = || step.operands.iter().any(|(_, slot)| run.made.contains(slot));
            if free && elements(step) == Some(run.numel) && reads_whole(step, run.numel, &run.made) && (between == 0 || reads_ours()) {
                place.take().into_iter().for_each(|step| run.take(step));
            } else {
                theirs.extend(step.outputs.iter().map(|&(_, slot)| slot).chain(step.written()));
                match total {
                    Some(function) => run.total = place.take().map(|step| (step, function)),
                    None => between += 1,
                }
            }
            if between > BETWEEN || run.steps.len() == LONGEST {
                break;
            }
        }
        Some(run)
    }
    fn take(&mut self, step: Step) {
        self.made.extend(step.outputs.iter().map(|&(_, slot)| slot));
        self.steps.push(step);
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

/// The sum or mean that the command is, if of rows of what a run of `numel` elements has made.
fn total(step: &Step, numel: usize, made: &HashSet<u32>) -> Option<Function> {
    let function = match step.op {
        Op::sum => Function::Sum,
        Op::mean => Function::Mean,
        _ => return None,
    };
    let (&[(x, slot)], &[(y, _)]) = (&step.operands[..], &step.outputs[..]) else { return None };
    let (&len, dims) = step.attrs.ints.split_first()?;
    let gone = rules::axes(dims.get(..len as usize)?, x.rank()).ok()?;
    let mut sizes = (0..x.rank()).filter(|&i| x.dims()[i] > 1).map(|i| gone[i]);
    let rows = sizes.by_ref().find(|&gone| gone).is_some() && sizes.all(|gone| gone);
    let fits = x.dtype == DType::F32 && y.dtype == DType::F32 && !step.anomaly && numel > 0;
    (rows && fits && made.contains(&slot) && reads_whole(step, numel, made)).then_some(function)
}

impl Run {
    /// The run as one chain; or as it is where nothing passes from one command to another. `reads`: how often each slot is read.
    fn joined(self, reads: &HashMap<u32, usize>) -> Vec<Step> {
        let Run { numel, steps, total, made } = self;
        if total.is_none() && !steps.iter().flat_map(|step| &step.operands).any(|(_, slot)| made.contains(slot)) {
            return steps;
        }
        // Who of them reads each slot last, and how often they do.
        let mut readers: HashMap<u32, (usize, usize)> = HashMap::new();
        for (i, step) in steps.iter().chain(total.as_ref().map(|(step, _)| step)).enumerate() {
            for &(_, slot) in &step.operands {
                let (last, count) = readers.entry(slot).or_default();
                (*last, *count) = (i, *count + 1);
            }
        }
        let needed_later = |slot: u32| reads.get(&slot) > readers.get(&slot).map(|(_, count)| count);
        let mut chain = Chain::default();
        for (i, step) in steps.iter().enumerate() {
            chain.add(step, needed_later);
            // Tiles whose last reader this was are free for the results behind it.
            chain.tiles.iter_mut().for_each(|tile| *tile = tile.filter(|slot| readers.get(slot).is_some_and(|&(last, _)| last > i)));
        }
        let (mut scratch, mut attrs, mut last) = (0, Attrs::default(), &steps[steps.len() - 1]);
        if let Some((step, function)) = &total {
            chain.end(step, *function);
            (scratch, attrs, last) = (chain_scratch(numel, numel / step.outputs[0].0.numel()), step.attrs.clone(), step);
        }
        vec![Step {
            op: last.op,
            anomaly: false,
            module: last.module,
            scratch,
            local: chain_local(chain.reads.iter().map(|(meta, _)| meta)),
            arity: vec![chain.reads.len() as u16],
            attrs,
            links: chain.links,
            operands: chain.reads,
            outputs: chain.results,
            frees: Vec::new(),
            guarded: Vec::new(),
        }]
    }
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
    /// Its last link: a sum or mean of what an earlier one gives.
    fn end(&mut self, step: &Step, function: Function) {
        let Some(&of) = self.places.get(&step.operands[0].1) else { return };
        self.results.push(step.outputs[0]);
        self.links.push(Link { function, a: 0.0, b: 0.0, operands: [of; 2], out: Place::Written(self.results.len() - 1) });
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

    #[test]
    fn a_chain_reaches_over_commands_that_do_not_concern_it() {
        let (mut m, x) = made();
        let a = m.op(Op::exp, &[&x]);
        let other = m.op(Op::softmax, &[&a]);
        let b = m.op(Op::mul, &[&a, &x]);
        // Reads what stands between.
        let c = m.op(Op::mul, &[&b, &other]);
        assert_eq!(m.steps(&[c]), [(2, 1, 2), (0, 1, 1), (0, 2, 1)]);
        let (mut m, x) = made();
        let a = m.op(Op::exp, &[&x]);
        let others: Vec<_> = (0..=BETWEEN).map(|_| m.op(Op::softmax, &[&a])).collect();
        let b = m.op(Op::mul, &[&a, &x]);
        assert_eq!(m.steps(&[&others[..], &[b]].concat()).len(), BETWEEN + 3);
    }

    #[test]
    fn a_chain_reads_nothing_before_it_is_written_in_place() {
        let (mut m, x) = made();
        let a = m.op(Op::exp, &[&x]);
        let mut command = m.session.command(Op::fill);
        command.operands.push(x.clone());
        command.arity.push(1);
        m.recorder.record(*command);
        let b = m.op(Op::mul, &[&a, &x]);
        assert_eq!(m.steps(&[b]), [(0, 1, 1), (0, 1, 0), (0, 2, 1)]);
    }

    #[test]
    fn sums_of_rows_end_a_chain_and_sums_of_columns_do_not() {
        let total = |dims: &[i64]| {
            let mut session = Session::new();
            let x = session.planned(DType::F32, &Shape::new(&[2, 3, 50]).unwrap(), Device::Cpu);
            let mut m = Made::new(&x, session);
            let y = m.op(Op::square, &[&x]);
            let mut command = m.session.command(Op::sum);
            command.operands.push(y);
            command.arity.push(1);
            command.attrs.ints.push(dims.len() as i64);
            command.attrs.ints.extend(dims);
            command.attrs.ints.push(0);
            let kept = (0..3).filter(|i| !dims.is_empty() && !dims.contains(i)).map(|i| [2, 3, 50][i as usize]).collect::<Vec<_>>();
            let sum = m.session.planned(DType::F32, &Shape::new(&kept).unwrap(), Device::Cpu);
            command.outputs.push(sum.clone());
            m.recorder.record(*command);
            m.steps(&[sum])
        };
        for rows in [&[][..], &[2], &[1, 2], &[0, 1, 2]] {
            assert_eq!(total(rows), [(2, 1, 1)], "{rows:?}");
        }
        for columns in [&[0][..], &[1], &[0, 2], &[0, 1]] {
            assert_eq!(total(columns), [(0, 1, 1), (0, 1, 1)], "{columns:?}");
        }
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
