//! The op table as data: what a row's operands, attributes and flags are.
use ferrograd_tensor::rules::Category;

/// How many tensors an operand of a row stands for, and whether it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    In,
    Opt,
    List,
    Mut,
    MutList,
}

impl Kind {
    pub const fn is_written(self) -> bool {
        matches!(self, Kind::Mut | Kind::MutList)
    }
}

/// How an attribute travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrKind {
    I64,
    F64,
    Bool,
    Dims,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Unary,
    Binary,
    View,
    Kernel,
}

/// A row of the table.
pub struct OpSpec {
    pub name: &'static str,
    pub section: Section,
    /// The category of a pointwise row.
    pub category: Option<Category>,
    pub operands: &'static [(&'static str, Kind)],
    pub attrs: &'static [(&'static str, AttrKind)],
    pub outputs: &'static [&'static str],
    pub strided: bool,
    pub fallible: bool,
    /// The operands that are cast to their common dtype first.
    pub promote: &'static [&'static str],
    /// Some operand is written.
    pub in_place: bool,
}

impl OpSpec {
    pub(crate) const fn any_written(operands: &[(&'static str, Kind)]) -> bool {
        let mut i = 0;
        while i < operands.len() {
            if operands[i].1.is_written() {
                return true;
            }
            i += 1;
        }
        false
    }
}

/// Attributes of a command in the row's order: integers (a `Dims` is its length, then its values) and floats.
#[derive(Clone, Debug, Default)]
pub struct Attrs {
    pub ints: Vec<i64>,
    pub floats: Vec<f64>,
}

impl Attrs {
    pub fn slices(&self) -> AttrSlices<'_> {
        AttrSlices { ints: &self.ints, floats: &self.floats }
    }
}

/// Attributes where they lie.
#[derive(Clone, Copy)]
pub struct AttrSlices<'a> {
    pub ints: &'a [i64],
    pub floats: &'a [f64],
}

/// Reads attributes back in the row's order.
pub(crate) struct AttrReader<'a> {
    ints: &'a [i64],
    floats: &'a [f64],
}

impl<'a> AttrReader<'a> {
    pub fn new(attrs: AttrSlices<'a>) -> Self {
        AttrReader { ints: attrs.ints, floats: attrs.floats }
    }
    pub fn i64(&mut self) -> i64 {
        let (&first, rest) = self.ints.split_first().expect("the encoder wrote every attribute");
        self.ints = rest;
        first
    }
    pub fn f64(&mut self) -> f64 {
        let (&first, rest) = self.floats.split_first().expect("the encoder wrote every attribute");
        self.floats = rest;
        first
    }
    pub fn dims(&mut self) -> &'a [i64] {
        let len = self.i64() as usize;
        let (dims, rest) = self.ints.split_at(len);
        self.ints = rest;
        dims
    }
}
