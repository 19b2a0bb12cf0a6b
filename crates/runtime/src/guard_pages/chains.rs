//! Chains between pages that nobody may touch: operands of every spread, results and the room of a thread.
use super::cases::{Operand, chains};
use super::memory::{Guarded, Side, catch_faults, named};
use ferrograd_cpu::testing::{Serial, each_isa};
use ferrograd_cpu::{Binary, Function, Link, Place, TILES, chain, chain_local, chain_scratch};
use ferrograd_tensor::{Cx, DType, Meta, Shape, View, ViewMut};

const LINE: usize = 64;

/// The bytes of the results: the first operand with itself, and that with each further one; the last two are written, and then the sums of the
/// last one's rows.
fn run(dims: &[usize], operands: &[Operand], side: Side, name: &str) -> Vec<Vec<u8>> {
    let shape = Shape::new(dims).expect("a small shape");
    let (numel, row) = (shape.numel(), dims[dims.len() - 1]);
    let memory: Vec<Guarded> = operands.iter().enumerate().map(|(i, x)| x.place(side, i as u64 + 1)).collect();
    let before: Vec<Vec<u8>> = memory.iter().map(|m| m.bytes().to_vec()).collect();
    let mut shapes = vec![dims, dims];
    if numel > 0 {
        shapes.push(&dims[..dims.len() - 1]);
    }
    let targets: Vec<Operand> = shapes.iter().map(|dims| Operand::new(DType::F32, dims)).collect();
    let outputs: Vec<Guarded> = targets.iter().map(|x| Guarded::new(x.reach(), 4, side)).collect();
    let spread = |x: &Operand| Meta { layout: x.meta().layout.broadcast_to(shape).expect("operands broadcast"), ..x.meta() };
    // SAFETY: the memory reaches as far as the layouts, and outlives the views; no two overlap.
    let reads: Vec<View> = operands.iter().zip(&memory).map(|(x, m)| unsafe { View::new(m.start(), spread(x)) }).collect();
    // SAFETY: as above.
    let mut results: Vec<ViewMut> = targets.iter().zip(&outputs).map(|(x, m)| unsafe { ViewMut::new(m.start(), x.meta()) }).collect();
    let last = operands.len() - 1;
    let link = |function, operands, out| Link { function, a: 0.0, b: 0.0, operands, out };
    let mut links: Vec<Link> = (0..=last)
        .map(|i| {
            let from = match i {
                0 => Place::Read(0),
                i if i == last => Place::Written(0),
                i => Place::Tile((i - 1) % TILES),
            };
            let out = if i + 1 < last { Place::Tile(i % TILES) } else { Place::Written(i + 1 - last) };
            link(Function::Binary(Binary::add), [from, Place::Read(i)], out)
        })
        .collect();
    if numel > 0 {
        links.push(link(Function::Sum, [Place::Written(1); 2], Place::Written(2)));
    }
    let local = chain_local(reads.iter().map(View::meta)).next_multiple_of(LINE);
    let shared = if numel > 0 { chain_scratch(numel, row).next_multiple_of(LINE) } else { 0 };
    let mut room = Guarded::new(shared + local, LINE, side);
    let mut cx = Cx::new(&Serial, room.bytes_mut(), local);
    named(name, || chain(&mut cx, &links, &reads, &mut results)).expect("a chain that fits");
    assert!(memory.iter().chain(&outputs).chain([&room]).all(Guarded::is_whole), "{name}: written beside an operand");
    assert!(memory.iter().zip(before).all(|(m, before)| m.bytes() == before), "{name}: an input was written");
    outputs.iter().map(|m| m.bytes().to_vec()).collect()
}

#[test]
fn chains_of_every_spread() {
    catch_faults();
    for n in [0, 1, 3, 17, 33, 70, 1023, 1024, 1025, 2049, 7001, 40_000] {
        for (dims, operands) in chains(n) {
            each_isa(|isa| {
                let [first, last] = [Side::First, Side::Last].map(|side| {
                    let name = format!("a chain of {dims:?} on {} with the {side:?} byte at a page's border", isa.name());
                    run(&dims, &operands, side, &name)
                });
                assert!(first == last, "a chain of {dims:?} on {}: results depend on where the operands lie", isa.name());
            });
        }
    }
}
