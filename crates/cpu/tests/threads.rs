//! The same bits on 1, 2, 3 and 7 threads, for the kernels that add up in chunks or share targets.
use ferrograd_cpu as cpu;
use ferrograd_tensor::{Cx, Meta, Parallel, View, ViewMut};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Threads(usize);

impl Parallel for Threads {
    fn run(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for lane in 0..self.0 {
                let next = &next;
                scope.spawn(move || {
                    while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < count) {
                        task(i, lane);
                    }
                });
            }
        });
    }
    fn threads(&self) -> usize {
        self.0
    }
}

/// Runs `f` on each number of threads with fresh scratch; what it returns must not differ in a bit.
fn same_bits(name: &str, scratch: usize, f: impl Fn(&mut Cx) -> Vec<f32>) {
    same_bits_with_room(name, scratch, 0, f);
}

/// As [`same_bits`], with `local` bytes for each thread.
fn same_bits_with_room(name: &str, scratch: usize, local: usize, f: impl Fn(&mut Cx) -> Vec<f32>) {
    let mut first: Option<Vec<u32>> = None;
    for threads in [1, 2, 3, 7] {
        let scratch = scratch.next_multiple_of(64) + local * threads;
        // Sixteen words more, so that the scratch can start at a multiple of 64 bytes.
        let mut words = vec![0x7fc0_0000u32; scratch.div_ceil(4) + 16];
        let skip = words.as_ptr().align_offset(64);
        // SAFETY: inside `words`, which outlives the call; every byte pattern is a u8.
        let bytes = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().add(skip).cast::<u8>(), scratch) };
        let bits: Vec<u32> = f(&mut Cx::new(&Threads(threads), bytes, local)).iter().map(|v| v.to_bits()).collect();
        match &first {
            None => first = Some(bits),
            Some(want) => assert!(*want == bits, "{name} on {threads} threads"),
        }
    }
}

fn numbers(seed: u64, len: usize) -> Vec<f32> {
    cpu::testing::noise(seed, len).iter().map(|&v| v as f32).collect()
}

#[test]
fn reductions() {
    let x = numbers(1, 600_000);
    for (dims, over) in
        [(&[600_000][..], &[][..]), (&[6000, 100], &[0]), (&[6000, 100], &[1]), (&[100, 60, 100], &[0, 2]), (&[200_000, 3], &[0])]
    {
        let x = View::of(&x, dims);
        let y = ferrograd_tensor::rules::sum(x.meta(), over, false).unwrap();
        same_bits("sum", cpu::reduce_scratch(x.meta(), over), |cx| {
            let mut out = vec![0f32; y.numel()];
            cpu::sum(cx, &x, over, false, &mut ViewMut::of(&mut out, y.dims())).unwrap();
            out
        });
    }
}

#[test]
fn normalisations() {
    let (x, dy, w) = (numbers(1, 600_000), numbers(2, 600_000), numbers(3, 100));
    let dims = [60, 100, 100];
    let (x, dy, w) = (View::of(&x, &dims), View::of(&dy, &dims), View::of(&w, &[100]));
    same_bits("batch_norm", cpu::batch_norm_scratch(x.meta()), |cx| {
        let (mut y, mut m, mut v, mut dx) = (vec![0f32; 600_000], vec![0f32; 100], vec![0f32; 100], vec![0f32; 600_000]);
        let (mut dw, mut db) = (vec![0f32; 100], vec![0f32; 100]);
        let stats = [100];
        let out = |v: &mut Vec<f32>| -> ViewMut<'static> {
            let meta = Meta::new(ferrograd_tensor::DType::F32, if v.len() == 100 { &stats } else { &dims }).unwrap();
            // SAFETY: the vectors outlive the calls below.
            unsafe { ViewMut::new(v.as_mut_ptr().cast(), meta) }
        };
        cpu::batch_norm(cx, &x, Some(&w), Some(&w), Some(&dy), 1e-5, 1, &mut out(&mut y), &mut out(&mut m), &mut out(&mut v)).unwrap();
        let (mean, variance) = (View::of(&m, &stats), View::of(&v, &stats));
        cpu::batch_norm_grad(
            cx,
            &dy,
            &x,
            &mean,
            &variance,
            Some(&w),
            Some(&w),
            1e-5,
            1,
            &mut out(&mut dx),
            &mut out(&mut dw),
            &mut out(&mut db),
        )
        .unwrap();
        [y, m, v, dx, dw, db].concat()
    });
    let (mean, rstd) = (numbers(4, 6000), numbers(5, 6000));
    let (mean, rstd) = (View::of(&mean, &[60, 100]), View::of(&rstd, &[60, 100]));
    same_bits("layer_norm_grad", cpu::layer_norm_grad_scratch(x.meta(), 1), |cx| {
        let (mut dx, mut dw, mut db) = (vec![0f32; 600_000], vec![0f32; 100], vec![0f32; 100]);
        let (dwv, dbv) = (&mut ViewMut::of(&mut dw, &[100]), &mut ViewMut::of(&mut db, &[100]));
        cpu::layer_norm_grad(cx, &dy, &x, &mean, &rstd, Some(&w), 1, &mut ViewMut::of(&mut dx, &dims), dwv, dbv).unwrap();
        [dx, dw, db].concat()
    });
}

