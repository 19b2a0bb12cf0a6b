//! Storage: what a tensor's elements live in. It may exist before its memory does: the driver allocates when a command first writes it.
//!
//! A storage has two sides. [`Buffer`] is the driver's: memory and failure. [`Storage`] is the session's: it counts references without atomics,
//! and when the last one goes, the buffer goes back through the streams that used it, behind the commands that still need it. So no line of
//! memory travels between the two threads for each command, and nobody counts references across them.
use crate::allocator::Block;
use crate::failure::Failure;
use ferrograd_tensor::{DType, Error, Meta, PackKey, Result, Shape};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// Where an operand lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Cpu,
    /// Shapes only: nothing is computed.
    Meta,
}

/// The driver's side of a storage. On cache lines of its own: the session never touches them.
#[derive(Default)]
#[repr(align(64))]
pub struct Buffer {
    memory: UnsafeCell<Memory>,
    /// Copies of the contents in other orders; the driver thread's.
    packs: UnsafeCell<Vec<Pack>>,
    poison: OnceLock<Arc<Failure>>,
}

#[derive(Default)]
struct Memory {
    home: Option<Home>,
    bytes: usize,
}

/// Where a buffer's elements lie.
enum Home {
    /// In a block of its own.
    Own(Block),
    /// So many bytes behind the start of a block that others lie in too.
    Within(Arc<Block>, usize),
}

impl Home {
    #[inline]
    fn as_ptr(&self) -> *mut u8 {
        match self {
            Home::Own(block) => block.as_ptr(),
            Home::Within(block, place) => block.as_ptr().wrapping_add(*place),
        }
    }
}

/// A copy that kernels read instead of the contents. Without memory where it was asked for only once since the last write.
struct Pack {
    /// Distance of the view's first element from the start.
    offset: usize,
    key: PackKey,
    block: Option<Block>,
    bytes: usize,
    filled: bool,
}

/// Copies of one buffer: more would be of views that hardly come again.
const PACKS: usize = 8;

// SAFETY: `packs` is the driver thread's alone. `memory` is written by the driver thread alone (or before the buffer is shared), and read by others only after a stream has said that the
// command that wrote it is over.
unsafe impl Sync for Buffer {}
// SAFETY: as above.
unsafe impl Send for Buffer {}

