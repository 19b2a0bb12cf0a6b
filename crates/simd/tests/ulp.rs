//! The functions against float64 over all f32, in units of the last place of the nearest f32.
//!
//! By default every f32 of the range where a function is neither its argument nor a constant, on the best path; a sample on the others. Every
//! f32 on every path, which takes minutes: `FERROGRAD_SWEEP=all cargo test --release -p ferrograd-simd --test ulp -- --nocapture`.
use ferrograd_simd::{Isa, Kernel, Simd, isa, math, reference, vectorize, with_isa};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Inputs at once: they, the results and the references stay in the first caches.
const BLOCK: usize = 1024;
const DENSE: usize = 1 << 32;

type Vector = fn(Isa, &mut [f32]);

struct Function {
    name: &'static str,
    bound: f64,
    /// Runs it over a slice, in place.
    vector: Vector,
    /// The reference over a block; float64, and written so that the compiler makes vectors of it.
    exact: fn(&[f32; BLOCK], &mut [f64; BLOCK]),
    /// The reference of the standard library (or the series), one by one.
    plain: fn(f64) -> f64,
    /// Bits of the smallest and the largest |x| that are worth an exhaustive look.
    range: (f32, f32),
    negative: bool,
}

macro_rules! functions {
    ($($name:ident $bound:literal, $range:expr, $negative:literal, $plain:expr, [$($exact:tt)*];)*) => {
        [$({
            fn vector(path: Isa, values: &mut [f32]) {
                struct Map<'a>(&'a mut [f32]);
                impl Kernel for Map<'_> {
                    type Output = ();
                    #[inline(always)]
                    fn run<S: Simd>(self, s: S) {
                        for part in self.0.chunks_mut(S::LANES) {
                            // SAFETY: the part has as many elements as are read and written.
                            unsafe {
                                let x = s.load_partial(part.as_ptr(), part.len());
                                s.store_partial(part.as_mut_ptr(), part.len(), math::$name(s, x));
                            }
                        }
                    }
                }
                with_isa(path, || vectorize(Map(values)));
            }
            fn exact(x: &[f32; BLOCK], y: &mut [f64; BLOCK]) {
                functions!(@exact x, y, $plain, $($exact)*);
            }
            Function { name: stringify!($name), bound: $bound, vector, exact, plain: $plain, range: $range, negative: $negative }
        }),*]
    };
    (@exact $from:ident, $to:ident, $plain:expr, near $slopes:ident) => { local($from, $to, $plain, $slopes) };
    (@exact $from:ident, $to:ident, $plain:expr, $x:ident => $exact:expr) => {
        struct Exact<'a>(&'a [f32; BLOCK], &'a mut [f64; BLOCK]);
        impl Kernel for Exact<'_> {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, _: S) {
                for (&$x, y) in self.0.iter().zip(self.1) {
                    let $x = $x as f64;
                    *y = $exact;
                }
            }
        }
        vectorize(Exact($from, $to));
    };
}

/// Bounds: what `math` says of each.
fn functions() -> [Function; 8] {
    functions! {
        exp 1.0, (1e-8, 110.0), true, f64::exp, [x => { let (n, p) = exp_parts(x); two_to(n) * (1.0 + p) }];
        expm1 2.0, (1e-8, 110.0), true, f64::exp_m1, [x => expm1(x)];
        log 1.0, (1e-6, 1e6), false, f64::ln, [x => log(x)];
        log1p 2.0, (1e-8, 1e6), true, f64::ln_1p, [x => if x.abs() < 0.25 { quotient_log(x / (2.0 + x)) } else { log(1.0 + x) }];
        sigmoid 3.0, (1e-8, 110.0), true, |x| 1.0 / (1.0 + (-x).exp()), [x => { let (n, p) = exp_parts(-x); 1.0 / (1.0 + two_to(n) * (1.0 + p)) }];
        tanh 3.0, (1e-8, 12.0), true, f64::tanh, [x => { let e = expm1(2.0 * x.clamp(-40.0, 40.0)); e / (e + 2.0) }];
        erf 3.0, (1e-8, 6.0), true, reference::erf, [near erf_slopes];
        normal_cdf 8.0, (1e-8, 6.3), true, reference::normal_cdf, [near normal_slopes];
    }
}

#[inline(always)]
fn two_to(n: f64) -> f64 {
    // The integer stands in the low bits of n + 1.5 * 2^52. What 2^n lacks at either end, f32 lacks long before.
    f64::from_bits(((n.clamp(-1000.0, 1000.0) + 6_755_399_441_055_744.0).to_bits() << 52).wrapping_add(1023 << 52))
}

