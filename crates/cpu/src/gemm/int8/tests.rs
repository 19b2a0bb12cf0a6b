use super::{Finish, Quad, QuadGemm, Table, quad_scratch_len};
use crate::gemm::Mat;
use crate::gemm::shuffled::{Shuffled, on_threads};
use crate::quantized_linear::{quantized_linear, quantized_linear_scratch};
use crate::testing::{each_isa, noise};
use ferrograd_simd::{Isa, has_byte_dot};
use ferrograd_tensor::rules::MAX_QUANTIZED_FEATURES;
use ferrograd_tensor::{Element, Layout, Shape, SyncPtr, View, ViewMut};

/// A matrix by strides over memory that ends with its last element, so that Miri and guards see what lies behind it.
struct Matrix<T> {
    data: Vec<T>,
    from: usize,
    strides: [usize; 2],
}

impl<T: Copy> Matrix<T> {
    fn at(&self, i: usize, j: usize) -> T {
        self.data[self.from + i * self.strides[0] + j * self.strides[1]]
    }
    fn mat(&self) -> Mat<T> {
        Mat { ptr: self.data[self.from..].as_ptr(), rs: self.strides[0] as isize, cs: self.strides[1] as isize }
    }
}

/// Rows or columns side by side, with a gap between them, or every second element of them; an odd start leaves quads on odd places.
fn matrix<T>(seed: u64, [rows, cols]: [usize; 2], case: u32, turned: bool, cast: impl Fn(f64) -> T) -> Matrix<T> {
    let bit = |i: u32| case >> i & 1 == 1;
    let (gap, step, from) = (if bit(0) { 3 } else { 0 }, if bit(1) { 2 } else { 1 }, usize::from(bit(2)));
    let long = step * if turned { rows } else { cols } + gap;
    let strides = if turned { [step, long] } else { [long, step] };
    let len = if rows * cols == 0 { from } else { from + (rows - 1) * strides[0] + (cols - 1) * strides[1] + 1 };
    Matrix { data: noise(seed, len).into_iter().map(cast).collect(), from, strides }
}

fn byte(v: f64) -> u8 {
    ((v + 1.0) * 128.0) as u8
}
fn signed(v: f64) -> i8 {
    byte(v) as i8
}

/// What becomes of the sums: (zero point, scale of A, scales of B, bias, ReLU).
struct Ends {
    zero_point: i32,
    scale: f32,
    scales: Vec<f32>,
    bias: Option<Vec<f32>>,
    relu: bool,
}

impl Ends {
    fn of(n: usize, case: u32) -> Ends {
        let floats = |seed| noise(seed, n).into_iter().map(|v| v as f32).collect::<Vec<_>>();
        Ends {
            zero_point: [0, 128, 255, 7][case as usize % 4],
            scale: 0.037,
            scales: floats(11),
            bias: (case % 3 > 0).then(|| floats(12).iter().map(|v| v * 300.0).collect()),
            relu: case % 2 == 1,
        }
    }
}

/// Step by step, in the order that the kernels keep.
fn reference(a: &Matrix<u8>, b: &Matrix<i8>, [m, n, k]: [usize; 3], ends: &Ends) -> Vec<f32> {
    let element = |i: usize, j: usize| {
        let sum = (0..k).fold(0i32, |sum, p| sum.wrapping_add((a.at(i, p) as i32 - ends.zero_point) * b.at(p, j) as i32));
        let y = sum as f32 * (ends.scale * ends.scales[j]) + ends.bias.as_ref().map_or(-0.0, |bias| bias[j]);
        if ends.relu && y < 0.0 { 0.0 } else { y }
    };
    (0..m * n).map(|e| element(e / n, e % n)).collect()
}

