use super::*;
use crate::gemm::shuffled::on_threads;
use crate::testing::{assert_close, each_isa, noise};
use ferrograd_tensor::{DType, Element, Meta, View, ViewMut, bf16, f16, rules};

#[derive(Clone, Copy, Debug)]
struct Case {
    x: [usize; 4],
    kernel: [i64; 2],
    stride: [i64; 2],
    padding: [i64; 4],
    dilation: [i64; 2],
    ceil: bool,
}

const fn case(x: [usize; 4], kernel: [i64; 2], stride: [i64; 2]) -> Case {
    Case { x, kernel, stride, padding: [0; 4], dilation: [1, 1], ceil: false }
}

const CASES: &[Case] = &[
    case([3, 30, 30, 32], [2, 2], [2, 2]),
    case([2, 13, 13, 65], [2, 2], [2, 2]),
    Case { ceil: true, ..case([2, 13, 12, 7], [2, 2], [2, 2]) },
    Case { ceil: true, padding: [1, 1, 1, 1], ..case([2, 6, 5, 3], [3, 2], [2, 3]) },
    Case { padding: [1, 0, 0, 1], ..case([1, 7, 5, 40], [3, 3], [1, 2]) },
    Case { padding: [1, 2, 2, 1], dilation: [2, 3], ..case([2, 9, 10, 5], [3, 3], [2, 1]) },
    Case { ceil: true, dilation: [3, 1], ..case([1, 7, 7, 4], [2, 1], [2, 3]) },
    Case { padding: [1, 1, 1, 1], dilation: [2, 2], ..case([1, 1, 3, 2], [2, 2], [1, 1]) },
    case([0, 4, 4, 3], [2, 2], [2, 2]),
    case([2, 4, 4, 0], [2, 2], [2, 2]),
];

impl Case {
    fn out(&self) -> [usize; 4] {
        let x = Meta::new(DType::F32, &self.x).unwrap();
        rules::pool2d(&x, &self.kernel, &self.stride, &self.padding, &self.dilation, self.ceil).unwrap().dims().try_into().unwrap()
    }
    /// The input pixels (row, column) that output (oy, ox) sees, in order.
    fn window(&self, oy: usize, ox: usize) -> Vec<(usize, usize)> {
        let mut seen = vec![];
        for kh in 0..self.kernel[0] {
            for kw in 0..self.kernel[1] {
                let y = oy as i64 * self.stride[0] - self.padding[0] + kh * self.dilation[0];
                let x = ox as i64 * self.stride[1] - self.padding[2] + kw * self.dilation[1];
                if (0..self.x[1] as i64).contains(&y) && (0..self.x[2] as i64).contains(&x) {
                    seen.push((y as usize, x as usize));
                }
            }
        }
        seen
    }
    /// What an average divides by.
    fn size(&self, oy: usize, ox: usize, count_pad: bool) -> f64 {
        let span = |i: usize, o: usize| {
            let start = o as i64 * self.stride[i] - self.padding[2 * i];
            let len = self.x[1 + i] as i64;
            let end = (start + self.kernel[i]).min(len + self.padding[2 * i + 1]);
            if count_pad { end - start } else { end.min(len) - start.max(0) }
        };
        (span(0, oy) * span(1, ox)) as f64
    }
}

fn cast<T: Element>(v: &[f64]) -> Vec<T> {
    v.iter().map(|&v| T::from_f64(v)).collect()
}
fn back<T: Element>(v: &[T]) -> Vec<f64> {
    v.iter().map(|v| v.to_f64()).collect()
}

fn outputs([n, oh, ow, c]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize, usize)> {
    (0..n * oh * ow * c).map(move |i| (i, i / c / ow / oh, i / c / ow % oh, i / c % ow, i % c))
}

