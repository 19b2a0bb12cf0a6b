//! y = x W^T + b of a quantised layer: x in uint8 with one scale and zero point, W in int8 with a scale a row (PyTorch's dynamically and statically
//! quantised `Linear`).
use crate::gemm::Mat;
use crate::gemm::int8::{Finish, Quad, QuadGemm, Table, quad_scratch_len};
use crate::linear::transposed;
use crate::matmul::Stack;
use ferrograd_tensor::{Cx, Meta, PackKey, Result, SyncPtr, View, ViewMut};

/// Bytes that [`quantized_linear`] wants.
pub fn quantized_linear_scratch(x: &Meta, weight: &Meta) -> usize {
    match weight.dims() {
        // Rows of x in one product, which is the most; weight_scale and bias side by side.
        &[out, features] => {
            let rows = x.numel().checked_div(features).unwrap_or(0);
            4 * quad_scratch_len(rows, out, features).next_multiple_of(16) + 2 * (4 * out).next_multiple_of(64)
        }
        _ => 0,
    }
}

/// y [..., out] = (sum over in of (x - x_zero_point) weight) * (x_scale * weight_scale [out]) + bias [out], x [..., in], weight [out, in];
/// `activation` 1 is ReLU, NaN kept. The sum is exact; the same bits on every path.
pub fn quantized_linear(
    cx: &mut Cx,
    x: &View,
    weight: &View,
    weight_scale: &View,
    bias: Option<&View>,
    x_scale: f64,
    x_zero_point: i64,
    activation: i64,
    y: &mut ViewMut,
) -> Result {
    let out = weight.dims()[0];
    if y.numel() == 0 {
        return Ok(());
    }
    let w = Meta { dtype: weight.dtype(), layout: transposed(weight.meta()).expect("a matrix, by the shape rule") };
    let s = Stack::new(x.meta(), &w);
    let (scales, mut cx) = cx.split_scratch::<f32>(out);
    let scales = side_by_side(weight_scale, scales);
    let (biases, mut cx) = cx.split_scratch::<f32>(out);
    let finish = Finish {
        zero_point: x_zero_point as i32,
        scale: x_scale as f32,
        scales: SyncPtr(scales.cast_mut()),
        bias: SyncPtr(bias.map_or(std::ptr::null(), |v| side_by_side(v, biases)).cast_mut()),
        relu: activation == 1,
    };
    let (a, b, c) = (x.ptr::<u8>(), weight.ptr::<i8>(), y.slice_mut::<f32>().as_mut_ptr());
    let product = |i: usize| {
        let (at, _) = s.at(i);
        // SAFETY: starts of matrices inside the operands.
        unsafe {
            QuadGemm {
                m: s.m,
                n: s.n,
                k: s.k,
                a: Mat { ptr: a.offset(at), rs: s.a.0, cs: s.a.1 },
                b: Mat { ptr: b, rs: s.b.0, cs: s.b.1 },
                c: SyncPtr(c.add(i * s.m * s.n)),
                ldc: s.n,
                finish,
                packed_b: None,
            }
        }
    };
    let table = Table::get();
    // The weight may stay packed from call to call.
    let mut packed_b = None;
    let one = product(0);
    if s.count() == 1 && s.k > 0 && one.packs_b() {
        let key = PackKey { order: "quantized_linear", sizes: [s.k as isize, s.n as isize, s.b.0, s.b.1, table.nr() as isize, 0] };
        packed_b = cx.kept(b.cast::<Quad>(), &key, one.packed_len(table), |to| one.pack_b(table, cx.pool(), to));
    }
    let (scratch, cx) = cx.split_scratch::<Quad>(quad_scratch_len(s.m, s.n, s.k));
    for i in 0..s.count() {
        // SAFETY: operands and output as the shape rule gave them; the path in force has its instructions.
        unsafe { QuadGemm { packed_b, ..product(i) }.run(table, cx.pool(), scratch) }
    }
    Ok(())
}

/// The elements of a vector, copied into `room` where they lie apart.
fn side_by_side(v: &View, room: &mut [f32]) -> *const f32 {
    if v.is_contiguous() {
        return v.ptr::<f32>();
    }
    for (i, to) in room.iter_mut().enumerate() {
        // SAFETY: an element of the vector.
        *to = unsafe { *v.ptr::<f32>().offset(i as isize * v.strides()[0]) };
    }
    room.as_ptr()
}
