//! Forward and both gradients against the definition, written as loops over everything.
use super::*;
use crate::gemm::shuffled::{on_lanes, on_threads, same_bits};
use crate::testing::{assert_close, each_isa, noise};
use ferrograd_tensor::{DType, Element, Float, Meta, View, ViewMut, bf16, f16, rules};

#[derive(Clone, Copy, Debug)]
struct Case {
    x: [usize; 4],
    /// Output channels, kernel rows and columns.
    w: [usize; 3],
    stride: [i64; 2],
    padding: [i64; 4],
    dilation: [i64; 2],
    groups: usize,
}

const fn case(x: [usize; 4], w: [usize; 3]) -> Case {
    Case { x, w, stride: [1, 1], padding: [0; 4], dilation: [1, 1], groups: 1 }
}

const CASES: &[Case] = &[
    case([2, 8, 9, 3], [5, 3, 3]),
    case([3, 32, 32, 3], [32, 3, 3]),
    case([9, 15, 15, 32], [64, 3, 3]),
    case([2, 6, 6, 64], [64, 3, 3]),
    case([1, 4, 4, 1], [1, 1, 1]),
    case([2, 5, 7, 6], [33, 1, 1]),
    case([0, 5, 7, 6], [4, 3, 3]),
    case([2, 5, 7, 0], [4, 3, 3]),
    case([2, 5, 7, 6], [0, 3, 3]),
    Case { padding: [1, 1, 1, 1], ..case([2, 7, 6, 5], [7, 3, 3]) },
    Case { padding: [2, 0, 1, 3], ..case([2, 5, 4, 3], [4, 4, 2]) },
    Case { padding: [1, 1, 1, 1], ..case([10, 3, 3, 8], [20, 3, 3]) },
    Case { padding: [3, 3, 3, 3], stride: [2, 2], ..case([2, 17, 19, 3], [16, 7, 7]) },
    Case { stride: [2, 3], ..case([2, 9, 11, 4], [6, 3, 2]) },
    Case { stride: [3, 3], padding: [0, 1, 2, 0], ..case([1, 10, 8, 4], [6, 2, 1]) },
    Case { dilation: [2, 3], padding: [2, 2, 3, 3], ..case([2, 9, 10, 4], [5, 3, 3]) },
    Case { dilation: [2, 2], stride: [2, 2], padding: [1, 0, 1, 2], ..case([2, 12, 11, 3], [5, 3, 3]) },
    Case { dilation: [3, 2], stride: [2, 3], ..case([1, 14, 13, 2], [3, 3, 4]) },
    Case { groups: 2, padding: [1, 1, 1, 1], ..case([2, 6, 7, 8], [10, 3, 3]) },
    Case { groups: 3, stride: [2, 1], ..case([2, 7, 8, 9], [3, 3, 2]) },
    Case { groups: 4, padding: [1, 1, 1, 1], ..case([2, 6, 7, 4], [8, 3, 3]) },
    Case { groups: 6, padding: [1, 0, 0, 1], stride: [2, 2], ..case([2, 7, 7, 6], [6, 3, 3]) },
    Case { groups: 70, padding: [1, 1, 2, 2], ..case([3, 5, 6, 70], [70, 3, 5]) },
    Case { padding: [5, 5, 5, 5], ..case([1, 2, 2, 2], [3, 3, 3]) },
    Case { padding: [0, 0, 4, 4], ..case([1, 9, 1, 8], [12, 9, 9]) },
    Case { padding: [1, 1, 1, 1], ..case([3, 8, 8, 33], [40, 3, 3]) },
    Case { padding: [1, 2, 0, 1], ..case([5, 7, 6, 64], [32, 3, 3]) },
    Case { padding: [1, 1, 1, 1], ..case([9, 4, 4, 256], [160, 3, 3]) },
    Case { padding: [1, 1, 1, 1], ..case([2, 9, 8, 48], [12, 3, 3]) },
    Case { padding: [2, 2, 2, 2], ..case([1, 2, 3, 32], [47, 3, 3]) },
];

struct Sizes {
    y: [usize; 4],
    w: [usize; 4],
}