#[test]
fn shared_targets() {
    let (x, source) = (numbers(1, 2000 * 16), numbers(2, 20_000 * 16));
    let ids: Vec<i32> = (0..20_000).map(|i| i * 7919 % 2000).collect();
    let wide: Vec<i32> = ids.iter().flat_map(|&i| [i; 16]).collect();
    let (x, source, ids, wide) =
        (View::of(&x, &[2000, 16]), View::of(&source, &[20_000, 16]), View::of(&ids, &[20_000]), View::of(&wide, &[20_000, 16]));
    same_bits("scatter_add", 0, |cx| {
        let mut y = vec![0f32; 2000 * 16];
        cpu::scatter_add(cx, &x, &wide, &source, 0, &mut ViewMut::of(&mut y, &[2000, 16])).unwrap();
        y
    });
    same_bits("scatter", 0, |cx| {
        let mut y = vec![0f32; 2000 * 16];
        cpu::scatter(cx, &x, &wide, &source, 0, &mut ViewMut::of(&mut y, &[2000, 16])).unwrap();
        y
    });
    same_bits("embedding_grad", 0, |cx| {
        let mut y = vec![0f32; 2000 * 16];
        cpu::embedding_grad(cx, &source, &ids, 2000, 3, &mut ViewMut::of(&mut y, &[2000, 16])).unwrap();
        y
    });
}

#[test]
fn bfloat16() {
    use ferrograd_tensor::bf16;
    let halves = |seed, len| -> Vec<bf16> { numbers(seed, len).into_iter().map(bf16::from_f32).collect() };
    let wide = |v: Vec<bf16>| -> Vec<f32> { v.iter().map(|v| v.to_f32()).collect() };
    // The last one has output channels enough for blocks of them, and weights too large for the second cache.
    for (x, o, k, stride, pad) in [([20, 16, 17, 40], 33, 3, 1, 1), ([9, 15, 16, 64], 96, 1, 2, 0), ([6, 8, 8, 256], 320, 3, 1, 1)] {
        let side = |len: usize| (len + 2 * pad - k) / stride + 1;
        let (y, w) = ([x[0], side(x[1]), side(x[2]), o], [o, k, k, x[3]]);
        let (xs, ws, dys) = (halves(1, x.iter().product()), halves(2, w.iter().product()), halves(3, y.iter().product()));
        let (xv, wv, dyv) = (View::of(&xs, &x), View::of(&ws, &w), View::of(&dys, &y));
        let (strides, padding, one, kernel) = ([stride as i64; 2], [pad as i64; 4], [1, 1], [k as i64; 2]);
        let (h, wd) = (x[1] as i64, x[2] as i64);
        let local = cpu::conv2d_local(xv.meta(), wv.meta(), &strides, &padding, &one, 1).next_multiple_of(64);
        same_bits_with_room("conv2d", cpu::conv2d_scratch(xv.meta(), wv.meta(), &strides, &padding, &one, 1), local, |cx| {
            let mut out = vec![bf16::ZERO; dys.len()];
            cpu::conv2d(cx, &xv, &wv, None, &strides, &padding, &one, 1, 0, &mut ViewMut::of(&mut out, &y)).unwrap();
            wide(out)
        });
        let local = cpu::conv2d_input_grad_local(dyv.meta(), wv.meta(), h, wd, &strides, &padding, &one, 1).next_multiple_of(64);
        let scratch = cpu::conv2d_input_grad_scratch(dyv.meta(), wv.meta(), h, wd, &strides, &padding, &one, 1);
        same_bits_with_room("conv2d_input_grad", scratch, local, |cx| {
            let mut out = vec![bf16::ZERO; xs.len()];
            cpu::conv2d_input_grad(cx, &dyv, &wv, h, wd, &strides, &padding, &one, 1, false, &mut ViewMut::of(&mut out, &x)).unwrap();
            wide(out)
        });
        let local = cpu::conv2d_weight_grad_local(xv.meta(), dyv.meta(), &kernel, &strides, &padding, &one, 1).next_multiple_of(64);
        let scratch = cpu::conv2d_weight_grad_scratch(xv.meta(), dyv.meta(), &kernel, &strides, &padding, &one, 1);
        same_bits_with_room("conv2d_weight_grad", scratch, local, |cx| {
            let mut out = vec![bf16::ZERO; ws.len()];
            cpu::conv2d_weight_grad(cx, &xv, &dyv, &kernel, &strides, &padding, &one, 1, false, &mut ViewMut::of(&mut out, &w)).unwrap();
            wide(out)
        });
        let bias = [0, 1, 2];
        same_bits("sum", cpu::reduce_scratch(dyv.meta(), &bias), |cx| {
            let mut out = vec![bf16::ZERO; o];
            cpu::sum(cx, &dyv, &bias, false, &mut ViewMut::of(&mut out, &[o])).unwrap();
            wide(out)
        });
    }
}