impl Buffer {
    /// A buffer filled by the caller, before anyone else sees it.
    pub fn filled(bytes: usize, fill: impl FnOnce(&mut [u8])) -> Result<Arc<Buffer>> {
        let block = Block::new(bytes)?;
        // SAFETY: the block is ours and at least `bytes` long; `fill` writes every byte of it (uninitialised u8 are never read before).
        fill(unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), bytes) });
        Ok(Arc::new(Buffer { memory: UnsafeCell::new(Memory { home: Some(Home::Own(block)), bytes }), ..Buffer::default() }))
    }
    /// A buffer of `bytes` at `place` in a block that is large enough, where nobody else has anything while this one lives.
    pub fn within(block: Arc<Block>, place: usize, bytes: usize) -> Buffer {
        Buffer { memory: UnsafeCell::new(Memory { home: Some(Home::Within(block, place)), bytes }), ..Buffer::default() }
    }
    /// The memory, allocated on first use.
    ///
    /// # Safety
    /// Only the driver thread may call this.
    pub unsafe fn ensure(&self, bytes: usize) -> Result<*mut u8> {
        // SAFETY: one thread, by the caller's promise.
        let memory = unsafe { &mut *self.memory.get() };
        match &memory.home {
            Some(home) => Ok(home.as_ptr()),
            None => {
                let home = memory.home.insert(Home::Own(Block::new(bytes)?));
                memory.bytes = bytes;
                Ok(home.as_ptr())
            }
        }
    }
    /// The memory and its length in bytes, or `None` before the first write.
    ///
    /// # Safety
    /// The caller is the driver thread, or the commands that write this buffer have ended.
    pub unsafe fn memory(&self) -> Option<(*mut u8, usize)> {
        // SAFETY: nobody writes `memory` now, by the caller's promise.
        let memory = unsafe { &*self.memory.get() };
        memory.home.as_ref().map(|home| (home.as_ptr(), memory.bytes))
    }
    /// As `memory`, for a command that reads it.
    ///
    /// # Safety
    /// As for `memory`.
    pub unsafe fn written(&self) -> Result<*mut u8> {
        // SAFETY: by the caller's promise.
        unsafe { self.memory() }.map(|(base, _)| base).ok_or_else(|| Error::internal("an operand has no memory: nothing has written it"))
    }
    /// The room of a packed copy of the contents from `offset` on, and whether it is filled; `None` when it is asked for the first time since the last
    /// write, or there is no memory for it.
    ///
    /// # Safety
    /// Only the driver thread may call this; the room is valid until `forget_packs`.
    pub unsafe fn pack_room(&self, offset: usize, key: &PackKey, bytes: usize) -> Option<(*mut u8, bool)> {
        // SAFETY: one thread, by the caller's promise.
        let packs = unsafe { &mut *self.packs.get() };
        let Some(pack) = packs.iter_mut().find(|p| p.offset == offset && p.key == *key && p.bytes == bytes) else {
            if packs.len() < PACKS {
                packs.push(Pack { offset, key: *key, block: None, bytes, filled: false });
            }
            return None;
        };
        if pack.block.is_none() {
            pack.block = Some(Block::new(bytes).ok()?);
        }
        pack.block.as_ref().map(|block| (block.as_ptr(), pack.filled))
    }
    /// # Safety
    /// Only the driver thread may call this.
    pub unsafe fn pack_filled(&self, offset: usize, key: &PackKey) {
        // SAFETY: one thread, by the caller's promise.
        let packs = unsafe { &mut *self.packs.get() };
        packs.iter_mut().filter(|p| p.offset == offset && p.key == *key).for_each(|p| p.filled = true);
    }
    /// The contents are about to change.
    ///
    /// # Safety
    /// Only the driver thread may call this.
    #[inline]
    pub unsafe fn forget_packs(&self) {
        // SAFETY: one thread, by the caller's promise.
        unsafe { &mut *self.packs.get() }.clear();
    }
    pub fn poison(&self) -> Option<&Arc<Failure>> {
        self.poison.get()
    }
    pub fn set_poison(&self, failure: Arc<Failure>) {
        let _ = self.poison.set(failure);
    }
    /// Empties a buffer that nobody else holds, for the next storage. `None` where somebody does.
    pub fn recycle(mut buffer: Arc<Buffer>) -> Option<Arc<Buffer>> {
        let inner = Arc::get_mut(&mut buffer)?;
        inner.memory.get_mut().home = None;
        inner.packs.get_mut().clear();
        if inner.poison.get_mut().is_some() {
            inner.poison = OnceLock::new();
        }
        Some(buffer)
    }
}

/// A stream, and how far it has to be for something to be over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// 0 for none.
    pub stream: u32,
    pub sequence: u64,
}

/// Which streams' commands use a storage. Nearly always it is one stream; the others of many are kept aside.
#[derive(Default)]
struct Uses {
    /// The last command that writes.
    writer: Cell<Mark>,
    /// The last command of one stream that reads.
    reader: Cell<Mark>,
    /// And those of further streams.
    others: RefCell<Vec<Mark>>,
}

impl Uses {
    #[inline]
    fn add_reader(&self, mark: Mark) {
        let stream = self.reader.get().stream;
        if stream == mark.stream || stream == 0 {
            return self.reader.set(mark);
        }
        let mut others = self.others.borrow_mut();
        match others.iter_mut().find(|m| m.stream == mark.stream) {
            Some(before) => *before = mark,
            None => others.push(mark),
        }
    }
}

/// The session's side of a storage.
pub struct Storage {
    /// `None` in a view, whose owner has it, and in a tensor that waits to be used again.
    buffer: Option<Arc<Buffer>>,
    bytes: usize,
    uses: Uses,
    bin: Rc<Bin>,
}

impl Storage {
    fn new(buffer: Option<Arc<Buffer>>, bytes: usize, bin: &Rc<Bin>) -> Storage {
        Storage { buffer, bytes, uses: Uses::default(), bin: bin.clone() }
    }
    #[inline]
    pub fn buffer(&self) -> &Arc<Buffer> {
        self.buffer.as_ref().expect("the storage of a tensor in use")
    }
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// The last command that writes here.
    #[inline]
    pub fn writer(&self) -> Mark {
        self.uses.writer.get()
    }
    #[inline]
    pub fn set_writer(&self, mark: Mark) {
        self.uses.writer.set(mark);
    }
    /// Notes a command that reads here.
    #[inline]
    pub fn add_reader(&self, mark: Mark) {
        self.uses.add_reader(mark);
    }
    /// Calls `visit` for the last command of each stream that reads here.
    pub fn each_reader(&self, mut visit: impl FnMut(Mark)) {
        visit(self.uses.reader.get());
        self.uses.others.borrow().iter().copied().for_each(visit);
    }

