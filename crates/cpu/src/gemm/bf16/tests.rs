use super::available;
use crate::gemm::shuffled::{on_threads, same_bits};
use crate::linear::{linear, linear_scratch};
use crate::matmul::{matmul, matmul_scratch};
use crate::testing::{each_isa, noise};
use ferrograd_tensor::{Layout, Shape, View, ViewMut, bf16};

fn halves(seed: u64, len: usize) -> Vec<bf16> {
    noise(seed, len).into_iter().map(bf16::from_f64).collect()
}

/// A view of `data` as a matrix [rows, cols] with these strides.
fn view<'a>(data: &'a [bf16], dims: [usize; 2], strides: [isize; 2]) -> View<'a> {
    let reach = (dims[0].max(1) - 1) as isize * strides[0] + (dims[1].max(1) - 1) as isize * strides[1];
    assert!(dims.contains(&0) || (reach as usize) < data.len());
    // SAFETY: inside `data`, checked above.
    unsafe { View::of(data, &[data.len()]).with_layout(Layout::strided(Shape::new(&dims).unwrap(), &strides, 0)) }
}

fn at(v: &View, i: usize, j: usize) -> f64 {
    // SAFETY: i and j lie inside the view.
    unsafe { *v.ptr::<bf16>().offset(i as isize * v.strides()[0] + j as isize * v.strides()[1]) }.to_f64()
}

/// The product on 1, 2, 3 and 7 threads, with a guard behind C.
fn product(a: &View, b: &View, what: &str) -> Vec<f64> {
    let (m, n) = (a.dims()[0], b.dims()[1]);
    let guard = bf16::from_bits(0x1234);
    let got = same_bits(matmul_scratch(a.meta(), b.meta()), what, |cx| {
        let mut y = vec![guard; m * n + 64];
        y[..m * n].fill(bf16::NAN);
        matmul(cx, a, b, &mut ViewMut::of(&mut y[..m * n], &[m, n])).unwrap();
        assert!(y[m * n..].iter().all(|v| v.to_bits() == guard.to_bits()), "{what}: written behind C");
        y.iter().take(m * n).map(|v| v.to_f32()).collect()
    });
    got.iter().map(|&v| v as f64).collect()
}

/// Each element of the product in float64, and how far a result may be from it: a rounding to bf16, and twice what a float32 sum of k
/// products loses.
fn reference(a: &View, b: &View) -> Vec<(f64, f64)> {
    let (m, n, k) = (a.dims()[0], b.dims()[1], a.dims()[1]);
    let element = |i: usize, j: usize| {
        let terms = (0..k).map(|p| at(a, i, p) * at(b, p, j));
        let (sum, size) = terms.fold((0.0f64, 0.0), |(sum, size), t| (sum + t, size + t.abs()));
        (sum, sum.abs() / 256.0 + 2.0 * size * (k as f64).sqrt() * f32::EPSILON as f64)
    };
    (0..m * n).map(|e| element(e / n, e % n)).collect()
}

fn assert_near(got: &[f64], want: &[(f64, f64)], what: &str) {
    for (e, (got, (want, bound))) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= *bound, "{what}: element {e} is {got}, reference {want}");
    }
}

