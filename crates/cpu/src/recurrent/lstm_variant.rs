//! LSTMs that look at their cells (peepholes: Gers et al. 2002), normalise their sums (Ba et al. 2016) or put out fewer units than they have cells
//! (projections: Sak et al. 2014), in any combination: [i, f, g, o] = N(W_ih x_t) + N(W_hh h_{t-1}) + b, with p_i c_{t-1}, p_f c_{t-1} and p_o c_t added to the
//! sums of i, f and o; c_t = f c_{t-1} + i g; h_t = W_hr (o tanh(N(c_t) + b_c)).
use super::backward::{Gradients, Left, backward};
use super::forward::{Inputs, Outputs, forward};
use super::math::Math;
use super::stored::Place;
use super::{Cell, Second, Step, StepBack, runs};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

/// The parameters' blocks of H, one behind the other.
const PEEPHOLE: usize = 0;
const NORM_IH: usize = 3;
const NORM_HH: usize = 7;
const NORM_C: usize = 11;
const BIAS_C: usize = 12;
const BIAS: usize = 13;
/// Saved blocks behind the gates: both sums of cells that normalise them.
const SUM_IH: usize = 4;
const SUM_HH: usize = 8;

/// Added to variances, as PyTorch's layer norm does.
const EPS: f64 = 1e-5;

#[derive(Clone, Copy)]
struct Variant {
    norm_ih: bool,
    norm_hh: bool,
    norm_c: bool,
    projects: bool,
}

impl Variant {
    /// Whether sums are normalised: they come to the cell apart then, without biases.
    fn normed(self) -> bool {
        self.norm_ih || self.norm_hh
    }
}