impl Case {
    fn sizes(&self) -> Sizes {
        let w = [self.w[0], self.w[1], self.w[2], self.x[3] / self.groups];
        let y = rules::conv2d(&meta(&self.x), &meta(&w), None, &self.stride, &self.padding, &self.dilation, self.groups as i64).unwrap();
        Sizes { y: y.dims().try_into().unwrap(), w }
    }
    /// Calls `f(index of x, of weight, of y)` for every product of the convolution.
    fn products(&self, mut f: impl FnMut(usize, usize, usize)) {
        let (Sizes { y, w }, [n, h, wd, c]) = (self.sizes(), self.x);
        let og = y[3] / self.groups;
        for (i, oy, ox, o) in indices(y) {
            for (_, kh, kw, ci) in indices([1, w[1], w[2], w[3]]) {
                let iy = oy as i64 * self.stride[0] - self.padding[0] + kh as i64 * self.dilation[0];
                let ix = ox as i64 * self.stride[1] - self.padding[2] + kw as i64 * self.dilation[1];
                if (0..h as i64).contains(&iy) && (0..wd as i64).contains(&ix) {
                    let channel = o / og * w[3] + ci;
                    assert!(i < n);
                    f(
                        ((i * h + iy as usize) * wd + ix as usize) * c + channel,
                        ((o * w[1] + kh) * w[2] + kw) * w[3] + ci,
                        ((i * y[1] + oy) * y[2] + ox) * y[3] + o,
                    );
                }
            }
        }
    }
}

fn meta(dims: &[usize]) -> Meta {
    Meta::new(DType::F32, dims).unwrap()
}

fn indices(d: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..d.iter().product()).map(move |i| (i / d[3] / d[2] / d[1], i / d[3] / d[2] % d[1], i / d[3] % d[2], i % d[3]))
}

/// What a case gives: y (with bias), dx, dw.
type Results = [Vec<f64>; 3];

struct Data {
    x: Vec<f64>,
    w: Vec<f64>,
    bias: Vec<f64>,
    dy: Vec<f64>,
}

fn data(case: &Case) -> Data {
    let Sizes { y, w } = case.sizes();
    Data { x: noise(1, case.x.iter().product()), w: noise(2, w.iter().product()), bias: noise(3, y[3]), dy: noise(4, y.iter().product()) }
}

fn reference(case: &Case, d: &Data) -> Results {
    let mut y: Vec<f64> = (0..d.dy.len()).map(|i| d.bias[i % d.bias.len()]).collect();
    let (mut dx, mut dw) = (vec![0.0; d.x.len()], vec![0.0; d.w.len()]);
    case.products(|x, w, o| {
        y[o] += d.x[x] * d.w[w];
        dx[x] += d.dy[o] * d.w[w];
        dw[w] += d.dy[o] * d.x[x];
    });
    [y, dx, dw]
}