#[test]
fn every_transposition_stride_and_size() {
    let sizes = [
        (1, 1, 1),
        (1, 5, 3),
        (5, 1, 7),
        (3, 4, 0),
        (12, 32, 16),
        (14, 32, 8),
        (15, 33, 17),
        (37, 70, 65),
        (100, 130, 71),
        (7, 200, 300),
        (64, 10, 1024),
        (130, 264, 515),
        (3, 2, 5000),
        (29, 31, 9001),
        (1, 300, 129),
        (4, 130, 70),
        (300, 17, 2),
    ];
    for (m, n, k) in sizes {
        // The large ones without gaps: their tasks and parts are what they are here for.
        for case in 0..if m * n * k > 1 << 22 { 4 } else { 32 } {
            let bit = |i: u32| case >> i & 1 == 1;
            // Rows or columns side by side, with a gap between them, or every second element of them.
            let layout = |rows: usize, cols: usize, turned: bool| {
                let (gap, step) = (if bit(2) { 3 } else { 0 }, if bit(3) { 2 } else { 1 });
                let long = step * (if turned { rows } else { cols } as isize) + gap;
                let strides = if turned { [step, long] } else { [long, step] };
                (strides, (if turned { cols } else { rows } as isize * long) as usize + 1)
            };
            let ((a_strides, a_len), (b_strides, b_len)) = (layout(m, k, bit(0)), layout(k, n, bit(1)));
            // An odd start leaves pairs on odd places.
            let from = usize::from(bit(4));
            let (a, b) = (halves(1, a_len + from), halves(2, b_len + from));
            let (a, b) = (view(&a[from..], [m, k], a_strides), view(&b[from..], [k, n], b_strides));
            let want = reference(&a, &b);
            each_isa(|isa| {
                let what = format!("{} {m} {n} {k} case {case}", isa.name());
                assert_near(&product(&a, &b, &what), &want, &what);
            });
        }
    }
}

#[test]
fn rows_that_share_cache_sets_are_packed() {
    let (m, n, k) = (31, 130, 1024);
    let (a, b) = (halves(1, m * k), halves(2, n * k));
    let (a, b) = (view(&a, [m, k], [k as isize, 1]), view(&b, [k, n], [1, k as isize]));
    assert_near(&product(&a, &b, "packed"), &reference(&a, &b), "packed");
}

#[test]
fn a_long_sum_is_split_by_shape_alone() {
    let (m, n, k) = (32, 32, 65537);
    let (a, b) = (halves(3, m * k), halves(4, k * n));
    let (a, b) = (view(&a, [m, k], [k as isize, 1]), view(&b, [k, n], [n as isize, 1]));
    assert_near(&product(&a, &b, "split"), &reference(&a, &b), "split");
}

#[test]
fn nan_and_infinity_go_through_and_spoil_nothing_else() {
    let (m, n) = (17, 35);
    for k in [1, 2, 7, 64, 129] {
        for turned in [false, true] {
            let (mut a, mut b) = (vec![bf16::ONE; m * k], vec![bf16::ONE; k * n]);
            // The last k, which an odd one fills up to a pair.
            let last = |line: usize, lines: usize| if turned { (k - 1) * lines + line } else { line * k + k - 1 };
            a[last(3, m)] = bf16::NAN;
            a[last(5, m)] = bf16::INFINITY;
            b[last(7, n)] = bf16::NEG_INFINITY;
            b[last(34, n)] = bf16::ZERO;
            let (av, bv) = if turned {
                (view(&a, [m, k], [1, m as isize]), view(&b, [k, n], [n as isize, 1]))
            } else {
                (view(&a, [m, k], [k as isize, 1]), view(&b, [k, n], [1, k as isize]))
            };
            each_isa(|isa| {
                let what = format!("{} k {k}", isa.name());
                let got = product(&av, &bv, &what);
                for i in 0..m {
                    for j in 0..n {
                        let want: f64 = (0..k).map(|p| at(&av, i, p) * at(&bv, p, j)).sum();
                        let got = got[i * n + j];
                        assert!(got == want || got.is_nan() && want.is_nan(), "{what}: [{i}, {j}] is {got}, reference {want}");
                    }
                }
            });
        }
    }
}

