//! Functions of `f32` vectors, the same formula on every path. Polynomials are minimax fits (Lawson's iteration) of the remainder named beside
//! them, their coefficients rounded to `f32` one by one with the rest refitted. Tests sweep every exponent against float64.
use crate::Simd;

/// c[0] + c[1] x + ...
#[inline(always)]
fn poly<S: Simd, const N: usize>(s: S, x: S::F, c: [f32; N]) -> S::F {
    let mut y = s.splat(c[N - 1]);
    for k in (0..N - 1).rev() {
        y = s.fma(y, x, s.splat(c[k]));
    }
    y
}

const LOG2E: f32 = std::f32::consts::LOG2_E;
/// ln 2 = LN2_HIGH + LN2_LOW, the first with few enough bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// x = n ln 2 + r: (n, e^r - 1).
#[inline(always)]
fn exp_parts<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
    let n = s.round(s.mul(x, s.splat(LOG2E)));
    let r = s.fnma(n, s.splat(LN2_LOW), s.fnma(n, s.splat(LN2_HIGH), x));
    // (e^r - 1 - r) / r^2, within 3.3e-9 of e^r
    let p = poly(s, r, [0.5, 0.16666518, 0.041666433, 0.008368968, 0.0013937847]);
    (n, s.fma(s.mul(r, r), p, r))
}

/// e^(x + rest) for x in -105..=89 and a small rest; rounded but in its last step as if x + rest were exact.
#[inline(always)]
fn exp_sum<S: Simd>(s: S, x: S::F, rest: Option<S::F>) -> S::F {
    let about = rest.map_or(x, |rest| s.add(x, rest));
    // r in [-0.2877, 0.4054], so that e^r - 1 is in [-0.25, 0.5]: at either end its last place is a quarter of that of e^r, no more.
    let n = s.round(s.fma(about, s.splat(LOG2E), s.splat(-0.0849)));
    let r = s.fnma(n, s.splat(LN2_HIGH), x);
    let r = rest.map_or(r, |rest| s.add(r, rest));
    let r = s.fnma(n, s.splat(LN2_LOW), r);
    // (e^r - 1 - r) / r^2, within 4.6e-9 of e^r
    let p = poly(s, r, [0.5, 0.166_665_75, 0.041_661_896, 0.008_359_638, 0.001_450_056_1]);
    s.scale(s.add(s.fma(s.mul(r, r), p, r), s.splat(1.0)), n)
}

/// e^x; at most 1 ULP. Past the range it is infinity or 0, with subnormals between.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    exp_sum(s, s.clamp(x, s.splat(-104.5), s.splat(89.0)), None)
}

/// [`exp`] of what is not above 0, with the same bits.
#[inline(always)]
pub fn exp_down<S: Simd>(s: S, x: S::F) -> S::F {
    exp_sum(s, s.at_least(x, s.splat(-104.5)), None)
}

/// e^x - 1, accurate near 0; at most 2 ULP.
#[inline(always)]
pub fn expm1<S: Simd>(s: S, x: S::F) -> S::F {
    let (n, p) = exp_parts(s, s.clamp(x, s.splat(-30.0), s.splat(89.0)));
    // 2^128 is no f32, so one factor of two waits until the end.
    let half = s.scale(s.splat(0.5), n);
    let y = s.fma(half, p, s.sub(half, s.splat(0.5)));
    // x itself near 0: keeps the sign of zero, and subnormals whole.
    s.select(s.lt(s.abs(x), s.splat(1e-8)), x, s.add(y, y))
}

/// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt 2): (e, f). For x > 0, finite or not; subnormals too.
#[inline(always)]
fn log_parts<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
    let small = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let x = s.select(small, s.mul(x, s.splat(8_388_608.0)), x);
    let shift = s.select(small, s.splat(-23.0), s.zero());
    // Counting from sqrt(1/2) puts the mantissa where the series is short.
    let origin = s.splat_i(0x3f35_04f3);
    let offset = s.sub_i(s.as_int(x), origin);
    let e = s.add(s.to_float(s.sar::<23>(offset)), shift);
    let mantissa = s.as_float(s.add_i(s.and_i(offset, s.splat_i(0x007f_ffff)), origin));
    (e, s.sub(mantissa, s.splat(1.0)))
}

