//! Rules of the element-by-element functions: what they compute in, and what comes out.
use super::broadcast;
use crate::{DType, Error, Meta, Result, Shape, common_dtype};

/// How a section of the op table treats dtypes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Integers and bool become float32.
    Float,
    /// The dtype stays (of two operands: their common one).
    Same,
    /// With a scalar operand, which is weak: it widens the category alone. A whole number leaves integers as they are and makes bool int64;
    /// any other makes both float32.
    Number,
    /// Computed in the (common) dtype; the result is bool.
    Logic,
    /// A fused gradient of (x or y, dy): floating, in the common dtype.
    Grad,
}

fn float(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { DType::F32 }
}

/// What a function of two operands computes in (they are cast to that first), and its result, which is contiguous.
#[derive(Clone, Copy, Debug)]
pub struct Binary {
    pub compute: DType,
    pub dtype: DType,
    pub shape: Shape,
}

/// The dtype to cast `x` to, and that of the result, which has `x`'s shape, of y = f(x). `a` is the scalar operand of [`Category::Number`], else unused.
pub fn unary(category: Category, x: &Meta, a: f64) -> Result<(DType, DType)> {
    let compute = match category {
        Category::Float | Category::Grad => float(x.dtype),
        Category::Logic => x.dtype,
        Category::Same if x.dtype == DType::Bool => {
            return Err(Error::dtype(format!(
                "has no meaning for bool.\n  x {} bool\n  Convert it with .to('int32') or .to('float32').",
                x.shape()
            )));
        }
        Category::Same => x.dtype,
        Category::Number => match (x.dtype, a.fract() == 0.0) {
            (d, _) if d.is_float() => d,
            (DType::Bool, true) => DType::I64,
            (d, true) => d,
            (_, false) => DType::F32,
        },
    };
    let dtype = if category == Category::Logic { DType::Bool } else { compute };
    Ok((compute, dtype))
}

/// f(x, y) with broadcasting and PyTorch's promotion.
pub fn binary(category: Category, x: &Meta, y: &Meta) -> Result<Binary> {
    // Two alike, the commonest case by far: nothing to broadcast, nothing to cast.
    if x.dtype == y.dtype && x.dtype.is_float() && x.dims() == y.dims() {
        let dtype = if category == Category::Logic { DType::Bool } else { x.dtype };
        return Ok(Binary { compute: x.dtype, dtype, shape: x.shape() });
    }
    let shape = broadcast(&[x, y])?;
    let common = common_dtype([x, y].into_iter()).unwrap_or(x.dtype);
    let compute = match category {
        Category::Float => float(common),
        Category::Same | Category::Number | Category::Logic => common,
        Category::Grad if common.is_float() => common,
        Category::Grad => {
            return Err(Error::dtype(format!(
                "a gradient needs a floating dtype.\n  x {} {}, dy {} {}\n  Convert them with .to('float32').",
                x.shape(),
                x.dtype,
                y.shape(),
                y.dtype
            )));
        }
    };
    let dtype = if category == Category::Logic { DType::Bool } else { compute };
    Ok(Binary { compute, dtype, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_operand_is_weak() {
        let m = |d| Meta::new(d, &[2]).unwrap();
        let number = |d, a| unary(Category::Number, &m(d), a).unwrap().1;
        assert_eq!(number(DType::I32, 2.0), DType::I32);
        assert_eq!(number(DType::I32, 2.5), DType::F32);
        assert_eq!(number(DType::U8, f64::NAN), DType::F32);
        assert_eq!(number(DType::U8, f64::INFINITY), DType::F32);
        assert_eq!(number(DType::Bool, 1.0), DType::I64);
        assert_eq!(number(DType::BF16, 2.5), DType::BF16);
        assert!(unary(Category::Same, &m(DType::Bool), 0.0).is_err());
        assert_eq!(unary(Category::Float, &m(DType::I64), 0.0).unwrap().1, DType::F32);
        assert_eq!(unary(Category::Logic, &m(DType::F16), 0.0).unwrap(), (DType::F16, DType::Bool));
    }

    #[test]
    fn two_operands_promote_and_broadcast() {
        let x = Meta::new(DType::I32, &[4, 1]).unwrap();
        let y = Meta::new(DType::F16, &[3]).unwrap();
        let z = binary(Category::Same, &x, &y).unwrap();
        assert_eq!((z.compute, z.dtype, z.shape.dims()), (DType::F16, DType::F16, &[4usize, 3][..]));
        assert_eq!(binary(Category::Float, &x, &x).unwrap().compute, DType::F32);
        assert_eq!(binary(Category::Logic, &x, &y).unwrap().dtype, DType::Bool);
        assert!(binary(Category::Grad, &x, &x).is_err());
        let long = Meta::new(DType::F32, &[2]).unwrap();
        assert!(binary(Category::Same, &y, &long).unwrap_err().message.contains("[3] and [2]"));
    }
}
