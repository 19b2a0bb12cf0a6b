//! How a command lies in the queue.
//!
//! ```text
//! length 32 | op 16 | kind 8 (command, job, boxed, released) | flags 8 (1: anomaly)
//! module 32 | releases 32
//! operands 24 | outputs 8 | integers 16 | floats 16
//! scratch
//! arities, four a word     integers     floats     released buffers
//! operands, then outputs: buffer | dtype 8, rank 8, contiguous 8 | offset | sizes | strides, unless contiguous
//! ```
use crate::command::{Call, Command};
use crate::dispatch::Op;
use crate::storage::{Buffer, Tensor};
use crate::stream::Job;
use ferrograd_tensor::{DType, Layout, Meta, Shape};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;

const KIND_COMMAND: u64 = 0;
const KIND_JOB: u64 = 1;
const KIND_BOXED: u64 = 2;
const KIND_RELEASED: u64 = 3;
const HEADER: usize = 4;

fn first(len: usize, op: u16, kind: u64, flags: u64) -> u64 {
    // The top bit is the queue's.
    len as u64 | (op as u64) << 32 | kind << 48 | flags << 56
}

fn tensor_words(tensor: &Tensor) -> usize {
    let rank = tensor.meta.rank();
    3 + rank + if tensor.meta.layout.is_contiguous() { 0 } else { rank }
}

/// Words that `encode` writes.
pub fn words(command: &Command, releases: usize) -> usize {
    let attrs = command.attrs.ints.len() + command.attrs.floats.len();
    let mut words = HEADER + command.arity.len().div_ceil(4) + attrs + releases;
    for tensor in command.operands.iter().chain(&command.outputs) {
        words += tensor_words(tensor);
    }
    words
}

struct Writer<'a> {
    room: &'a mut [MaybeUninit<u64>],
    at: usize,
}

impl Writer<'_> {
    #[inline(always)]
    fn put(&mut self, word: u64) {
        self.room[self.at].write(word);
        self.at += 1;
    }
    fn tensor(&mut self, tensor: &Rc<Tensor>) {
        let layout = &tensor.meta.layout;
        let contiguous = layout.is_contiguous();
        self.put(Arc::as_ptr(tensor.storage().buffer()) as u64);
        self.put(tensor.meta.dtype as u64 | (layout.rank() as u64) << 8 | (contiguous as u64) << 16);
        self.put(layout.offset as u64);
        layout.dims().iter().for_each(|&d| self.put(d as u64));
        if !contiguous {
            layout.strides().iter().for_each(|&s| self.put(s as u64));
        }
    }
}

/// Writes a command, and the buffers that were let go before it. The queue owns them from now on; the command's tensors must stay alive, as far as
/// their session can tell, until it has been published.
pub fn encode(command: &Command, releases: &mut Vec<Arc<Buffer>>, room: &mut [MaybeUninit<u64>]) {
    let len = room.len();
    let mut w = Writer { room, at: 0 };
    w.put(first(len, command.op as u16, KIND_COMMAND, command.anomaly as u64));
    w.put(command.module as u64 | (releases.len() as u64) << 32);
    w.put(
        command.operands.len() as u64
            | (command.outputs.len() as u64) << 24
            | (command.attrs.ints.len() as u64) << 32
            | (command.attrs.floats.len() as u64) << 48,
    );
    w.put(command.scratch as u64);
    for four in command.arity.chunks(4) {
        w.put(four.iter().enumerate().fold(0, |word, (i, &n)| word | (n as u64) << (16 * i)));
    }
    command.attrs.ints.iter().for_each(|&i| w.put(i as u64));
    command.attrs.floats.iter().for_each(|&f| w.put(f.to_bits()));
    releases.drain(..).for_each(|buffer| w.put(Arc::into_raw(buffer) as u64));
    command.operands.iter().chain(&command.outputs).for_each(|t| w.tensor(t));
    debug_assert_eq!(w.at, len);
}

/// A packet that holds a job's address.
pub fn encode_job(job: Box<Job>) -> [u64; 2] {
    [first(2, 0, KIND_JOB, 0), Box::into_raw(job) as u64]
}

/// A packet that holds the address of a longer one.
pub fn encode_boxed(words: Box<[u64]>) -> [u64; 3] {
    let len = words.len();
    [first(3, 0, KIND_BOXED, 0), Box::into_raw(words).cast::<u64>() as u64, len as u64]
}

/// Writes a packet of buffers that were let go, as many as `room` takes behind its first word.
pub fn encode_released(releases: &mut Vec<Arc<Buffer>>, room: &mut [MaybeUninit<u64>]) {
    let mut w = Writer { at: 0, room };
    w.put(first(w.room.len(), 0, KIND_RELEASED, 0));
    let count = w.room.len() - 1;
    releases.drain(..count).for_each(|buffer| w.put(Arc::into_raw(buffer) as u64));
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
            scratch: head[3] as usize,
            // SAFETY: words hold four u16 each, in the order they were put (little-endian targets only, asserted below).
            arity: unsafe { std::slice::from_raw_parts(arity.as_ptr().cast::<u16>(), rows) },
            // SAFETY: i64 has u64's size and alignment, and takes every bit pattern.
            ints: unsafe { std::slice::from_raw_parts(ints.as_ptr().cast::<i64>(), ints.len()) },
            // SAFETY: as above, for f64.
            floats: unsafe { std::slice::from_raw_parts(floats.as_ptr().cast::<f64>(), floats.len()) },
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
