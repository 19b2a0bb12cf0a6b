use super::{Gradient, Math, Rule, STATES, factor, hyper, need, raise, steps_done, update};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

/// Stochastic gradient descent, in place (torch.optim.SGD). hyper: lr, weight_decay, l1, momentum, dampening.
/// buf = momentum buf + (1 - dampening) g (the first time g itself); p -= lr buf, or with Nesterov's form p -= lr (g + momentum buf).
/// `momentum` may be empty where hyper's momentum is 0.
pub fn sgd(
    cx: &mut Cx,
    grads: &[View],
    rows: &[View],
    scale: Option<&View>,
    hyper_: &View,
    params: &mut [ViewMut],
    momentum: &mut [ViewMut],
    step: &mut ViewMut,
    nesterov: bool,
    maximize: bool,
) -> Result {
    let [lr, weight_decay, l1, rate, dampening] = hyper(hyper_)?;
    let first = steps_done(step)? == 0;
    if rate != 0.0 {
        need("momentum", momentum, params)?;
    }
    let gradient = Gradient { scale: factor(scale)?, maximize, weight_decay, l1 };
    let rule = Sgd { gradient, lr, momentum: rate, dampening, nesterov, first };
    // SAFETY: the states are borrowed mutably here.
    unsafe { update(cx, rule, grads, rows, params, [momentum, &[], &[]]) }?;
    raise(step);
    Ok(())
}

#[derive(Clone, Copy)]
struct Sgd {
    gradient: Gradient,
    lr: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    first: bool,
}

impl Rule for Sgd {
    #[inline(always)]
    fn step<M: Math>(&self, m: M, g: M::V, p: M::V, [buf, ..]: [M::V; STATES]) -> (M::V, [M::V; STATES]) {
        let mut g = self.gradient.of(m, g, p);
        let mut buf = buf;
        if self.momentum != 0.0 {
            buf = if self.first { g } else { m.fma(g, m.c(1.0 - self.dampening), m.mul(buf, m.c(self.momentum))) };
            g = if self.nesterov { m.fma(buf, m.c(self.momentum), g) } else { buf };
        }
        (m.fma(g, m.c(-self.lr), p), [buf, m.c(0.0), m.c(0.0)])
    }
}
