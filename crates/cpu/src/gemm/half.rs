//! The half types compute in float32: operands are widened into scratch, the result is rounded once.
use crate::copy::convert_run;
use ferrograd_tensor::{Cx, DType, Element, SyncPtr, View, ViewMut, bf16, f16};

const CHUNK: usize = 1 << 14;

/// `dst` = the elements of a contiguous half-type view, as float32.
pub(crate) fn widen(cx: &Cx, x: &View, dst: &mut [f32]) {
    match x.dtype() {
        DType::BF16 => widen_slice(cx, x.slice::<bf16>(), dst),
        DType::F16 => widen_slice(cx, x.slice::<f16>(), dst),
        DType::F32 => widen_slice(cx, x.slice::<f32>(), dst),
        other => unreachable!("{other} is not widened"),
    }
}

fn widen_slice<T: Element>(cx: &Cx, x: &[T], dst: &mut [f32]) {
    cx.par_chunks_mut(&mut dst[..x.len()], CHUNK, |at, part| {
        // SAFETY: elements of `x`, and this part.
        unsafe { convert_run(x[at..at + part.len()].as_ptr(), part.as_mut_ptr(), part.len()) }
    });
}

/// `y` = float32 values rounded to its half type.
pub(crate) fn narrow(cx: &Cx, x: &[f32], y: &mut ViewMut) {
    match y.dtype() {
        DType::BF16 => narrow_slice(cx, x, y.slice_mut::<bf16>()),
        DType::F16 => narrow_slice(cx, x, y.slice_mut::<f16>()),
        DType::F32 => narrow_slice(cx, x, y.slice_mut::<f32>()),
        other => unreachable!("{other} is not narrowed"),
    }
}

fn narrow_slice<T: Element>(cx: &Cx, x: &[f32], y: &mut [T]) {
    cx.par_chunks_mut(y, CHUNK, |at, part| {
        // SAFETY: elements of `x`, and this part.
        unsafe { convert_run(x[at..at + part.len()].as_ptr(), part.as_mut_ptr(), part.len()) }
    });
}

/// As [`widen`], of a view with any strides: the elements in row-major order.
pub(crate) fn widen_strided(cx: &Cx, x: &View, dst: &mut [f32]) {
    match x.dtype() {
        DType::BF16 => gather::<bf16>(cx, x, dst),
        DType::F16 => gather::<f16>(cx, x, dst),
        other => unreachable!("{other} is not widened"),
    }
}

fn gather<T: Element>(cx: &Cx, x: &View, dst: &mut [f32]) {
    let count = x.numel();
    if x.is_contiguous() {
        return widen_slice(cx, x.slice::<T>(), dst);
    }
    let (dims, strides) = (x.dims(), x.strides());
    let (row, step) = (dims[dims.len() - 1], strides[dims.len() - 1]);
    let from = SyncPtr(x.ptr::<T>().cast_mut());
    cx.par_chunks_mut(&mut dst[..count], (CHUNK / row.max(1)).max(1) * row, |at, part| {
        for (r, to) in part.chunks_exact_mut(row).enumerate() {
            let mut rest = at / row + r;
            let mut offset = 0isize;
            for d in (0..dims.len() - 1).rev() {
                offset += (rest % dims[d]) as isize * strides[d];
                rest /= dims[d];
            }
            for (i, to) in to.iter_mut().enumerate() {
                // SAFETY: an element of the view.
                *to = unsafe { *from.get().offset(offset + i as isize * step) }.to_f32();
            }
        }
    });
}