/// log(1 + f) - f for f as [`log_parts`] gives it.
#[inline(always)]
fn log_tail<S: Simd>(s: S, f: S::F) -> S::F {
    // (log(1 + f) - f + f^2 / 2) / f^3, within 8e-10 of log(1 + f)
    let c = [0.33333313, -0.25000015, 0.2000208, -0.16667724, 0.14219911, -0.12409933, 0.11890473, -0.11653752, 0.067159474];
    let square = s.mul(f, f);
    s.fma(s.mul(square, f), poly(s, f, c), s.mul(square, s.splat(-0.5)))
}

/// NaN below 0, -infinity at 0, infinity at infinity: what every logarithm shares.
#[inline(always)]
fn log_edges<S: Simd>(s: S, x: S::F, y: S::F) -> S::F {
    let y = s.select(s.lt(x, s.splat(f32::INFINITY)), y, x);
    let y = s.select(s.eq(x, s.zero()), s.splat(f32::NEG_INFINITY), y);
    s.select(s.lt(x, s.zero()), s.splat(f32::NAN), y)
}

/// Natural logarithm; at most 1 ULP.
#[inline(always)]
pub fn log<S: Simd>(s: S, x: S::F) -> S::F {
    let (e, f) = log_parts(s, x);
    let tail = s.fma(e, s.splat(LN2_LOW), log_tail(s, f));
    log_edges(s, x, s.fma(e, s.splat(LN2_HIGH), s.add(f, tail)))
}

/// Logarithm to base 2; exact at powers of two, at most 2 ULP.
#[inline(always)]
pub fn log2<S: Simd>(s: S, x: S::F) -> S::F {
    let (e, f) = log_parts(s, x);
    let tail = log_tail(s, f);
    // log2 e = 1.4426950... as a sum of two, so that f's part is not rounded twice.
    let low = s.fma(f, s.splat(1.925_963e-8), s.mul(tail, s.splat(LOG2E)));
    log_edges(s, x, s.add(s.fma(f, s.splat(LOG2E), low), e))
}

/// log(1 + x), accurate near 0; at most 2 ULP.
#[inline(always)]
pub fn log1p<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    let u = s.add(one, x);
    let (e, f) = log_parts(s, u);
    // What rounding 1 + x lost, relative to u.
    let lost = s.select(s.lt(x, one), s.sub(x, s.sub(u, one)), s.sub(one, s.sub(u, x)));
    let lost = s.select(s.lt(u, s.splat(f32::INFINITY)), s.div(lost, u), s.zero());
    let tail = s.fma(e, s.splat(LN2_LOW), s.add(log_tail(s, f), lost));
    let y = log_edges(s, u, s.fma(e, s.splat(LN2_HIGH), s.add(f, tail)));
    s.select(s.lt(s.abs(x), s.splat(1e-8)), x, y)
}

/// 1 / (1 + e^-x), accurate at both ends; at most 3 ULP.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    let e = exp_down(s, s.neg(s.abs(x)));
    s.div(s.select(s.lt(x, s.zero()), e, one), s.add(one, e))
}

/// Hyperbolic tangent; at most 3 ULP.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // Past 9.1 the result rounds to 1. As in `exp_parts`, of 2 x: 2 x = n ln 2 + 2 r, h = (e^(2 r) - 1) / 2, y = (e^(2 x) - 1) / 2.
    let bounded = s.clamp(x, s.splat(-10.0), s.splat(10.0));
    let n = s.round(s.mul(bounded, s.splat(2.0 * LOG2E)));
    let r = s.fnma(n, s.splat(0.5 * LN2_LOW), s.fnma(n, s.splat(0.5 * LN2_HIGH), bounded));
    let p = poly(s, r, [1.0, 4.0 * 0.16666518, 8.0 * 0.041666433, 16.0 * 0.008368968, 32.0 * 0.0013937847]);
    let h = s.fma(s.mul(r, r), p, r);
    let t = s.scale(s.splat(1.0), n);
    let y = s.fma(t, h, s.fma(t, s.splat(0.5), s.splat(-0.5)));
    let y = s.div(y, s.add(y, s.splat(1.0)));
    s.select(s.lt(s.abs(x), s.splat(1e-5)), x, y)
}

