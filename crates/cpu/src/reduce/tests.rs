use super::*;
use crate::testing::{assert_close, each_isa, noise, run};
use ferrograd_tensor::{B8, DType, Element, Layout, Shape, bf16};

type Op = fn(&mut Cx, &View, &[i64], bool, &mut ViewMut) -> Result;

struct Case {
    dims: &'static [usize],
    strides: &'static [isize],
    over: &'static [i64],
}
const CASES: &[Case] = &[
    Case { dims: &[], strides: &[], over: &[] },
    Case { dims: &[1], strides: &[1], over: &[0] },
    Case { dims: &[31], strides: &[1], over: &[] },
    Case { dims: &[100_001], strides: &[1], over: &[] },
    Case { dims: &[70_000], strides: &[2], over: &[0] },
    Case { dims: &[50, 37], strides: &[37, 1], over: &[1] },
    Case { dims: &[50, 37], strides: &[37, 1], over: &[0] },
    Case { dims: &[50, 37], strides: &[1, 50], over: &[0] },
    Case { dims: &[50, 37], strides: &[1, 50], over: &[1] },
    Case { dims: &[20_000, 10], strides: &[10, 1], over: &[0] },
    Case { dims: &[20_001, 3], strides: &[3, 1], over: &[0] },
    Case { dims: &[9_000, 20], strides: &[24, 1], over: &[0] },
    Case { dims: &[300, 700], strides: &[700, 1], over: &[0] },
    Case { dims: &[300, 700], strides: &[700, 1], over: &[-1] },
    Case { dims: &[300, 700], strides: &[700, 1], over: &[0, 1] },
    Case { dims: &[4, 50, 30], strides: &[1500, 30, 1], over: &[1] },
    Case { dims: &[4, 50, 30], strides: &[1500, 30, 1], over: &[0, 2] },
    Case { dims: &[4, 50, 30], strides: &[1, 120, 4], over: &[0, 1] },
    Case { dims: &[4, 5, 6, 7], strides: &[210, 42, 7, 1], over: &[1, 3] },
    Case { dims: &[400, 300], strides: &[0, 1], over: &[0] },
    Case { dims: &[400, 300], strides: &[1, 0], over: &[0] },
    Case { dims: &[400, 300], strides: &[1, 0], over: &[1] },
    Case { dims: &[3, 0], strides: &[1, 1], over: &[1] },
    Case { dims: &[3, 0], strides: &[1, 1], over: &[0] },
    Case { dims: &[33, 2], strides: &[2, 1], over: &[1] },
];

fn view<'a, T: Element>(data: &'a [T], case: &Case) -> View<'a> {
    let layout = Layout::strided(Shape::new(case.dims).unwrap(), case.strides, 0);
    // SAFETY: the cases stay inside 220,000 elements.
    unsafe { View::new(data.as_ptr().cast(), Meta { dtype: T::DTYPE, layout }) }
}

/// Each output's elements, in order.
fn groups<T: Element>(data: &[T], case: &Case) -> Vec<Vec<T>> {
    let gone = rules::axes(case.over, case.dims.len()).unwrap();
    let outputs: usize = (0..case.dims.len()).filter(|&i| !gone[i]).map(|i| case.dims[i]).product();
    let mut groups = vec![vec![]; outputs];
    for flat in 0..case.dims.iter().product::<usize>() {
        let (mut rest, mut at, mut to, mut step) = (flat, 0isize, 0, 1);
        for i in (0..case.dims.len()).rev() {
            let k = rest % case.dims[i];
            rest /= case.dims[i];
            at += k as isize * case.strides[i];
            if !gone[i] {
                to += k * step;
                step *= case.dims[i];
            }
        }
        groups[to].push(data[at as usize]);
    }
    groups
}

fn reduced<T: Element, Y: Element>(op: Op, data: &[T], case: &Case) -> Vec<Y> {
    let x = view(data, case);
    let mut y = vec![Y::default(); groups(data, case).len()];
    let n = y.len();
    run(reduce_scratch(x.meta(), case.over), |cx| op(cx, &x, case.over, false, &mut ViewMut::of(&mut y, &[n]))).unwrap();
    y
}