/// The kernels on `threads` threads.
fn kernels<T: Element>(case: &Case, d: &Data, activation: i64, threads: usize) -> Results {
    let Sizes { y: yd, w: wd } = case.sizes();
    let cast = |v: &[f64]| v.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
    let back = |v: Vec<T>| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
    let (x, w, bias, dy) = (cast(&d.x), cast(&d.w), cast(&d.bias), cast(&d.dy));
    let (xv, wv, bv, dyv) = (View::of(&x, &case.x), View::of(&w, &wd), View::of(&bias, &[yd[3]]), View::of(&dy, &yd));
    let (stride, padding, dilation, groups) = (&case.stride[..], &case.padding[..], &case.dilation[..], case.groups as i64);
    let nan = T::from_f64(f64::NAN);
    let (mut y, mut dx, mut dw) = (vec![nan; dy.len()], vec![nan; x.len()], vec![nan; w.len()]);
    let local = conv2d_local(xv.meta(), wv.meta(), stride, padding, dilation, groups);
    on_lanes(threads, conv2d_scratch(xv.meta(), wv.meta(), stride, padding, dilation, groups), local, |cx| {
        conv2d(cx, &xv, &wv, Some(&bv), stride, padding, dilation, groups, activation, &mut ViewMut::of(&mut y, &yd)).unwrap()
    });
    let (h, w) = (case.x[1] as i64, case.x[2] as i64);
    let local = conv2d_input_grad_local(dyv.meta(), wv.meta(), h, w, stride, padding, dilation, groups);
    on_lanes(threads, conv2d_input_grad_scratch(dyv.meta(), wv.meta(), h, w, stride, padding, dilation, groups), local, |cx| {
        conv2d_input_grad(cx, &dyv, &wv, h, w, stride, padding, dilation, groups, false, &mut ViewMut::of(&mut dx, &case.x)).unwrap()
    });
    let kernel = [case.w[1] as i64, case.w[2] as i64];
    let local = conv2d_weight_grad_local(xv.meta(), dyv.meta(), &kernel, stride, padding, dilation, groups);
    on_lanes(threads, conv2d_weight_grad_scratch(xv.meta(), dyv.meta(), &kernel, stride, padding, dilation, groups), local, |cx| {
        conv2d_weight_grad(cx, &xv, &dyv, &kernel, stride, padding, dilation, groups, false, &mut ViewMut::of(&mut dw, &wd)).unwrap()
    });
    [back(y), back(dx), back(dw)]
}

const NAMES: [&str; 3] = ["y", "dx", "dw"];

#[test]
fn float64_follows_the_definition() {
    for case in CASES {
        let d = data(case);
        let want = reference(case, &d);
        let got = kernels::<f64>(case, &d, 0, 3);
        for i in 0..3 {
            assert_close(&got[i], &want[i], 1e-11, 1e-11, &format!("{} {case:?}", NAMES[i]));
        }
    }
}

#[test]
fn float32_on_every_path_with_the_same_bits_on_any_threads() {
    each_isa(|isa| {
        for case in CASES {
            let d = data(case);
            let want = reference(case, &d);
            for i in 0..3 {
                let what = format!("{} {} {case:?}", isa.name(), NAMES[i]);
                let got = same_bits(0, &what, |cx| kernels::<f32>(case, &d, 0, cx.pool().threads())[i].iter().map(|&v| v as f32).collect());
                let got: Vec<f64> = got.iter().map(|&v| v as f64).collect();
                assert_close(&got, &want[i], 1e-5, 5e-5, &what);
            }
        }
    });
}

/// More cases of bf16 pairs: odd numbers of channels on either side, rows that tiles cross, strides that leave rows over.
const PAIRED: &[Case] = &[
    case([1, 1, 1, 3], [2, 1, 1]),
    case([1, 7, 5, 70], [31, 1, 1]),
    case([3, 16, 16, 96], [48, 1, 1]),
    Case { padding: [1, 1, 1, 1], ..case([2, 8, 8, 48], [33, 3, 3]) },
    Case { padding: [1, 1, 1, 1], ..case([3, 9, 7, 7], [13, 3, 3]) },
    Case { padding: [1, 1, 1, 1], ..case([1, 5, 32, 64], [70, 3, 3]) },
    Case { padding: [1, 1, 1, 1], stride: [2, 2], ..case([2, 15, 17, 34], [32, 3, 3]) },
    Case { padding: [1, 1, 1, 1], stride: [2, 2], ..case([3, 16, 16, 32], [65, 3, 3]) },
    Case { stride: [2, 2], ..case([2, 8, 8, 64], [128, 1, 1]) },
    Case { stride: [2, 2], ..case([2, 7, 9, 33], [17, 1, 1]) },
    Case { padding: [1, 1, 1, 1], ..case([20, 6, 5, 128], [64, 3, 3]) },
];

/// Float64 sums of operands that bf16 has, and what each result may be off: half a step of bf16, and what float32 sums lose.
fn bounds(case: &Case, d: &Data) -> Vec<Vec<f64>> {
    let size = |v: &[f64]| v.iter().map(|v| v.abs()).collect::<Vec<_>>();
    let sizes = reference(case, &Data { x: size(&d.x), w: size(&d.w), bias: size(&d.bias), dy: size(&d.dy) });
    let sums = reference(case, d);
    (0..3).map(|i| sums[i].iter().zip(&sizes[i]).map(|(sum, size)| sum.abs() / 256.0 + size * 2e-6).collect()).collect()
}

