//! Every kernel of the op table with its operands, outputs and scratch between pages that nobody may touch: once with the last byte of each at the
//! end of a page, once with the first byte at the start of one. A read or write out of bounds ends the test and names the case; a write beside an
//! operand on its open side, a changed input, and results that depend on where operands lie, fail it.
//!
//! A new row needs its line in [`cases`]; without one a test fails.
mod cases;
mod chains;
mod memory;

use crate::dispatch::{Inferred, Op, Operands, execute_cpu, infer};
use crate::spec::{Attrs, Section};
use crate::storage::{Bin, Buffer, Device, Tensor};
use cases::{Case, Operand, Values, binary, convolutions, large, lines, products, unary};
use ferrograd_cpu::testing::{Serial, each_isa, noise};
use ferrograd_tensor::{Cx, DType, Layout, Meta, PackKey, Packs, Shape, View, ViewMut, with_element};
use memory::{Guarded, Side, catch_faults, named};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

impl Operand {
    fn meta(&self) -> Meta {
        let shape = Shape::new(&self.dims).expect("a small shape");
        let layout = match &self.strides {
            Some(strides) => Layout::strided(shape, strides, 0),
            None => Layout::contiguous(shape),
        };
        Meta { dtype: self.dtype, layout }
    }
    /// Bytes from the first element to the end of the last.
    fn reach(&self) -> usize {
        if self.dims.contains(&0) {
            return 0;
        }
        let meta = self.meta();
        let last: isize = meta.dims().iter().zip(meta.layout.strides()).map(|(&d, &s)| (d as isize - 1) * s).sum();
        (last as usize + 1) * self.dtype.size()
    }
    fn place(&self, side: Side, seed: u64) -> Guarded {
        let mut memory = Guarded::new(self.reach(), self.dtype.size(), side);
        let len = memory.bytes().len() / self.dtype.size();
        // Again and again where there are more elements: large operands are made many times.
        let noise = noise(seed, len.clamp(1, 4099));
        with_element!(self.dtype, T => {
            for (i, (to, &v)) in memory.bytes_mut().chunks_exact_mut(size_of::<T>()).zip(noise.iter().cycle()).enumerate() {
                let v = match self.values {
                    Values::Noise if self.dtype.is_float() => v,
                    Values::Noise => (v * 100.0).round(),
                    Values::Positive => v.abs() + 0.5,
                    Values::Below(bound) => (i * 7 % bound.max(1)) as f64,
                };
                // SAFETY: an element's bytes; any are a value.
                unsafe { to.as_mut_ptr().cast::<T>().write_unaligned(<T as ferrograd_tensor::Element>::from_f64(v)) };
            }
        });
        memory
    }
}

/// A packed copy: which operand it is of, its order, and whether it has been filled.
type Room = ((usize, PackKey), Guarded, bool);

/// Packed operands between guards, kept from the second call on.
struct Kept {
    side: Side,
    /// False while what is asked for is not to be kept.
    keeps: Cell<bool>,
    asked: Cell<bool>,
    /// Where the operands lie this time.
    sources: RefCell<Vec<*const u8>>,
    rooms: RefCell<Vec<Room>>,
}

impl Kept {
    /// What a copy is known by: which operand, and its order. None for what is no operand, but made of one.
    fn of(&self, source: *const u8, key: &PackKey) -> Option<(usize, PackKey)> {
        Some((self.sources.borrow().iter().position(|s| *s == source)?, *key))
    }
}

/// Packed operands and scratch are aligned so.
const LINE: usize = 64;

impl Packs for Kept {
    fn room(&self, source: *const u8, key: &PackKey, bytes: usize) -> Option<(*mut u8, bool)> {
        self.asked.set(true);
        if !self.keeps.get() {
            return None;
        }
        let key = self.of(source, key)?;
        let mut rooms = self.rooms.borrow_mut();
        if !rooms.iter().any(|room| room.0 == key) {
            rooms.push((key, Guarded::new(bytes, LINE, self.side), false));
        }
        rooms.iter().find(|room| room.0 == key).map(|room| (room.1.start(), room.2))
    }
    fn filled(&self, source: *const u8, key: &PackKey) {
        let Some(key) = self.of(source, key) else { return };
        self.rooms.borrow_mut().iter_mut().filter(|room| room.0 == key).for_each(|room| room.2 = true);
    }
}

/// What the shape rules say of a case: `None` where they refuse it.
fn rules_of(case: &Case) -> Option<Inferred> {
    let bin = Rc::new(Bin::default());
    let tensors: Vec<Rc<Tensor>> =
        case.operands.iter().flatten().map(|x| Tensor::new(x.meta(), Device::Cpu, Arc::new(Buffer::default()), 0, &bin)).collect();
    let mut inferred = Inferred::default();
    infer(case.op, &tensors, &case.arity(), case.attrs.slices(), &mut inferred).ok()?;
    let compute = inferred.compute.is_none_or(|compute| case.operands.iter().flatten().all(|x| x.dtype == compute));
    compute.then_some(inferred)
}