impl Cell for Variant {
    const GATES: usize = 4;
    fn saved(self) -> usize {
        if self.normed() { 12 } else { 4 }
    }
    fn joined(self) -> usize {
        if self.normed() { 0 } else { 4 }
    }
    fn second(self) -> Second {
        if self.projects { Second::Output } else { Second::None }
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn forward<M: Math>(self, m: M, at: &Step<M::E>) {
        let h = at.hidden;
        // SAFETY: by the caller's promise; of the parameters there are all blocks.
        unsafe {
            let param = |block: usize| at.params.add(block * h);
            if self.normed() {
                at.saved.add(SUM_IH * h).copy_from_nonoverlapping(at.projected, 4 * h);
                at.saved.add(SUM_HH * h).copy_from_nonoverlapping(at.sums, 4 * h);
                let ih = if self.norm_ih { Some(Norm::of(m, at.projected, 4 * h)) } else { None };
                let hh = if self.norm_hh { Some(Norm::of(m, at.sums, 4 * h)) } else { None };
                for (j, n) in runs::<M>(4 * h) {
                    let a = scaled(m, ih, m.load(at.projected.add(j), n), param(NORM_IH).add(j), n);
                    let b = scaled(m, hh, m.load(at.sums.add(j), n), param(NORM_HH).add(j), n);
                    m.store(at.sums.add(j), n, m.add(m.add(a, b), m.load(param(BIAS).add(j), n)));
                }
            }
            for (j, n) in runs::<M>(h) {
                let before = m.load(at.c.add(j), n);
                let sum = |gate: usize| m.load(at.sums.add(gate * h + j), n);
                let peep = |block: usize| m.load(param(PEEPHOLE + block).add(j), n);
                let i = m.sigmoid(m.fma(peep(0), before, sum(0)));
                let f = m.sigmoid(m.fma(peep(1), before, sum(1)));
                let g = m.tanh(sum(2));
                let c = m.fma(f, before, m.mul(i, g));
                let o = m.sigmoid(m.fma(peep(2), c, sum(3)));
                m.store(at.c.add(j), n, c);
                for (block, value) in [i, f, g, o].into_iter().enumerate() {
                    m.store(at.saved.add(block * h + j), n, value);
                }
            }
            let norm = if self.norm_c { Some(Norm::of(m, at.c, h)) } else { None };
            for (j, n) in runs::<M>(h) {
                let seen = scaled(m, norm, m.load(at.c.add(j), n), param(NORM_C).add(j), n);
                let seen = m.add(seen, m.load(param(BIAS_C).add(j), n));
                m.store(at.h.add(j), n, m.mul(m.load(at.saved.add(3 * h + j), n), m.tanh(seen)));
            }
        }
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, at: &StepBack<M::E>) {
        let h = at.hidden;
        // SAFETY: as in `forward`.
        unsafe {
            let param = |block: usize| at.params.add(block * h);
            let dparam = |block: usize| at.dparams.add(block * h);
            let saved = |block: usize, j: usize, n: usize| m.load(at.saved.add(block * h + j), n);
            let norm = if self.norm_c { Some(Norm::of(m, at.c, h)) } else { None };
            // Through the output: to the sum of o, and to what tanh sees, in the place of dh.
            for (j, n) in runs::<M>(h) {
                let (o, dh) = (saved(3, j, n), m.load(at.dh.add(j), n));
                let seen = scaled(m, norm, m.load(at.c.add(j), n), param(NORM_C).add(j), n);
                let y = m.tanh(m.add(seen, m.load(param(BIAS_C).add(j), n)));
                m.store(at.out.add(j), n, m.mul(o, y));
                m.store(at.dprojected.add(3 * h + j), n, m.through_sigmoid(m.mul(dh, y), o));
                let dseen = m.through_tanh(m.mul(dh, o), y);
                m.store(at.dh.add(j), n, dseen);
                add(m, dparam(BIAS_C).add(j), dseen, n);
            }
            if let Some(norm) = norm {
                norm.backward(m, h, at.c, param(NORM_C), dparam(NORM_C), at.dh, at.dh);
            }
            for (j, n) in runs::<M>(h) {
                let (i, f, g) = (saved(0, j, n), saved(1, j, n), saved(2, j, n));
                let (c, before) = (m.load(at.c.add(j), n), m.load(at.c_before.add(j), n));
                let peep = |block: usize| m.load(param(PEEPHOLE + block).add(j), n);
                let d_o = m.load(at.dprojected.add(3 * h + j), n);
                let dc = m.fma(peep(2), d_o, m.add(m.load(at.dh.add(j), n), m.load(at.dc.add(j), n)));
                let di = m.through_sigmoid(m.mul(dc, g), i);
                let df = m.through_sigmoid(m.mul(dc, before), f);
                for (block, value) in [di, df, m.through_tanh(m.mul(dc, i), g)].into_iter().enumerate() {
                    m.store(at.dprojected.add(block * h + j), n, value);
                }
                for (block, value) in [m.mul(di, before), m.mul(df, before), m.mul(d_o, c)].into_iter().enumerate() {
                    add(m, dparam(PEEPHOLE + block).add(j), value, n);
                }
                m.store(at.dc.add(j), n, m.fma(dc, f, m.fma(peep(0), di, m.mul(peep(1), df))));
                m.store(at.dh.add(j), n, m.zero());
            }
            if !self.normed() {
                return;
            }
            for (j, n) in runs::<M>(4 * h) {
                let dsum = m.load(at.dprojected.add(j), n);
                add(m, dparam(BIAS).add(j), dsum, n);
                m.store(at.drecurrent.add(j), n, dsum);
            }
            for (given, block, sums, to) in [(self.norm_hh, NORM_HH, SUM_HH, at.drecurrent), (self.norm_ih, NORM_IH, SUM_IH, at.dprojected)]
            {
                if given {
                    let x = at.saved.add(sums * h);
                    Norm::of(m, x, 4 * h).backward(m, 4 * h, x, param(block), dparam(block), to, to);
                }
            }
        }
    }
}

/// What normalises a row.
#[derive(Clone, Copy)]
struct Norm {
    mean: f64,
    rstd: f64,
}

impl Norm {
    /// # Safety
    /// `len` elements can be read.
    #[inline(always)]
    unsafe fn of<M: Math>(m: M, x: *const M::E, len: usize) -> Norm {
        // SAFETY: by the caller's promise.
        unsafe {
            let mut sum = m.zero();
            for (j, n) in runs::<M>(len) {
                sum = m.add(sum, m.load(x.add(j), n));
            }
            let mean = m.total(sum) / len as f64;
            let (middle, mut squares) = (m.splat(mean), m.zero());
            for (j, n) in runs::<M>(len) {
                let off = m.first(m.sub(m.load(x.add(j), n), middle), n);
                squares = m.fma(off, off, squares);
            }
            Norm { mean, rstd: 1.0 / (m.total(squares) / len as f64 + EPS).sqrt() }
        }
    }

