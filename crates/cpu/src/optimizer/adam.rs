use super::{Gradient, Math, Rule, STATES, factor, hyper, need, raise, steps_done, update};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

/// Adam, in place (torch.optim.Adam; AdamW where `decoupled`). hyper: lr, weight_decay, l1, beta1, beta2, eps. With t = step + 1:
/// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps).
/// `amsgrad` takes the largest v so far (`max_exp_avg_sq`, else that may be empty); `decoupled` decays p by lr weight_decay and leaves g alone.
pub fn adam(
    cx: &mut Cx,
    grads: &[View],
    rows: &[View],
    scale: Option<&View>,
    hyper_: &View,
    params: &mut [ViewMut],
    exp_avg: &mut [ViewMut],
    exp_avg_sq: &mut [ViewMut],
    max_exp_avg_sq: &mut [ViewMut],
    step: &mut ViewMut,
    decoupled: bool,
    amsgrad: bool,
    maximize: bool,
) -> Result {
    let [lr, decay, l1, beta1, beta2, eps] = hyper(hyper_)?;
    let t = steps_done(step)? as f64 + 1.0;
    need("exp_avg", exp_avg, params)?;
    need("exp_avg_sq", exp_avg_sq, params)?;
    if amsgrad {
        need("max_exp_avg_sq", max_exp_avg_sq, params)?;
    }
    let gradient = Gradient { scale: factor(scale)?, maximize, weight_decay: if decoupled { 0.0 } else { decay }, l1 };
    let rule = Adam {
        gradient,
        keep: if decoupled { 1.0 - lr * decay } else { 1.0 },
        step_size: lr / (1.0 - beta1.powf(t)),
        correction: 1.0 / (1.0 - beta2.powf(t)).sqrt(),
        beta1,
        beta2,
        eps,
        amsgrad,
    };
    let largest: &[ViewMut] = if amsgrad { max_exp_avg_sq } else { &[] };
    // SAFETY: the states are borrowed mutably here.
    unsafe { update(cx, rule, grads, rows, params, [exp_avg, exp_avg_sq, largest]) }?;
    raise(step);
    Ok(())
}

#[derive(Clone, Copy)]
struct Adam {
    gradient: Gradient,
    /// What decoupled decay leaves of a parameter.
    keep: f64,
    step_size: f64,
    /// What the root of the squares is multiplied by: divisions bound this kernel (27 cycles a vector with two of them and the root, Zen 5).
    correction: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    amsgrad: bool,
}

impl Rule for Adam {
    #[inline(always)]
    fn step<M: Math>(&self, m: M, g: M::V, p: M::V, [mean, square, largest]: [M::V; STATES]) -> (M::V, [M::V; STATES]) {
        let g = self.gradient.of(m, g, p);
        let p = if self.keep != 1.0 { m.mul(p, m.c(self.keep)) } else { p };
        let mean = m.lerp(mean, g, 1.0 - self.beta1);
        let square = m.fma(m.mul(g, m.c(1.0 - self.beta2)), g, m.mul(square, m.c(self.beta2)));
        let largest = if self.amsgrad { m.max(largest, square) } else { square };
        let denominator = m.add(m.mul(m.sqrt(largest), m.c(self.correction)), m.c(self.eps));
        (m.add(p, m.div(m.mul(m.c(-self.step_size), mean), denominator)), [mean, square, largest])
    }
}
