//! where: one of two tensors, element by element.
use crate::copy::for_pieces;
use crate::strided::{Nest, ReadPtr, bytes, bytes_mut};
use ferrograd_simd::{Kernel, Simd, vectorize};
use ferrograd_tensor::{B8, Cx, Error, Result, SyncPtr, View, ViewMut};

/// `a` where `condition` holds, else `b`; all broadcast to `y`. `a` and `b` have `y`'s dtype.
pub fn where_(cx: &mut Cx, condition: &View, a: &View, b: &View, y: &mut ViewMut) -> Result {
    let to = *y.layout();
    let spread =
        |v: &View| v.layout().broadcast_to(to.shape).ok_or_else(|| Error::internal("where: shapes passed the rule and do not broadcast"));
    let (c, p, q) = (spread(condition)?, spread(a)?, spread(b)?);
    let nest = Nest::new(to.dims(), [c.strides(), p.strides(), q.strides(), to.strides()]);
    let condition = condition.ptr::<B8>();
    let (a, b, size, y) = (bytes(a), bytes(b), a.dtype().size(), bytes_mut(y));
    // SAFETY: four layouts of one shape inside their storages; elements of `size` bytes.
    unsafe {
        match size {
            1 => choose::<u8>(cx, &nest, condition, a, b, y),
            2 => choose::<u16>(cx, &nest, condition, a, b, y),
            4 => choose::<u32>(cx, &nest, condition, a, b, y),
            _ => choose::<u64>(cx, &nest, condition, a, b, y),
        }
    }
    Ok(())
}

// SAFETY: every offset that `nest` gives must lie inside what the pointers point to, seen as `T`; no two of `y`'s are equal.
unsafe fn choose<T: Copy>(cx: &Cx, nest: &Nest<4>, condition: *const B8, a: *const u8, b: *const u8, y: *mut u8) {
    let (c, a, b, y) = (ReadPtr(condition), ReadPtr(a.cast::<T>()), ReadPtr(b.cast::<T>()), SyncPtr(y.cast::<T>()));
    let steps = nest.inner().1;
    for_pieces(cx, nest, &|[oc, oa, ob, oy], len| {
        // SAFETY: offsets of the four layouts; pieces write distinct elements.
        unsafe {
            vectorize(Choose { c: c.get().offset(oc), a: a.get().offset(oa), b: b.get().offset(ob), y: y.get().offset(oy), len, steps })
        }
    });
}

struct Choose<T> {
    c: *const B8,
    a: *const T,
    b: *const T,
    y: *mut T,
    len: usize,
    steps: [isize; 4],
}

impl<T: Copy> Kernel for Choose<T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [sc, sa, sb, sy] = self.steps;
        // SAFETY: `len` elements along the steps lie inside the four operands.
        unsafe {
            match (sc, sa, sb, sy) {
                (1, 1, 1, 1) => (0..self.len).for_each(|i| {
                    let (a, b) = (*self.a.add(i), *self.b.add(i));
                    *self.y.add(i) = if (*self.c.add(i)).get() { a } else { b };
                }),
                (1, 1, 0, 1) => {
                    let b = *self.b;
                    (0..self.len).for_each(|i| {
                        let a = *self.a.add(i);
                        *self.y.add(i) = if (*self.c.add(i)).get() { a } else { b };
                    });
                }
                (1, 0, 1, 1) => {
                    let a = *self.a;
                    (0..self.len).for_each(|i| {
                        let b = *self.b.add(i);
                        *self.y.add(i) = if (*self.c.add(i)).get() { a } else { b };
                    });
                }
                _ => (0..self.len as isize).for_each(|i| {
                    let (a, b) = (*self.a.offset(i * sa), *self.b.offset(i * sb));
                    *self.y.offset(i * sy) = if (*self.c.offset(i * sc)).get() { a } else { b };
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{each_isa, run};
    use ferrograd_tensor::Element;

    fn check<T: Element + PartialEq + std::fmt::Debug>(dims: [&[usize]; 3], to: &[usize]) {
        let n = |d: &[usize]| d.iter().product::<usize>();
        let c: Vec<B8> = (0..n(dims[0])).map(|i| B8((i * 7 % 3) as u8)).collect();
        let a: Vec<T> = (0..n(dims[1])).map(|i| T::from_i64(i as i64 % 90)).collect();
        let b: Vec<T> = (0..n(dims[2])).map(|i| T::from_i64(100 + i as i64 % 20)).collect();
        let mut y = vec![T::default(); n(to)];
        run(0, |cx| where_(cx, &View::of(&c, dims[0]), &View::of(&a, dims[1]), &View::of(&b, dims[2]), &mut ViewMut::of(&mut y, to)))
            .unwrap();
        let at = |flat: usize, d: &[usize]| {
            let (mut rest, mut source, mut step) = (flat, 0, 1);
            for k in (0..to.len()).rev() {
                let i = rest % to[k];
                rest /= to[k];
                if let Some(j) = (k + d.len()).checked_sub(to.len()) {
                    source += if d[j] == 1 { 0 } else { i * step };
                    step *= d[j];
                }
            }
            source
        };
        for i in 0..n(to) {
            assert_eq!(y[i], if c[at(i, dims[0])].get() { a[at(i, dims[1])] } else { b[at(i, dims[2])] }, "{dims:?} at {i}");
        }
    }

    #[test]
    fn broadcasts() {
        each_isa(|_| {
            check::<f32>([&[3, 5], &[3, 5], &[3, 5]], &[3, 5]);
            check::<f32>([&[3, 5], &[3, 5], &[]], &[3, 5]);
            check::<u8>([&[3, 5], &[], &[3, 5]], &[3, 5]);
            check::<i64>([&[3, 1], &[5], &[2, 1, 1]], &[2, 3, 5]);
            check::<f32>([&[], &[], &[]], &[]);
            check::<f32>([&[0, 2], &[1, 2], &[]], &[0, 2]);
            check::<f32>([&[40_000], &[40_000], &[1]], &[40_000]);
            check::<f64>([&[200, 1], &[200, 300], &[300]], &[200, 300]);
        });
    }
}
