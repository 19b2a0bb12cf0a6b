use super::drive::{Operand, aligned, drive};
use super::{Compiled, GELU_CUBIC, GELU_SCALE, Row, double, integer, single, table, truth};
use ferrograd_simd::{Simd, math, reference};
use ferrograd_tensor::{Cx, Element, Error, Result, View, ViewMut, bf16, f16};
use std::cmp::Ordering;

const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

table! {
    /// The functions of one operand, in the sections of the op table. PyTorch's definitions.
    ///
    /// `a`, `b`: the slope of `elu` and `leaky_relu`, the bounds of `clamp` (NaN: none), the scalar of `*_scalar`.
    Unary(s, x, y, a, b) {
        // float
        exp: math::exp(s, x), x.exp();
        expm1: math::expm1(s, x), x.exp_m1();
        log: math::log(s, x), x.ln();
        log1p: math::log1p(s, x), x.ln_1p();
        log2: math::log2(s, x), x.log2();
        sin: math::sin(s, x), x.sin();
        cos: math::cos(s, x), x.cos();
        tan: math::tan(s, x), x.tan();
        tanh: math::tanh(s, x), x.tanh();
        atan: math::atan(s, x), x.atan();
        sqrt: s.sqrt(x), x.sqrt();
        rsqrt: s.div(s.splat(1.0), s.sqrt(x)), 1.0 / x.sqrt();
        reciprocal: s.div(s.splat(1.0), x), 1.0 / x;
        sigmoid: math::sigmoid(s, x), sigmoid64(x);
        erf: math::erf(s, x), reference::erf(x);
        // log(1 + e^x), x itself past 20
        softplus: s.select(s.gt(x, s.splat(20.0)), x, math::log1p(s, math::exp(s, x))), if x > 20.0 { x } else { x.exp().ln_1p() };
        gelu: s.mul(x, math::normal_cdf(s, x)), x * reference::normal_cdf(x);
        // x (1 + tanh u) / 2 = x sigmoid(2 u)
        gelu_tanh: s.mul(x, math::sigmoid(s, gelu_argument(s, x))), x * sigmoid64(2.0 * GELU_SCALE * (x + GELU_CUBIC * x * x * x));
        silu: s.mul(x, math::sigmoid(s, x)), x * sigmoid64(x);
        // x tanh(log(1 + e)) = x n / (n + 2) with n = e (e + 2)
        mish: {
            let e = math::exp(s, s.clamp(x, s.splat(-104.0), s.splat(20.0)));
            let n = s.mul(e, s.add(e, s.splat(2.0)));
            s.mul(x, s.div(n, s.add(n, s.splat(2.0))))
        }, {
            let e = x.min(40.0).exp();
            let n = e * (e + 2.0);
            if x.is_nan() { x } else { x * (n / (n + 2.0)) }
        };
        log_sigmoid: s.sub(s.min_nan(x, s.zero()), math::log1p(s, math::exp(s, s.neg(s.abs(x))))), x.min(0.0) - (-x.abs()).exp().ln_1p();
        selu: s.mul(s.splat(SELU_SCALE as f32), s.select(s.gt(x, s.zero()), x, s.mul(s.splat(SELU_ALPHA as f32), math::expm1(s, x)))),
            SELU_SCALE * if x > 0.0 { x } else { SELU_ALPHA * x.exp_m1() };
        elu: s.select(s.gt(x, s.zero()), x, s.mul(a, math::expm1(s, x))), if x > 0.0 { x } else { a * x.exp_m1() };
        leaky_relu: s.select(s.gt(x, s.zero()), x, s.mul(a, x)), if x > 0.0 { x } else { a * x };
        hardswish: s.mul(x, hard_sigmoid(s, x)), x * ((x + 3.0).clamp(0.0, 6.0) / 6.0);
        hardsigmoid: hard_sigmoid(s, x), (x + 3.0).clamp(0.0, 6.0) / 6.0;
        softsign: s.div(x, s.add(s.splat(1.0), s.abs(x))), x / (1.0 + x.abs());

        // same
        neg: s.neg(x), -x, x.wrapping_neg();
        abs: s.abs(x), x.abs(), x.wrapping_abs();
        // NaN has the sign 0, as in PyTorch
        sign: s.select(s.gt(x, s.zero()), s.splat(1.0), s.select(s.lt(x, s.zero()), s.splat(-1.0), s.zero())),
            (x > 0.0) as i32 as f64 - (x < 0.0) as i32 as f64, x.signum();
        square: s.mul(x, x), x * x, x.wrapping_mul(x);
        relu: s.max_nan(x, s.zero()), if x < 0.0 { 0.0 } else { x }, x.max(0);
        floor: s.floor(x), x.floor(), x;
        ceil: s.ceil(x), x.ceil(), x;
        round: s.round(x), x.round_ties_even(), x;
        trunc: s.trunc(x), x.trunc(), x;
        // a bound that is NaN does not bind; where a > b, b wins
        clamp: s.clamp(x, a, b), { let x = if x < a { a } else { x }; if x > b { b } else { x } },
            { let x = if order(x, a) == Some(Ordering::Less) { a.ceil() as i64 } else { x };
              if order(x, b) == Some(Ordering::Greater) { b.floor() as i64 } else { x } };

        // number
        add_scalar: s.add(x, a), x + a, x.wrapping_add(a as i64);
        sub_scalar: s.sub(x, a), x - a, x.wrapping_sub(a as i64);
        rsub_scalar: s.sub(a, x), a - x, (a as i64).wrapping_sub(x);
        mul_scalar: s.mul(x, a), x * a, x.wrapping_mul(a as i64);
        div_scalar: s.div(x, a), x / a;
        rdiv_scalar: s.div(a, x), a / x;
        pow_scalar: s.each2(x, a, pow32), x.powf(a), integer_power(x, a as i64);
        rpow_scalar: s.each2(a, x, pow32), a.powf(x), integer_power(a as i64, x);
        maximum_scalar: s.max_nan(x, a), if x.is_nan() || x > a { x } else { a }, x.max(a as i64);
        minimum_scalar: s.min_nan(x, a), if x.is_nan() || x < a { x } else { a }, x.min(a as i64);
        remainder_scalar: s.each2(x, a, remainder32), remainder64(x, a), integer_remainder(x, a as i64);

        // logic
        isnan: truth(s, s.is_nan(x)), x.is_nan() as u8 as f64, 0;
        isinf: truth(s, s.eq(s.abs(x), s.splat(f32::INFINITY))), x.is_infinite() as u8 as f64, 0;
        isfinite: truth(s, s.lt(s.abs(x), s.splat(f32::INFINITY))), x.is_finite() as u8 as f64, 1;
        logical_not: truth(s, s.eq(x, s.zero())), (x == 0.0) as u8 as f64, (x == 0) as i64;
        eq_scalar: truth(s, s.eq(x, a)), (x == a) as u8 as f64, (order(x, a) == Some(Ordering::Equal)) as i64;
        ne_scalar: truth(s, s.ne(x, a)), (x != a) as u8 as f64, (order(x, a) != Some(Ordering::Equal)) as i64;
        lt_scalar: truth(s, s.lt(x, a)), (x < a) as u8 as f64, (order(x, a) == Some(Ordering::Less)) as i64;
        le_scalar: truth(s, s.le(x, a)), (x <= a) as u8 as f64, order(x, a).is_some_and(Ordering::is_le) as i64;
        gt_scalar: truth(s, s.gt(x, a)), (x > a) as u8 as f64, (order(x, a) == Some(Ordering::Greater)) as i64;
        ge_scalar: truth(s, s.ge(x, a)), (x >= a) as u8 as f64, order(x, a).is_some_and(Ordering::is_ge) as i64;
    }
}