#[test]
fn floats_against_plain_sums() {
    let data: Vec<f32> = noise(1, 220_000).iter().map(|&v| v as f32 + 0.1).collect();
    each_isa(|isa| {
        for case in CASES {
            let groups = groups(&data, case);
            let check = |op: Op, name: &str, f: &dyn Fn(&[f32]) -> f64| {
                let got: Vec<f64> = reduced::<f32, f32>(op, &data, case).iter().map(|&v| v as f64).collect();
                let want: Vec<f64> = groups.iter().map(|g| f(g)).collect();
                assert_close(&got, &want, 2e-7, 1e-30, &format!("{name} {isa:?} {:?} {:?} over {:?}", case.dims, case.strides, case.over));
            };
            check(sum, "sum", &|g| g.iter().map(|&v| v as f64).sum());
            check(mean, "mean", &|g| g.iter().map(|&v| v as f64).sum::<f64>() / g.len() as f64);
            check(prod, "prod", &|g| (g.iter().map(|&v| v as f64).product::<f64>() as f32) as f64);
            if groups.iter().all(|g| !g.is_empty()) {
                check(amax, "amax", &|g| g.iter().fold(f64::NEG_INFINITY, |a, &v| a.max(v as f64)));
                check(amin, "amin", &|g| g.iter().fold(f64::INFINITY, |a, &v| a.min(v as f64)));
            }
        }
    });
}

#[test]
fn other_dtypes() {
    let ints: Vec<u8> = (0..220_000).map(|i| (i * 7 % 251) as u8).collect();
    let halves: Vec<bf16> = noise(2, 220_000).iter().map(|&v| bf16::from_f64(v)).collect();
    let doubles = noise(3, 220_000);
    for case in CASES {
        let g = groups(&ints, case);
        let got = reduced::<u8, i64>(sum, &ints, case);
        assert_eq!(got, g.iter().map(|g| g.iter().map(|&v| v as i64).sum()).collect::<Vec<i64>>());
        let product = reduced::<u8, i64>(prod, &ints, case);
        assert_eq!(product, g.iter().map(|g| g.iter().fold(1i64, |a, &v| a.wrapping_mul(v as i64))).collect::<Vec<i64>>());
        let any_: Vec<u8> = reduced::<u8, B8>(any, &ints, case).iter().map(|b| b.0).collect();
        assert_eq!(any_, g.iter().map(|g| g.iter().any(|&v| v != 0) as u8).collect::<Vec<_>>());
        let all_: Vec<u8> = reduced::<u8, B8>(all, &ints, case).iter().map(|b| b.0).collect();
        assert_eq!(all_, g.iter().map(|g| g.iter().all(|&v| v != 0) as u8).collect::<Vec<_>>());
        let got = reduced::<bf16, bf16>(sum, &halves, case);
        let want: Vec<bf16> = groups(&halves, case).iter().map(|g| bf16::from_f64(g.iter().map(|v| v.to_f64()).sum())).collect();
        for (g, w) in got.iter().zip(&want) {
            assert!((g.to_f64() - w.to_f64()).abs() <= 0.01 * w.to_f64().abs() + 1e-12);
        }
        let got = reduced::<f64, f64>(sum, &doubles, case);
        let want: Vec<f64> = groups(&doubles, case).iter().map(|g| g.iter().sum()).collect();
        assert_close(&got, &want, 1e-11, 1e-11, "f64");
    }
}

#[test]
fn nan_wins_wherever_it_stands() {
    for at in [0, 31, 500, 40_000, 69_999] {
        let mut x = vec![1f32; 70_000];
        x[at] = f32::NAN;
        for op in [amax as Op, amin] {
            let mut y = [0f32];
            let x = View::of(&x, &[70_000]);
            run(reduce_scratch(x.meta(), &[]), |cx| op(cx, &x, &[], false, &mut ViewMut::of(&mut y, &[]))).unwrap();
            assert!(y[0].is_nan());
            let mut y = [0f32; 7];
            let meta = Meta::new(DType::F32, &[10_000, 7]).unwrap();
            // SAFETY: the same elements as a matrix.
            let x = unsafe { x.with_layout(meta.layout) };
            run(reduce_scratch(&meta, &[0]), |cx| op(cx, &x, &[0], false, &mut ViewMut::of(&mut y, &[7]))).unwrap();
            assert!((0..7).all(|c| y[c].is_nan() == (c == at % 7)), "{at}: {y:?}");
        }
    }
}

#[test]
fn large_sums_keep_float32_accuracy() {
    let x = vec![0.1f32; 10_000_000];
    let mut y = [0f32];
    let x = View::of(&x, &[10_000_000]);
    run(reduce_scratch(x.meta(), &[]), |cx| sum(cx, &x, &[], false, &mut ViewMut::of(&mut y, &[]))).unwrap();
    assert_eq!(y[0], (0.1f32 as f64 * 1e7) as f32);
}
