//! A command: an op with its tensors and attributes, and how it is run on the CPU.
use crate::allocator::Block;
use crate::dispatch::{Op, Operands, execute_cpu};
use crate::failure::Failure;
use crate::profile;
use crate::spec::{AttrSlices, Attrs};
use crate::storage::{Buffer, Tensor};
use ferrograd_cpu::{Link, chain};
use ferrograd_tensor::{Cx, Error, ErrorKind, Meta, PackKey, Packs, Parallel, View, ViewMut, with_float};
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

pub type Tensors = Vec<Rc<Tensor>>;

/// A command as its session makes it.
#[derive(Clone, Default)]
pub struct Command {
    pub op: Op,
    /// Look for NaN and infinity in the outputs.
    pub anomaly: bool,
    /// Number of the module path the call came from.
    pub module: u32,
    pub operands: Tensors,
    /// How many tensors each operand of the row stands for.
    pub arity: Vec<u16>,
    pub attrs: Attrs,
    pub outputs: Tensors,
    pub scratch: usize,
    /// Scratch of each thread besides.
    pub local: usize,
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
    pub fn call(&self) -> Call<'_> {
        Call {
            op: self.op,
            anomaly: self.anomaly,
            module: self.module,
            scratch: self.scratch,
            local: self.local,
            arity: &self.arity,
            ints: &self.attrs.ints,
            floats: &self.attrs.floats,
            links: &[],
        }
    }
}

/// What a command says besides its tensors.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub op: Op,
    pub anomaly: bool,
    pub module: u32,
    pub scratch: usize,
    pub local: usize,
    pub arity: &'a [u16],
    pub ints: &'a [i64],
    pub floats: &'a [f64],
    /// The functions of a chain, which run in the op's place.
    pub links: &'a [Link],
}