fn in_bf16(case: &Case) -> Data {
    let mut d = data(case);
    for v in [&mut d.x, &mut d.w, &mut d.bias, &mut d.dy] {
        v.iter_mut().for_each(|v| *v = bf16::from_f64(*v).to_f64());
    }
    d
}

#[test]
fn bfloat16_is_rounded_once_with_the_same_bits_on_any_threads() {
    each_isa(|isa| {
        for case in CASES.iter().chain(PAIRED) {
            let d = in_bf16(case);
            let (want, bounds) = (reference(case, &d), bounds(case, &d));
            for i in 0..3 {
                let what = format!("{} {} {case:?}", isa.name(), NAMES[i]);
                let got =
                    same_bits(0, &what, |cx| kernels::<bf16>(case, &d, 0, cx.pool().threads())[i].iter().map(|&v| v as f32).collect());
                for (e, (got, (want, bound))) in got.iter().zip(want[i].iter().zip(&bounds[i])).enumerate() {
                    assert!((*got as f64 - want).abs() <= *bound, "{what}: element {e} is {got}, reference {want}");
                }
            }
        }
    });
}

#[test]
fn what_fills_up_a_pair_of_bfloat16_carries_no_nan() {
    let all = |case: &&Case| case.x[0] > 0 && case.x[3] > 0 && case.w[0] > 0;
    each_isa(|isa| {
        // Winograd's transforms spread a NaN over its tile.
        for case in PAIRED.iter().chain(CASES).filter(all).filter(|c| c.x[3] < 32 || isa == ferrograd_simd::Isa::Avx512) {
            for at in [0, 1, 2, 5] {
                let mut d = in_bf16(case);
                // From the end, where rows and channels run out.
                let (x, dy) = (d.x.len(), d.dy.len());
                d.x[x - 1 - at * 7 % x] = f64::NAN;
                d.dy[dy - 1 - at * 7 % dy] = f64::NAN;
                let (want, got) = (reference(case, &d), kernels::<bf16>(case, &d, 0, 2));
                // (A NaN of dy meets the zeros of a padding in dw.)
                for i in 0..2 {
                    let nans = |v: &[f64]| v.iter().map(|v| v.is_nan()).collect::<Vec<_>>();
                    assert!(nans(&got[i]) == nans(&want[i]), "{} {} {case:?}", isa.name(), NAMES[i]);
                }
            }
        }
    });
}

#[test]
fn relu_and_the_half_types() {
    each_isa(|isa| {
        for case in &CASES[..8] {
            let d = data(case);
            let want = reference(case, &d);
            let relu: Vec<f64> = want[0].iter().map(|v| v.max(0.0)).collect();
            let what = format!("{} {case:?}", isa.name());
            assert_close(&kernels::<f32>(case, &d, 1, 2)[0], &relu, 1e-5, 5e-5, &what);
            assert_close(&kernels::<f64>(case, &d, 1, 2)[0], &relu, 1e-11, 1e-11, &what);
            for (got, tolerance) in [(kernels::<bf16>(case, &d, 0, 2), 0.01), (kernels::<f16>(case, &d, 0, 2), 0.002)] {
                for i in 0..3 {
                    let scale = want[i].iter().fold(1.0f64, |a, v| a.max(v.abs()));
                    assert_close(&got[i], &want[i], tolerance, tolerance * scale, &what);
                }
            }
        }
    });
}

#[test]
fn sizes_that_only_a_stride_or_padding_leaves_over_get_zero_gradients() {
    // Rows past the last window: a transposed convolution with output padding. And a stride past the kernel.
    for (h, k, s) in [(8, 3, 2), (7, 1, 3), (9, 1, 2)] {
        let case = Case { stride: [s, s], ..case([2, h, h, 3], [4, k, k]) };
        let d = data(&case);
        let want = reference(&case, &d);
        each_isa(|isa| {
            assert_close(&kernels::<f32>(&case, &d, 0, 2)[1], &want[1], 1e-5, 1e-5, isa.name());
        });
    }
}

