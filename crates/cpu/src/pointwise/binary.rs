use super::drive::{Operand, aligned, drive};
use super::unary::{gelu_argument, integer_remainder, pow32, remainder32, remainder64, sigmoid64};
use super::{Compiled, FRAC_1_SQRT_TAU, GELU_CUBIC, GELU_SCALE, Row, double, integer, single, table, truth};
use ferrograd_simd::{Simd, math, reference};
use ferrograd_tensor::{Cx, DType, Error, Result, View, ViewMut};

table! {
    /// The functions of two operands, in the sections of the op table. PyTorch's definitions.
    ///
    /// In the gradients `y` is dy, and `x` the function's input, but for `relu_grad`, `sigmoid_grad`, `tanh_grad`, where it is its result.
    /// `a`, `b`: the slope of `elu_grad` and `leaky_relu_grad`, the bounds of `clamp_grad`.
    Binary(s, x, y, a, b) {
        // float
        div: s.div(x, y), x / y;
        atan2: s.each2(x, y, |x, y| (x as f64).atan2(y as f64) as f32), x.atan2(y);
        pow: s.each2(x, y, pow32), x.powf(y);
        hypot: s.each2(x, y, hypot32), x.hypot(y);

        // same
        add: s.add(x, y), x + y, x.wrapping_add(y);
        sub: s.sub(x, y), x - y, x.wrapping_sub(y);
        mul: s.mul(x, y), x * y, x.wrapping_mul(y);
        maximum: s.max_nan(x, y), if x.is_nan() || x > y { x } else { y }, x.max(y);
        minimum: s.min_nan(x, y), if x.is_nan() || x < y { x } else { y }, x.min(y);
        remainder: s.each2(x, y, remainder32), remainder64(x, y), integer_remainder(x, y);
        // towards minus infinity; integers by 0 give 0 (PyTorch throws)
        floor_divide: s.each2(x, y, |x, y| floor_divide64(x as f64, y as f64) as f32), floor_divide64(x, y), integer_floor_divide(x, y);

        // logic
        eq: truth(s, s.eq(x, y)), (x == y) as u8 as f64, (x == y) as i64;
        ne: truth(s, s.ne(x, y)), (x != y) as u8 as f64, (x != y) as i64;
        lt: truth(s, s.lt(x, y)), (x < y) as u8 as f64, (x < y) as i64;
        le: truth(s, s.le(x, y)), (x <= y) as u8 as f64, (x <= y) as i64;
        gt: truth(s, s.gt(x, y)), (x > y) as u8 as f64, (x > y) as i64;
        ge: truth(s, s.ge(x, y)), (x >= y) as u8 as f64, (x >= y) as i64;
        logical_and: truth(s, s.and(s.ne(x, s.zero()), s.ne(y, s.zero()))), (x != 0.0 && y != 0.0) as u8 as f64, (x != 0 && y != 0) as i64;
        logical_or: truth(s, s.or(s.ne(x, s.zero()), s.ne(y, s.zero()))), (x != 0.0 || y != 0.0) as u8 as f64, (x != 0 || y != 0) as i64;
        logical_xor: {
            let (x, y) = (truth(s, s.ne(x, s.zero())), truth(s, s.ne(y, s.zero())));
            truth(s, s.ne(x, y))
        }, ((x != 0.0) != (y != 0.0)) as u8 as f64, ((x != 0) != (y != 0)) as i64;

        // grad
        relu_grad: s.select(s.le(x, s.zero()), s.zero(), y), if x <= 0.0 { 0.0 } else { y };
        sigmoid_grad: s.mul(y, s.mul(x, s.sub(s.splat(1.0), x))), y * (x * (1.0 - x));
        tanh_grad: s.mul(y, s.fnma(x, x, s.splat(1.0))), y * (1.0 - x * x);
        // cdf x + x pdf x
        gelu_grad: {
            let pdf = s.mul(math::exp(s, s.mul(s.mul(x, x), s.splat(-0.5))), s.splat(FRAC_1_SQRT_TAU as f32));
            s.mul(y, s.fma(x, pdf, math::normal_cdf(s, x)))
        }, y * (reference::normal_cdf(x) + x * FRAC_1_SQRT_TAU * (-0.5 * x * x).exp());
        // with s = sigmoid(v): s + x s (1 - s) v'
        gelu_tanh_grad: {
            let sigmoid = math::sigmoid(s, gelu_argument(s, x));
            let slope = s.fma(s.mul(x, x), s.splat((6.0 * GELU_SCALE * GELU_CUBIC) as f32), s.splat((2.0 * GELU_SCALE) as f32));
            let bell = s.mul(sigmoid, s.sub(s.splat(1.0), sigmoid));
            s.mul(y, s.fma(s.mul(x, bell), slope, sigmoid))
        }, {
            let sigmoid = sigmoid64(2.0 * GELU_SCALE * (x + GELU_CUBIC * x * x * x));
            y * (sigmoid + x * sigmoid * (1.0 - sigmoid) * 2.0 * GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * x * x))
        };
        silu_grad: {
            let sigmoid = math::sigmoid(s, x);
            s.mul(y, s.mul(sigmoid, s.fma(x, s.sub(s.splat(1.0), sigmoid), s.splat(1.0))))
        }, { let sigmoid = sigmoid64(x); y * (sigmoid * (1.0 + x * (1.0 - sigmoid))) };
        softplus_grad: s.select(s.gt(x, s.splat(20.0)), y, s.mul(y, math::sigmoid(s, x))), if x > 20.0 { y } else { y * sigmoid64(x) };
        // tanh softplus x = n / (n + 2), n = e (e + 2); its slope 4 e (1 + e) / (n + 2)^2
        mish_grad: {
            let e = math::exp(s, s.clamp(x, s.splat(-104.0), s.splat(20.0)));
            let two = s.splat(2.0);
            let n = s.mul(e, s.add(e, two));
            let m = s.add(n, two);
            let slope = s.div(s.mul(s.mul(s.splat(4.0), e), s.add(e, s.splat(1.0))), s.mul(m, m));
            s.mul(y, s.fma(x, slope, s.div(n, m)))
        }, {
            let e = if x.is_nan() { x } else { x.min(40.0).exp() };
            let n = e * (e + 2.0);
            y * (n / (n + 2.0) + x * 4.0 * e * (1.0 + e) / ((n + 2.0) * (n + 2.0)))
        };
        elu_grad: s.select(s.gt(x, s.zero()), y, s.mul(y, s.mul(a, math::exp(s, x)))), if x > 0.0 { y } else { y * (a * x.exp()) };
        leaky_relu_grad: s.select(s.gt(x, s.zero()), y, s.mul(y, a)), if x > 0.0 { y } else { y * a };
        hardswish_grad: {
            let three = s.splat(3.0);
            let middle = s.mul(y, s.add(s.div(x, three), s.splat(0.5)));
            s.select(s.le(x, s.neg(three)), s.zero(), s.select(s.lt(x, three), middle, y))
        }, if x <= -3.0 { 0.0 } else if x < 3.0 { y * (x / 3.0 + 0.5) } else { y };
        hardsigmoid_grad: {
            let inside = s.lt(s.abs(x), s.splat(3.0));
            s.select(inside, s.div(y, s.splat(6.0)), s.zero())
        }, if x.abs() < 3.0 { y / 6.0 } else { 0.0 };
        // 0 at the bounds themselves, as PyTorch 2.15 has it
        clamp_grad: {
            let above = s.or(s.gt(x, a), s.is_nan(a));
            let below = s.or(s.lt(x, b), s.is_nan(b));
            s.select(s.and(above, below), y, s.zero())
        }, if (x > a || a.is_nan()) && (x < b || b.is_nan()) { y } else { 0.0 };
    }
}