/// log(e^(t^2) erfc t) on [1, 4.5], within 7e-8; past that erfc is below 2e-10 and this is held.
#[inline(always)]
fn log_erfcx<S: Simd>(s: S, t: S::F) -> S::F {
    // About the middle, where the terms do not cancel.
    let u = s.sub(s.min(s.splat(4.5), t), s.splat(2.75));
    let c = [
        -1.641_640_4,
        -0.326_535_6,
        0.048_713_435,
        -0.008_934_811,
        0.001_704_669_8,
        -0.000_318_727_22,
        5.781_537_4e-5,
        -1.049_858_8e-5,
        1.364_896e-6,
    ];
    poly(s, u, c)
}

/// erf t for |t| < 1.
#[inline(always)]
fn erf_core<S: Simd>(s: S, t: S::F) -> S::F {
    // erf(t) / t - 1 in t^2, within 1.3e-9
    let c = [0.12837917, -0.3761263, 0.11283619, -0.026855174, 0.0051908446, -0.0008031836, 7.9241305e-5];
    s.fma(t, poly(s, s.mul(t, t), c), t)
}

/// The error function; at most 3 ULP.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::F) -> S::F {
    let t = s.abs(x);
    let one = s.splat(1.0);
    let far = s.sub(one, exp(s, s.fnma(t, t, log_erfcx(s, t))));
    let far = s.select(s.lt(x, s.zero()), s.neg(far), far);
    s.select(s.lt(t, one), erf_core(s, x), far)
}

/// The normal distribution function, (1 + erf(x / sqrt 2)) / 2, without cancellation for negative x: at most 8 ULP down to -6.3, where it is
/// 1e-10; the right order of magnitude beyond.
#[inline(always)]
pub fn normal_cdf<S: Simd>(s: S, x: S::F) -> S::F {
    let (one, half) = (s.splat(1.0), s.splat(0.5));
    let x = s.clamp(x, s.splat(-14.5), s.splat(14.5));
    let scaled = s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = s.abs(scaled);
    // -x^2 / 2 as a sum of two: the exponential makes an absolute error a relative one.
    let minus_half = s.splat(-0.5);
    let square = s.mul(x, x);
    let lost = s.fnma(x, x, square);
    let high = s.mul(square, minus_half);
    let tail = s.mul(half, exp_sum(s, high, Some(s.fma(lost, half, log_erfcx(s, t)))));
    let far = s.select(s.lt(x, s.zero()), tail, s.sub(one, tail));
    let near = s.fma(half, erf_core(s, scaled), half);
    s.select(s.lt(t, one), near, far)
}

/// x = n pi/2 + r, |r| <= pi/4: (n, r, sin r, cos r). For |x| <= [`TRIG_RANGE`].
#[inline(always)]
fn trig_parts<S: Simd>(s: S, x: S::F) -> (S::I, S::F, S::F) {
    let n = s.round(s.mul(x, s.splat(std::f32::consts::FRAC_2_PI)));
    // pi/2 in three parts of which each product with n is fused
    let r = s.fnma(n, s.splat(std::f32::consts::FRAC_PI_2), x);
    let r = s.fnma(n, s.splat(-4.371_139e-8), r);
    let r = s.fnma(n, s.splat(-1.715_124_5e-15), r);
    let z = s.mul(r, r);
    // (sin r - r) / r^3 in r^2
    let sin = poly(s, z, [-0.16666667, 0.008333373, -0.00019850295, 2.8043569e-6]);
    let sin = s.fma(s.mul(z, r), sin, r);
    // (cos r - 1 + z / 2) / z^2
    let cos = poly(s, z, [0.041666646, -0.0013887312, 2.4432742e-5]);
    let cos = s.fma(s.mul(z, z), cos, s.fnma(z, s.splat(0.5), s.splat(1.0)));
    (s.to_int(n), sin, cos)
}

