use crate::{Element, NoPacks, PackKey, Packs};
use std::ops::Range;

/// A fork-join over numbered tasks. Implemented by the runtime's pool.
pub trait Parallel: Sync {
    /// Runs `task(0, lane) .. task(count - 1, lane)`, each once, on any threads, and returns when all have ended. Tasks that run at the same time
    /// have different lanes, below `threads()`. A panic in a task is passed on.
    fn run(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync));
    /// Threads at work. For choosing whether to fork at all, never for how work is split: results must not depend on it.
    fn threads(&self) -> usize;
}

/// What a kernel may use besides its operands.
pub struct Cx<'a> {
    pool: &'a dyn Parallel,
    scratch: &'a mut [u8],
    /// Room of each lane, one behind the other.
    local: SyncPtr<u8>,
    local_len: usize,
    packs: &'a dyn Packs,
}

impl<'a> Cx<'a> {
    /// `scratch` holds what the op's row declared and behind it `local` bytes for each of the pool's threads.
    pub fn new(pool: &'a dyn Parallel, scratch: &'a mut [u8], local: usize) -> Cx<'a> {
        let (scratch, lanes) = scratch.split_at_mut(scratch.len() - local * pool.threads());
        Cx { pool, scratch, local: SyncPtr(lanes.as_mut_ptr()), local_len: local, packs: &NoPacks }
    }
    /// With somewhere to keep packed operands.
    pub fn keeping(self, packs: &'a dyn Packs) -> Cx<'a> {
        Cx { packs, ..self }
    }
    pub fn pool(&self) -> &'a dyn Parallel {
        self.pool
    }
    /// Runs `task` for every index below `count`, over the pool. Split work by shapes alone: the number of threads must not change a result.
    pub fn par(&self, count: usize, task: impl Fn(usize) + Sync) {
        match count {
            0 => {}
            1 => task(0),
            _ => self.pool.run(count, &|i, _| task(i)),
        }
    }
    /// As [`Cx::par`], with `len` elements of room that stay with a thread from task to task, and so in its cache. The row declares them; they are
    /// 64-byte aligned, and hold what the thread's last task left there.
    pub fn par_local<T: Element>(&mut self, count: usize, len: usize, task: impl Fn(usize, &mut [T]) + Sync) {
        assert!(len * size_of::<T>() <= self.local_len, "{} bytes of room for a lane, {} wanted", self.local_len, len * size_of::<T>());
        let (local, local_len) = (self.local, self.local_len);
        let on = |i: usize, lane: usize| {
            // SAFETY: each lane has its own room, long enough as just seen; tasks of one lane run one after the other, and none can fork here
            // again, for this context is borrowed.
            task(i, unsafe { std::slice::from_raw_parts_mut(local.get().add(lane * local_len).cast::<T>(), len) });
        };
        match count {
            0 => {}
            1 => on(0, 0),
            _ => self.pool.run(count, &on),
        }
    }
    /// Splits `0..len` into runs of `chunk` (the last may be shorter) and hands each to `task`, over the pool.
    pub fn par_ranges(&self, len: usize, chunk: usize, task: impl Fn(Range<usize>) + Sync) {
        let chunk = chunk.max(1);
        self.par(len.div_ceil(chunk), |i| task(i * chunk..((i + 1) * chunk).min(len)));
    }
    /// Hands each run of `chunk` elements of `out` to `task(first index, run)`, over the pool.
    pub fn par_chunks_mut<T: Send>(&self, out: &mut [T], chunk: usize, task: impl Fn(usize, &mut [T]) + Sync) {
        let len = out.len();
        let base = SyncPtr(out.as_mut_ptr());
        self.par_ranges(len, chunk, |r| {
            // SAFETY: the ranges are disjoint and inside `out`, which is borrowed mutably for the whole call.
            let part = unsafe { std::slice::from_raw_parts_mut(base.get().add(r.start), r.len()) };
            task(r.start, part)
        });
    }
    /// The scratch that the op's row declared, 64-byte aligned, as `len` elements from its start. Its contents are meaningless.
    pub fn scratch<T: Element>(&mut self, len: usize) -> &mut [T] {
        assert!(len * size_of::<T>() <= self.scratch.len(), "scratch of {} bytes, {} wanted", self.scratch.len(), len * size_of::<T>());
        // SAFETY: long enough, 64-byte aligned, and every bit pattern is a value of T.
        unsafe { std::slice::from_raw_parts_mut(self.scratch.as_mut_ptr().cast(), len) }
    }
    /// As [`Cx::scratch`], with a context that can still fork while the scratch is held.
    pub fn split_scratch<T: Element>(&mut self, len: usize) -> (&mut [T], Cx<'_>) {
        let bytes = len * size_of::<T>();
        assert!(bytes <= self.scratch.len(), "scratch of {} bytes, {bytes} wanted", self.scratch.len());
        let cut = bytes.next_multiple_of(64).min(self.scratch.len());
        let (head, tail) = self.scratch.split_at_mut(cut);
        // SAFETY: as in `scratch`.
        let head = unsafe { std::slice::from_raw_parts_mut(head.as_mut_ptr().cast(), len) };
        (head, Cx { pool: self.pool, scratch: tail, local: self.local, local_len: self.local_len, packs: self.packs })
    }
    /// `len` elements that `fill` makes of the operand at `source`, if they are worth keeping: filled in an earlier call, or now.
    pub fn kept<T: Element>(&self, source: *const T, key: &PackKey, len: usize, fill: impl FnOnce(SyncPtr<T>)) -> Option<SyncPtr<T>> {
        let (room, filled) = self.packs.room(source.cast(), key, len * size_of::<T>())?;
        if !filled {
            fill(SyncPtr(room.cast()));
            self.packs.filled(source.cast(), key);
        }
        Some(SyncPtr(room.cast()))
    }
    /// As [`Cx::kept`]; what is not worth keeping is made in the scratch.
    pub fn packed<T: Element>(
        &mut self,
        source: *const T,
        key: &PackKey,
        len: usize,
        fill: impl FnOnce(&Cx, SyncPtr<T>),
    ) -> (SyncPtr<T>, Cx<'_>) {
        let mut fill = Some(fill);
        if let Some(kept) = self.kept(source, key, len, |room| fill.take().expect("the first use")(self, room)) {
            return (kept, Cx { scratch: &mut *self.scratch, ..*self });
        }
        let (scratch, cx) = self.split_scratch::<T>(len);
        let scratch = SyncPtr(scratch.as_mut_ptr());
        fill.take().expect("nothing was kept")(&cx, scratch);
        (scratch, cx)
    }
}

/// A pointer that tasks share; each writes its own elements.
#[derive(Clone, Copy)]
pub struct SyncPtr<T>(pub *mut T);

impl<T> SyncPtr<T> {
    /// Through a method, so that closures capture the wrapper and not the bare pointer.
    #[inline(always)]
    pub fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: whoever dereferences it keeps the tasks' elements apart.
unsafe impl<T> Send for SyncPtr<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for SyncPtr<T> {}
