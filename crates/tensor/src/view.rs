use crate::{DType, Element, Layout, Meta};
use std::marker::PhantomData;

/// An operand that a kernel reads. Made by the runtime, which has checked that the layout stays inside the storage.
#[derive(Clone, Copy)]
pub struct View<'a> {
    ptr: *const u8,
    meta: Meta,
    life: PhantomData<&'a [u8]>,
}

// SAFETY: a view only reads memory that nobody writes while it lives.
unsafe impl Send for View<'_> {}
// SAFETY: as above.
unsafe impl Sync for View<'_> {}

impl<'a> View<'a> {
    /// # Safety
    /// `base` is the storage's start; every element of `meta.layout` must lie inside it, stay allocated for `'a`, and not be written meanwhile.
    #[inline]
    pub unsafe fn new(base: *const u8, meta: Meta) -> View<'a> {
        // SAFETY: the offset is inside the storage by the caller's promise.
        let ptr = unsafe { base.add(meta.layout.offset * meta.dtype.size()) };
        View { ptr, meta, life: PhantomData }
    }
    /// A contiguous view of a slice (kernels' tests, and parts of a larger operand).
    pub fn of<T: Element>(data: &'a [T], dims: &[usize]) -> View<'a> {
        let meta = Meta::new(T::DTYPE, dims).expect("valid dims");
        assert_eq!(data.len(), meta.numel(), "slice length against dims {dims:?}");
        // SAFETY: the slice covers the contiguous layout and is borrowed for 'a.
        unsafe { View::new(data.as_ptr().cast(), meta) }
    }
    #[inline]
    pub fn dtype(&self) -> DType {
        self.meta.dtype
    }
    #[inline]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.meta.layout
    }
    #[inline]
    pub fn dims(&self) -> &[usize] {
        self.meta.layout.dims()
    }
    #[inline]
    pub fn strides(&self) -> &[isize] {
        self.meta.layout.strides()
    }
    #[inline]
    pub fn rank(&self) -> usize {
        self.meta.layout.rank()
    }
    #[inline]
    pub fn numel(&self) -> usize {
        self.meta.layout.numel()
    }
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.meta.layout.is_contiguous()
    }
    /// The elements of a contiguous view. Panics on another dtype or layout: the op table promises both.
    #[inline]
    pub fn slice<T: Element>(&self) -> &'a [T] {
        assert!(self.dtype() == T::DTYPE && self.is_contiguous(), "view {:?} read as contiguous {}", self.meta, T::DTYPE);
        // SAFETY: contiguous, of this dtype, alive for 'a by the constructor's promise.
        unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.numel()) }
    }
    /// The first element (offset applied); step with `strides()`.
    #[inline]
    pub fn ptr<T: Element>(&self) -> *const T {
        assert!(self.dtype() == T::DTYPE, "view of {} read as {}", self.dtype(), T::DTYPE);
        self.ptr.cast()
    }
    /// Where the first element lies.
    #[inline]
    pub fn address(&self) -> *const u8 {
        self.ptr
    }
    /// The same elements under another layout whose offset counts from this view's first element.
    ///
    /// # Safety
    /// Every element of `layout` must lie inside this view's storage.
    #[inline]
    pub unsafe fn with_layout(&self, layout: Layout) -> View<'a> {
        // SAFETY: by the caller's promise.
        unsafe { View::new(self.ptr, Meta { dtype: self.dtype(), layout }) }
    }
}

/// An operand that a kernel writes: an output (contiguous, its old contents meaningless) or an in-place target.
pub struct ViewMut<'a> {
    ptr: *mut u8,
    meta: Meta,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: a ViewMut is the only way to its memory while it lives.
unsafe impl Send for ViewMut<'_> {}
// SAFETY: shared references give no mutable access.
unsafe impl Sync for ViewMut<'_> {}

impl<'a> ViewMut<'a> {
    /// # Safety
    /// As for [`View::new`], and no other view may overlap it while it lives.
    #[inline]
    pub unsafe fn new(base: *mut u8, meta: Meta) -> ViewMut<'a> {
        // SAFETY: the offset is inside the storage by the caller's promise.
        let ptr = unsafe { base.add(meta.layout.offset * meta.dtype.size()) };
        ViewMut { ptr, meta, life: PhantomData }
    }
    /// A contiguous view of a slice.
    pub fn of<T: Element>(data: &'a mut [T], dims: &[usize]) -> ViewMut<'a> {
        let meta = Meta::new(T::DTYPE, dims).expect("valid dims");
        assert_eq!(data.len(), meta.numel(), "slice length against dims {dims:?}");
        // SAFETY: the slice covers the contiguous layout and is borrowed mutably for 'a.
        unsafe { ViewMut::new(data.as_mut_ptr().cast(), meta) }
    }
    #[inline]
    pub fn dtype(&self) -> DType {
        self.meta.dtype
    }
    #[inline]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.meta.layout
    }
    #[inline]
    pub fn dims(&self) -> &[usize] {
        self.meta.layout.dims()
    }
    #[inline]
    pub fn strides(&self) -> &[isize] {
        self.meta.layout.strides()
    }
    #[inline]
    pub fn rank(&self) -> usize {
        self.meta.layout.rank()
    }
    #[inline]
    pub fn numel(&self) -> usize {
        self.meta.layout.numel()
    }
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.meta.layout.is_contiguous()
    }
    /// The elements of a contiguous view. Panics on another dtype or layout: the op table promises both.
    #[inline]
    pub fn slice_mut<T: Element>(&mut self) -> &mut [T] {
        assert!(self.dtype() == T::DTYPE && self.is_contiguous(), "view {:?} written as contiguous {}", self.meta, T::DTYPE);
        // SAFETY: contiguous, of this dtype, exclusively ours by the constructor's promise.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.cast(), self.numel()) }
    }
    /// The first element (offset applied); step with `strides()`.
    #[inline]
    pub fn ptr_mut<T: Element>(&mut self) -> *mut T {
        assert!(self.dtype() == T::DTYPE, "view of {} written as {}", self.dtype(), T::DTYPE);
        self.ptr.cast()
    }
    /// What has been written so far, for reading.
    #[inline]
    pub fn as_view(&self) -> View<'_> {
        View { ptr: self.ptr, meta: self.meta, life: PhantomData }
    }
}