/// sqrt(x^2 + y^2). No square of a float32 overflows or vanishes in float64; infinity wins over NaN, as in C.
fn hypot32(x: f32, y: f32) -> f32 {
    if x.is_infinite() || y.is_infinite() {
        return f32::INFINITY;
    }
    let (x, y) = (x as f64, y as f64);
    (x * x + y * y).sqrt() as f32
}

/// floor(x / y) as PyTorch and Python compute it: from the remainder, so that it agrees with it.
fn floor_divide64(x: f64, y: f64) -> f64 {
    if y == 0.0 {
        return x / y;
    }
    let r = x % y;
    let mut q = (x - r) / y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) {
        q -= 1.0;
    }
    if q == 0.0 {
        return 0f64.copysign(x / y);
    }
    let whole = q.floor();
    if q - whole > 0.5 { whole + 1.0 } else { whole }
}

fn integer_floor_divide(x: i64, y: i64) -> i64 {
    if y == 0 {
        return 0;
    }
    let q = x.wrapping_div(y);
    if x.wrapping_rem(y) != 0 && (x < 0) != (y < 0) { q - 1 } else { q }
}

/// out = op(x, y), element by element, `x` and `y` of any strides, broadcast to `out`'s shape, of the dtype that the rule computes in.
/// Fails (kind DType) where `op` has no meaning for it: gradients and quotients of integers; differences and remainders of bool.
pub fn binary(cx: &mut Cx, op: Binary, x: &View, y: &View, a: f64, b: f64, out: &mut ViewMut) -> Result {
    if x.dtype() == DType::Bool && matches!(op, Binary::sub | Binary::remainder | Binary::floor_divide) {
        return Err(Error::dtype("has no meaning for bool.\n  Use logical_xor, or convert with .to('int32')."));
    }
    if aligned(cx, op.compiled(), x, y, a, b, out) {
        return Ok(());
    }
    let shape = out.layout().shape;
    let (Some(x_layout), Some(y_layout)) = (x.layout().broadcast_to(shape), y.layout().broadcast_to(shape)) else {
        return Err(Error::internal(format!("operands {} and {} do not broadcast to {shape}", x.layout().shape, y.layout().shape)));
    };
    let operands = [Operand::new(x, x_layout), Operand::new(y, y_layout)];
    drive(cx, op.compiled(), operands, a, b, out).map_err(|_| {
        Error::dtype(format!("has no meaning for integers.\n  x {} {}\n  Convert with .to('float32').", x.layout().shape, x.dtype()))
    })
}