/// Runs a case; gives the bytes of what it wrote, or why the kernel refused it.
fn run(case: &Case, inferred: &Inferred, side: Side, name: &str) -> Result<Vec<Vec<u8>>, String> {
    let spec = case.op.spec();
    let kept = Kept { side, keeps: Cell::new(false), asked: Cell::new(false), sources: RefCell::default(), rooms: RefCell::default() };
    let mut results = None;
    // Once more with packed operands to be filled, and with filled ones.
    for round in 0..3 {
        if round > 0 && !kept.asked.get() {
            break;
        }
        kept.keeps.set(round > 0);
        let operands: Vec<(&Operand, bool)> =
            case.operands.iter().zip(spec.operands).flat_map(|(slot, (_, kind))| slot.iter().map(|x| (x, kind.is_written()))).collect();
        let memory: Vec<Guarded> = operands.iter().enumerate().map(|(i, (x, _))| x.place(side, i as u64 + 1)).collect();
        let before: Vec<Vec<u8>> = memory.iter().map(|m| m.bytes().to_vec()).collect();
        let targets: Vec<Operand> = inferred.outputs.iter().map(|(dtype, shape)| Operand::new(*dtype, shape.dims())).collect();
        let outputs: Vec<Guarded> = targets.iter().map(|x| Guarded::new(x.reach(), x.dtype.size(), side)).collect();
        let local = inferred.local.next_multiple_of(LINE);
        let mut scratch = Guarded::new(inferred.scratch.next_multiple_of(LINE) + local, LINE, side);

        let mut reads = Vec::new();
        let mut writes = Vec::new();
        for ((x, written), m) in operands.iter().zip(&memory) {
            // SAFETY: the memory reaches as far as the layout, and outlives the views; no two overlap.
            unsafe {
                if *written {
                    writes.push(ViewMut::new(m.start(), x.meta()));
                } else {
                    reads.push(View::new(m.start(), x.meta()));
                }
            }
        }
        kept.sources.replace(reads.iter().map(View::address).collect());
        // SAFETY: as above.
        let mut views: Vec<ViewMut> = targets.iter().zip(&outputs).map(|(x, m)| unsafe { ViewMut::new(m.start(), x.meta()) }).collect();
        let arity = case.arity();
        let operand_views = Operands { reads: &reads, writes: &mut writes, outputs: &mut views, arity: &arity };
        let mut cx = Cx::new(&Serial, scratch.bytes_mut(), local).keeping(&kept);
        named(name, || execute_cpu(case.op, &mut cx, operand_views, case.attrs.slices())).map_err(|e| e.message)?;

        let rooms = kept.rooms.borrow();
        let mut all = memory.iter().chain(&outputs).chain([&scratch]).chain(rooms.iter().map(|room| &room.1));
        assert!(all.all(Guarded::is_whole), "{name}: written beside an operand");
        let mut wrote = Vec::new();
        for (((_, written), m), before) in operands.iter().zip(&memory).zip(before) {
            if *written {
                wrote.push(m.bytes().to_vec());
            } else {
                assert!(m.bytes() == before, "{name}: an input was written");
            }
        }
        wrote.extend(outputs.iter().map(|m| m.bytes().to_vec()));
        assert!(*results.get_or_insert_with(|| wrote.clone()) == wrote, "{name}: packed operands change the results");
    }
    Ok(results.expect("one round"))
}

/// Every path, both sides; the same bits wherever operands lie. `dtype` is that of the data.
fn check(case: &Case, dtype: DType) {
    // Without elements there are no statistics and nothing that an index could name; many kernels take floats alone.
    let refusable = !dtype.is_float() || case.operands.iter().flatten().any(|x| x.dims.contains(&0));
    each_isa(|isa| {
        let Some(inferred) = rules_of(case) else {
            return assert!(refusable, "{case}: the shape rules refuse it");
        };
        let [first, last] = [Side::First, Side::Last].map(|side| {
            let name = format!("{case} on {} with the {side:?} byte at a page's border", isa.name());
            run(case, &inferred, side, &name)
        });
        assert!(first.is_ok() || refusable, "{case} on {}: {first:?}", isa.name());
        assert!(first == last, "{case} on {}: results depend on where the operands lie", isa.name());
    });
}

/// All cases of a dtype, in sizes around those of vectors and tiles, and where they are cheap in sizes beyond the blocks that kernels cut.
fn check_all(dtype: DType) {
    catch_faults();
    for n in [0, 1, 3, 17, 33, 70] {
        for case in products(n, dtype).into_iter().chain(convolutions(n, dtype)) {
            check(&case, dtype);
        }
    }
    for n in [0, 1, 3, 17, 33, 70, 1100, 7001] {
        for case in lines(n, dtype).into_iter().chain(unary(n, dtype)).chain(binary(n, dtype)) {
            check(&case, dtype);
        }
    }
}

#[test]
fn float32() {
    check_all(DType::F32);
}

#[test]
fn float64() {
    check_all(DType::F64);
}

#[test]
fn bfloat16() {
    check_all(DType::BF16);
}

#[test]
fn float16() {
    check_all(DType::F16);
}

#[test]
fn integers() {
    [DType::I64, DType::I32, DType::U8, DType::I8, DType::Bool].into_iter().for_each(check_all);
}

#[test]
fn large_results() {
    catch_faults();
    for case in large() {
        check(&case, DType::F32);
    }
}

#[test]
fn every_row_has_its_cases() {
    let all = [lines, products, convolutions].map(|cases| cases(3, DType::F32));
    let known: Vec<Op> = all.iter().flatten().map(|case| case.op).collect();
    let missing: Vec<&str> =
        Op::ALL.iter().filter(|op| op.spec().section == Section::Kernel && !known.contains(op)).map(|op| op.spec().name).collect();
    assert!(missing.is_empty(), "rows without a line in guard_pages/cases.rs: {missing:?}");
}
