use super::*;
use crate::testing::{assert_close, each_isa, noise, run};
use ferrograd_tensor::{B8, DType, Element, Layout, Meta, Shape, View, ViewMut, bf16, f16, rules, with_element};
use rules::Category;

const SPECIAL: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    2.5,
    -2.5,
    3.0,
    -3.0,
    20.0,
    21.0,
    -21.0,
    88.0,
    -90.0,
    1e-30,
    -1e-30,
    1e30,
    -1e30,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn is_logic(name: &str) -> bool {
    matches!(
        name,
        "isnan"
            | "isinf"
            | "isfinite"
            | "logical_not"
            | "logical_and"
            | "logical_or"
            | "logical_xor"
            | "eq"
            | "ne"
            | "lt"
            | "le"
            | "gt"
            | "ge"
    ) || (name.ends_with("_scalar") && name.len() == 9)
}

/// Agreement for f32 against float64: 3e-6 relative; where the formula cancels or the result underflows, an absolute 1e-6 of its scale.
fn close(name: &str, got: &[f64], want: &[f64]) {
    let want: Vec<f64> = want.iter().map(|&w| w as f32 as f64).collect();
    assert_close(got, &want, 3e-6, 3e-7, name);
}

fn call_unary<T: Element, U: Element>(op: Unary, x: &[T], a: f64, b: f64) -> Vec<f64> {
    let mut y = vec![U::default(); x.len()];
    run(0, |cx| unary(cx, op, &View::of(x, &[x.len()]), a, b, &mut ViewMut::of(&mut y, &[x.len()]))).unwrap();
    y.iter().map(|v| v.to_f64()).collect()
}

fn call_binary<T: Element, U: Element>(op: Binary, x: &[T], y: &[T], a: f64, b: f64) -> Vec<f64> {
    let n = x.len();
    let mut z = vec![U::default(); n];
    run(0, |cx| binary(cx, op, &View::of(x, &[n]), &View::of(y, &[n]), a, b, &mut ViewMut::of(&mut z, &[n]))).unwrap();
    z.iter().map(|v| v.to_f64()).collect()
}

fn samples(len: usize) -> Vec<f64> {
    // Rounded to f32, so that both sides see the same input.
    let scaled = noise(7, len).into_iter().enumerate().map(|(i, v)| v * [0.01, 1.0, 4.0, 12.0][i % 4]);
    scaled.chain(SPECIAL).map(|v| v as f32 as f64).collect()
}

/// Infinity times zero and the like: the two formulas may take different ways to NaN or a limit.
fn undefined(op: &str, x: f64) -> bool {
    (!x.is_finite() || x.abs() >= 1e30)
        && matches!(
            op,
            "gelu" | "gelu_tanh" | "silu" | "mish" | "hardswish" | "gelu_grad" | "gelu_tanh_grad" | "silu_grad" | "mish_grad" | "softsign"
        )
}

#[test]
fn unary_rows_agree_with_float64_on_every_path() {
    let a = 0.3f32 as f64;
    each_isa(|isa| {
        for len in [0, 1, 7, 100, 1000] {
            let x = samples(len);
            let single: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            for &op in Unary::ALL {
                let got = if is_logic(op.name()) {
                    call_unary::<f32, B8>(op, &single, a, 2.0)
                } else {
                    call_unary::<f32, f32>(op, &single, a, 2.0)
                };
                let pick =
                    |v: &[f64]| -> Vec<f64> { v.iter().zip(&x).filter(|(_, x)| !undefined(op.name(), **x)).map(|(v, _)| *v).collect() };
                let want: Vec<f64> = x.iter().map(|&x| op.reference(x, x, a, 2.0)).collect();
                close(&format!("{} on {}", op.name(), isa.name()), &pick(&got), &pick(&want));
                let double =
                    if is_logic(op.name()) { call_unary::<f64, B8>(op, &x, a, 2.0) } else { call_unary::<f64, f64>(op, &x, a, 2.0) };
                assert_close(&double, &want, 0.0, 0.0, op.name());
            }
        }
    });
}

