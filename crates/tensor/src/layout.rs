use crate::{DType, Error, Result};
use std::fmt;

pub const MAX_RANK: usize = 8;

/// Sizes of a tensor, outermost first. `Display` prints `[2, 3]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    rank: u8,
    dims: [usize; MAX_RANK],
}

impl Shape {
    /// Fails past eight dimensions, or where the number of elements overflows.
    pub fn new(dims: &[usize]) -> Result<Shape> {
        if dims.len() > MAX_RANK {
            return Err(Error::shape(format!("a tensor has at most {MAX_RANK} dimensions, got {}", dims.len())));
        }
        let mut shape = Shape { rank: dims.len() as u8, dims: [1; MAX_RANK] };
        shape.dims[..dims.len()].copy_from_slice(dims);
        // The product of the non-zero sizes must stay addressable, so that no later product of sizes can overflow.
        let span = dims.iter().filter(|&&d| d != 0).try_fold(1usize, |n, &d| n.checked_mul(d));
        match span {
            Some(n) if n <= (isize::MAX as usize) / 16 && dims.iter().all(|&d| d <= i32::MAX as usize) => Ok(shape),
            _ => Err(Error::shape(format!("{shape} has more elements than memory can address"))),
        }
    }
    /// Sizes that `new` has accepted before.
    #[inline]
    pub fn of_words(dims: &[u64]) -> Shape {
        let mut shape = Shape { rank: dims.len() as u8, dims: [1; MAX_RANK] };
        shape.dims.iter_mut().zip(dims).for_each(|(to, &d)| *to = d as usize);
        shape
    }
    #[inline]
    pub fn scalar() -> Shape {
        Shape { rank: 0, dims: [1; MAX_RANK] }
    }
    #[inline]
    pub fn rank(&self) -> usize {
        self.rank as usize
    }
    #[inline]
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }
    #[inline]
    pub fn dims_mut(&mut self) -> &mut [usize] {
        &mut self.dims[..self.rank as usize]
    }
    #[inline]
    pub fn numel(&self) -> usize {
        self.dims().iter().product()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the elements of a tensor lie in its storage; strides and offset count elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    pub shape: Shape,
    strides: [isize; MAX_RANK],
    pub offset: usize,
}

impl Layout {
    /// Row-major, from the storage's first element.
    #[inline]
    pub fn contiguous(shape: Shape) -> Layout {
        let mut layout = Layout { shape, strides: [0; MAX_RANK], offset: 0 };
        layout.fill_strides();
        layout
    }
    /// Becomes `Layout::contiguous(shape)`, in place.
    #[inline]
    pub fn set_contiguous(&mut self, shape: &Shape) {
        self.shape = *shape;
        self.strides = [0; MAX_RANK];
        self.offset = 0;
        self.fill_strides();
    }
    #[inline]
    fn fill_strides(&mut self) {
        let mut step = 1isize;
        for i in (0..self.shape.rank()).rev() {
            self.strides[i] = step;
            step *= self.shape.dims()[i].max(1) as isize;
        }
    }
    #[inline]
    pub fn strided(shape: Shape, strides: &[isize], offset: usize) -> Layout {
        debug_assert_eq!(shape.rank(), strides.len());
        let mut all = [0; MAX_RANK];
        all[..strides.len()].copy_from_slice(strides);
        Layout { shape, strides: all, offset }
    }
    #[inline]
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides[..self.shape.rank()]
    }
    #[inline]
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }
    #[inline]
    pub fn numel(&self) -> usize {
        self.shape.numel()
    }
    /// Whether there is one element, read again and again where the sizes are above 1.
    pub fn is_single(&self) -> bool {
        self.dims().iter().zip(self.strides()).all(|(&d, &s)| d == 1 || s == 0)
    }
    /// How many elements there are in memory: those that broadcast count once.
    pub fn distinct(&self) -> usize {
        let repeats = |(&d, &s): (&usize, &isize)| if s == 0 { d.min(1) } else { d };
        self.dims().iter().zip(self.strides()).map(repeats).product()
    }
    /// True where the elements follow each other in row-major order (sizes of 1 and empty tensors do not count).
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        if self.dims().contains(&0) {
            return true;
        }
        let mut step = 1isize;
        for i in (0..self.rank()).rev() {
            let d = self.dims()[i];
            if d != 1 {
                if self.strides[i] != step {
                    return false;
                }
                step *= d as isize;
            }
        }
        true
    }
    /// This layout read as `shape`, with stride 0 where a size of 1 is repeated. `None` where the shapes do not broadcast.
    pub fn broadcast_to(&self, shape: Shape) -> Option<Layout> {
        let lead = shape.rank().checked_sub(self.rank())?;
        let mut strides = [0; MAX_RANK];
        for i in 0..self.rank() {
            let (from, to) = (self.dims()[i], shape.dims()[lead + i]);
            if from == to {
                strides[lead + i] = self.strides[i];
            } else if from != 1 {
                return None;
            }
        }
        Some(Layout { shape, strides, offset: self.offset })
    }
}