#[test]
fn bias_and_relu_come_before_the_one_rounding() {
    each_isa(|isa| {
        for (m, n, k) in [(1, 40, 64), (19, 33, 65), (32, 32, 4096), (15, 7, 0)] {
            let (x, w, bias) = (halves(1, m * k), halves(2, n * k), halves(3, n));
            let (xv, wv, bv) = (View::of(&x, &[m, k]), View::of(&w, &[n, k]), View::of(&bias, &[n]));
            for relu in [0, 1] {
                let what = format!("{} {m} {n} {k} relu {relu}", isa.name());
                let got = same_bits(linear_scratch(xv.meta(), wv.meta()), &what, |cx| {
                    let mut y = vec![bf16::NAN; m * n];
                    linear(cx, &xv, &wv, Some(&bv), relu, &mut ViewMut::of(&mut y, &[m, n])).unwrap();
                    y.iter().map(|v| v.to_f32()).collect()
                });
                for i in 0..m {
                    for j in 0..n {
                        let sum: f64 = (0..k).map(|p| x[i * k + p].to_f64() * w[j * k + p].to_f64()).sum();
                        let (want, got) = (sum + bias[j].to_f64(), got[i * n + j] as f64);
                        let want = if relu == 1 { want.max(0.0) } else { want };
                        // Half a step of bf16, and what float32 lost.
                        let bound = want.abs() / 256.0 + 1e-6 * k as f64;
                        assert!((got - want).abs() <= bound, "{what}: [{i}, {j}] is {got}, reference {want}");
                    }
                }
            }
        }
        // NaN is not made 0.
        let (x, w) = ([bf16::NAN, bf16::ONE], [bf16::ONE; 6]);
        let mut y = [bf16::ZERO; 3];
        let (xv, wv) = (View::of(&x, &[1, 2]), View::of(&w, &[3, 2]));
        on_threads(1, linear_scratch(xv.meta(), wv.meta()), |cx| linear(cx, &xv, &wv, None, 1, &mut ViewMut::of(&mut y, &[1, 3]))).unwrap();
        assert!(y.iter().all(|v| v.is_nan()), "{}", isa.name());
    });
}

#[test]
fn stacks_share_and_repeat_operands() {
    let cases: [(&[usize], &[usize]); 6] = [
        (&[5, 1, 2, 3], &[7, 3, 4]),
        (&[3], &[7, 3, 4]),
        (&[6, 2, 3], &[3]),
        (&[4, 5, 6], &[6, 7]),
        (&[20, 5, 7], &[20, 7, 33]),
        (&[2, 200, 160], &[2, 160, 200]),
    ];
    each_isa(|isa| {
        for (ad, bd) in cases {
            // Small whole numbers: sums are exact in float32, and each way gives the bits of float64's.
            let whole = |seed, len| -> Vec<f64> { noise(seed, len).into_iter().map(|v| (v * 3.0).round()).collect() };
            let (a, b) = (whole(5, ad.iter().product()), whole(6, bd.iter().product()));
            let (ah, bh): (Vec<bf16>, Vec<bf16>) =
                (a.iter().map(|&v| bf16::from_f64(v)).collect(), b.iter().map(|&v| bf16::from_f64(v)).collect());
            let dims = ferrograd_tensor::rules::matmul(View::of(&a, ad).meta(), View::of(&b, bd).meta()).unwrap();
            let mut want = vec![0f64; dims.numel()];
            let (av, bv) = (View::of(&a, ad), View::of(&b, bd));
            on_threads(1, matmul_scratch(av.meta(), bv.meta()), |cx| matmul(cx, &av, &bv, &mut ViewMut::of(&mut want, dims.dims())))
                .unwrap();
            let (av, bv) = (View::of(&ah, ad), View::of(&bh, bd));
            let got = same_bits(matmul_scratch(av.meta(), bv.meta()), isa.name(), |cx| {
                let mut y = vec![bf16::NAN; dims.numel()];
                matmul(cx, &av, &bv, &mut ViewMut::of(&mut y, dims.dims())).unwrap();
                y.iter().map(|v| v.to_f32()).collect()
            });
            for (got, want) in got.iter().zip(&want) {
                assert_eq!(*got, bf16::from_f64(*want).to_f32(), "{} {ad:?} {bd:?}", isa.name());
            }
        }
    });
}

#[test]
fn a_path_without_the_instruction_does_not_claim_it() {
    each_isa(|isa| assert!(isa == ferrograd_simd::Isa::Avx512 || !available()));
}
