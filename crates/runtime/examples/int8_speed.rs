//! How near `quantized_linear` comes to the machine's int8 peak, beside `linear` in float32 and bfloat16:
//! `cargo run --release -p ferrograd-runtime --example int8_speed [THREADS [ROUNDS]]`.
//!
//! Each round measures the peak (independent byte products from registers) and every shape, so that a disturbed moment disturbs all; medians of the
//! rounds are printed, and of their ratios.
use ferrograd_cpu::{linear, linear_scratch, quantized_linear, quantized_linear_scratch};
use ferrograd_runtime::Pool;
use ferrograd_tensor::{Cx, Element, PackKey, Packs, View, ViewMut, bf16};
use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

/// Keeps what it is asked for, as the runtime does from the second call on.
#[derive(Default)]
struct Kept(RefCell<Vec<(PackKey, Vec<u64>, bool)>>);

impl Packs for Kept {
    fn room(&self, _: *const u8, key: &PackKey, bytes: usize) -> Option<(*mut u8, bool)> {
        let mut all = self.0.borrow_mut();
        if !all.iter().any(|pack| pack.0 == *key) {
            all.push((*key, vec![0; bytes.div_ceil(8) + 8], false));
        }
        let pack = all.iter_mut().find(|pack| pack.0 == *key)?;
        let start = pack.1.as_mut_ptr();
        // SAFETY: the alignment skips at most 7 of 8 words too many.
        Some((unsafe { start.add(start.align_offset(64)) }.cast(), pack.2))
    }
    fn filled(&self, _: *const u8, key: &PackKey) {
        self.0.borrow_mut().iter_mut().filter(|pack| pack.0 == *key).for_each(|pack| pack.2 = true);
    }
}

/// GOP/s of `call`, which does `ops` operations, in about 20 ms.
fn rate(ops: f64, mut call: impl FnMut()) -> f64 {
    call();
    let start = Instant::now();
    call();
    let times = (0.02 / start.elapsed().as_secs_f64()).clamp(1.0, 1e6) as usize;
    let start = Instant::now();
    (0..times).for_each(|_| call());
    ops * times as f64 / start.elapsed().as_secs_f64() / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(target_arch = "x86_64")]
mod peak {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    pub const OPS_A_TURN: f64 = (12 * 64 * 2) as f64;

    /// SAFETY: the CPU must have avx512f and avx512vnni.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub unsafe fn turns(count: usize) {
        let (a, b) = (_mm512_set1_epi32(black_box(0x0102_0304)), _mm512_set1_epi32(black_box(0x0403_0201)));
        let mut sums = [_mm512_set1_epi32(black_box(1)); 12];
        for _ in 0..count {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, a, b);
            }
        }
        black_box(sums);
    }
}

fn peak(pool: &Pool) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        use ferrograd_tensor::Parallel;
        const TURNS: usize = 200_000;
        let threads = pool.threads();
        // SAFETY: the features were detected.
        return rate(peak::OPS_A_TURN * (TURNS * threads) as f64, || pool.run(threads, &|_, _| unsafe { peak::turns(TURNS) }));
    }
    let _ = pool;
    f64::NAN
}

/// GOP/s of `linear` in one float dtype.
fn float<T: Element>(pool: &Pool, [m, n, k]: [usize; 3]) -> f64 {
    let values = |len: usize| ferrograd_cpu::testing::noise(len as u64, len).into_iter().map(T::from_f64).collect::<Vec<T>>();
    let (x, w, mut y) = (values(m * k), values(n * k), values(m * n));
    let (x, w, kept) = (View::of(&x, &[m, k]), View::of(&w, &[n, k]), Kept::default());
    let mut scratch = room(linear_scratch(x.meta(), w.meta()));
    rate(2.0 * (m * n * k) as f64, || {
        let mut cx = Cx::new(pool, bytes(&mut scratch), 0).keeping(&kept);
        linear(&mut cx, &x, &w, None, 0, &mut ViewMut::of(&mut y, &[m, n])).expect("valid");
        black_box(&y);
    })
}

fn int8(pool: &Pool, [m, n, k]: [usize; 3], keep: bool) -> f64 {
    let x: Vec<u8> = (0..m * k).map(|i| (i * 31 % 256) as u8).collect();
    let w: Vec<i8> = (0..n * k).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let (scale, mut y) = (vec![0.01f32; n], vec![0f32; m * n]);
    let (x, w, scale, kept) = (View::of(&x, &[m, k]), View::of(&w, &[n, k]), View::of(&scale, &[n]), Kept::default());
    let mut scratch = room(quantized_linear_scratch(x.meta(), w.meta()));
    rate(2.0 * (m * n * k) as f64, || {
        let mut cx = Cx::new(pool, bytes(&mut scratch), 0);
        if keep {
            cx = cx.keeping(&kept);
        }
        quantized_linear(&mut cx, &x, &w, &scale, Some(&scale), 0.02, 128, 1, &mut ViewMut::of(&mut y, &[m, n])).expect("valid");
        black_box(&y);
    })
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

fn room(bytes: usize) -> Vec<Line> {
    vec![Line { _bytes: [0; 64] }; bytes.div_ceil(64)]
}

fn bytes(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: lines are plain bytes.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 64) }
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("a number"));
    let threads = args.next().unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
    let rounds = args.next().unwrap_or(11);
    let pool = Pool::new(threads);
    // m, n, k
    let shapes = [
        [1024, 1024, 1024],
        [512, 512, 512],
        [32, 128, 512],
        [1, 3072, 768],
        [1, 768, 3072],
        [1, 512, 512],
        [128, 3072, 768],
        [8, 3072, 768],
    ];
    let mut seen = vec![(Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new()); shapes.len()];
    let mut peaks = Vec::new();
    for _ in 0..rounds {
        for (shape, seen) in shapes.into_iter().zip(&mut seen) {
            let most = peak(&pool);
            let kept = int8(&pool, shape, true);
            peaks.push(most);
            seen.0.push(kept);
            seen.1.push(kept / most);
            seen.2.push(int8(&pool, shape, false));
            seen.3.push(kept / float::<f32>(&pool, shape));
            seen.4.push(kept / float::<bf16>(&pool, shape));
        }
    }
    println!("{} on {threads} threads, peak {:.0} GOP/s; medians of {rounds}", ferrograd_runtime::isa_name(), median(peaks));
    for (shape, (kept, share, fresh, f32s, bf16s)) in shapes.into_iter().zip(seen) {
        println!(
            "{shape:?}: {:.0} GOP/s, {:.2} of the peak; weight packed anew {:.0}; times float32 {:.2}, bfloat16 {:.2}",
            median(kept),
            median(share),
            median(fresh),
            median(f32s),
            median(bf16s)
        );
    }
}