/// What is known of a tensor before it has memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meta {
    pub dtype: DType,
    pub layout: Layout,
}

impl Meta {
    #[inline]
    pub fn new(dtype: DType, dims: &[usize]) -> Result<Meta> {
        Ok(Meta { dtype, layout: Layout::contiguous(Shape::new(dims)?) })
    }
    #[inline]
    pub fn shape(&self) -> Shape {
        self.layout.shape
    }
    #[inline]
    pub fn dims(&self) -> &[usize] {
        self.layout.dims()
    }
    #[inline]
    pub fn rank(&self) -> usize {
        self.layout.rank()
    }
    #[inline]
    pub fn numel(&self) -> usize {
        self.layout.numel()
    }
    /// Bytes of the elements in memory: those that broadcast count once.
    pub fn bytes(&self) -> usize {
        self.layout.distinct() * self.dtype.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broadcasts_is_in_memory_once() {
        let to = |from: &[usize], to: &[usize]| Layout::contiguous(Shape::new(from).unwrap()).broadcast_to(Shape::new(to).unwrap()).unwrap();
        assert_eq!(to(&[3], &[2, 3]).distinct(), 3);
        assert_eq!(to(&[2, 1], &[2, 3]).distinct(), 2);
        assert_eq!(to(&[], &[2, 3]).distinct(), 1);
        assert_eq!(to(&[2, 3], &[2, 3]).distinct(), 6);
        assert_eq!(to(&[1], &[0]).distinct(), 0);
    }

    #[test]
    fn contiguity_ignores_sizes_of_one_and_empty_tensors() {
        let shape = Shape::new(&[2, 1, 3]).unwrap();
        assert!(Layout::contiguous(shape).is_contiguous());
        assert!(Layout::strided(shape, &[3, 77, 1], 5).is_contiguous());
        assert!(!Layout::strided(shape, &[1, 1, 2], 0).is_contiguous());
        assert!(Layout::strided(Shape::new(&[0, 4]).unwrap(), &[9, 9], 0).is_contiguous());
    }

    #[test]
    fn shapes_that_overflow_are_refused() {
        assert!(Shape::new(&[1 << 30, 1 << 30, 1 << 30]).is_err());
        assert!(Shape::new(&[0, usize::MAX]).is_err());
        assert!(Shape::new(&[1; 9]).is_err());
    }

    #[test]
    fn broadcasting_repeats_sizes_of_one_with_stride_zero() {
        let row = Layout::contiguous(Shape::new(&[1, 3]).unwrap());
        let wide = row.broadcast_to(Shape::new(&[4, 2, 3]).unwrap()).unwrap();
        assert_eq!(wide.strides(), &[0, 0, 1]);
        assert!(row.broadcast_to(Shape::new(&[4, 4]).unwrap()).is_none());
    }
}