fn check_max<T: Element>(case: &Case, threads: usize, tolerance: f64) {
    let out = case.out();
    let x: Vec<T> = cast(&noise(1, case.x.iter().product()));
    let (mut y, mut index) = (vec![T::from_f64(f64::NAN); out.iter().product()], vec![7i32; out.iter().product()]);
    on_threads(threads, 0, |cx| {
        let (y, index) = (&mut ViewMut::of(&mut y, &out), &mut ViewMut::of(&mut index, &out));
        max_pool2d(cx, &View::of(&x, &case.x), &case.kernel, &case.stride, &case.padding, &case.dilation, case.ceil, y, index).unwrap();
    });
    let dy: Vec<T> = cast(&noise(2, y.len()));
    let mut want_dx = vec![0.0; x.len()];
    let at = |n: usize, (r, q): (usize, usize), c: usize| ((n * case.x[1] + r) * case.x[2] + q) * case.x[3] + c;
    for (i, n, oy, ox, c) in outputs(out) {
        let (mut best, mut place) = (f64::NEG_INFINITY, -1);
        for p in case.window(oy, ox) {
            let v = x[at(n, p, c)].to_f64();
            if v > best || place < 0 {
                (best, place) = (v, (p.0 * case.x[2] + p.1) as i32);
            }
        }
        assert_eq!((y[i].to_f64(), index[i]), (best, place), "{case:?} {i}");
        if place >= 0 {
            want_dx[at(n, (place as usize / case.x[2], place as usize % case.x[2]), c)] += dy[i].to_f64();
        }
    }
    let (dyv, iv, h, w) = (View::of(&dy, &out), View::of(&index, &out), case.x[1] as i64, case.x[2] as i64);
    let mut dx = vec![T::from_f64(f64::NAN); x.len()];
    on_threads(threads, max_pool2d_grad_scratch(dyv.meta(), h, w), |cx| {
        max_pool2d_grad(cx, &dyv, &iv, h, w, &mut ViewMut::of(&mut dx, &case.x)).unwrap();
    });
    assert_close(&back(&dx), &want_dx, tolerance, tolerance, &format!("{case:?}"));
}