/// Beyond this the reduction by pi/2 loses digits and the lanes go through float64.
pub const TRIG_RANGE: f32 = 16_384.0;

#[inline(always)]
fn negate_where<S: Simd>(s: S, bit: i32, n: S::I, y: S::F) -> S::F {
    let clear = s.eq_i(s.and_i(n, s.splat_i(bit)), s.splat_i(0));
    s.select(clear, y, s.neg(y))
}

#[inline(always)]
fn odd<S: Simd>(s: S, n: S::I) -> S::M {
    s.eq_i(s.and_i(n, s.splat_i(1)), s.splat_i(1))
}

/// Sine; at most 2 ULP.
#[inline(always)]
pub fn sin<S: Simd>(s: S, x: S::F) -> S::F {
    let far = s.not(s.le(s.abs(x), s.splat(TRIG_RANGE)));
    let (n, sin, cos) = trig_parts(s, x);
    let y = negate_where(s, 2, n, s.select(odd(s, n), cos, sin));
    let y = s.select(s.eq(x, s.zero()), x, y);
    if s.any(far) { s.select(far, s.each(x, |v| (v as f64).sin() as f32), y) } else { y }
}

/// Cosine; at most 2 ULP.
#[inline(always)]
pub fn cos<S: Simd>(s: S, x: S::F) -> S::F {
    let far = s.not(s.le(s.abs(x), s.splat(TRIG_RANGE)));
    let (n, sin, cos) = trig_parts(s, x);
    let y = s.select(odd(s, n), sin, cos);
    let y = negate_where(s, 2, s.add_i(n, s.splat_i(1)), y);
    if s.any(far) { s.select(far, s.each(x, |v| (v as f64).cos() as f32), y) } else { y }
}

/// Tangent; at most 4 ULP.
#[inline(always)]
pub fn tan<S: Simd>(s: S, x: S::F) -> S::F {
    let far = s.not(s.le(s.abs(x), s.splat(TRIG_RANGE)));
    let (n, sin, cos) = trig_parts(s, x);
    let swap = odd(s, n);
    let y = s.div(s.select(swap, cos, sin), s.select(swap, sin, cos));
    let y = negate_where(s, 1, n, y);
    let y = s.select(s.eq(x, s.zero()), x, y);
    if s.any(far) { s.select(far, s.each(x, |v| (v as f64).tan() as f32), y) } else { y }
}

