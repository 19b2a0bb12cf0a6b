use super::{Gradient, Math, Rule, STATES, factor, hyper, need, raise, steps_done, update};
use ferrograd_tensor::{Cx, Result, View, ViewMut};

/// RMSprop, in place (torch.optim.RMSprop). hyper: lr, weight_decay, l1, alpha, eps, momentum.
/// v = alpha v + (1 - alpha) g^2; step = g / (sqrt(v) + eps), with `centered` sqrt(v - mean^2); p -= lr step, or with momentum
/// buf = momentum buf + step; p -= lr buf. `grad_avg` and `momentum` may be empty where they are not used.
pub fn rmsprop(
    cx: &mut Cx,
    grads: &[View],
    rows: &[View],
    scale: Option<&View>,
    hyper_: &View,
    params: &mut [ViewMut],
    square_avg: &mut [ViewMut],
    grad_avg: &mut [ViewMut],
    momentum: &mut [ViewMut],
    step: &mut ViewMut,
    centered: bool,
    maximize: bool,
) -> Result {
    let [lr, weight_decay, l1, alpha, eps, rate] = hyper(hyper_)?;
    steps_done(step)?;
    need("square_avg", square_avg, params)?;
    if centered {
        need("grad_avg", grad_avg, params)?;
    }
    if rate > 0.0 {
        need("momentum", momentum, params)?;
    }
    let gradient = Gradient { scale: factor(scale)?, maximize, weight_decay, l1 };
    let rule = RmsProp { gradient, lr, alpha, eps, momentum: rate, centered };
    // SAFETY: the states are borrowed mutably here.
    unsafe { update(cx, rule, grads, rows, params, [square_avg, grad_avg, momentum]) }?;
    raise(step);
    Ok(())
}

#[derive(Clone, Copy)]
struct RmsProp {
    gradient: Gradient,
    lr: f64,
    alpha: f64,
    eps: f64,
    momentum: f64,
    centered: bool,
}

impl Rule for RmsProp {
    #[inline(always)]
    fn step<M: Math>(&self, m: M, g: M::V, p: M::V, [square, mean, buf]: [M::V; STATES]) -> (M::V, [M::V; STATES]) {
        let g = self.gradient.of(m, g, p);
        let (mut mean, mut buf) = (mean, buf);
        let square = m.fma(m.mul(g, m.c(1.0 - self.alpha)), g, m.mul(square, m.c(self.alpha)));
        let mut spread = square;
        if self.centered {
            mean = m.lerp(mean, g, 1.0 - self.alpha);
            spread = m.fma(m.mul(mean, m.c(-1.0)), mean, square);
        }
        let denominator = m.add(m.sqrt(spread), m.c(self.eps));
        let p = if self.momentum > 0.0 {
            buf = m.add(m.mul(buf, m.c(self.momentum)), m.div(g, denominator));
            m.fma(buf, m.c(-self.lr), p)
        } else {
            m.add(p, m.div(m.mul(m.c(-self.lr), g), denominator))
        };
        (p, [square, mean, buf])
    }
}
