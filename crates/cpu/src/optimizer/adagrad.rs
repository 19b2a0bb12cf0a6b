use super::{Gradient, Math, Rule, STATES, factor, hyper, need, raise, steps_done, update};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

/// Adagrad, in place (torch.optim.Adagrad). hyper: lr, weight_decay, l1, lr_decay, eps.
/// sum += g^2; p -= lr / (1 + step lr_decay) g / (sqrt(sum) + eps).
pub fn adagrad(
    cx: &mut Cx,
    grads: &[View],
    rows: &[View],
    scale: Option<&View>,
    hyper_: &View,
    params: &mut [ViewMut],
    sum: &mut [ViewMut],
    step: &mut ViewMut,
    maximize: bool,
) -> Result {
    let [lr, weight_decay, l1, lr_decay, eps] = hyper(hyper_)?;
    let lr = lr / (1.0 + steps_done(step)? as f64 * lr_decay);
    need("sum", sum, params)?;
    let gradient = Gradient { scale: factor(scale)?, maximize, weight_decay, l1 };
    // SAFETY: the states are borrowed mutably here.
    unsafe { update(cx, Adagrad { gradient, lr, eps }, grads, rows, params, [sum, &[], &[]]) }?;
    raise(step);
    Ok(())
}

#[derive(Clone, Copy)]
struct Adagrad {
    gradient: Gradient,
    lr: f64,
    eps: f64,
}

impl Rule for Adagrad {
    #[inline(always)]
    fn step<M: Math>(&self, m: M, g: M::V, p: M::V, [sum, ..]: [M::V; STATES]) -> (M::V, [M::V; STATES]) {
        let g = self.gradient.of(m, g, p);
        let sum = m.fma(g, g, sum);
        let denominator = m.add(m.sqrt(sum), m.c(self.eps));
        (m.add(p, m.div(m.mul(m.c(-self.lr), g), denominator)), [sum, m.c(0.0), m.c(0.0)])
    }
}