/// Arc tangent; at most 3 ULP.
#[inline(always)]
pub fn atan<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    let t = s.abs(x);
    let far = s.gt(t, one);
    let u = s.select(far, s.div(one, t), t);
    let z = s.mul(u, u);
    // (atan u - u) / u^3 in u^2 on [0, 1]
    let c = [-0.33333302, 0.19998631, -0.14265175, 0.1095725, -0.084185906, 0.05822075, -0.031442773, 0.011057849, -0.001825803];
    let y = s.fma(s.mul(z, u), poly(s, z, c), u);
    let y = s.select(far, s.sub(s.splat(std::f32::consts::FRAC_PI_2), y), y);
    s.select(s.lt(x, s.zero()), s.neg(y), s.select(s.eq(x, s.zero()), x, y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, Kernel, reference, vectorize, with_isa};

    struct Map<'a, F>(&'a mut [f32], F);
    trait Function: Copy {
        fn call<S: Simd>(self, s: S, x: S::F) -> S::F;
    }
    impl<F: Function> Kernel for Map<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for part in self.0.chunks_mut(S::LANES) {
                // SAFETY: the part has as many elements as are read and written.
                unsafe {
                    let x = s.load_partial(part.as_ptr(), part.len());
                    s.store_partial(part.as_mut_ptr(), part.len(), self.1.call(s, x));
                }
            }
        }
    }

    /// The distance to the true value in units of the last place of the f32 nearest to it.
    fn ulps(got: f32, want: f64) -> f64 {
        let near = want as f32;
        if got == near || (got.is_nan() && near.is_nan()) {
            return if got.is_finite() { (got as f64 - want).abs() / ulp(near) } else { 0.0 };
        }
        if got.is_nan() || near.is_nan() {
            return f64::INFINITY;
        }
        // An overflow by less than one unit counts as such.
        let got = if got.is_infinite() { got.signum() as f64 * 2f64.powi(128) } else { got as f64 };
        (got - want).abs() / ulp(near)
    }
    fn ulp(x: f32) -> f64 {
        let e = (x.abs().to_bits() >> 23).clamp(1, 254) as i32;
        2f64.powi(e - 127 - 23)
    }

    macro_rules! sweep {
        ($($name:ident $limit:expr, $reference:expr;)*) => { $(
            #[test]
            fn $name() {
                #[derive(Clone, Copy)]
                struct F;
                impl Function for F {
                    #[inline(always)]
                    fn call<S: Simd>(self, s: S, x: S::F) -> S::F {
                        super::$name(s, x)
                    }
                }
                // 4.3 million values over all exponents and signs, subnormals, infinities and NaN among them.
                let mut inputs: Vec<f32> = (0..u32::MAX / 997).map(|i| f32::from_bits(i * 997)).collect();
                inputs.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0, -1.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, f32::MIN]);
                inputs.extend((-2000..2000).map(|i| i as f32 / 64.0));
                for isa in Isa::available() {
                    let mut got = inputs.clone();
                    with_isa(isa, || vectorize(Map(&mut got, F)));
                    let (mut worst, mut at) = (0.0, 0.0);
                    for (&x, &y) in inputs.iter().zip(&got) {
                        let want: f64 = $reference(x as f64);
                        let error = ulps(y, want);
                        if error > worst {
                            (worst, at) = (error, x);
                        }
                        if x == 0.0 && want == 0.0 {
                            assert_eq!(y.is_sign_negative(), want.is_sign_negative(), "sign of zero");
                        }
                    }
                    println!("{} {}: {worst:.3} ULP at {at:e}", stringify!($name), isa.name());
                    assert!(worst <= $limit, "{} on {}: {worst} ULP at {at:e}", stringify!($name), isa.name());
                }
            }
        )* };
    }
    sweep! {
        exp 1.0, f64::exp;
        expm1 2.0, f64::exp_m1;
        log 1.0, f64::ln;
        log2 2.0, f64::log2;
        log1p 2.0, f64::ln_1p;
        sigmoid 3.0, |x: f64| 1.0 / (1.0 + (-x).exp());
        tanh 3.0, f64::tanh;
        erf 3.0, reference::erf;
        sin 2.0, f64::sin;
        cos 2.0, f64::cos;
        tan 4.0, f64::tan;
        atan 3.0, f64::atan;
    }

    #[test]
    fn normal_cdf_keeps_small_tails() {
        #[derive(Clone, Copy)]
        struct F;
        impl Function for F {
            #[inline(always)]
            fn call<S: Simd>(self, s: S, x: S::F) -> S::F {
                super::normal_cdf(s, x)
            }
        }
        for isa in Isa::available() {
            for i in -5800..1000 {
                let x = i as f32 / 1000.0;
                let mut y = [x];
                with_isa(isa, || vectorize(Map(&mut y, F)));
                let want = 0.5 * reference::erfc(-x as f64 / std::f64::consts::SQRT_2);
                assert!((y[0] as f64 - want).abs() <= 1e-5 * want, "{x}: {} against {want}", y[0]);
            }
        }
    }
}
