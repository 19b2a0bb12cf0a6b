//! How a command lies in the queue.
//!
//! ```text
//! length 32 | op 16 | kind 8 (command, job, boxed, released) | flags 8 (1: anomaly)
//! module 32 | releases 32
//! operands 24 | outputs 8 | integers 16 | floats 16
//! scratch 40 | scratch of each thread, in lines of 64 bytes 24
//! arities, four a word     integers     floats     released buffers
//! operands, then outputs: buffer | dtype 8, rank 8, contiguous 8 | offset | sizes | strides, unless contiguous
//! ```
use crate::command::Call;
use crate::dispatch::Op;
use crate::queue::Room;
use crate::storage::{Buffer, Tensor};
use crate::stream::Job;
use ferrograd_tensor::{DType, Layout, MAX_RANK, Meta, Shape};
use std::rc::Rc;
use std::sync::Arc;

const KIND_COMMAND: u64 = 0;
const KIND_JOB: u64 = 1;
const KIND_BOXED: u64 = 2;
const KIND_RELEASED: u64 = 3;
const HEADER: usize = 4;

/// Bits of the first word, beside the length. The top bit is the queue's.
fn bits(op: u16, kind: u64, flags: u64) -> u64 {
    (op as u64) << 32 | kind << 48 | flags << 56
}

/// Where a packet's words behind the first go: into the queue, or into a box.
pub trait Sink {
    fn put(&mut self, word: u64);
}

/// Room of at least as many words as the functions below say that they write.
pub struct Enough<'a, 'q>(&'a mut Room<'q>);

impl<'a, 'q> Enough<'a, 'q> {
    /// # Safety
    /// Of the functions below only one is called with it, and the room has the words that it may write.
    pub unsafe fn new(room: &'a mut Room<'q>) -> Self {
        Enough(room)
    }
}

impl Sink for Enough<'_, '_> {
    #[inline(always)]
    fn put(&mut self, word: u64) {
        // SAFETY: by the constructor's promise.
        unsafe { self.0.put(word) };
    }
}

impl Sink for Vec<u64> {
    fn put(&mut self, word: u64) {
        self.push(word);
    }
}

/// Words that `encode` writes, at most.
pub fn words(call: Call, tensors: usize, releases: usize) -> usize {
    HEADER + call.arity.len().div_ceil(4) + call.ints.len() + call.floats.len() + releases + tensors * (3 + 2 * MAX_RANK)
}

fn put_tensor(to: &mut impl Sink, tensor: &Tensor) {
    let (layout, contiguous) = (&tensor.meta.layout, tensor.contiguous);
    to.put(Arc::as_ptr(tensor.storage().buffer()) as u64);
    to.put(tensor.meta.dtype as u64 | (layout.rank() as u64) << 8 | (contiguous as u64) << 16);
    to.put(layout.offset as u64);
    for &d in layout.dims() {
        to.put(d as u64);
    }
    if !contiguous {
        for &s in layout.strides() {
            to.put(s as u64);
        }
    }
}

/// Writes a command, and the buffers that were let go before it, which the queue owns from now on. Gives the bits of the first word.
/// The command's tensors must stay alive, as far as their session can tell, until it has been published.
pub fn encode(call: Call, operands: &[Rc<Tensor>], outputs: &[Rc<Tensor>], releases: &mut Vec<Arc<Buffer>>, to: &mut impl Sink) -> u64 {
    to.put(call.module as u64 | (releases.len() as u64) << 32);
    to.put(operands.len() as u64 | (outputs.len() as u64) << 24 | (call.ints.len() as u64) << 32 | (call.floats.len() as u64) << 48);
    to.put(call.scratch as u64 | (call.local.div_ceil(64) as u64) << 40);
    for four in call.arity.chunks(4) {
        to.put(four.iter().enumerate().fold(0, |word, (i, &n)| word | (n as u64) << (16 * i)));
    }
    for &i in call.ints {
        to.put(i as u64);
    }
    for &f in call.floats {
        to.put(f.to_bits());
    }
    while let Some(buffer) = releases.pop() {
        to.put(Arc::into_raw(buffer) as u64);
    }
    for tensor in operands {
        put_tensor(to, tensor);
    }
    for tensor in outputs {
        put_tensor(to, tensor);
    }
    bits(call.op as u16, KIND_COMMAND, call.anomaly as u64)
}

/// Words of a packet that holds a job's address.
pub const JOB_WORDS: usize = 2;
pub fn encode_job(job: Box<Job>, to: &mut impl Sink) -> u64 {
    to.put(Box::into_raw(job) as u64);
    bits(0, KIND_JOB, 0)
}

/// Words of a packet that holds the address of a longer one.
pub const BOXED_WORDS: usize = 3;
pub fn encode_boxed(packet: Vec<u64>, to: &mut impl Sink) -> u64 {
    let packet = packet.into_boxed_slice();
    let len = packet.len();
    to.put(Box::into_raw(packet).cast::<u64>() as u64);
    to.put(len as u64);
    bits(0, KIND_BOXED, 0)
}

/// Writes a packet of some buffers that were let go.
pub fn encode_released(released: impl Iterator<Item = Arc<Buffer>>, to: &mut impl Sink) -> u64 {
    for buffer in released {
        to.put(Arc::into_raw(buffer) as u64);
    }
    bits(0, KIND_RELEASED, 0)
}