#[test]
fn binary_rows_agree_with_float64_on_every_path() {
    let all = samples(200);
    let (mut x, mut y) = (vec![], vec![]);
    for (i, &u) in all.iter().enumerate() {
        for &v in all.iter().skip(i % 5).step_by(5) {
            x.push(u);
            y.push(v);
        }
    }
    let (x32, y32): (Vec<f32>, Vec<f32>) = (x.iter().map(|&v| v as f32).collect(), y.iter().map(|&v| v as f32).collect());
    each_isa(|isa| {
        for &op in Binary::ALL {
            let logic = is_logic(op.name());
            let got =
                if logic { call_binary::<f32, B8>(op, &x32, &y32, 0.5, 2.0) } else { call_binary::<f32, f32>(op, &x32, &y32, 0.5, 2.0) };
            let want: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| op.reference(x, y, 0.5, 2.0)).collect();
            let keep: Vec<usize> = (0..x.len())
                .filter(|&i| {
                    let (x, y) = (x[i], y[i]);
                    // A gradient of a saturated function times a huge dy, and quotients past 2^24, only agree to f32's rounding of the factors.
                    let huge = x.abs() >= 1e30 || y.abs() >= 1e30 || !x.is_finite() || !y.is_finite();
                    let grad = op.name().ends_with("_grad");
                    let far = op == Binary::floor_divide && (x / y).abs() > 1e6 || op == Binary::remainder && (x / y).abs() > 1e25;
                    !(undefined(op.name(), x) || grad && huge && !x.is_nan() && !y.is_nan() || far)
                })
                .collect();
            let pick = |v: &[f64]| -> Vec<f64> { keep.iter().map(|&i| v[i]).collect() };
            let scale = if op.name().ends_with("_grad") { 1e-5 } else { 3e-7 };
            let rounded: Vec<f64> = pick(&want).iter().map(|&w| w as f32 as f64).collect();
            assert_close(&pick(&got), &rounded, 3e-6, scale, &format!("{} on {}", op.name(), isa.name()));
            let double = if logic { call_binary::<f64, B8>(op, &x, &y, 0.5, 2.0) } else { call_binary::<f64, f64>(op, &x, &y, 0.5, 2.0) };
            assert_close(&double, &want, 0.0, 0.0, op.name());
        }
    });
}

/// The elements of a view in row-major order.
fn read(x: &View) -> Vec<f64> {
    let mut all = vec![];
    for flat in 0..x.numel() {
        let (mut rest, mut offset) = (flat, 0);
        for i in (0..x.rank()).rev() {
            offset += (rest % x.dims()[i]) as isize * x.strides()[i];
            rest /= x.dims()[i];
        }
        // SAFETY: inside the layout.
        all.push(with_element!(x.dtype(), T => unsafe { *x.ptr::<T>().offset(offset) }.to_f64()));
    }
    all
}

#[test]
fn every_layout_gives_the_same_values() {
    let data: Vec<f32> = noise(3, 4096).iter().map(|&v| v as f32).collect();
    let view = |dims: &[usize], strides: &[isize], offset: usize| {
        let meta = Meta { dtype: DType::F32, layout: Layout::strided(Shape::new(dims).unwrap(), strides, offset) };
        // SAFETY: the layouts below stay inside the 4096 elements.
        unsafe { View::new(data.as_ptr().cast(), meta) }
    };
    let pairs = [
        (view(&[5, 70], &[70, 1], 3), view(&[5, 70], &[1, 5], 0)),
        (view(&[5, 70], &[70, 1], 0), view(&[70], &[1], 9)),
        (view(&[5, 70], &[70, 1], 0), view(&[5, 1], &[1, 1], 9)),
        (view(&[5, 70], &[70, 1], 0), view(&[], &[], 9)),
        (view(&[1], &[1], 0), view(&[], &[], 9)),
        (view(&[300, 3], &[3, 1], 0), view(&[3], &[1], 9)),
        (view(&[300, 3], &[1, 300], 0), view(&[300, 1], &[2, 7], 9)),
        (view(&[4, 1, 33], &[33, 33, 1], 0), view(&[1, 6, 33], &[0, 33, 1], 5)),
        (view(&[4, 1, 5], &[5, 5, 1], 0), view(&[1, 6, 5], &[0, 5, 1], 5)),
        (view(&[700], &[-1], 900), view(&[700], &[2], 1)),
        (view(&[0, 3], &[3, 1], 0), view(&[3], &[1], 0)),
        (view(&[1, 700], &[0, 1], 0), view(&[700], &[0], 1)),
        (view(&[1500], &[1], 0), view(&[1], &[1], 1)),
    ];
    each_isa(|isa| {
        for (x, y) in pairs {
            let shape = rules::broadcast(&[x.meta(), y.meta()]).unwrap();
            let wide = |v: &View| {
                let layout = v.layout().broadcast_to(shape).unwrap();
                // SAFETY: a broadcast reads the same elements; the offset is already in the view's pointer.
                read(&unsafe { v.with_layout(Layout::strided(shape, layout.strides(), 0)) })
            };
            let what = format!("{:?} {:?} with {:?} {:?} on {}", x.dims(), x.strides(), y.dims(), y.strides(), isa.name());
            let want: Vec<f64> = wide(&x).iter().zip(wide(&y)).map(|(&x, y)| (x as f32 - y as f32) as f64).collect();
            let mut out = vec![0f32; shape.numel()];
            run(0, |cx| binary(cx, Binary::sub, &x, &y, 0.0, 0.0, &mut ViewMut::of(&mut out, shape.dims()))).unwrap();
            assert_close(&out.iter().map(|&v| v as f64).collect::<Vec<_>>(), &want, 0.0, 0.0, &what);

            let mut less = vec![B8(7); shape.numel()];
            run(0, |cx| binary(cx, Binary::lt, &x, &y, 0.0, 0.0, &mut ViewMut::of(&mut less, shape.dims()))).unwrap();
            let want: Vec<u8> = want.iter().map(|&d| (d < 0.0) as u8).collect();
            assert_eq!(less.iter().map(|v| v.0).collect::<Vec<_>>(), want, "{what}");

            let mut out = vec![0f32; x.numel()];
            run(0, |cx| unary(cx, Unary::neg, &x, 0.0, 0.0, &mut ViewMut::of(&mut out, x.dims()))).unwrap();
            assert_close(&out.iter().map(|&v| -v as f64).collect::<Vec<_>>(), &read(&x), 0.0, 0.0, &what);
        }
    });
}

