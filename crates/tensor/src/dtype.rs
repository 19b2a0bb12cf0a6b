use crate::{Error, Meta, Result, bf16, f16, half_bits};
use std::fmt;

/// Element types. The discriminants are part of the protocol with TypeScript (`ts/dtype.ts`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DType {
    F32 = 0,
    F64 = 1,
    BF16 = 2,
    F16 = 3,
    I64 = 4,
    I32 = 5,
    U8 = 6,
    I8 = 7,
    Bool = 8,
}

impl DType {
    pub const ALL: [DType; 9] =
        [DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64, DType::I32, DType::U8, DType::I8, DType::Bool];
    pub fn from_code(code: i64) -> Result<DType> {
        usize::try_from(code)
            .ok()
            .and_then(|i| Self::ALL.get(i).copied())
            .ok_or_else(|| Error::dtype(format!("no dtype has the code {code}")))
    }
    #[inline]
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::BF16 | DType::F16 => 2,
            DType::U8 | DType::I8 | DType::Bool => 1,
        }
    }
    #[inline]
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::BF16 | DType::F16)
    }
    #[inline]
    pub fn is_integer(self) -> bool {
        matches!(self, DType::I64 | DType::I32 | DType::U8 | DType::I8)
    }
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::BF16 => "bfloat16",
            DType::F16 => "float16",
            DType::I64 => "int64",
            DType::I32 => "int32",
            DType::U8 => "uint8",
            DType::I8 => "int8",
            DType::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// bool, integers, floats.
fn category(dtype: DType) -> u8 {
    if dtype.is_float() { 2 } else { u8::from(dtype.is_integer()) }
}

/// PyTorch's promotion of two dtypes: bool < integers < floats; bfloat16 with float16 gives float32.
pub fn promote(a: DType, b: DType) -> DType {
    use DType::*;
    if a == b {
        return a;
    }
    match category(a).cmp(&category(b)) {
        std::cmp::Ordering::Greater => return a,
        std::cmp::Ordering::Less => return b,
        std::cmp::Ordering::Equal => {}
    }
    match (a, b) {
        (F64, _) | (_, F64) => F64,
        (F32, _) | (_, F32) => F32,
        (BF16, F16) | (F16, BF16) => F32,
        (I64, _) | (_, I64) => I64,
        (I32, _) | (_, I32) => I32,
        // uint8 with int8 fits only the next wider signed type; PyTorch answers int16, which is not a dtype here.
        _ => I32,
    }
}

/// PyTorch's promotion of operands: one without dimensions counts only where its category is higher than that of those with dimensions.
pub fn common_dtype<'a>(operands: impl Iterator<Item = &'a Meta>) -> Option<DType> {
    let (mut whole, mut single) = (None, None);
    for x in operands {
        let found = if x.rank() > 0 { &mut whole } else { &mut single };
        *found = Some(found.map_or(x.dtype, |dtype| promote(dtype, x.dtype)));
    }
    match (whole, single) {
        (Some(whole), Some(single)) if category(single) <= category(whole) => Some(whole),
        (whole, single) => single.or(whole),
    }
}

/// A bool element: one byte, of which any value but 0 counts as true. (Rust's `bool` would make foreign bytes undefined behaviour.)
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct B8(pub u8);

impl B8 {
    pub fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for B8 {
    fn from(value: bool) -> Self {
        B8(value as u8)
    }
}

/// A type that a tensor's memory holds. Conversions saturate and truncate as Rust's `as` does; to bool, anything but 0 is true.
///
/// # Safety
/// `Self` must be plain old data of `DTYPE.size()` bytes for which every bit pattern is valid.
pub unsafe trait Element: Copy + Send + Sync + Default + 'static {
    const DTYPE: DType;
    fn to_f64(self) -> f64;
    fn from_f64(value: f64) -> Self;
    /// Exact for every integer dtype, truncating for floats.
    fn to_i64(self) -> i64;
    fn from_i64(value: i64) -> Self;
    fn to_f32(self) -> f32 {
        self.to_f64() as f32
    }
    fn from_f32(value: f32) -> Self {
        Self::from_f64(value as f64)
    }
}

