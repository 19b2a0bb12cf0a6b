//! The gradients of [`super::norm_relu_conv`], in one pass over x and its gradient.
use super::product::{self, Product};
use super::rows::{Add, Back, Correct, LANES};
use super::{Norm, Shared, Sizes, wide};
use crate::channels::{Param, set_stats, stat};
use crate::gemm::{Mat, Next};
use ferrograd_simd::{Kernel, Scalar, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Float, Meta, Result, SyncPtr, View, ViewMut, with_float};

/// Elements normalised at a time: in an L2 of 1 MiB they lie beside the rows of x and those of its gradient.
const BLOCK: usize = super::BLOCK / 2;

/// Rows that go back through the ReLU as soon as their gradient is there, while it is in the first-level cache: two of the tallest tiles. Their sums stay
/// in the numbers that x computes in, before they are added up in float64.
const SOME: usize = 28;

/// Bytes that [`norm_relu_conv_grad`] wants.
pub fn norm_relu_conv_grad_scratch(x: &Meta, kernel: &Meta) -> usize {
    let (s, size) = (Sizes::new(x, kernel, BLOCK), wide(x.dtype));
    let chunks = s.chunks();
    let bytes = |elements: usize, size: usize| (elements * size).next_multiple_of(64);
    bytes(Shared::<f32>::len(&s), size)
        + bytes(3 * s.out, size)
        + bytes(chunks * s.out * s.channels, size)
        + bytes(chunks * 2 * s.channels, 8)
}

/// Bytes for each thread that [`norm_relu_conv_grad`] wants.
pub fn norm_relu_conv_grad_local(x: &Meta, kernel: &Meta) -> usize {
    wide(x.dtype) * room(&Sizes::new(x, kernel, BLOCK)).iter().sum::<usize>()
}

/// Elements of a task: what is normalised, the gradient of some rows of it, dy, a block's gradient of the kernel, some rows' sums, what the products want.
fn room(s: &Sizes) -> [usize; 6] {
    let (rows, c, o) = (s.block(), s.channels, s.out);
    let products = s.heights().map(|m| {
        let back = |m: usize| product::room(m, c, o, (o as isize, 1), (c as isize, 1));
        back(SOME.min(m)).max(back(m % SOME)).max(product::room(o, c, m, (1, o as isize), (c as isize, 1)))
    });
    [rows * c, SOME.min(rows) * c, rows * o, o * c, 2 * c.next_multiple_of(LANES), products[0].max(products[1])]
        .map(|len| len.next_multiple_of(16))
}

/// With z = (x - mean) * rstd * weight + bias, g = dy kernel where z > 0, n rows, and s = weight * rstd, of which the gradient of x is
/// s * (g - sum g / n - (x - mean) * rstd^2 * sum(g * (x - mean)) / n): dx += s * g, and the rest, which is a number a channel and another times
/// x - mean, is added up in `correction` [2, C], for `append_channels_grad` to apply once. dkernel = dy^T max(0, z),
/// dweight = rstd * sum(g * (x - mean)), dbias = sum g.
///
/// dy comes in the same two parts from the normalisation behind: y_correction[0] + y_correction[1] * (y - y_mean) is added to it.
pub fn norm_relu_conv_grad(
    cx: &mut Cx,
    dy: &View,
    y: &View,
    y_mean: &View,
    y_correction: &View,
    x: &View,
    mean: &View,
    variance: &View,
    weight: Option<&View>,
    bias: Option<&View>,
    kernel: &View,
    dx: &mut ViewMut,
    correction: &mut ViewMut,
    eps: f64,
    dkernel: &mut ViewMut,
    dweight: &mut ViewMut,
    dbias: &mut ViewMut,
) -> Result {
    let sizes = Sizes::new(x.meta(), kernel.meta(), BLOCK);
    let channels = sizes.channels;
    let norm = Norm { mean, variance, weight: Param::new(weight, 1.0), bias: Param::new(bias, 0.0), eps };
    with_float!(x.dtype(), T => {
        let (shared, mut cx) = Shared::<T>::new(cx, sizes, &norm, kernel.slice());
        let (behind, mut cx) = cx.split_scratch::<<T as Float>::Acc>(3 * sizes.out);
        for (o, to) in behind.iter_mut().enumerate() {
            *to = Element::from_f64(if o < sizes.out { stat(y_mean, o) } else { stat(y_correction, o - sizes.out) });
        }
        let behind = Behind { y: y.slice(), c: std::array::from_fn(|i| &behind[i * sizes.out..][..sizes.out]) };
        let count = sizes.chunks();
        let (dkernels, mut cx) = cx.split_scratch::<<T as Float>::Acc>(count * sizes.out * channels);
        let (sums, mut cx) = cx.split_scratch::<f64>(count * 2 * channels);
        pass(&mut cx, &shared, &behind, dy.slice(), x.slice(), dx.slice_mut(), dkernels, sums);
        join(&cx, dkernels, dkernel.slice_mut::<T>());
        let of = |k: usize| {
            let sum = |kind: usize| sums.chunks_exact((2 * channels).max(1)).fold(0.0, |sum, part| sum + part[kind * channels + k]);
            norm.gradients(k, sizes.rows as f64, [sum(0), sum(1)])
        };
        set_stats(dbias, |k| of(k).0[0]);
        set_stats(dweight, |k| of(k).0[1]);
        add(correction, channels, |k| of(k).1);
        Ok(())
    })
}