    /// (x - mean) rstd
    #[inline(always)]
    fn hat<M: Math>(self, m: M, x: M::V) -> M::V {
        m.mul(m.sub(x, m.splat(self.mean)), m.splat(self.rstd))
    }

    /// The gradient of x, from that of hat(x) w, in the same place or another; that of w is added to `dw`.
    ///
    /// # Safety
    /// `len` elements everywhere; `dw` and `dx` are the caller's.
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn backward<M: Math>(self, m: M, len: usize, x: *const M::E, w: *const M::E, dw: *mut M::E, dy: *const M::E, dx: *mut M::E) {
        // SAFETY: by the caller's promise.
        unsafe {
            let (mut plain, mut along) = (m.zero(), m.zero());
            for (j, n) in runs::<M>(len) {
                let (hat, dy) = (self.hat(m, m.load(x.add(j), n)), m.load(dy.add(j), n));
                let dhat = m.mul(dy, m.load(w.add(j), n));
                plain = m.add(plain, dhat);
                along = m.fma(dhat, hat, along);
                add(m, dw.add(j), m.mul(dy, hat), n);
            }
            let (plain, along) = (m.splat(m.total(plain) / len as f64), m.splat(m.total(along) / len as f64));
            for (j, n) in runs::<M>(len) {
                let hat = self.hat(m, m.load(x.add(j), n));
                let dhat = m.mul(m.load(dy.add(j), n), m.load(w.add(j), n));
                m.store(dx.add(j), n, m.mul(m.splat(self.rstd), m.sub(m.sub(dhat, plain), m.mul(hat, along))));
            }
        }
    }
}

/// x, normalised and multiplied by `n` factors, where there are any.
///
/// # Safety
/// The factors can be read.
#[inline(always)]
unsafe fn scaled<M: Math>(m: M, norm: Option<Norm>, x: M::V, w: *const M::E, n: usize) -> M::V {
    match norm {
        // SAFETY: by the caller's promise.
        Some(norm) => unsafe { m.mul(norm.hat(m, x), m.load(w, n)) },
        None => x,
    }
}

/// Adds to `n` sums.
///
/// # Safety
/// They can be read and written.
#[inline(always)]
unsafe fn add<M: Math>(m: M, to: *mut M::E, x: M::V, n: usize) {
    // SAFETY: by the caller's promise.
    unsafe { m.store(to, n, m.add(m.load(to, n), x)) }
}

/// x [N, T, I], `weight_ih` [4 H, I], `weight_hh` [4 H, P], `weight_hr` [P, H] (without it P is H), `peephole` [3 H], `norm_ih` and `norm_hh` [4 H],
/// `norm_c` and `bias_c` [H], `bias` [4 H]: `output` [N, T, P], `hidden` [N, P] and `cell` [N, H] after each row's last step; with `keep`, for the gradient,
/// the gates, with normalised sums these too, and the cells of all steps. Fails (kind Index) on a length outside of 0..=T.
pub fn lstm_variant(
    cx: &mut Cx,
    x: &View,
    weight_ih: &View,
    weight_hh: &View,
    weight_hr: Option<&View>,
    peephole: Option<&View>,
    norm_ih: Option<&View>,
    norm_hh: Option<&View>,
    norm_c: Option<&View>,
    bias_c: Option<&View>,
    bias: Option<&View>,
    h0: Option<&View>,
    c0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    input_mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    keep: bool,
    output: &mut ViewMut,
    hidden: &mut ViewMut,
    cell: &mut ViewMut,
    saved: &mut ViewMut,
    cells: &mut ViewMut,
) -> Result {
    let variant =
        Variant { norm_ih: norm_ih.is_some(), norm_hh: norm_hh.is_some(), norm_c: norm_c.is_some(), projects: weight_hr.is_some() };
    let (apart, joined) = if variant.normed() { (bias, None) } else { (None, bias) };
    let params = [(3, peephole), (4, norm_ih), (4, norm_hh), (1, norm_c), (1, bias_c), (4, apart)];
    let x = Inputs {
        x,
        weight_ih,
        weight_hh,
        bias_ih: joined,
        bias_hh: None,
        h0,
        c0,
        lengths,
        mask,
        input_mask,
        recurrent_mask,
        reverse,
        second: weight_hr,
        params: &params,
    };
    let y = Outputs {
        output: Place::of(output),
        hidden: Place::of(hidden),
        cell: Some(Place::of(cell)),
        saved: keep.then(|| Place::of(saved)),
        cells: keep.then(|| Place::of(cells)),
    };
    forward(cx, variant, &x, y)
}

/// Gradients of x (with `input_grad`), of everything learnt that there is, and of the first states.
pub fn lstm_variant_grad(
    cx: &mut Cx,
    doutput: Option<&View>,
    dhidden: Option<&View>,
    dcell: Option<&View>,
    x: &View,
    weight_ih: &View,
    weight_hh: &View,
    weight_hr: Option<&View>,
    peephole: Option<&View>,
    norm_ih: Option<&View>,
    norm_hh: Option<&View>,
    norm_c: Option<&View>,
    bias_c: Option<&View>,
    output: &View,
    saved: &View,
    cells: &View,
    h0: Option<&View>,
    c0: Option<&View>,
    lengths: Option<&View>,
    mask: Option<&View>,
    input_mask: Option<&View>,
    recurrent_mask: Option<&View>,
    reverse: bool,
    input_grad: bool,
    dx: &mut ViewMut,
    dweight_ih: &mut ViewMut,
    dweight_hh: &mut ViewMut,
    dweight_hr: &mut ViewMut,
    dpeephole: &mut ViewMut,
    dnorm_ih: &mut ViewMut,
    dnorm_hh: &mut ViewMut,
    dnorm_c: &mut ViewMut,
    dbias_c: &mut ViewMut,
    dbias: &mut ViewMut,
    dh0: &mut ViewMut,
    dc0: &mut ViewMut,
) -> Result {
    let variant =
        Variant { norm_ih: norm_ih.is_some(), norm_hh: norm_hh.is_some(), norm_c: norm_c.is_some(), projects: weight_hr.is_some() };
    let params = [(3, peephole), (4, norm_ih), (4, norm_hh), (1, norm_c), (1, bias_c)];
    let x = Inputs {
        x,
        weight_ih,
        weight_hh,
        bias_ih: None,
        bias_hh: None,
        h0,
        c0,
        lengths,
        mask,
        input_mask,
        recurrent_mask,
        reverse,
        second: weight_hr,
        params: &params,
    };
    let left = Left { doutput, dhidden, dcell, output, saved: Some(saved), cells: Some(cells) };
    let own = [
        (PEEPHOLE, 3, peephole.is_some(), Place::of(dpeephole)),
        (NORM_IH, 4, norm_ih.is_some(), Place::of(dnorm_ih)),
        (NORM_HH, 4, norm_hh.is_some(), Place::of(dnorm_hh)),
        (NORM_C, 1, norm_c.is_some(), Place::of(dnorm_c)),
        (BIAS_C, 1, bias_c.is_some(), Place::of(dbias_c)),
    ];
    let mut dparams: Vec<_> = own.into_iter().filter(|&(.., given, _)| given).map(|(block, blocks, _, to)| (block, blocks, to)).collect();
    let dbias = Place::of(dbias);
    let dbias_ih = if variant.normed() {
        dparams.push((BIAS, 4, dbias));
        None
    } else {
        Some(dbias)
    };
    let y = Gradients {
        dx: input_grad.then(|| Place::of(dx)),
        dweight_ih: Place::of(dweight_ih),
        dweight_hh: Place::of(dweight_hh),
        dbias_ih,
        dbias_hh: None,
        dsecond: weight_hr.map(|_| Place::of(dweight_hr)),
        dparams,
        dh0: Place::of(dh0),
        dc0: Some(Place::of(dc0)),
    };
    backward(cx, variant, &x, &left, y)
}
