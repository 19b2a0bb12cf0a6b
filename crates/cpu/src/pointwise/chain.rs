//! Several functions one after the other, tile by tile: what passes between them stays in the first-level cache and is never written to memory. Each
//! element goes through the same formulas as when the functions run one by one, so that its bits are the same. The last may be a sum or a mean of
//! rows, which takes in each tile as it is made.
use super::spread::{Source, room};
use super::{Binary, Compiled, Run, Unary};
use crate::fold::{Fold, Sum};
use crate::reduce::{Pieces, fold_whole_rows};
use crate::strided::{GRAIN, streams};
use ferrograd_tensor::{Cx, DType, Error, Meta, Result, SyncPtr, View, ViewMut};
use std::mem::MaybeUninit;

/// Elements of a tile.
pub(super) const TILE: usize = 1024;
/// Tiles that a chain may use: 32 KiB.
pub const TILES: usize = 8;

/// A row of one of the two tables, or what may end a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Unary(Unary),
    Binary(Binary),
    /// Of as many neighbouring elements each as there are for one of its results.
    Sum,
    /// As `Sum`, divided by their number.
    Mean,
}

/// Where a link finds an operand, or puts its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An operand of the chain.
    Read(usize),
    /// A result of the chain.
    Written(usize),
    /// A tile, by number.
    Tile(usize),
}

/// One function of a chain. A sum or mean is the last, and its result the chain's last.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub function: Function,
    pub a: f64,
    pub b: f64,
    /// A function of one operand reads it twice.
    pub operands: [Place; 2],
    pub out: Place,
}

impl Function {
    /// As in the op table.
    pub fn name(self) -> &'static str {
        match self {
            Function::Unary(op) => op.name(),
            Function::Binary(op) => op.name(),
            Function::Sum => "sum",
            Function::Mean => "mean",
        }
    }
    /// `None` for what is no function of single elements.
    fn compiled(self, a: f64) -> Option<Compiled> {
        match self {
            Function::Unary(op) => Some(op.plain(a).compiled()),
            Function::Binary(op) => Some(op.compiled()),
            Function::Sum | Function::Mean => None,
        }
    }
}

/// Room of each thread in bytes: for operands that broadcast, or lie otherwise than the results.
pub fn chain_local<'a>(reads: impl IntoIterator<Item = &'a Meta>) -> usize {
    reads.into_iter().map(|meta| room(&meta.layout)).sum::<usize>() * size_of::<f32>()
}

/// Scratch in bytes of a chain over `numel` elements that ends in sums of `row` elements each: partial sums of rows that several tasks share.
pub fn chain_scratch(numel: usize, row: usize) -> usize {
    if row > GRAIN { numel / row * row.div_ceil(GRAIN) * size_of::<f64>() } else { 0 }
}

