//! The op table expanded: the `Op` enum, its specs, the shape rules and the CPU's dispatch. A missing or misspelt kernel or rule does not compile.
use crate::ops::op_table;
use crate::spec::{AttrKind, AttrReader, AttrSlices, Kind, OpSpec, Section};
use crate::storage::Tensor;
use ferrograd_cpu as cpu;
use ferrograd_tensor::rules::{self, Binary, Category};
use ferrograd_tensor::{Cx, DType, Error, Layout, Meta, Result, Shape, View, ViewMut};
use smallvec::SmallVec;
use std::rc::Rc;

/// What a command will give, known before it runs.
#[derive(Default)]
pub struct Inferred {
    /// The dtype that a pointwise op computes in; its operands are cast to it first.
    pub compute: Option<DType>,
    /// Outputs are contiguous.
    pub outputs: Vec<(DType, Shape)>,
    pub scratch: usize,
    pub local: usize,
}

impl Inferred {
    fn unary(&mut self, x: &Meta, (compute, dtype): (DType, DType)) {
        self.compute = Some(compute);
        self.outputs.push((dtype, x.shape()));
    }
    fn binary(&mut self, result: Binary) {
        self.compute = Some(result.compute);
        self.outputs.push((result.dtype, result.shape));
    }
    fn kernel(&mut self, meta: Meta) {
        debug_assert!(meta.layout.is_contiguous() && meta.layout.offset == 0);
        self.outputs.push((meta.dtype, meta.shape()));
    }
}

/// Views of a command's tensors; reads and in-place writes each in the row's order, cut by `arity`.
pub struct Operands<'a, 'v> {
    pub reads: &'a [View<'v>],
    pub writes: &'a mut [ViewMut<'v>],
    pub outputs: &'a mut [ViewMut<'v>],
    pub arity: &'a [u16],
}

macro_rules! attr_kind {
    (i64) => {
        AttrKind::I64
    };
    (f64) => {
        AttrKind::F64
    };
    (bool) => {
        AttrKind::Bool
    };
    (Dims) => {
        AttrKind::Dims
    };
}

macro_rules! attr {
    ($r:ident, i64) => {
        $r.i64()
    };
    ($r:ident, f64) => {
        $r.f64()
    };
    ($r:ident, bool) => {
        $r.i64() != 0
    };
    ($r:ident, Dims) => {
        $r.dims()
    };
}

macro_rules! category {
    (float) => {
        Category::Float
    };
    (same) => {
        Category::Same
    };
    (number) => {
        Category::Number
    };
    (logic) => {
        Category::Logic
    };
    (grad) => {
        Category::Grad
    };
}

/// The next operand's metas, in the form its kind has in a shape rule.
macro_rules! meta_of {
    ($operands:ident, $arity:ident, $kind:ident) => {{
        let count = $arity.next().copied().unwrap_or(0) as usize;
        let (taken, rest) = $operands.split_at(count);
        $operands = rest;
        meta_of!(@form taken, $kind)
    }};
    (@form $taken:ident, In) => { &$taken[0].meta };
    (@form $taken:ident, Mut) => { &$taken[0].meta };
    (@form $taken:ident, Opt) => { $taken.first().map(|t| &t.meta) };
    (@form $taken:ident, List) => { &$taken.iter().map(|t| t.meta).collect::<SmallVec<[Meta; 8]>>()[..] };
    (@form $taken:ident, MutList) => { $taken };
}

/// The next operand's views, in the form its kind has in a kernel.
macro_rules! view_of {
    ($reads:ident, $writes:ident, $arity:ident, Mut) => {
        &mut view_of!($reads, $writes, $arity, MutList)[0]
    };
    ($reads:ident, $writes:ident, $arity:ident, MutList) => {{
        let count = $arity.next().copied().unwrap_or(0) as usize;
        let (taken, rest) = std::mem::take(&mut $writes).split_at_mut(count);
        $writes = rest;
        taken
    }};
    ($reads:ident, $writes:ident, $arity:ident, In) => {
        &view_of!($reads, $writes, $arity, List)[0]
    };
    ($reads:ident, $writes:ident, $arity:ident, Opt) => {
        view_of!($reads, $writes, $arity, List).first()
    };
    ($reads:ident, $writes:ident, $arity:ident, List) => {{
        let count = $arity.next().copied().unwrap_or(0) as usize;
        let (taken, rest) = $reads.split_at(count);
        $reads = rest;
        taken
    }};
}

const fn has(flags: &[&str], flag: &str) -> bool {
    let mut i = 0;
    while i < flags.len() {
        // No flag is a prefix of another, so the length and the first byte tell them apart.
        if flags[i].len() == flag.len() && flags[i].as_bytes()[0] == flag.as_bytes()[0] {
            return true;
        }
        i += 1;
    }
    false
}