pub(super) fn sigmoid64(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

/// 2 sqrt(2 / pi) (x + 0.044715 x^3)
#[inline(always)]
pub(super) fn gelu_argument<S: Simd>(s: S, x: S::F) -> S::F {
    let cubic = s.fma(s.mul(x, x), s.splat((2.0 * GELU_SCALE * GELU_CUBIC) as f32), s.splat((2.0 * GELU_SCALE) as f32));
    s.mul(x, cubic)
}

#[inline(always)]
fn hard_sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(s.clamp(s.add(x, s.splat(3.0)), s.zero(), s.splat(6.0)), s.splat(6.0))
}

/// Through float64, which makes it right to the last place but for ties.
pub(super) fn pow32(x: f32, y: f32) -> f32 {
    (x as f64).powf(y as f64) as f32
}

/// The remainder with the divisor's sign.
pub(super) fn remainder64(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r }
}

pub(super) fn remainder32(x: f32, y: f32) -> f32 {
    let r = x % y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r }
}

/// The remainder with the divisor's sign; 0 where the divisor is 0 (PyTorch throws).
pub(super) fn integer_remainder(x: i64, y: i64) -> i64 {
    if y == 0 {
        return 0;
    }
    let r = x.wrapping_rem(y);
    if r != 0 && (r < 0) != (y < 0) { r + y } else { r }
}