/// The convolution, then the windows one by one: what `conv2d_pool` must give, bit for bit.
fn pooled_in_two_steps<T: Float>(y: &[T], [n, oh, ow, o]: [usize; 4], [ph, pw]: [usize; 2], relu: bool) -> (Vec<T>, Vec<u8>) {
    let (rows, cols) = (oh / ph, ow / pw);
    let mut result = (Vec::new(), Vec::new());
    for (image, r, c, k) in indices([n, rows, cols, o]) {
        let window: Vec<T> = (0..ph * pw).map(|p| y[((image * oh + r * ph + p / pw) * ow + c * pw + p % pw) * o + k]).collect();
        let at = match window.iter().position(|v| v.to_f64().is_nan()) {
            Some(nan) => nan,
            None => (1..ph * pw).fold(0, |best, p| if window[p].to_f64() > window[best].to_f64() { p } else { best }),
        };
        result.0.push(window[at]);
        result.1.push(if relu && window[at].to_f64() <= 0.0 { rules::NO_PLACE } else { at as u8 });
    }
    result
}

fn pooled<T: Float>(case: &Case, d: &Data, activation: i64, pool: [i64; 2], threads: usize) -> (Vec<T>, Vec<u8>) {
    let Sizes { y: yd, w: wd } = case.sizes();
    let cast = |v: &[f64]| v.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
    let (x, w, bias) = (cast(&d.x), cast(&d.w), cast(&d.bias));
    let (xv, wv, bv) = (View::of(&x, &case.x), View::of(&w, &wd), View::of(&bias, &[yd[3]]));
    let (stride, padding, dilation, groups) = (&case.stride[..], &case.padding[..], &case.dilation[..], case.groups as i64);
    let dims = [yd[0], yd[1] / pool[0] as usize, yd[2] / pool[1] as usize, yd[3]];
    let len = dims.iter().product();
    let (mut y, mut code) = (vec![T::from_f64(f64::NAN); len], vec![77u8; len]);
    let local = conv2d_pool_local(xv.meta(), wv.meta(), stride, padding, dilation, groups, &pool);
    on_lanes(threads, conv2d_pool_scratch(xv.meta(), wv.meta(), stride, padding, dilation, groups, &pool), local, |cx| {
        let (mut yv, mut cv) = (ViewMut::of(&mut y, &dims), ViewMut::of(&mut code, &dims));
        conv2d_pool(cx, &xv, &wv, Some(&bv), stride, padding, dilation, groups, activation, &pool, &mut yv, &mut cv).unwrap()
    });
    (y, code)
}

fn same_as_two_steps<T: Float>(case: &Case, d: &Data, activation: i64, pool: [i64; 2], what: &str) {
    let Sizes { y: dims, .. } = case.sizes();
    let y: Vec<T> = kernels::<T>(case, d, activation, 2)[0].iter().map(|&v| T::from_f64(v)).collect();
    let want = pooled_in_two_steps(&y, dims, pool.map(|p| p as usize), activation == 1);
    for threads in [1, 3] {
        let got = pooled::<T>(case, d, activation, pool, threads);
        let bits = |v: &[T]| v.iter().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>();
        assert!(bits(&got.0) == bits(&want.0), "{what}: other values");
        // Float32 tells places apart that the half types round to one value.
        assert!(got.1 == want.1 || size_of::<T>() == 2, "{what}: other places");
    }
}

#[test]
fn pooling_in_the_same_pass_gives_the_same_bits() {
    for case in CASES {
        let [_, oh, ow, _] = case.sizes().y;
        let mut d = data(case);
        if let Some(x) = d.x.get_mut(7) {
            *x = f64::NAN;
        }
        for pool in [[2i64, 2], [1, 3], [3, 2], [1, 1]].into_iter().filter(|p| oh >= p[0] as usize && ow >= p[1] as usize) {
            for activation in [0, 1] {
                each_isa(|isa| {
                    same_as_two_steps::<f32>(case, &d, activation, pool, &format!("{} {activation} {pool:?} {case:?}", isa.name()));
                });
                same_as_two_steps::<f64>(case, &d, activation, pool, &format!("float64 {activation} {pool:?} {case:?}"));
                same_as_two_steps::<bf16>(case, &d, activation, pool, &format!("bfloat16 {activation} {pool:?} {case:?}"));
            }
        }
    }
    let (case, d) = (&CASES[2], data(&CASES[2]));
    same_as_two_steps::<f16>(case, &d, 1, [2, 2], "float16");
}