/// Adds two numbers a channel to the first channels of `correction` [2, C].
fn add(correction: &mut ViewMut, channels: usize, of: impl Fn(usize) -> [f64; 2]) {
    fn typed<T: Element>(all: &mut [T], width: usize, k: usize, values: [f64; 2]) {
        for (i, v) in values.into_iter().enumerate() {
            let to = &mut all[i * width + k];
            *to = T::from_f64(to.to_f64() + v);
        }
    }
    let width = correction.dims()[1];
    for k in 0..channels {
        match correction.dtype() {
            DType::F64 => typed(correction.slice_mut::<f64>(), width, k, of(k)),
            _ => typed(correction.slice_mut::<f32>(), width, k, of(k)),
        }
    }
}

/// Everything that runs over rows: fills `dkernels` [chunk, out, channels] and `sums` [chunk, 2, channels].
fn pass<T: Float>(
    cx: &mut Cx,
    shared: &Shared<T>,
    behind: &Behind<T>,
    dy: &[T],
    x: &[T],
    dx: &mut [T],
    dkernels: &mut [T::Acc],
    sums: &mut [f64],
) where
    T::Acc: Product,
{
    let s = shared.sizes;
    let room = room(&s);
    let (dx_len, dx) = (dx.len(), SyncPtr(dx.as_mut_ptr()));
    let (dkernels, sums) = (SyncPtr(dkernels.as_mut_ptr()), SyncPtr(sums.as_mut_ptr()));
    cx.par_local::<T::Acc>(s.chunks(), room.iter().sum(), |chunk, local| {
        // SAFETY: each chunk has its own sums.
        let (dkernel, sums) = unsafe {
            let (area, pair) = (s.out * s.channels, 2 * s.channels);
            (
                std::slice::from_raw_parts_mut(dkernels.get().add(chunk * area), area),
                std::slice::from_raw_parts_mut(sums.get().add(chunk * pair), pair),
            )
        };
        sums.fill(0.0);
        for block in s.blocks_of(chunk) {
            let (first, rows) = s.rows_of(block);
            // SAFETY: the rows of this block, which is this task's.
            let dx = unsafe { std::slice::from_raw_parts_mut(dx.get().add(first * s.width), (rows * s.width).min(dx_len)) };
            let last = block + 1 == s.blocks_of(chunk).end;
            let (x, after) = x[first * s.width..].split_at(rows * s.width);
            let after = if last { &[] } else { &after[..after.len().min(rows * s.width)] };
            let own = first * s.out..(first + rows) * s.out;
            let next = [dy, behind.y].map(|all| all.as_ptr().wrapping_add(own.end));
            let task = Task { shared, dy: &dy[own.clone()], behind: Behind { y: &behind.y[own], c: behind.c }, x, after, next, rows };
            task.run(local, &room, dx, dkernel, sums, block == s.blocks_of(chunk).start);
        }
    });
}

/// y, and the coefficients of what is added to its gradient, as [`Correct`] has them.
struct Behind<'a, T: Float> {
    y: &'a [T],
    c: [&'a [T::Acc]; 3],
}

/// One block of rows.
struct Task<'a, T: Float> {
    shared: &'a Shared<'a, T>,
    dy: &'a [T],
    behind: Behind<'a, T>,
    x: &'a [T],
    /// x's rows of the block that follows.
    after: &'a [T],
    /// dy and y of that block.
    next: [*const T; 2],
    rows: usize,
}