/// Runs the links in their order. Operands and results are float32 and of one number of elements, but for the result of a sum or mean; results are
/// contiguous, operands of any strides, 0 where they broadcast.
pub fn chain(cx: &mut Cx, links: &[Link], reads: &[View], results: &mut [ViewMut]) -> Result {
    let fault = || Error::internal("a chain of pointwise functions does not fit its operands");
    let numel = reads.first().ok_or_else(fault)?.numel();
    let (links, ending) = match links {
        [links @ .., last] if last.function.compiled(0.0).is_none() => (links, Some(last)),
        _ => (links, None),
    };
    let totals = match ending {
        Some(_) => results.last().ok_or_else(fault)?.numel(),
        None => 0,
    };
    let written = results.len() - ending.is_some() as usize;
    let fits = |view: &View| view.dtype() == DType::F32 && view.numel() == numel;
    let whole = |view: &ViewMut| view.numel() == numel;
    let known = |place: Place| match place {
        Place::Read(i) => i < reads.len(),
        Place::Written(i) => i < written,
        Place::Tile(i) => i < TILES,
    };
    let placed = |link: &Link| link.operands.iter().all(|&p| known(p)) && known(link.out) && !matches!(link.out, Place::Read(_));
    let ends = |link: &Link| {
        known(link.operands[0]) && !matches!(link.operands[0], Place::Read(_)) && totals > 0 && numel > 0 && numel.is_multiple_of(totals)
    };
    let single = results.iter().all(|view| view.dtype() == DType::F32) && reads.iter().all(fits);
    if !single || !results[..written].iter().all(whole) || !links.iter().all(placed) || !ending.is_none_or(ends) {
        return Err(fault());
    }
    if numel == 0 {
        return Ok(());
    }
    let mut local = 0;
    let sources: Vec<Source> = reads
        .iter()
        .map(|view| {
            let source = Source::new(view, local);
            local += room(view.layout());
            source
        })
        .collect();
    let targets: Vec<SyncPtr<f32>> = results.iter_mut().map(|v| SyncPtr(v.ptr_mut::<f32>())).collect();
    let summed = ending.map(|link| link.operands[0]);
    let later = |i: usize| links[i + 1..].iter().flat_map(|link| link.operands).chain(summed);
    let steps: Vec<Step> = links.iter().enumerate().filter_map(|(i, link)| Step::new(link, later(i), numel)).collect();
    let cut = Cut { row: numel / totals.max(1), numel };
    let divisor = if ending.is_some_and(|link| link.function == Function::Mean) { cut.row } else { 1 };
    let partial_sums = if ending.is_some() && cut.parts() > 1 { cut.tasks() } else { 0 };
    let (partial, mut cx) = cx.split_scratch::<f64>(partial_sums);
    let spill = SyncPtr(partial.as_mut_ptr());
    cx.par_local::<u8>(cut.tasks(), local * size_of::<f32>(), |task, room| {
        let room = room.as_mut_ptr().cast::<f32>();
        let mut tiles = Tiles([[const { MaybeUninit::uninit() }; TILE]; TILES]);
        let tiles = tiles.0.as_mut_ptr().cast::<f32>();
        let mut pieces = Pieces::<Sum<f32>>::new();
        let (start, end) = cut.range(task);
        let mut at = start;
        while at < end {
            let len = cut.tile(at, end);
            // SAFETY: operands have `numel` elements, and the room is what they ask for.
            sources.iter().for_each(|source| unsafe { source.load(at, len, at == start, room) });
            // SAFETY: places were checked above; operands and results have `numel` elements, tiles `TILE`. Tasks' elements are disjoint. A result is
            // read only behind the link that wrote it.
            let find = |place: Place| unsafe {
                match place {
                    Place::Read(i) => sources[i].find(at, len, room),
                    Place::Written(i) => (targets[i].get().cast_const().add(at), 1),
                    Place::Tile(i) => (tiles.add(i * TILE).cast_const(), 1),
                }
            };
            for step in &steps {
                let [(x, x_step), (y, y_step)] = step.operands.map(find);
                let out = find(step.out).0.cast_mut();
                // SAFETY: as above.
                unsafe { (step.row.single)(&Run { x, x_step, y, y_step, out, len, a: step.a, b: step.b, stream: step.stream }) };
            }
            if let Some(place) = summed {
                let (x, sums) = (find(place).0, targets[written].get());
                // SAFETY: `len` elements at `x`; the sums of this tile's rows, or this task's partial one, are this task's.
                unsafe {
                    if cut.row <= TILE {
                        fold_whole_rows::<Sum<f32>>(
                            x,
                            cut.row,
                            divisor,
                            std::slice::from_raw_parts_mut(sums.add(at / cut.row), len / cut.row),
                        );
                    } else if at + len < end && !(at + len).is_multiple_of(cut.row) {
                        pieces.take(x, len);
                    } else if cut.parts() == 1 {
                        *sums.add(at / cut.row) = Sum::<f32>::finish(pieces.finish(x, len), divisor);
                    } else {
                        *spill.get().add(task) = pieces.finish(x, len);
                    }
                }
            }
            at += len;
        }
    });
    if partial_sums > 0 {
        for (y, parts) in results[written].slice_mut::<f32>().iter_mut().zip(partial.chunks_exact(cut.parts())) {
            *y = Sum::<f32>::finish(parts.iter().fold(Sum::<f32>::start(), |a, &b| Sum::<f32>::join(a, b)), divisor);
        }
    }
    Ok(())
}