/// An operand or output with the buffer that stands for it in this run (a captured program binds others than it recorded).
pub type Bound<'a> = (Meta, &'a Buffer);

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

    /// `shared` bytes for all, and behind them `local` for each thread.
    fn scratch(&mut self, shared: usize, local: usize) -> Result<&mut [u8], Error> {
        let bytes = shared.next_multiple_of(64) + local * self.pool.threads();
        if bytes > self.scratch_bytes {
            self.scratch = None;
            self.scratch_bytes = 0;
            self.scratch = Some(Block::new(bytes)?);
            self.scratch_bytes = bytes;
        }
        Ok(match &mut self.scratch {
            // SAFETY: the block is ours, at least that long, and borrowed through `self`.
            Some(block) => unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), bytes) },
            None => &mut [],
        })
    }

    /// Runs `call` on the bound buffers. A failure, its own or an operand's, poisons every output, leaves in-place targets whole, and is returned.
    ///
    /// # Safety
    /// The driver thread calls this; the layouts were checked against the buffers when the tensors were made.
    pub unsafe fn execute<'b>(
        &mut self,
        call: Call,
        operands: impl Iterator<Item = Bound<'b>>,
        outputs: impl Iterator<Item = Bound<'b>> + Clone,
        sequence: u64,
    ) -> Result<(), Arc<Failure>> {
        // SAFETY: by the caller's promise.
        let result = unsafe { self.attempt(call, operands, outputs.clone()) };
        result.map_err(|fault| {
            let failure = match fault {
                Fault::Inherited(failure) => failure,
                Fault::Own(error) => Arc::new(Failure::new(error.kind, call.op.spec().name, error.message, call.module, sequence)),
            };
            outputs.for_each(|(_, buffer)| buffer.set_poison(failure.clone()));
            failure
        })
    }

    /// # Safety
    /// As for `execute`.
    unsafe fn attempt<'b>(
        &mut self,
        call: Call,
        mut operands: impl Iterator<Item = Bound<'b>>,
        outputs: impl Iterator<Item = Bound<'b>>,
    ) -> Result<(), Fault> {
        let spec = call.op.spec();
        let mut reads: SmallVec<[View; 4]> = SmallVec::new();
        let mut homes: SmallVec<[&Buffer; 4]> = SmallVec::new();
        let mut writes: SmallVec<[ViewMut; 4]> = SmallVec::new();
        for ((_, kind), &count) in spec.operands.iter().zip(call.arity) {
            for (meta, buffer) in operands.by_ref().take(count as usize) {
                if let Some(failure) = buffer.poison() {
                    return Err(Fault::Inherited(failure.clone()));
                }
                // SAFETY: this is the driver thread, behind the command that wrote the buffer; the layout lies inside it; commands of a stream run
                // one after another, so nobody else touches the memory.
                unsafe {
                    let base = buffer.written()?;
                    if kind.is_written() {
                        buffer.forget_packs();
                        writes.push(ViewMut::new(base, meta));
                    } else {
                        homes.push(buffer);
                        reads.push(View::new(base, meta));
                    }
                }
            }
        }
        let mut targets: SmallVec<[ViewMut; 3]> = SmallVec::new();
        for (meta, buffer) in outputs {
            // SAFETY: as above; an output is contiguous and no operand, so its memory is not read.
            unsafe {
                buffer.forget_packs();
                targets.push(ViewMut::new(buffer.ensure(meta.numel() * meta.dtype.size())?, meta));
            }
        }
        let pool = self.pool;
        let local = call.local.next_multiple_of(64);
        let packs = Homes { reads: &reads, buffers: &homes };
        let mut cx = Cx::new(pool, self.scratch(call.scratch, local)?, local).keeping(&packs);
        let views = Operands { reads: &reads, writes: &mut writes, outputs: &mut targets, arity: call.arity };
        let attrs = AttrSlices { ints: call.ints, floats: call.floats };
        let started = profile::begin();
        let run = || match call.links {
            [] => execute_cpu(call.op, &mut cx, views, attrs),
            links => chain(&mut cx, links, views.reads, views.outputs),
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result?,
            Err(panic) => {
                return Err(Error::internal(format!("the kernel panicked: {}. This is a fault of the library.", panic_text(&panic))).into());
            }
        }
        if let Some(started) = started {
            let views = || reads.iter().map(View::meta).chain(writes.iter().chain(&targets).map(ViewMut::meta));
            let subject = targets.first().or(writes.first()).map(ViewMut::meta);
            profile::end(call.op, started, subject, views().map(Meta::bytes).sum());
        }
        if call.anomaly {
            targets.iter().try_for_each(|target| check_finite(&target.as_view()))?;
            writes.iter().try_for_each(|target| check_finite(&target.as_view()))?;
        }
        Ok(())
    }
}

/// Finds the buffer that an operand lies in, where its packed copies are kept. Made and used on the driver thread.
struct Homes<'a, 'v> {
    reads: &'a [View<'v>],
    buffers: &'a [&'v Buffer],
}

impl Homes<'_, '_> {
    /// The buffer of the operand whose first element is at `source`, and how far that is from its start.
    fn of(&self, source: *const u8) -> Option<(&Buffer, usize)> {
        let at = self.reads.iter().position(|view| view.address() == source)?;
        let meta = self.reads[at].meta();
        Some((self.buffers[at], meta.layout.offset * meta.dtype.size()))
    }
}

impl Packs for Homes<'_, '_> {
    fn room(&self, source: *const u8, key: &PackKey, bytes: usize) -> Option<(*mut u8, bool)> {
        let (buffer, offset) = self.of(source)?;
        // SAFETY: this is the driver thread; what this command writes has forgotten its copies already, so the room lives as long as the command.
        unsafe { buffer.pack_room(offset, key, bytes) }
    }
    fn filled(&self, source: *const u8, key: &PackKey) {
        if let Some((buffer, offset)) = self.of(source) {
            // SAFETY: as above.
            unsafe { buffer.pack_filled(offset, key) };
        }
    }
}

/// Why a command did not give its results.
enum Fault {
    /// An operand's failure.
    Inherited(Arc<Failure>),
    Own(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Own(error)
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
            format!(
                "gave {value} at element {index} of {:?}. Look at this layer's inputs and learning rate; clip gradients or lower the rate.",
                view.dims()
            ),
        )),
    }
}