impl<T: Float> Task<'_, T>
where
    T::Acc: Product,
{
    fn run(&self, local: &mut [T::Acc], room: &[usize; 6], dx: &mut [T], dkernel: &mut [T::Acc], sums: &mut [f64], first: bool) {
        let (s, rows) = (self.shared.sizes, self.rows);
        let (active, local) = local.split_at_mut(room[0]);
        let (dz, local) = local.split_at_mut(room[1]);
        let (dy, local) = local.split_at_mut(room[2]);
        let (part, local) = local.split_at_mut(room[3]);
        let (some, local) = local.split_at_mut(room[4]);
        let active = &mut active[..rows * s.channels];
        let run = Correct { dy: self.dy, y: self.behind.y, c: self.behind.c, to: &mut dy[..rows * s.out] };
        if T::DTYPE == DType::F32 {
            vectorize(run)
        } else {
            run.run(Scalar)
        }
        let row = |ptr: *const T::Acc, step: usize| Mat { ptr, rs: step as isize, cs: 1 };
        let asked = |rows: &[T]| Next::of([rows, &[]], s.width, s.channels);
        for from in (0..rows).step_by(SOME) {
            let count = SOME.min(rows - from);
            let next = &dx[from * s.width..dx.len().min((from + count) * s.width)];
            // SAFETY: `dy` holds rows * out elements, the kernel out * channels, `dz` some rows * channels.
            unsafe {
                let (dy, kernel) = (row(dy[from * s.out..].as_ptr(), s.out), row(self.shared.kernel.as_ptr(), s.channels));
                product::run([count, s.channels, s.out], dy, kernel, dz.as_mut_ptr(), asked(next), local);
            }
            self.back(from, active, &dz[..count * s.channels], dx, some, sums);
        }
        let after = asked(self.after);
        // SAFETY: as above; `active` has rows * channels elements, both sums out * channels.
        unsafe {
            let turned = Mat { ptr: dy.as_ptr(), rs: 1, cs: s.out as isize };
            let to = if first { dkernel.as_mut_ptr() } else { part.as_mut_ptr() };
            product::run([s.out, s.channels, rows], turned, row(active.as_ptr(), s.channels), to, after, local);
        }
        if !first {
            vectorize(Add { to: dkernel, from: part });
        }
    }

    /// Goes back through the ReLU and the normalisation with the rows from `from` on, whose gradient is `dz`, and fills their part of `active`.
    fn back(&self, from: usize, active: &mut [T::Acc], dz: &[T::Acc], dx: &mut [T], some: &mut [T::Acc], sums: &mut [f64]) {
        let Sizes { width, channels, out, .. } = self.shared.sizes;
        let (sum, product) = some.split_at_mut(some.len() / 2);
        sum.fill(T::default().acc());
        product.fill(T::default().acc());
        let run = Back {
            x: &self.x[from * width..],
            dx: &mut dx[from * width..],
            width,
            c: self.shared.c,
            active: &mut active[from * channels..][..dz.len()],
            dz,
            sums: [&mut *sum, &mut *product],
            next: self.next.map(|next| next.wrapping_add(from * out)),
            out,
        };
        if T::DTYPE == DType::F32 {
            vectorize(run)
        } else {
            run.run(Scalar)
        }
        for (to, from) in sums.iter_mut().zip(sum[..channels].iter().chain(&product[..channels])) {
            *to += from.to_f64();
        }
    }
}

/// The kernel's gradient: the chunks', added in order.
fn join<T: Float>(cx: &Cx, dkernels: &mut [T::Acc], dkernel: &mut [T]) {
    let area = dkernel.len();
    let all = SyncPtr(dkernels.as_mut_ptr());
    let chunks = dkernels.len() / area.max(1);
    cx.par_chunks_mut(dkernel, 4096, |at, part| {
        // SAFETY: places at..at + part.len() of every chunk are this task's.
        let of = |chunk: usize| unsafe { std::slice::from_raw_parts_mut(all.get().add(chunk * area + at), part.len()) };
        if chunks == 0 {
            return part.fill(T::default());
        }
        let sum = of(0);
        for chunk in 1..chunks {
            for (sum, &v) in sum.iter_mut().zip(&*of(chunk)) {
                *sum += v;
            }
        }
        for (to, &sum) in part.iter_mut().zip(&*sum) {
            *to = T::from_acc(sum);
        }
    });
}