/// At the start of a line: vectors across lines are slow to write.
#[repr(align(64))]
struct Tiles([[MaybeUninit<f32>; TILE]; TILES]);

/// How elements in rows are cut into tasks and tiles: as the sums of rows are cut, so that these have their bits. Without sums all is one row.
struct Cut {
    row: usize,
    numel: usize,
}

impl Cut {
    /// Tasks that share a row.
    fn parts(&self) -> usize {
        self.row.div_ceil(GRAIN)
    }
    /// Rows of a task, where it has whole ones.
    fn rows(&self) -> usize {
        (GRAIN / self.row).max(1)
    }
    fn tasks(&self) -> usize {
        (self.numel / self.row).div_ceil(self.rows()) * self.parts()
    }
    fn range(&self, task: usize) -> (usize, usize) {
        let (first, part) = (task / self.parts() * self.rows() * self.row, task % self.parts() * GRAIN);
        (first + part, (first + (part + GRAIN).min(self.rows() * self.row)).min(self.numel))
    }
    /// Whole rows, or a part of one.
    fn tile(&self, at: usize, end: usize) -> usize {
        let most = if self.row > TILE { TILE.min(self.row - at % self.row) } else { TILE - TILE % self.row };
        most.min(end - at)
    }
}

/// A link made ready.
struct Step {
    row: Compiled,
    a: f64,
    b: f64,
    operands: [Place; 2],
    out: Place,
    stream: bool,
}

impl Step {
    /// `later`: what is read behind it.
    fn new(link: &Link, mut later: impl Iterator<Item = Place>, numel: usize) -> Option<Step> {
        let Link { function, a, b, operands, out } = *link;
        let stream = matches!(out, Place::Written(_)) && streams(4 * numel) && !later.any(|place| place == out);
        Some(Step { row: function.compiled(a)?, a, b, operands, out, stream })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::shuffled::on_lanes;
    use crate::pointwise::{binary, unary};
    use crate::reduce::{mean, reduce_scratch, sum};
    use crate::testing::{each_isa, noise, run};
    use ferrograd_tensor::{Layout, Shape};

    fn link(function: Function, a: f64, operands: [Place; 2], out: Place) -> Link {
        Link { function, a, b: 0.0, operands, out }
    }

    /// `data` through a layout.
    fn seen(data: &[f32], layout: Layout) -> View<'_> {
        // SAFETY: the tests' layouts lie inside their data.
        unsafe { View::new(data.as_ptr().cast_mut().cast(), Meta { dtype: DType::F32, layout }) }
    }

