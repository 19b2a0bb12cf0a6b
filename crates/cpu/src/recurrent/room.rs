//! A task's room cut into parts, each aligned to a cache line, and how much of it a kernel asks for.
use ferrograd_tensor::Element;

const LINE: usize = 64;

/// Parts are taken one behind the other.
pub(super) struct Room<'a>(&'a mut [u8]);

impl<'a> Room<'a> {
    pub fn of(bytes: &'a mut [u8]) -> Room<'a> {
        Room(bytes)
    }
    pub fn take<E: Element>(&mut self, len: usize) -> *mut E {
        let (head, tail) = std::mem::take(&mut self.0).split_at_mut((len * size_of::<E>()).next_multiple_of(LINE));
        self.0 = tail;
        head.as_mut_ptr().cast()
    }
}

/// Bytes that parts of so many elements take, of eight bytes each.
pub(super) fn bytes(parts: &[usize]) -> usize {
    parts.iter().map(|len| (8 * len).next_multiple_of(LINE)).sum()
}