/// A packet as the driver finds it.
pub enum Packet<'a> {
    Command(CommandPacket<'a>),
    Job(Box<Job>),
    /// A command too long for the queue.
    Boxed(Box<[u64]>),
    Released(Released<'a>),
}

/// Buffers that were let go, each to be taken once.
#[derive(Clone, Copy)]
pub struct Released<'a>(&'a [u64]);

impl<'a> Released<'a> {
    /// # Safety
    /// Called once a packet: it gives over what the packet owns.
    pub unsafe fn take(self) -> impl Iterator<Item = Arc<Buffer>> + use<'a> {
        // SAFETY: the addresses came from `Arc::into_raw`, each taken once by the caller's promise.
        self.0.iter().map(|&address| unsafe { Arc::from_raw(address as *const Buffer) })
    }
}

/// Reads a packet.
///
/// # Safety
/// `encode`, `encode_job` or `encode_boxed` wrote it, and it is read once: what it owns goes over to the result.
pub unsafe fn decode(words: &[u64]) -> Packet<'_> {
    match (words[0] >> 48) & 0xff {
        KIND_JOB => {
            // SAFETY: the address came from `Box::into_raw`, and is taken once.
            Packet::Job(unsafe { Box::from_raw(words[1] as *mut Job) })
        }
        KIND_BOXED => {
            // SAFETY: as above.
            Packet::Boxed(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(words[1] as *mut u64, words[2] as usize)) })
        }
        KIND_RELEASED => Packet::Released(Released(&words[1..])),
        _ => Packet::Command(CommandPacket::new(words)),
    }
}

/// A command in the queue, read where it lies.
#[derive(Clone, Copy)]
pub struct CommandPacket<'a> {
    pub call: Call<'a>,
    /// The buffers that were let go before this command.
    pub released: Released<'a>,
    tensors: &'a [u64],
    operands: usize,
    outputs: usize,
}

impl<'a> CommandPacket<'a> {
    /// `words` must come from `encode`.
    pub fn new(words: &'a [u64]) -> CommandPacket<'a> {
        let (head, rest) = words.split_at(HEADER);
        let op = Op::from_code((head[0] >> 32) as u16 as i32).expect("an op that the session wrote");
        let field = |at: u32, bits: u32| (head[2] >> at) as usize & ((1 << bits) - 1);
        let (operands, outputs, ints, floats) = (field(0, 24), field(24, 8), field(32, 16), field(48, 16));
        let rows = op.spec().operands.len();
        let (arity, rest) = rest.split_at(rows.div_ceil(4));
        let (ints, rest) = rest.split_at(ints);
        let (floats, rest) = rest.split_at(floats);
        let (releases, tensors) = rest.split_at((head[1] >> 32) as usize);
        let call = Call {
            op,
            anomaly: head[0] >> 56 & 1 != 0,
            module: head[1] as u32,
            scratch: (head[3] & ((1 << 40) - 1)) as usize,
            local: (head[3] >> 40) as usize * 64,
            // SAFETY: words hold four u16 each, in the order they were put (little-endian targets only, asserted below).
            arity: unsafe { std::slice::from_raw_parts(arity.as_ptr().cast::<u16>(), rows) },
            // SAFETY: i64 has u64's size and alignment, and takes every bit pattern.
            ints: unsafe { std::slice::from_raw_parts(ints.as_ptr().cast::<i64>(), ints.len()) },
            // SAFETY: as above, for f64.
            floats: unsafe { std::slice::from_raw_parts(floats.as_ptr().cast::<f64>(), floats.len()) },
            links: &[],
        };
        CommandPacket { call, released: Released(releases), tensors, operands, outputs }
    }
    /// Operands with their buffers, then outputs.
    pub fn tensors(&self) -> (Tensors<'a>, Tensors<'a>) {
        let operands = Tensors { words: self.tensors, count: self.operands };
        let mut outputs = operands.clone();
        outputs.by_ref().for_each(drop);
        (operands, Tensors { words: outputs.words, count: self.outputs })
    }
}

const _: () = assert!(cfg!(target_endian = "little"));

/// Tensors of a packet, one after the other.
#[derive(Clone)]
pub struct Tensors<'a> {
    words: &'a [u64],
    count: usize,
}

impl<'a> Iterator for Tensors<'a> {
    type Item = (Meta, &'a Buffer);

    #[inline]
    fn next(&mut self) -> Option<(Meta, &'a Buffer)> {
        self.count = self.count.checked_sub(1)?;
        let (buffer, about, offset) = (self.words[0], self.words[1], self.words[2] as usize);
        let (rank, contiguous) = ((about >> 8) as u8 as usize, about >> 16 & 1 != 0);
        let (dims, rest) = self.words[3..].split_at(rank);
        let shape = Shape::of_words(dims);
        let layout = if contiguous {
            self.words = rest;
            let mut layout = Layout::contiguous(shape);
            layout.offset = offset;
            layout
        } else {
            let (strides, rest) = rest.split_at(rank);
            self.words = rest;
            // SAFETY: isize has u64's size here, and takes every bit pattern.
            Layout::strided(shape, unsafe { std::slice::from_raw_parts(strides.as_ptr().cast::<isize>(), rank) }, offset)
        };
        let dtype = DType::from_code((about & 0xff) as i64).expect("a dtype that the session wrote");
        // SAFETY: the session lets go of a buffer only behind the commands that use it, so it is alive.
        Some((Meta { dtype, layout }, unsafe { &*(buffer as *const Buffer) }))
    }
}

const _: () = assert!(size_of::<usize>() == size_of::<u64>());