macro_rules! expand {
    (
        unary { $($ucat:ident: $($u:ident)*;)* }
        binary { $($bcat:ident: $($b:ident)*;)* }
        views { $($v:ident ($vx:ident) { $($va:ident: $vk:ident),* } -> $vrule:expr;)* }
        kernels {
            $([$($flag:ident $(($($promoted:ident),*))?),*] $k:ident ($($in:ident: $kind:ident),*) { $($attr:ident: $akind:ident),* }
                -> ($($out:ident: $rule:expr),*) $(scratch($scratch:expr))? $(local($local:expr))? $(check($check:expr))?;)*
        }
    ) => {
        /// Every op once, in the table's order.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Op { $($($u,)*)* $($($b,)*)* $($v,)* $($k,)* }

        impl Op {
            pub const ALL: &'static [Op] = &[$($(Op::$u,)*)* $($(Op::$b,)*)* $(Op::$v,)* $(Op::$k,)*];
        }

        static SPECS: &[OpSpec] = &[
            $($(OpSpec { name: stringify!($u), section: Section::Unary, category: Some(category!($ucat)), operands: &[("x", Kind::In)],
                attrs: &[("a", AttrKind::F64), ("b", AttrKind::F64)], outputs: &["y"], strided: true, fallible: false, promote: &[], in_place: false },)*)*
            $($(OpSpec { name: stringify!($b), section: Section::Binary, category: Some(category!($bcat)), operands: &[("x", Kind::In), ("y", Kind::In)],
                attrs: &[("a", AttrKind::F64), ("b", AttrKind::F64)], outputs: &["out"], strided: true, fallible: false, promote: &[], in_place: false },)*)*
            $(OpSpec { name: stringify!($v), section: Section::View, category: None, operands: &[("x", Kind::In)],
                attrs: &[$((stringify!($va), attr_kind!($vk))),*], outputs: &["y"], strided: true, fallible: false, promote: &[], in_place: false },)*
            $(OpSpec { name: stringify!($k), section: Section::Kernel, category: None, operands: &[$((stringify!($in), Kind::$kind)),*],
                attrs: &[$((stringify!($attr), attr_kind!($akind))),*], outputs: &[$(stringify!($out)),*],
                strided: has(&[$(stringify!($flag)),*], "strided"), fallible: has(&[$(stringify!($flag)),*], "fallible"),
                promote: &[$($($(stringify!($promoted),)*)?)*],
                in_place: OpSpec::any_written(&[$((stringify!($in), Kind::$kind)),*]) },)*
        ];

        /// What the op will give for operands of these metas, or why it cannot.
        pub fn infer(op: Op, operands: &[Rc<Tensor>], arity: &[u16], attrs: AttrSlices, inferred: &mut Inferred) -> Result {
            inferred.compute = None;
            inferred.outputs.clear();
            inferred.scratch = 0;
            inferred.local = 0;
            match op {
                $($(Op::$u => inferred.unary(&operands[0].meta, rules::unary(category!($ucat), &operands[0].meta, attrs.floats[0])?),)*)*
                $($(Op::$b => inferred.binary(rules::binary(category!($bcat), &operands[0].meta, &operands[1].meta)?),)*)*
                $(Op::$v => return Err(Error::internal("a view is not a command")),)*
                $(Op::$k => {
                    #[allow(unused_variables, unused_mut, unused_assignments)]
                    {
                        let (mut operands, mut arity, mut reader) = (operands, arity.iter(), AttrReader::new(attrs));
                        $(let $in = meta_of!(operands, arity, $kind);)*
                        $(let $attr = attr!(reader, $akind);)*
                        $($check;)?
                        $(inferred.kernel($rule);)*
                        inferred.scratch = 0 $(+ $scratch)?;
                        inferred.local = 0 $(+ $local)?;
                    }
                })*
            }
            Ok(())
        }

        /// The layout that a view op gives, or `None` where only a copy can have that shape.
        pub fn infer_view(op: Op, meta: &Meta, attrs: AttrSlices) -> Result<Option<Layout>> {
            let mut reader = AttrReader::new(attrs);
            match op {
                $(Op::$v => {
                    let $vx = meta;
                    $(let $va = attr!(reader, $vk);)*
                    Ok($vrule)
                })*
                _ => Err(Error::internal("not a view")),
            }
        }

        /// The op as a function of each element by itself, if it is one.
        pub fn pointwise(op: Op) -> Option<cpu::Function> {
            match op {
                $($(Op::$u => Some(cpu::Function::Unary(cpu::Unary::$u)),)*)*
                $($(Op::$b => Some(cpu::Function::Binary(cpu::Binary::$b)),)*)*
                _ => None,
            }
        }

        /// Runs the op's CPU kernel.
        pub fn execute_cpu(op: Op, cx: &mut Cx, operands: Operands, attrs: AttrSlices) -> Result {
            let Operands { reads, writes, outputs, arity } = operands;
            match op {
                $($(Op::$u => cpu::unary(cx, cpu::Unary::$u, &reads[0], attrs.floats[0], attrs.floats[1], &mut outputs[0]),)*)*
                $($(Op::$b => cpu::binary(cx, cpu::Binary::$b, &reads[0], &reads[1], attrs.floats[0], attrs.floats[1], &mut outputs[0]),)*)*
                $(Op::$v => Err(Error::internal("a view has no kernel")),)*
                $(Op::$k => {
                    #[allow(unused_variables, unused_mut, unused_assignments)]
                    {
                        let (mut reads, mut writes, mut arity, mut reader) = (reads, writes, arity.iter(), AttrReader::new(attrs));
                        let mut outputs = outputs.iter_mut();
                        $(let $in = view_of!(reads, writes, arity, $kind);)*
                        $(let $attr = attr!(reader, $akind);)*
                        $(let $out = outputs.next().expect("an output view for each output of the row");)*
                        cpu::$k(cx, $($in,)* $($attr,)* $($out),*)
                    }
                })*
            }
        }
    };
}

op_table!(expand);

impl Default for Op {
    /// What an empty command holds; it is never run.
    fn default() -> Op {
        Op::ALL[0]
    }
}

impl Op {
    pub fn from_code(code: i32) -> Option<Op> {
        usize::try_from(code).ok().and_then(|i| Self::ALL.get(i).copied())
    }
    #[inline]
    pub fn spec(self) -> &'static OpSpec {
        &SPECS[self as usize]
    }
}