/// Runs the product on some threads with every kernel set, B packed on the way and before; none may write behind C or its scratch.
fn assert_all(a: &Matrix<u8>, b: &Matrix<i8>, [m, n, k]: [usize; 3], ends: &Ends, what: &str) {
    let want = reference(a, b, [m, n, k], ends);
    let pointer = |v: &[f32]| SyncPtr(v.as_ptr().cast_mut());
    for (name, table) in Table::every() {
        for (threads, kept) in [(1, false), (2, true), (3, false), (7, true)] {
            let ldc = n + 3;
            let mut c = vec![77.25f32; m * ldc + 5];
            let mut g = QuadGemm {
                m,
                n,
                k,
                a: a.mat(),
                b: b.mat(),
                c: SyncPtr(c.as_mut_ptr()),
                ldc,
                finish: Finish {
                    zero_point: ends.zero_point,
                    scale: ends.scale,
                    scales: pointer(&ends.scales),
                    bias: ends.bias.as_deref().map_or(SyncPtr(std::ptr::null_mut()), pointer),
                    relu: ends.relu,
                },
                packed_b: None,
            };
            let guard = 0x5a5a_5a5a;
            let len = quad_scratch_len(m, n, k);
            let mut scratch: Vec<Quad> = vec![guard; len + 64];
            let mut pack: Vec<Quad> = vec![guard; g.packed_len(table) + 64];
            let pool = Shuffled(threads);
            if kept {
                g.pack_b(table, &pool, SyncPtr(pack.as_mut_ptr()));
                assert!(pack[g.packed_len(table)..].iter().all(|&q| q == guard), "{name} {what}: written behind a packed B");
                g.packed_b = Some(SyncPtr(pack.as_mut_ptr()));
            }
            // SAFETY: the operands are as large as said, and `every` gives what the CPU can run.
            unsafe { g.run(table, &pool, &mut scratch[..len]) };
            assert!(scratch[len..].iter().all(|&q| q == guard), "{name} {what}: written behind the scratch");
            for (e, got) in c.iter().enumerate() {
                let (i, j) = (e / ldc, e % ldc);
                let want = if i < m && j < n { want[i * n + j] } else { 77.25 };
                assert!(got.to_bits() == want.to_bits(), "{name} {what} on {threads} threads: [{i}, {j}] is {got}, reference {want}");
            }
        }
    }
}

#[test]
fn every_transposition_stride_and_size() {
    let sizes = [
        [1, 1, 1],
        [1, 5, 3],
        [5, 1, 7],
        [3, 4, 0],
        [5, 40, 0],
        [12, 32, 16],
        [14, 32, 8],
        [15, 33, 17],
        [37, 70, 65],
        [100, 130, 71],
        [7, 200, 300],
        [64, 10, 1024],
        [31, 100, 514],
        [3, 2, 5000],
        [4, 131, 70],
        [2, 67, 129],
        [1, 1300, 66],
        [300, 17, 2],
    ];
    for [m, n, k] in sizes {
        for case in 0..32 {
            let (a, b) = (matrix(1, [m, k], case >> 2, case & 1 == 1, byte), matrix(2, [k, n], case >> 2, case & 2 == 2, signed));
            assert_all(&a, &b, [m, n, k], &Ends::of(n, case), &format!("{m} {n} {k} case {case}"));
        }
    }
}

#[test]
fn rows_that_share_cache_sets_are_packed() {
    let [m, n, k] = [31, 130, 2048];
    let (a, b) = (matrix(1, [m, k], 0, false, byte), matrix(2, [k, n], 0, true, signed));
    assert_all(&a, &b, [m, n, k], &Ends::of(n, 1), "packed");
}

#[test]
fn sums_are_exact_up_to_the_longest() {
    let k = MAX_QUANTIZED_FEATURES;
    // Sums near -2^31 and 2^31; the zero point brings them back to what float32 holds exactly.
    for (m, n) in [(1, 3), (5, 9)] {
        let a = Matrix { data: vec![255u8; m * k], from: 0, strides: [k, 1] };
        let mut b = Matrix { data: vec![-128i8; n * k], from: 0, strides: [1, k] };
        b.data[..k].fill(127);
        let ends = Ends { zero_point: 254, scale: 1.0, scales: vec![1.0; n], bias: None, relu: false };
        assert_eq!(reference(&a, &b, [m, n, k], &ends)[..2], [127.0 * k as f32, -128.0 * k as f32]);
        assert_all(&a, &b, [m, n, k], &ends, "long");
    }
    assert!(255i64 * 128 * k as i64 <= i32::MAX as i64 && 255i64 * 128 * (k as i64 + 1) > i32::MAX as i64);
}