#[test]
fn chunks_do_not_show() {
    let n = 3 * crate::strided::GRAIN + 17;
    let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let mut y = vec![0f32; n];
    run(0, |cx| unary(cx, Unary::add_scalar, &View::of(&x, &[n]), 1.0, 0.0, &mut ViewMut::of(&mut y, &[n]))).unwrap();
    assert!(y.iter().enumerate().all(|(i, &v)| v == (i + 1) as f32));
}

#[test]
fn half_types_round_the_float32_result_once() {
    let x: Vec<f32> = noise(5, 700).iter().map(|&v| v as f32 * 4.0).collect();
    let (h, b): (Vec<f16>, Vec<bf16>) = (x.iter().map(|&v| f16::from_f32(v)).collect(), x.iter().map(|&v| bf16::from_f32(v)).collect());
    let want = |v: f64| (v as f32).exp();
    let exact: Vec<f64> = h.iter().map(|v| Element::to_f64(f16::from_f32(want(Element::to_f64(*v))))).collect();
    assert_close(&call_unary::<f16, f16>(Unary::exp, &h, 0.0, 0.0), &exact, 1e-3, 0.0, "f16");
    let exact: Vec<f64> = b.iter().map(|v| bf16::from_f32(want(Element::to_f64(*v))).to_f64()).collect();
    assert_close(&call_unary::<bf16, bf16>(Unary::exp, &b, 0.0, 0.0), &exact, 8e-3, 0.0, "bf16");
    // 0.1 is no bf16; compared in the tensor's dtype it is equal.
    assert_eq!(call_unary::<bf16, B8>(Unary::eq_scalar, &[bf16::from_f32(0.1)], 0.1, 0.0), [1.0]);
    assert_eq!(call_unary::<f16, B8>(Unary::eq_scalar, &[f16::from_f32(0.1)], 0.1, 0.0), [1.0]);
    assert_eq!(call_unary::<f32, B8>(Unary::eq_scalar, &[0.1f32], 0.1, 0.0), [1.0]);
}

