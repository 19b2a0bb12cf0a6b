//! Operands and results in their own dtype, read and written as the numbers that a kernel computes in. One piece of code for all of them: what
//! differs is behind pointers to functions.
use crate::copy::convert_run;
use ferrograd_tensor::{DType, Element, SyncPtr, View, ViewMut, bf16, f16};

/// Elements of a tensor that tasks share; each writes its own.
#[derive(Clone, Copy)]
pub(super) struct Stored<A> {
    base: SyncPtr<u8>,
    size: usize,
    dtype: DType,
    read: unsafe fn(*const u8, *mut A, usize),
    write: unsafe fn(*const A, *mut u8, usize),
}

// SAFETY: as for `convert_run`.
unsafe fn read<T: Element, A: Element>(from: *const u8, to: *mut A, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if T::DTYPE == A::DTYPE {
            to.copy_from_nonoverlapping(from.cast(), len);
        } else {
            convert_run(from.cast::<T>(), to, len);
        }
    }
}

// SAFETY: as for `convert_run`.
unsafe fn write<T: Element, A: Element>(from: *const A, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if T::DTYPE == A::DTYPE {
            to.cast::<A>().copy_from_nonoverlapping(from, len);
        } else {
            convert_run(from, to.cast::<T>(), len);
        }
    }
}

/// Where a result goes.
pub(super) struct Place(SyncPtr<u8>, DType);

impl Place {
    pub fn of(v: &mut ViewMut) -> Place {
        Place(SyncPtr(v.as_view().address().cast_mut()), v.dtype())
    }
}

impl<A: Element> Stored<A> {
    fn new(base: *mut u8, dtype: DType) -> Stored<A> {
        let (read, write): (unsafe fn(_, _, _), unsafe fn(_, _, _)) = match dtype {
            DType::BF16 => (read::<bf16, A>, write::<bf16, A>),
            DType::F16 => (read::<f16, A>, write::<f16, A>),
            _ => (read::<A, A>, write::<A, A>),
        };
        Stored { base: SyncPtr(base), size: dtype.size(), dtype, read, write }
    }
    pub fn of(v: &View) -> Stored<A> {
        Stored::new(v.address().cast_mut(), v.dtype())
    }
    pub fn to(Place(base, dtype): Place) -> Stored<A> {
        Stored::new(base.get(), dtype)
    }
    pub fn pointer(&self, at: usize) -> *mut u8 {
        self.base.get().wrapping_add(at * self.size)
    }
    /// The elements themselves, where they are stored as `E`.
    pub fn direct<E: Element>(&self, at: usize) -> Option<*mut E> {
        (self.dtype == E::DTYPE).then(|| self.pointer(at).cast())
    }
    /// Where `len` elements can be read: in place, or in `room`, into which they are read.
    ///
    /// # Safety
    /// They lie inside the tensor, and `room` holds as many.
    pub unsafe fn here(&self, at: usize, len: usize, room: *mut A) -> *const A {
        self.direct(at).unwrap_or_else(|| {
            // SAFETY: by the caller's promise.
            unsafe { self.read(at, room, len) };
            room
        })
    }
    /// # Safety
    /// `len` elements from `at` on lie inside the tensor, and can be written at `to`.
    pub unsafe fn read(&self, at: usize, to: *mut A, len: usize) {
        // SAFETY: by the caller's promise.
        unsafe { (self.read)(self.pointer(at), to, len) }
    }
    /// As [`Stored::read`]; of what is not there, zeros.
    ///
    /// # Safety
    /// As for [`Stored::read`].
    pub unsafe fn read_or_zeros(from: &Option<Stored<A>>, at: usize, to: *mut A, len: usize) {
        // SAFETY: by the caller's promise.
        unsafe {
            match from {
                Some(from) => from.read(at, to, len),
                None => std::slice::from_raw_parts_mut(to, len).fill(A::default()),
            }
        }
    }
    /// # Safety
    /// As for [`Stored::read`], the other way round; nobody else touches them.
    pub unsafe fn write(&self, from: *const A, at: usize, len: usize) {
        // SAFETY: by the caller's promise.
        unsafe { (self.write)(from, self.pointer(at), len) }
    }
    /// # Safety
    /// As for [`Stored::write`].
    pub unsafe fn clear(&self, at: usize, len: usize) {
        // SAFETY: by the caller's promise; zeros are 0 in every floating dtype.
        unsafe { self.pointer(at).write_bytes(0, len * self.size) }
    }
}