/// x = n ln 2 + r: (n, e^r - 1), by Taylor's series.
#[inline(always)]
fn exp_parts(x: f64) -> (f64, f64) {
    let x = if x > 800.0 { 800.0 } else { x };
    let x = if x < -800.0 { -800.0 } else { x };
    let n = (x * std::f64::consts::LOG2_E).round_ties_even();
    let r = (x - n * 6.931_471_803_691_238e-1) - n * 1.908_214_929_270_587_7e-10;
    let mut p = 1.0 / 6_227_020_800.0;
    for c in [479_001_600.0, 39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0] {
        p = p * r + 1.0 / c;
    }
    (n, r + r * r * p)
}

#[inline(always)]
fn expm1(x: f64) -> f64 {
    let (n, p) = exp_parts(x);
    let t = two_to(n);
    if x == 0.0 { x } else { t * p + (t - 1.0) }
}

/// 2 artanh f, for |f| <= 0.172.
#[inline(always)]
fn quotient_log(f: f64) -> f64 {
    let z = f * f;
    let mut p = 1.0 / 23.0;
    for k in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        p = p * z + 1.0 / k;
    }
    let y = 2.0 * f + 2.0 * f * z * p;
    if f == 0.0 { f } else { y }
}

/// Of what was an f32 or 1 + an f32: its exponent is never the smallest.
#[inline(always)]
fn log(x: f64) -> f64 {
    let origin = std::f64::consts::FRAC_1_SQRT_2.to_bits();
    let offset = x.to_bits().wrapping_sub(origin);
    // The exponent as the low bits of 1.5 * 2^52 + e: AVX2 cannot convert 64-bit integers.
    let e = f64::from_bits(((offset >> 52) ^ 0x800).wrapping_add(6_755_399_441_055_744f64.to_bits())) - (6_755_399_441_055_744.0 + 2048.0);
    let m = f64::from_bits((offset & ((1 << 52) - 1)) + origin);
    let y = e * 6.931_471_803_691_238e-1 + (quotient_log((m - 1.0) / (m + 1.0)) + e * 1.908_214_929_270_587_7e-10);
    let y = if x < f64::INFINITY { y } else { x };
    let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
    if x < 0.0 { f64::NAN } else { y }
}

/// A function whose reference is slow: its Taylor polynomial about the middle of a block of neighbouring f32 (which differ by 2^-13 at most, so
/// that five terms leave 1e-13), one by one where the block is wider. `slopes`: the derivatives at c, from the function's value and c.
fn local(x: &[f32; BLOCK], y: &mut [f64; BLOCK], plain: fn(f64) -> f64, slopes: fn(f64) -> [f64; 4]) {
    let (first, last) = (x[0] as f64, x[BLOCK - 1] as f64);
    if !(first * last > 0.0 && (first - last).abs() <= 2.5e-4 * first.abs()) || first.abs() < 1e-30 {
        return x.iter().zip(y).for_each(|(&x, y)| *y = plain(x as f64));
    }
    let c = (first + last) / 2.0;
    let (value, [s1, s2, s3, s4]) = (plain(c), slopes(c));
    for (&x, y) in x.iter().zip(y) {
        let h = x as f64 - c;
        *y = value + h * (s1 + h * (s2 / 2.0 + h * (s3 / 6.0 + h * (s4 / 24.0))));
    }
}

fn erf_slopes(c: f64) -> [f64; 4] {
    let slope = std::f64::consts::FRAC_2_SQRT_PI * (-c * c).exp();
    [1.0, -2.0 * c, 4.0 * c * c - 2.0, c * (12.0 - 8.0 * c * c)].map(|v| v * slope)
}

fn normal_slopes(c: f64) -> [f64; 4] {
    let slope = 0.398_942_280_401_432_7 * (-0.5 * c * c).exp();
    [1.0, -c, c * c - 1.0, c * (3.0 - c * c)].map(|v| v * slope)
}

/// The largest error of `got`, where the sign of zero counts as infinite; fast, and so without a place.
struct Worst<'a> {
    got: &'a [f32],
    want: &'a [f64],
}

impl Kernel for Worst<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let mut worst = [0f64; 16];
        for (got, want) in self.got.chunks_exact(16).zip(self.want.chunks_exact(16)) {
            for l in 0..16 {
                let e = error(got[l], want[l]);
                worst[l] = if e > worst[l] { e } else { worst[l] };
            }
        }
        worst.iter().fold(0.0, |a, &b| a.max(b))
    }
}

#[inline(always)]
fn error(got: f32, want: f64) -> f64 {
    // An overflow by less than one unit counts as such.
    const LIMIT: f64 = (1u128 << 127) as f64 * 2.0;
    let (g, w) = (got as f64, want);
    let (g, w) = (if g > LIMIT { LIMIT } else { g }, if w > LIMIT { LIMIT } else { w });
    let (g, w) = (if g < -LIMIT { -LIMIT } else { g }, if w < -LIMIT { -LIMIT } else { w });
    let exponent = (w.to_bits() >> 52) & 0x7ff;
    let exponent = if exponent < 1023 - 126 { 1023 - 126 } else { exponent };
    let per_unit = f64::from_bits((2 * 1023 + 23 - exponent) << 52);
    let e = (g - w).abs() * per_unit;
    let e = if g.is_nan() & w.is_nan() { 0.0 } else { e };
    if e.is_nan() | ((w == 0.0) & (g == 0.0) & (g.is_sign_negative() != w.is_sign_negative())) { f64::INFINITY } else { e }
}