macro_rules! native_element {
    ($($t:ty => $d:ident),*) => { $(
        // SAFETY: a primitive number; every bit pattern is a value.
        unsafe impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline(always)] fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)] fn from_f64(value: f64) -> Self { value as $t }
            #[inline(always)] fn to_i64(self) -> i64 { self as i64 }
            #[inline(always)] fn from_i64(value: i64) -> Self { value as $t }
            #[inline(always)] fn to_f32(self) -> f32 { self as f32 }
            #[inline(always)] fn from_f32(value: f32) -> Self { value as $t }
        }
    )* };
}
native_element!(f32 => F32, f64 => F64, i64 => I64, i32 => I32, u8 => U8, i8 => I8);

macro_rules! half_element {
    ($($t:ty => $d:ident, $to_f32:path, $from_f32:path;)*) => { $(
        // SAFETY: a transparent u16; every bit pattern is a value.
        unsafe impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline(always)] fn to_f64(self) -> f64 { Element::to_f32(self) as f64 }
            #[inline(always)] fn from_f64(value: f64) -> Self { <$t>::from_f64(value) }
            #[inline(always)] fn to_i64(self) -> i64 { Element::to_f64(self) as i64 }
            #[inline(always)] fn from_i64(value: i64) -> Self { <$t>::from_f64(value as f64) }
            #[inline(always)] fn to_f32(self) -> f32 { $to_f32(self.to_bits()) }
            #[inline(always)] fn from_f32(value: f32) -> Self { <$t>::from_bits($from_f32(value)) }
        }
    )* };
}
half_element! {
    bf16 => BF16, half_bits::bf16_to_f32, half_bits::f32_to_bf16;
    f16 => F16, half_bits::f16_to_f32, half_bits::f32_to_f16;
}

// SAFETY: a transparent u8; every bit pattern is a value.
unsafe impl Element for B8 {
    const DTYPE: DType = DType::Bool;
    fn to_f64(self) -> f64 {
        self.get() as u8 as f64
    }
    fn from_f64(value: f64) -> Self {
        (value != 0.0).into()
    }
    fn to_i64(self) -> i64 {
        self.get() as i64
    }
    fn from_i64(value: i64) -> Self {
        (value != 0).into()
    }
}

/// A floating dtype with the type its kernels compute in: float32 for the half types, itself otherwise.
pub trait Float: Element {
    type Acc: Float<Acc = Self::Acc>
        + std::ops::Add<Output = Self::Acc>
        + std::ops::Sub<Output = Self::Acc>
        + std::ops::Mul<Output = Self::Acc>
        + std::ops::Div<Output = Self::Acc>
        + std::ops::Neg<Output = Self::Acc>
        + std::ops::AddAssign
        + PartialOrd;
    fn acc(self) -> Self::Acc;
    fn from_acc(value: Self::Acc) -> Self;
}

impl Float for f32 {
    type Acc = f32;
    #[inline(always)]
    fn acc(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_acc(value: f32) -> f32 {
        value
    }
}
impl Float for f64 {
    type Acc = f64;
    #[inline(always)]
    fn acc(self) -> f64 {
        self
    }
    #[inline(always)]
    fn from_acc(value: f64) -> f64 {
        value
    }
}
impl Float for bf16 {
    type Acc = f32;
    #[inline(always)]
    fn acc(self) -> f32 {
        Element::to_f32(self)
    }
    #[inline(always)]
    fn from_acc(value: f32) -> bf16 {
        Element::from_f32(value)
    }
}
impl Float for f16 {
    type Acc = f32;
    #[inline(always)]
    fn acc(self) -> f32 {
        Element::to_f32(self)
    }
    #[inline(always)]
    fn from_acc(value: f32) -> f16 {
        Element::from_f32(value)
    }
}

/// Runs `$body` with `$t` bound to the element type of `$dtype`.
#[macro_export]
macro_rules! with_element {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::DType::BF16 => {
                type $t = $crate::bf16;
                $body
            }
            $crate::DType::F16 => {
                type $t = $crate::f16;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::DType::I8 => {
                type $t = i8;
                $body
            }
            $crate::DType::Bool => {
                type $t = $crate::B8;
                $body
            }
        }
    };
}

/// Runs `$body` with `$t` bound to the float type of `$dtype`; any other dtype is an error of kind `DType`.
#[macro_export]
macro_rules! with_float {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::DType::BF16 => {
                type $t = $crate::bf16;
                $body
            }
            $crate::DType::F16 => {
                type $t = $crate::f16;
                $body
            }
            other => Err($crate::Error::dtype(format!("needs a floating dtype, got {other}"))),
        }
    };
}