#[test]
fn spreading_puts_each_gradient_in_its_place_and_picking_finds_it_there() {
    each_isa(|isa| {
        for channels in [5, 32, 37] {
            spread_and_pick::<f32>(isa.name(), channels);
            spread_and_pick::<f64>(isa.name(), channels);
            spread_and_pick::<bf16>(isa.name(), channels);
        }
    });
}

fn spread_and_pick<T: Float>(isa: &str, channels: usize) {
    let (dims, pool) = ([2usize, 3, 2, channels], [2i64, 3]);
    let len: usize = dims.iter().product();
    let value = |i: usize| T::from_f64((i % 200) as f64 + 1.0);
    let (dy, code): (Vec<T>, Vec<u8>) = (0..len).map(|i| (value(i), if i % 7 == 3 { rules::NO_PLACE } else { (i % 6) as u8 })).unzip();
    let large = [2, 6, 6, channels];
    let nan = T::from_f64(f64::NAN);
    let (mut dx, mut back) = (vec![nan; 6 * len], vec![nan; len]);
    on_threads(3, 0, |cx| {
        pool_spread(cx, &View::of(&dy, &dims), &View::of(&code, &dims), &pool, &mut ViewMut::of(&mut dx, &large)).unwrap();
        pool_pick(cx, &View::of(&dx, &large), &View::of(&code, &dims), &pool, &mut ViewMut::of(&mut back, &dims)).unwrap();
    });
    for (n, y, x, c) in indices(large) {
        let from = ((n * 3 + y / 2) * 2 + x / 3) * channels + c;
        let want = if code[from] as usize == y % 2 * 3 + x % 3 { dy[from].to_f64() } else { 0.0 };
        assert_eq!(dx[((n * 6 + y) * 6 + x) * channels + c].to_f64(), want, "{isa} {:?} {n} {y} {x} {c}", T::DTYPE);
    }
    for i in 0..len {
        assert_eq!(back[i].to_f64(), if code[i] == rules::NO_PLACE { 0.0 } else { dy[i].to_f64() }, "{isa} {:?} {i}", T::DTYPE);
    }
}