/// x^n, wrapping; for negative n the true power truncated, and 0 for 0^n (PyTorch throws on negative scalars).
fn integer_power(x: i64, n: i64) -> i64 {
    match (x, n) {
        (1, _) | (_, 0) => 1,
        (-1, n) => 1 - 2 * (n & 1),
        (_, ..0) => 0,
        (x, n) => {
            let (mut result, mut base, mut n) = (1i64, x, n);
            while n > 0 {
                if n & 1 == 1 {
                    result = result.wrapping_mul(base);
                }
                base = base.wrapping_mul(base);
                n >>= 1;
            }
            result
        }
    }
}

/// An integer against a float, exactly; `None` for NaN.
fn order(x: i64, a: f64) -> Option<Ordering> {
    if a.is_nan() {
        return None;
    }
    // 2^63 itself is no i64, so the cast would saturate.
    if a >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if a < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    let whole = a.floor();
    match x.cmp(&(whole as i64)) {
        Ordering::Equal if a > whole => Some(Ordering::Less),
        other => Some(other),
    }
}

impl Unary {
    /// The function that computes this one on floats: a plainer one for some powers.
    pub(super) fn plain(self, a: f64) -> Unary {
        if self == Unary::pow_scalar { plain_power(a).unwrap_or(self) } else { self }
    }
}

/// The powers that a plainer function computes; chosen by the exponent alone, so the same in every run.
fn plain_power(a: f64) -> Option<Unary> {
    match a {
        2.0 => Some(Unary::square),
        0.5 => Some(Unary::sqrt),
        -1.0 => Some(Unary::reciprocal),
        -0.5 => Some(Unary::rsqrt),
        _ => None,
    }
}

/// y = op(x), element by element; `x` of any strides and of the dtype that the rule computes in, `y` of its shape.
/// Fails (kind DType) where `op` has no meaning for integers.
pub fn unary(cx: &mut Cx, op: Unary, x: &View, a: f64, b: f64, y: &mut ViewMut) -> Result {
    let op = if x.dtype().is_float() { op.plain(a) } else { op };
    let compares =
        matches!(op, Unary::eq_scalar | Unary::ne_scalar | Unary::lt_scalar | Unary::le_scalar | Unary::gt_scalar | Unary::ge_scalar);
    // A scalar is compared in the tensor's dtype; f32 rounds it where it is used.
    let a = match x.dtype() {
        ferrograd_tensor::DType::BF16 if compares => bf16::from_f64(a).to_f64(),
        ferrograd_tensor::DType::F16 if compares => Element::to_f64(f16::from_f64(a)),
        _ => a,
    };
    if aligned(cx, op.compiled(), x, x, a, b, y) {
        return Ok(());
    }
    let operand = Operand::new(x, *x.layout());
    drive(cx, op.compiled(), [operand], a, b, y)
        .map_err(|_| Error::dtype(format!("has no meaning for integers.\n  x {} {}", x.layout().shape, x.dtype())))
}
