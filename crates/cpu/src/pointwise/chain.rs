//! Several functions one after the other, tile by tile: what passes between them stays in the first-level cache and is never written to memory. Each
//! element goes through the same formulas as when the functions run one by one, so that its bits are the same.
use super::spread::{Source, room};
use super::{Binary, Compiled, Run, Unary};
use crate::strided::{GRAIN, streams};
use ferrograd_tensor::{Cx, DType, Error, Meta, Result, SyncPtr, View, ViewMut};
use std::mem::MaybeUninit;

/// Elements of a tile.
pub(super) const TILE: usize = 1024;
/// Tiles that a chain may use: 32 KiB.
pub const TILES: usize = 8;

/// A row of one of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Unary(Unary),
    Binary(Binary),
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

/// One function of a chain.
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
        }
    }
    fn compiled(self, a: f64) -> Compiled {
        match self {
            Function::Unary(op) => op.plain(a).compiled(),
            Function::Binary(op) => op.compiled(),
        }
    }
}

/// Room of each thread in bytes: for operands that broadcast, or lie otherwise than the results.
pub fn chain_local<'a>(reads: impl IntoIterator<Item = &'a Meta>) -> usize {
    reads.into_iter().map(|meta| room(&meta.layout)).sum::<usize>() * size_of::<f32>()
}

/// Runs the links in their order. Operands and results are float32 and of one number of elements; results are contiguous, operands of any strides, 0
/// where they broadcast.
pub fn chain(cx: &mut Cx, links: &[Link], reads: &[View], results: &mut [ViewMut]) -> Result {
    let fault = || Error::internal("a chain of pointwise functions does not fit its operands");
    let numel = results.first().ok_or_else(fault)?.numel();
    let fits = |view: &View| view.dtype() == DType::F32 && view.numel() == numel;
    let whole = |view: &ViewMut| view.dtype() == DType::F32 && view.numel() == numel;
    let known = |place: Place| match place {
        Place::Read(i) => i < reads.len(),
        Place::Written(i) => i < results.len(),
        Place::Tile(i) => i < TILES,
    };
    let placed = |link: &Link| link.operands.iter().all(|&p| known(p)) && known(link.out) && !matches!(link.out, Place::Read(_));
    if !reads.iter().all(fits) || !results.iter().all(whole) || !links.iter().all(placed) {
        return Err(fault());
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
    let steps: Vec<Step> = links.iter().enumerate().map(|(i, link)| Step::new(link, &links[i + 1..], numel)).collect();
    cx.par_local::<u8>(numel.div_ceil(GRAIN), local * size_of::<f32>(), |task, room| {
        let room = room.as_mut_ptr().cast::<f32>();
        let mut tiles = [[const { MaybeUninit::<f32>::uninit() }; TILE]; TILES];
        let tiles = tiles.as_mut_ptr().cast::<f32>();
        let (start, end) = (task * GRAIN, ((task + 1) * GRAIN).min(numel));
        for at in (start..end).step_by(TILE) {
            let len = TILE.min(end - at);
            // SAFETY: operands have `numel` elements, and the room is what they ask for.
            sources.iter().for_each(|source| unsafe { source.load(at, len, at == start, room) });
            for step in &steps {
                // SAFETY: places were checked above; operands and results have `numel` elements, tiles `TILE`. Tasks' elements are disjoint. A result
                // is read only behind the link that wrote it.
                unsafe {
                    let find = |place: Place| match place {
                        Place::Read(i) => sources[i].find(at, len, room),
                        Place::Written(i) => (targets[i].get().cast_const().add(at), 1),
                        Place::Tile(i) => (tiles.add(i * TILE).cast_const(), 1),
                    };
                    let [(x, x_step), (y, y_step)] = step.operands.map(find);
                    let out = find(step.out).0.cast_mut();
                    (step.row.single)(&Run { x, x_step, y, y_step, out, len, a: step.a, b: step.b, stream: step.stream });
                }
            }
        }
    });
    Ok(())
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
    fn new(link: &Link, later: &[Link], numel: usize) -> Step {
        let Link { function, a, b, operands, out } = *link;
        let read_again = later.iter().any(|link| link.operands.contains(&out));
        let stream = matches!(out, Place::Written(_)) && !read_again && streams(4 * numel);
        Step { row: function.compiled(a), a, b, operands, out, stream }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::shuffled::on_lanes;
    use crate::pointwise::{binary, unary};
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