    #[test]
    fn operands_that_broadcast_have_the_bits_of_functions_one_by_one() {
        // Results, and operands in their own shapes.
        let cases: [(&[usize], &[&[usize]]); 9] = [
            (&[3, 5], &[&[5], &[3, 1], &[]]),
            (&[1300, 64], &[&[64], &[1300, 1]]),
            (&[50, 1025], &[&[1, 1025], &[50, 1]]),
            (&[20, 2047], &[&[2047], &[20, 1]]),
            (&[9, 5000], &[&[5000], &[9, 1]]),
            (&[30_011, 3], &[&[3], &[30_011, 1]]),
            (&[2, 3, 700, 4], &[&[3, 1, 4], &[700, 1], &[2, 1, 1, 4], &[2, 3, 1, 1], &[1, 3, 1, 1], &[700, 4]]),
            (&[2, 40_000], &[&[40_000], &[2, 1], &[1]]),
            (&[0, 7], &[&[7], &[0, 1]]),
        ];
        each_isa(|isa| {
            for (dims, operands) in &cases {
                let shape = Shape::new(dims).unwrap();
                let data = |seed: usize, dims: &[usize]| -> Vec<f32> {
                    noise(seed as u64 + 1, dims.iter().product()).iter().map(|&v| v as f32).collect()
                };
                // The last one is read across: its rows are columns.
                let strides: Vec<isize> = (0..dims.len()).map(|i| dims[..i].iter().product::<usize>() as isize).collect();
                let mut all: Vec<(Vec<f32>, Layout)> = operands
                    .iter()
                    .enumerate()
                    .map(|(i, dims)| (data(i, dims), Layout::contiguous(Shape::new(dims).unwrap()).broadcast_to(shape).unwrap()))
                    .collect();
                all.push((data(99, dims), Layout::strided(shape, &strides, 0)));
                let reads: Vec<View> = all.iter().map(|(data, layout)| seen(data, *layout)).collect();
                let x = data(77, dims);
                let mut want = x.clone();
                for read in &reads {
                    let from = want.clone();
                    run(0, |cx| binary(cx, Binary::hypot, &View::of(&from, dims), read, 0.0, 0.0, &mut ViewMut::of(&mut want, dims)))
                        .unwrap();
                }
                let mut chained = vec![View::of(&x, dims)];
                chained.extend(reads);
                let hypot = Function::Binary(Binary::hypot);
                let last = chained.len() - 2;
                let links: Vec<Link> = (0..=last)
                    .map(|i| {
                        let from = if i == 0 { Place::Read(0) } else { Place::Tile(i % 2) };
                        link(hypot, 0.0, [from, Place::Read(i + 1)], if i == last { Place::Written(0) } else { Place::Tile(1 - i % 2) })
                    })
                    .collect();
                for threads in [1, 3] {
                    let mut got = vec![0f32; want.len()];
                    on_lanes(threads, 0, chain_local(chained.iter().map(View::meta)), |cx| {
                        chain(cx, &links, &chained, &mut [ViewMut::of(&mut got, dims)])
                    })
                    .unwrap();
                    assert!(got == want, "{dims:?} on {} with {threads} threads", isa.name());
                }
            }
        });
    }

    #[test]
    fn has_the_bits_of_its_functions_one_by_one() {
        use Place::{Read, Tile, Written};
        each_isa(|_| {
            for n in [0usize, 1, 15, 16, 17, 1023, 1024, 1025, 40_000] {
                let (x, y): (Vec<f32>, Vec<f32>) =
                    (noise(1, n).iter().map(|&v| v as f32).collect(), noise(2, n).iter().map(|&v| v as f32).collect());
                let one = [0.75f32];
                let of = |f: &dyn Fn(&mut Cx, &mut ViewMut) -> Result| {
                    let mut out = vec![0f32; n];
                    run(0, |cx| f(cx, &mut ViewMut::of(&mut out, &[n]))).unwrap();
                    out
                };
                let (xv, yv, ov) = (View::of(&x, &[n]), View::of(&y, &[n]), View::of(&one, &[1]));
                let product = of(&|cx, out| binary(cx, Binary::mul, &xv, &yv, 0.0, 0.0, out));
                let shifted = of(&|cx, out| binary(cx, Binary::add, &View::of(&product, &[n]), &ov, 0.0, 0.0, out));
                let bent = of(&|cx, out| unary(cx, Unary::gelu, &View::of(&shifted, &[n]), 0.0, 0.0, out));
                let squared = of(&|cx, out| unary(cx, Unary::pow_scalar, &View::of(&bent, &[n]), 2.0, 0.0, out));
                let links = [
                    link(Function::Binary(Binary::mul), 0.0, [Read(0), Read(1)], Tile(0)),
                    link(Function::Binary(Binary::add), 0.0, [Tile(0), Read(2)], Tile(1)),
                    link(Function::Unary(Unary::gelu), 0.0, [Tile(1), Tile(1)], Written(0)),
                    link(Function::Unary(Unary::pow_scalar), 2.0, [Written(0), Written(0)], Written(1)),
                ];
                let (mut first, mut second) = (vec![0f32; n], vec![0f32; n]);
                let mut results = [ViewMut::of(&mut first, &[n]), ViewMut::of(&mut second, &[n])];
                let single = Layout::strided(Shape::new(&[n]).unwrap(), &[0], 0);
                let reads = [View::of(&x, &[n]), View::of(&y, &[n]), seen(&one, single)];
                run(0, |cx| chain(cx, &links, &reads, &mut results)).unwrap();
                assert_eq!((first, second), (bent, squared), "{n}");
            }
        });
    }