#[test]
fn gradients_of_which_rows_and_columns_are_left_out_count_them_as_zeros() {
    for case in CASES.iter().filter(|c| c.sizes().y[1] > 1 && c.sizes().y[2] > 1 && c.x.iter().all(|&d| d > 0) && c.w[0] > 0) {
        let mut d = data(case);
        let Sizes { y: yd, w: wd } = case.sizes();
        let part = [yd[0], yd[1] - 1, yd[2] - 1, yd[3]];
        let mut left = Vec::new();
        for (n, y, x, c) in indices(yd) {
            let at = ((n * yd[1] + y) * yd[2] + x) * yd[3] + c;
            if y < part[1] && x < part[2] { left.push(d.dy[at] as f32) } else { d.dy[at] = 0.0 }
        }
        let want = reference(case, &d);
        let cast = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let (x, w) = (cast(&d.x), cast(&d.w));
        let (xv, wv, dyv) = (View::of(&x, &case.x), View::of(&w, &wd), View::of(&left, &part));
        let (stride, padding, dilation, groups) = (&case.stride[..], &case.padding[..], &case.dilation[..], case.groups as i64);
        let (h, wide, kernel) = (case.x[1] as i64, case.x[2] as i64, [case.w[1] as i64, case.w[2] as i64]);
        each_isa(|isa| {
            let (mut dx, mut dw) = (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
            let local = conv2d_input_grad_local(dyv.meta(), wv.meta(), h, wide, stride, padding, dilation, groups);
            on_lanes(2, conv2d_input_grad_scratch(dyv.meta(), wv.meta(), h, wide, stride, padding, dilation, groups), local, |cx| {
                conv2d_input_grad(cx, &dyv, &wv, h, wide, stride, padding, dilation, groups, true, &mut ViewMut::of(&mut dx, &case.x))
                    .unwrap()
            });
            let local = conv2d_weight_grad_local(xv.meta(), dyv.meta(), &kernel, stride, padding, dilation, groups);
            on_lanes(2, conv2d_weight_grad_scratch(xv.meta(), dyv.meta(), &kernel, stride, padding, dilation, groups), local, |cx| {
                conv2d_weight_grad(cx, &xv, &dyv, &kernel, stride, padding, dilation, groups, true, &mut ViewMut::of(&mut dw, &wd)).unwrap()
            });
            let what = format!("{} {case:?}", isa.name());
            assert_close(&dx.iter().map(|&v| v as f64).collect::<Vec<_>>(), &want[1], 1e-5, 5e-5, &what);
            assert_close(&dw.iter().map(|&v| v as f64).collect::<Vec<_>>(), &want[2], 1e-5, 5e-5, &what);
        });
    }
}

/// The definition in float32, each sum in its order: the plain kernel that errors are measured against.
fn plain_float32(case: &Case, d: &Data) -> Results {
    let cast = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let (x, w, dy, bias) = (cast(&d.x), cast(&d.w), cast(&d.dy), cast(&d.bias));
    let mut y = vec![0f32; dy.len()];
    let (mut dx, mut dw) = (vec![0f32; x.len()], vec![0f32; w.len()]);
    case.products(|a, b, o| {
        y[o] = x[a].mul_add(w[b], y[o]);
        dx[a] = dy[o].mul_add(w[b], dx[a]);
        dw[b] = dy[o].mul_add(x[a], dw[b]);
    });
    y.iter_mut().enumerate().for_each(|(i, v)| *v += bias[i % bias.len()]);
    [y, dx, dw].map(|v| v.iter().map(|&v| v as f64).collect())
}

#[test]
fn winograd_errs_at_most_twice_as_much_as_the_plain_kernel() {
    for case in [
        case([4, 15, 15, 32], [64, 3, 3]),
        Case { padding: [1, 1, 1, 1], ..case([2, 16, 16, 64], [64, 3, 3]) },
        Case { padding: [1, 1, 1, 1], ..case([2, 8, 8, 256], [128, 3, 3]) },
        Case { padding: [1, 1, 1, 1], ..case([8, 4, 4, 512], [64, 3, 3]) },
        Case { padding: [1, 1, 1, 1], ..case([4, 16, 16, 48], [12, 3, 3]) },
    ] {
        // Float32 values, so that rounding the operands is no part of the error.
        let mut d = data(&case);
        for v in [&mut d.x, &mut d.w, &mut d.dy, &mut d.bias] {
            v.iter_mut().for_each(|v| *v = *v as f32 as f64);
        }
        let (exact, plain) = (reference(&case, &d), plain_float32(&case, &d));
        let rms = |got: &[f64], want: &[f64]| (got.iter().zip(want).map(|(g, w)| (g - w) * (g - w)).sum::<f64>() / got.len() as f64).sqrt();
        let most = |got: &[f64], want: &[f64]| got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
        each_isa(|isa| {
            let got = kernels::<f32>(&case, &d, 0, 2);
            for i in 0..3 {
                let (fast, slow) = (rms(&got[i], &exact[i]), rms(&plain[i], &exact[i]));
                assert!(fast <= 2.0 * slow, "{} {} {case:?}: {fast:.2e}, the plain kernel {slow:.2e}", isa.name(), NAMES[i]);
                let (fast, slow) = (most(&got[i], &exact[i]), most(&plain[i], &exact[i]));
                assert!(fast <= 2.0 * slow, "{} {} {case:?}: at most {fast:.2e}, the plain kernel {slow:.2e}", isa.name(), NAMES[i]);
            }
        });
    }
}