/// Sweeps the bit patterns of `ranges` in steps of `stride`: the largest error and where it is.
fn sweep(f: &Function, path: Isa, ranges: &[(usize, usize)], stride: usize) -> (f64, f32) {
    let next = AtomicU64::new(0);
    let found = Mutex::new((0.0, 0f32));
    let span = BLOCK * stride * 256;
    let tasks: Vec<(usize, usize)> = ranges.iter().flat_map(|&(a, b)| (a..b).step_by(span).map(move |s| (s, (s + span).min(b)))).collect();
    let work = || {
        let (mut x, mut want) = ([0f32; BLOCK], [0f64; BLOCK]);
        let mut own = (0.0, 0f32);
        while let Some(&(start, end)) = tasks.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            for first in (start..end).step_by(BLOCK * stride) {
                // Past the end the block holds the last one again.
                for (i, x) in x.iter_mut().enumerate() {
                    *x = f32::from_bits((first + i * stride).min(end - 1) as u32);
                }
                let mut got = x;
                (f.vector)(path, &mut got);
                (f.exact)(&x, &mut want);
                let worst = vectorize(Worst { got: &got, want: &want });
                if worst > own.0 {
                    let at = (0..BLOCK).find(|&i| error(got[i], want[i]) == worst).unwrap_or(0);
                    own = (worst, x[at]);
                }
            }
        }
        let mut found = found.lock().unwrap();
        if own.0 > found.0 {
            *found = own;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    found.into_inner().unwrap()
}

fn check(f: &Function, path: Isa, what: &str, ranges: &[(usize, usize)], stride: usize) {
    let start = std::time::Instant::now();
    let (worst, at) = sweep(f, path, ranges, stride);
    let seconds = start.elapsed().as_secs_f64();
    println!("{:<10} {:<7} {what:<10} {worst:.3} ULP at {at:e} ({seconds:.1} s)", f.name, path.name());
    assert!(worst <= f.bound, "{} on {}: {worst} ULP at {at:e}, at most {} allowed", f.name, path.name(), f.bound);
}

impl Function {
    /// Every bit pattern for which the bound is promised.
    fn all(&self) -> Vec<(usize, usize)> {
        match self.name {
            "normal_cdf" => vec![(0, 1 << 31), (1 << 31, self.ranges()[1].1)],
            _ => vec![(0, DENSE)],
        }
    }
    /// The bit patterns worth an exhaustive look.
    fn ranges(&self) -> Vec<(usize, usize)> {
        let (low, high) = (self.range.0.to_bits() as usize, self.range.1.to_bits() as usize + 1);
        let mut all = vec![(low, high)];
        if self.negative {
            all.push((low | 1 << 31, high | 1 << 31));
        }
        all
    }
}

#[test]
fn the_reference_is_the_standard_librarys() {
    for f in functions() {
        let mut worst = (0.0, 0f32);
        for first in (0..DENSE).step_by(BLOCK * 4099) {
            let x: [f32; BLOCK] = std::array::from_fn(|i| f32::from_bits((first + i * 4099).min(DENSE - 1) as u32));
            let mut want = [0f64; BLOCK];
            (f.exact)(&x, &mut want);
            for (&x, &want) in x.iter().zip(&want) {
                let plain = (f.plain)(x as f64);
                let same = plain == want
                    || (plain.is_nan() && want.is_nan())
                    || (plain.abs() > 1e39 && want == plain.signum() * want.abs() && want.abs() > 1e39);
                // Below the smallest f32 nothing matters.
                let off = if same || plain.abs().max(want.abs()) < 1e-46 { 0.0 } else { (want - plain).abs() / plain.abs() };
                if off.is_nan() || off > worst.0 {
                    worst = (off, x);
                }
            }
        }
        println!("{:<10} differs by {:e} at {:e}", f.name, worst.0, worst.1);
        assert!(worst.0 <= 1e-11, "{}: {:e} at {:e}", f.name, worst.0, worst.1);
    }
}

#[test]
fn errors_are_within_bounds() {
    let all = std::env::var("FERROGRAD_SWEEP").is_ok_and(|v| v == "all");
    for f in functions() {
        for path in Isa::available() {
            if all {
                check(&f, path, "all", &f.all(), 1);
                continue;
            }
            check(&f, path, "in range", &f.ranges(), if path == isa() { 1 } else { 61 });
            check(&f, path, "sampled", &f.all(), 7919);
        }
    }
}