#[test]
fn nan_goes_through_relu_and_spoils_nothing_else() {
    let [m, n, k] = [17, 35, 9];
    for m in [m, 3] {
        let (a, b) = (matrix(1, [m, k], 0, false, byte), matrix(2, [k, n], 0, true, signed));
        let mut ends = Ends::of(n, 1);
        ends.scales[7] = f32::NAN;
        ends.bias = Some(vec![-0.0; n]);
        ends.bias.as_mut().unwrap()[34] = f32::INFINITY;
        assert_all(&a, &b, [m, n, k], &ends, "NaN");
    }
}

/// A view of `data` from its start.
fn part<'a, T: Element>(data: &'a [T], dims: &[usize], strides: &[isize]) -> View<'a> {
    let last: isize = dims.iter().zip(strides).map(|(&d, &s)| (d.max(1) as isize - 1) * s).sum();
    assert!((last as usize) < data.len());
    // SAFETY: inside `data`, as just seen.
    unsafe { View::of(data, &[data.len()]).with_layout(Layout::strided(Shape::new(dims).unwrap(), strides, 0)) }
}

/// As the op table calls it: any strides of x, weight and vectors.
#[test]
fn quantized_linear_takes_views() {
    let (x, w) =
        (noise(1, 2 * 3 * 5 * 20).into_iter().map(byte).collect::<Vec<_>>(), noise(2, 7 * 40).into_iter().map(signed).collect::<Vec<_>>());
    let floats: Vec<f32> = noise(3, 14).into_iter().map(|v| v as f32).collect();
    // Dims and strides of x; those of a weight [7, 20]; the step of both vectors.
    let xs: [(&[usize], &[isize]); 5] = [
        (&[20], &[1]),
        (&[2, 3, 5, 20], &[300, 100, 20, 1]),
        (&[2, 5, 20], &[300, 20, 1]),
        (&[3, 2, 5, 20], &[100, 300, 20, 1]),
        (&[2, 0, 20], &[0, 20, 1]),
    ];
    each_isa(|isa| {
        for (dims, strides) in xs {
            for (w_strides, step) in [([20, 1], 1), ([40, 1], 2), ([1, 7], 1), ([2, 14], 2)] {
                let xv = part(&x, dims, strides);
                let (wv, v) = (part(&w, &[7, 20], &w_strides), part(&floats, &[7], &[step]));
                let rows = dims[..dims.len() - 1].iter().product::<usize>();
                let mut y = vec![f32::NAN; rows * 7];
                let mut y_dims = dims.to_vec();
                *y_dims.last_mut().unwrap() = 7;
                let scratch = quantized_linear_scratch(xv.meta(), wv.meta());
                on_threads(2, scratch, |cx| {
                    quantized_linear(cx, &xv, &wv, &v, Some(&v), 0.5, 100, 1, &mut ViewMut::of(&mut y, &y_dims)).unwrap()
                });
                for row in 0..rows {
                    let mut rest = row;
                    let mut start = 0;
                    for d in (0..dims.len() - 1).rev() {
                        start += rest % dims[d] * strides[d] as usize;
                        rest /= dims[d];
                    }
                    for o in 0..7 {
                        let at = |k: usize| w[o * w_strides[0] as usize + k * w_strides[1] as usize] as i32;
                        let sum: i32 = (0..20).map(|k| (x[start + k] as i32 - 100) * at(k)).sum();
                        let scale = floats[o * step as usize];
                        let want = (sum as f32 * (0.5 * scale) + scale).max(0.0);
                        assert_eq!(y[row * 7 + o], want, "{} {dims:?} {w_strides:?} row {row} output {o}", isa.name());
                    }
                }
            }
        }
    });
}

#[test]
fn a_path_without_the_instruction_does_not_claim_it() {
    each_isa(|isa| assert!(matches!(isa, Isa::Avx512 | Isa::Avx2) || !has_byte_dot()));
}