fn check_average<T: Element>(case: &Case, threads: usize, tolerance: f64) {
    // Without dilation a window is smaller, and so may be its padding.
    let case = &Case { dilation: [1, 1], padding: case.padding.map(|p| p.min(1)), ..*case };
    let out = case.out();
    let (x, dy): (Vec<T>, Vec<T>) = (cast(&noise(1, case.x.iter().product())), cast(&noise(2, out.iter().product())));
    for count_pad in [false, true] {
        let (mut want, mut want_dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        for (i, n, oy, ox, c) in outputs(out) {
            let size = case.size(oy, ox, count_pad);
            for (r, q) in case.window(oy, ox) {
                let at = ((n * case.x[1] + r) * case.x[2] + q) * case.x[3] + c;
                want[i] += x[at].to_f64() / size;
                want_dx[at] += dy[i].to_f64() / size;
            }
        }
        let (mut y, mut dx) = (vec![T::from_f64(f64::NAN); dy.len()], vec![T::from_f64(f64::NAN); x.len()]);
        let (k, s, p) = (&case.kernel, &case.stride, &case.padding);
        on_threads(threads, 0, |cx| {
            avg_pool2d(cx, &View::of(&x, &case.x), k, s, p, case.ceil, count_pad, &mut ViewMut::of(&mut y, &out)).unwrap();
            let (h, w) = (case.x[1] as i64, case.x[2] as i64);
            avg_pool2d_grad(cx, &View::of(&dy, &out), h, w, k, s, p, count_pad, &mut ViewMut::of(&mut dx, &case.x)).unwrap();
        });
        assert_close(&back(&y), &want, tolerance, tolerance, &format!("y {count_pad} {case:?}"));
        assert_close(&back(&dx), &want_dx, tolerance, tolerance, &format!("dx {count_pad} {case:?}"));
    }
}

#[test]
fn every_window_on_every_path_and_dtype() {
    each_isa(|_| {
        for case in CASES {
            for threads in [1, 3] {
                check_max::<f32>(case, threads, 1e-6);
                check_average::<f32>(case, threads, 1e-6);
            }
            check_max::<f64>(case, 2, 1e-14);
            check_average::<f64>(case, 2, 1e-14);
            check_max::<bf16>(case, 2, 0.01);
            check_average::<bf16>(case, 2, 0.02);
            check_max::<f16>(case, 2, 0.002);
            check_average::<f16>(case, 2, 0.002);
        }
    });
}

#[test]
fn ties_take_the_first_and_nan_wins() {
    each_isa(|_| {
        for channels in [1usize, 32, 37] {
            let plane = |values: [f32; 4]| values.iter().flat_map(|&v| std::iter::repeat_n(v, channels)).collect::<Vec<f32>>();
            let inf = f32::NEG_INFINITY;
            for (values, place) in
                [([1.0, 2.0, 2.0, 0.0], 1), ([inf; 4], 0), ([1.0, f32::NAN, 5.0, f32::NAN], 1), ([-0.0, 0.0, 0.0, -0.0], 0)]
            {
                let x = plane(values);
                let (mut y, mut index) = (vec![0f32; channels], vec![-9i32; channels]);
                on_threads(1, 0, |cx| {
                    let d = [1, 1, 1, channels];
                    let (y, index) = (&mut ViewMut::of(&mut y, &d), &mut ViewMut::of(&mut index, &d));
                    max_pool2d(cx, &View::of(&x, &[1, 2, 2, channels]), &[2, 2], &[2, 2], &[0; 4], &[1, 1], false, y, index).unwrap();
                });
                assert!(index.iter().all(|&i| i == place), "{values:?} {index:?}");
                assert!(y.iter().all(|&v| v.to_bits() == values[place as usize].to_bits()), "{values:?} {y:?}");
            }
        }
    });
}

#[test]
fn adaptive_windows_share_the_input_out() {
    for (x, out) in [([2, 7, 5, 3], [3, 2]), ([1, 4, 4, 40], [1, 1]), ([2, 3, 2, 4], [5, 4]), ([1, 6, 6, 2], [6, 3])] {
        let data = noise(1, x.iter().product());
        let yd = [x[0], out[0], out[1], x[3]];
        let dy = noise(2, yd.iter().product());
        let (mut want, mut want_max, mut want_dx) = (vec![0.0; dy.len()], vec![f64::NEG_INFINITY; dy.len()], vec![0.0; data.len()]);
        for (i, n, oy, ox, c) in outputs(yd) {
            let span = |o: usize, len: usize, out: usize| o * len / out..((o + 1) * len).div_ceil(out);
            let (rows, cols) = (span(oy, x[1], out[0]), span(ox, x[2], out[1]));
            for r in rows.clone() {
                for q in cols.clone() {
                    let at = ((n * x[1] + r) * x[2] + q) * x[3] + c;
                    want[i] += data[at] / (rows.len() * cols.len()) as f64;
                    want_max[i] = want_max[i].max(data[at]);
                    want_dx[at] += dy[i] / (rows.len() * cols.len()) as f64;
                }
            }
        }
        let (h, w) = (out[0] as i64, out[1] as i64);
        let (mut y, mut dx, mut top, mut index) =
            (vec![0f64; dy.len()], vec![0f64; data.len()], vec![0f64; dy.len()], vec![0i32; dy.len()]);
        on_threads(2, 0, |cx| {
            let view = View::of(&data, &x);
            adaptive_avg_pool2d(cx, &view, h, w, &mut ViewMut::of(&mut y, &yd)).unwrap();
            adaptive_avg_pool2d_grad(cx, &View::of(&dy, &yd), x[1] as i64, x[2] as i64, &mut ViewMut::of(&mut dx, &x)).unwrap();
            adaptive_max_pool2d(cx, &view, h, w, &mut ViewMut::of(&mut top, &yd), &mut ViewMut::of(&mut index, &yd)).unwrap();
        });
        assert_close(&y, &want, 1e-13, 1e-13, "mean");
        assert_close(&dx, &want_dx, 1e-13, 1e-13, "dx");
        assert_close(&top, &want_max, 0.0, 0.0, "max");
        for (i, n, _, _, c) in outputs(yd) {
            assert_eq!(data[(n * x[1] * x[2] + index[i] as usize) * x[3] + c], top[i]);
        }
    }
}

#[test]
fn a_position_outside_of_the_plane_is_an_error() {
    let (dy, index) = ([1f32, 1.0], [0i32, 4]);
    let mut dx = [0f32; 4];
    let d = [1, 1, 2, 1];
    let result = on_threads(1, 0, |cx| {
        max_pool2d_grad(cx, &View::of(&dy, &d), &View::of(&index, &d), 2, 2, &mut ViewMut::of(&mut dx, &[1, 2, 2, 1]))
    });
    assert!(result.unwrap_err().message.contains("2 x 2 plane"));
}