    #[test]
    fn ends_in_sums_and_means_of_the_same_bits() {
        each_isa(|isa| {
            for (rows, n) in
                [(1, 1), (3, 2), (2000, 3), (50, 31), (41, 1000), (70, 1024), (40, 1025), (9, 3000), (2, 32_768), (3, 70_001), (1, 65_541)]
            {
                let x: Vec<f32> = noise(5, rows * n).iter().map(|&v| v as f32).collect();
                let mut squares = vec![0f32; rows * n];
                run(0, |cx| unary(cx, Unary::square, &View::of(&x, &[rows, n]), 0.0, 0.0, &mut ViewMut::of(&mut squares, &[rows, n])))
                    .unwrap();
                let view = View::of(&squares, &[rows, n]);
                let (mut sums, mut means) = (vec![0f32; rows], vec![0f32; rows]);
                let scratch = reduce_scratch(view.meta(), &[1]);
                run(scratch, |cx| sum(cx, &view, &[1], false, &mut ViewMut::of(&mut sums, &[rows]))).unwrap();
                run(scratch, |cx| mean(cx, &view, &[1], false, &mut ViewMut::of(&mut means, &[rows]))).unwrap();
                for (function, want) in [(Function::Sum, &sums), (Function::Mean, &means)] {
                    for (kept, out) in [(false, Place::Tile(0)), (true, Place::Written(0))] {
                        let square = link(Function::Unary(Unary::square), 0.0, [Place::Read(0); 2], out);
                        let links = [square, link(function, 0.0, [out; 2], Place::Written(kept as usize))];
                        let (mut got, mut whole) = (vec![0f32; rows], vec![0f32; rows * n]);
                        let mut results = vec![ViewMut::of(&mut got, &[rows])];
                        if kept {
                            results.insert(0, ViewMut::of(&mut whole, &[rows, n]));
                        }
                        let reads = [View::of(&x, &[rows, n])];
                        on_lanes(3, chain_scratch(rows * n, n), 0, |cx| chain(cx, &links, &reads, &mut results)).unwrap();
                        assert!(&got == want, "{function:?} of [{rows}, {n}] on {}", isa.name());
                        assert!(!kept || whole == squares, "what is summed of [{rows}, {n}] on {}", isa.name());
                    }
                }
            }
        });
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = [1f32, 2.0];
        let mut out = [0f32; 3];
        let links = [link(Function::Unary(Unary::exp), 0.0, [Place::Read(0); 2], Place::Written(0))];
        let chain = |links: &[Link], out: &mut [f32]| {
            let n = out.len();
            run(0, |cx| super::chain(cx, links, &[View::of(&x, &[2])], &mut [ViewMut::of(out, &[n])]))
        };
        assert!(chain(&links, &mut out).is_err());
        assert!(chain(&links, &mut out[..2]).is_ok());
        let lost = [link(Function::Unary(Unary::exp), 0.0, [Place::Read(1); 2], Place::Written(0))];
        assert!(chain(&lost, &mut out[..2]).is_err());
    }
}