    /// Leaves the buffer in the bin.
    fn empty(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            let Uses { writer, reader, others } = &mut self.uses;
            let (writer, reader) = (writer.take().stream, reader.take().stream);
            self.bin.0.borrow_mut().push(Released { buffer, writer, reader, others: std::mem::take(others.get_mut()) });
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.empty();
    }
}

/// A buffer that its session has let go of, and the streams whose commands may still need it.
pub struct Released {
    pub buffer: Arc<Buffer>,
    writer: u32,
    reader: u32,
    others: Vec<Mark>,
}

impl Released {
    /// True where `stream` and no other has used it.
    pub fn is_of(&self, stream: u32) -> bool {
        let own = |id: u32| id == stream || id == 0;
        own(self.writer) && own(self.reader) && self.others.is_empty() && (self.writer | self.reader) != 0
    }
    pub fn is_used_by(&self, stream: u32) -> bool {
        self.writer == stream || self.reader == stream || self.others.iter().any(|m| m.stream == stream)
    }
}

/// Where a session's storages leave their buffers.
#[derive(Default)]
pub struct Bin(RefCell<Vec<Released>>);

impl Bin {
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
    /// Takes out the last one.
    pub fn pop(&self) -> Option<Released> {
        self.0.borrow_mut().pop()
    }
}

/// A tensor as its session knows it: a layout over a storage, its own or that of the tensor it is a view of.
pub struct Tensor {
    pub meta: Meta,
    /// As the layout says; noted, for every command asks.
    pub contiguous: bool,
    pub device: Device,
    owner: Option<Rc<Tensor>>,
    own: Storage,
}

impl Tensor {
    /// A tensor with a storage of its own.
    pub fn new(meta: Meta, device: Device, buffer: Arc<Buffer>, bytes: usize, bin: &Rc<Bin>) -> Rc<Tensor> {
        Rc::new(Tensor { meta, contiguous: meta.layout.is_contiguous(), device, owner: None, own: Storage::new(Some(buffer), bytes, bin) })
    }
    /// Another layout of `x`'s storage.
    pub fn view(x: &Rc<Tensor>, meta: &Meta) -> Rc<Tensor> {
        let (contiguous, owner) = (meta.layout.is_contiguous(), Some(x.root().clone()));
        Rc::new(Tensor { meta: *meta, contiguous, device: x.device, owner, own: Storage::new(None, 0, &x.own.bin) })
    }
    /// As `new`, contiguous, in the room of a tensor that was emptied.
    pub fn renew(mut room: Rc<Tensor>, dtype: DType, shape: &Shape, device: Device, buffer: Arc<Buffer>, bytes: usize) -> Rc<Tensor> {
        let tensor = Rc::get_mut(&mut room).expect("nobody else holds an emptied tensor");
        tensor.meta.dtype = dtype;
        tensor.meta.layout.set_contiguous(shape);
        tensor.contiguous = true;
        tensor.device = device;
        tensor.own.buffer = Some(buffer);
        tensor.own.bytes = bytes;
        room
    }
    /// As `view`, in the room of a tensor that was emptied.
    pub fn renew_view(mut room: Rc<Tensor>, x: &Rc<Tensor>, meta: &Meta) -> Rc<Tensor> {
        let tensor = Rc::get_mut(&mut room).expect("nobody else holds an emptied tensor");
        tensor.meta = *meta;
        tensor.contiguous = meta.layout.is_contiguous();
        tensor.device = x.device;
        tensor.owner = Some(x.root().clone());
        room
    }
    /// Lets go of a reference. Gives the tensor's room where it was the last.
    pub fn empty(mut tensor: Rc<Tensor>) -> Option<Rc<Tensor>> {
        let inner = Rc::get_mut(&mut tensor)?;
        inner.owner = None;
        inner.own.empty();
        Some(tensor)
    }
    /// The tensor that owns the storage.
    #[inline]
    pub fn root(self: &Rc<Tensor>) -> &Rc<Tensor> {
        self.owner.as_ref().unwrap_or(self)
    }
    #[inline]
    pub fn storage(&self) -> &Storage {
        self.owner.as_ref().map_or(&self.own, |owner| &owner.own)
    }
}

/// A tensor on its way to another thread.
#[derive(Clone)]
pub struct Parcel {
    pub meta: Meta,
    pub buffer: Arc<Buffer>,
    pub bytes: usize,
    /// The command that wrote it.
    pub writer: Mark,
}