#[test]
fn integers_follow_pytorch() {
    assert_eq!(call_unary::<u8, u8>(Unary::neg, &[1, 0], 0.0, 0.0), [255.0, 0.0]);
    assert_eq!(call_unary::<u8, u8>(Unary::add_scalar, &[200], 100.0, 0.0), [44.0]);
    assert_eq!(call_unary::<i64, i64>(Unary::clamp, &[-5, 1, 9], -1.5, 2.5), [-1.0, 1.0, 2.0]);
    assert_eq!(call_unary::<i64, i64>(Unary::clamp, &[-5, 9], f64::NAN, f64::INFINITY), [-5.0, 9.0]);
    assert_eq!(call_unary::<i32, i32>(Unary::pow_scalar, &[3, -2, 0], 3.0, 0.0), [27.0, -8.0, 0.0]);
    assert_eq!(call_unary::<i32, i32>(Unary::rpow_scalar, &[3, -1], 2.0, 0.0), [8.0, 0.0]);
    assert_eq!(call_unary::<i32, B8>(Unary::lt_scalar, &[2, 3], 2.5, 0.0), [1.0, 0.0]);
    assert_eq!(call_unary::<i64, B8>(Unary::eq_scalar, &[i64::MAX], i64::MAX as f64, 0.0), [0.0]);
    assert_eq!(
        call_binary::<i32, i32>(Binary::floor_divide, &[-7, 7, 7, i32::MIN, 5], &[2, 2, -2, -1, 0], 0.0, 0.0),
        [-4.0, 3.0, -4.0, i32::MIN as f64, 0.0]
    );
    assert_eq!(call_binary::<i64, i64>(Binary::remainder, &[-7, 7, i64::MIN, 5], &[2, -2, -1, 0], 0.0, 0.0), [1.0, -1.0, 0.0, 0.0]);
    assert_eq!(call_binary::<i64, i64>(Binary::mul, &[i64::MAX], &[2], 0.0, 0.0), [-2.0]);
    let bools = [B8(1), B8(1), B8(0)];
    assert_eq!(call_binary::<B8, B8>(Binary::add, &bools, &[B8(9), B8(0), B8(0)], 0.0, 0.0), [1.0, 1.0, 0.0]);
    assert_eq!(call_binary::<B8, B8>(Binary::eq, &[B8(1)], &[B8(9)], 0.0, 0.0), [1.0]);
    let mut y = [B8(0); 3];
    let refused =
        run(0, |cx| binary(cx, Binary::sub, &View::of(&bools, &[3]), &View::of(&bools, &[3]), 0.0, 0.0, &mut ViewMut::of(&mut y, &[3])));
    assert!(refused.is_err());
    let mut y = [0i32; 1];
    let refused = run(0, |cx| unary(cx, Unary::div_scalar, &View::of(&[1i32], &[1]), 2.0, 0.0, &mut ViewMut::of(&mut y, &[1])));
    assert!(refused.unwrap_err().message.contains("int32"));
}

#[test]
fn powers_and_edges() {
    let x = [0.0f32, 4.0, -2.0, f32::NAN];
    assert_eq!(call_unary::<f32, f32>(Unary::pow_scalar, &x[..3], 2.0, 0.0), [0.0, 16.0, 4.0]);
    assert_eq!(call_unary::<f32, f32>(Unary::pow_scalar, &x[..2], 0.5, 0.0), [0.0, 2.0]);
    assert_eq!(call_unary::<f32, f32>(Unary::pow_scalar, &x, 0.0, 0.0), [1.0; 4]);
    assert_eq!(call_unary::<f32, f32>(Unary::sign, &x, 0.0, 0.0), [0.0, 1.0, -1.0, 0.0]);
    assert_eq!(call_unary::<f32, f32>(Unary::round, &[0.5, 1.5, 2.5, -0.5], 0.0, 0.0), [0.0, 2.0, 2.0, 0.0]);
    each_isa(|_| {
        let wide = |v: f32| vec![v; 40];
        for (u, v) in [(f32::NAN, 1.0), (1.0, f32::NAN)] {
            assert!(call_binary::<f32, f32>(Binary::maximum, &wide(u), &wide(v), 0.0, 0.0).iter().all(|v| v.is_nan()));
            assert!(call_binary::<f32, f32>(Binary::minimum, &wide(u), &wide(v), 0.0, 0.0).iter().all(|v| v.is_nan()));
        }
        assert!(call_unary::<f32, f32>(Unary::relu, &wide(f32::NAN), 0.0, 0.0).iter().all(|v| v.is_nan()));
        assert!(call_unary::<f32, f32>(Unary::clamp, &wide(f32::NAN), 0.0, 1.0).iter().all(|v| v.is_nan()));
        assert_eq!(call_unary::<f32, f32>(Unary::clamp, &wide(5.0), f64::NAN, f64::NAN), [5.0; 40]);
        assert_eq!(call_unary::<f32, f32>(Unary::clamp, &wide(5.0), 3.0, 1.0), [1.0; 40]);
    });
    // The rule and the table agree on which functions take integers.
    let m = Meta::new(DType::I32, &[1]).unwrap();
    assert_eq!(rules::unary(Category::Float, &m, 0.0).unwrap().0, DType::F32);
}
