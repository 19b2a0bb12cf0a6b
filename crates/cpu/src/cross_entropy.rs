//! Cross-entropy from logits and class indices, row by row, with its gradient. PyTorch's definition:
//! with p = softmax(x), class weights w (1 where there are none), smoothing e and label y,
//! loss = (1 - e) w[y] (-log p[y]) + e / C sum_c w[c] (-log p[c]), and the mean divides the sum of losses by the sum of w[y].
use crate::softmax::Line;
use crate::strided::{GRAIN, ReadPtr};
use ferrograd_simd::{Kernel, Simd, math, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Error, Result, SyncPtr, View, ViewMut, with_float};

/// Every label is a class, or the index to ignore.
fn check(labels: &[i32], classes: usize, ignore: i64) -> Result {
    match labels.iter().position(|&y| y as i64 != ignore && (y < 0 || y as usize >= classes)) {
        None => Ok(()),
        Some(row) => Err(Error::index(format!(
            "label {} of row {row} is no class.\n  The logits have {classes} classes: 0 to {}.\n  Correct the label, or name it as ignoreIndex.",
            labels[row],
            classes as i64 - 1
        ))),
    }
}

/// The loss of each row of `logits` [N, C] against `labels` [N], `lse` = log(sum exp x), and the weight of the row's label.
/// Rows labelled `ignore_index` have loss and weight 0. Fails (kind Index) on a label outside of 0..C.
pub fn cross_entropy(
    cx: &mut Cx,
    logits: &View,
    labels: &View,
    class_weight: Option<&View>,
    ignore_index: i64,
    smoothing: f64,
    loss: &mut ViewMut,
    lse: &mut ViewMut,
    weight: &mut ViewMut,
) -> Result {
    let [rows, classes] = [logits.dims()[0], logits.dims()[1]];
    let labels = labels.slice::<i32>();
    check(labels, classes, ignore_index)?;
    with_float!(logits.dtype(), T => {
        let x = logits.slice::<T>();
        let class_weight = class_weight.map(|w| w.slice::<T>());
        let total = total_weight(class_weight, classes);
        let outs = [loss.slice_mut::<T>(), lse.slice_mut(), weight.slice_mut()].map(|v| SyncPtr(v.as_mut_ptr()));
        cx.par_ranges(rows, (GRAIN / 2 / classes.max(1)).max(1), |range| {
            for row in range {
                let x = &x[row * classes..][..classes];
                let stats = stats(x, class_weight.filter(|_| smoothing != 0.0), smoothing != 0.0);
                let label = labels[row];
                let (mut value, mut own) = (0.0, 0.0);
                if label as i64 != ignore_index {
                    own = class_weight.map_or(1.0, |w| w[label as usize].to_f64());
                    value = (1.0 - smoothing) * own * (stats.log_sum - (x[label as usize].to_f64() - stats.max));
                    if smoothing != 0.0 {
                        // sum_c w[c] (log_sum - (x[c] - max))
                        value += smoothing / classes as f64 * (total * stats.log_sum - stats.weighted);
                    }
                }
                for (to, v) in outs.iter().zip([value, stats.max + stats.log_sum, own]) {
                    // SAFETY: each row is one task's, and inside the outputs [N].
                    unsafe { *to.get().add(row) = T::from_f64(v) };
                }
            }
        });
        Ok(())
    })
}

/// dlogits[c] = dloss ((1 - e) w[y] (p[c] - [c = y]) + e / C (p[c] sum w - w[c])); 0 in ignored rows.
pub fn cross_entropy_grad(
    cx: &mut Cx,
    dloss: &View,
    logits: &View,
    labels: &View,
    lse: &View,
    class_weight: Option<&View>,
    ignore_index: i64,
    smoothing: f64,
    dlogits: &mut ViewMut,
) -> Result {
    let [rows, classes] = [logits.dims()[0], logits.dims()[1]];
    let labels = labels.slice::<i32>();
    check(labels, classes, ignore_index)?;
    with_float!(logits.dtype(), T => {
        let (x, dloss, lse) = (logits.slice::<T>(), dloss.slice::<T>(), lse.slice::<T>());
        let class_weight = class_weight.map(|w| w.slice::<T>());
        let total = total_weight(class_weight, classes);
        let out = SyncPtr(dlogits.slice_mut::<T>().as_mut_ptr());
        let share = smoothing / classes as f64;
        cx.par_ranges(rows, (GRAIN / 2 / classes.max(1)).max(1), |range| {
            for row in range {
                let x = &x[row * classes..][..classes];
                // SAFETY: each row is one task's, and inside the output [N, C].
                let to = unsafe { std::slice::from_raw_parts_mut(out.get().add(row * classes), classes) };
                let label = labels[row];
                if label as i64 == ignore_index {
                    to.fill(T::default());
                    continue;
                }
                let dloss = dloss[row].to_f64();
                let own = (1.0 - smoothing) * class_weight.map_or(1.0, |w| w[label as usize].to_f64());
                // A half type's lse has too few digits to be of use.
                let lse = if T::DTYPE.size() == 2 { let s = stats(x, None, false); s.max + s.log_sum } else { lse[row].to_f64() };
                let line = Gradient { x, lse, scale: dloss * (own + share * total), class_weight, less: dloss * share, label: label as usize, own: dloss * own };
                line.write(to);
            }
        });
        Ok(())
    })
}

fn total_weight<T: Element>(class_weight: Option<&[T]>, classes: usize) -> f64 {
    class_weight.map_or(classes as f64, |w| w.iter().map(|w| w.to_f64()).sum())
}

/// What a row's loss needs: sums over x - max.
#[derive(Default)]
struct Stats {
    max: f64,
    log_sum: f64,
    /// sum of w[c] (x[c] - max), where asked for
    weighted: f64,
}

fn stats<T: Element>(x: &[T], class_weight: Option<&[T]>, weighted: bool) -> Stats {
    if T::DTYPE == DType::F32 {
        let w = class_weight.map_or(std::ptr::null(), |w| w.as_ptr().cast());
        return vectorize(RowStats { x: ReadPtr(x.as_ptr().cast()), w, len: x.len(), weighted });
    }
    let max = x.iter().map(|v| v.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|v| (v.to_f64() - max).exp()).sum();
    let terms = x.iter().enumerate().map(|(c, v)| class_weight.map_or(1.0, |w| w[c].to_f64()) * (v.to_f64() - max));
    Stats { max, log_sum: sum.ln(), weighted: if weighted { terms.sum() } else { 0.0 } }
}

struct RowStats {
    x: ReadPtr<f32>,
    /// Null for weights of 1.
    w: *const f32,
    len: usize,
    weighted: bool,
}

impl Kernel for RowStats {
    type Output = Stats;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Stats {
        if self.len == 0 {
            return Stats { max: f64::NEG_INFINITY, ..Stats::default() };
        }
        let (line, x) = (Line::row(s, self.len), self.x.get());
        // SAFETY: `x` and `w`, where given, have `len` elements; lanes past them weigh 0.
        unsafe {
            let max = line.max(s, x);
            let sum = line.exp_sum(s, x, max, std::ptr::null_mut());
            let mut weighted = s.zero();
            if self.weighted {
                for i in line.steps() {
                    // Lanes past the end hold max itself, and so count 0; reading `x` once more where there is no `w` costs nothing.
                    let u = s.sub(line.load(s, x, i, s.reduce_max(max)), max);
                    let w = if self.w.is_null() { s.splat(1.0) } else { line.load(s, self.w, i, 0.0) };
                    weighted = s.fma(w, u, weighted);
                }
            }
            Stats { max: s.reduce_max(max) as f64, log_sum: (s.reduce_max(sum) as f64).ln(), weighted: s.reduce_add(weighted) as f64 }
        }
    }
}

/// to[c] = exp(x[c] - lse) scale - less w[c], and `own` less at the label.
struct Gradient<'a, T> {
    x: &'a [T],
    lse: f64,
    scale: f64,
    class_weight: Option<&'a [T]>,
    less: f64,
    label: usize,
    own: f64,
}

impl<T: Element> Gradient<'_, T> {
    fn write(self, to: &mut [T]) {
        if T::DTYPE == DType::F32 {
            let w = self.class_weight.map_or(std::ptr::null(), |w| w.as_ptr().cast());
            vectorize(RowGradient { line: &self, x: self.x.as_ptr().cast(), w, out: to.as_mut_ptr().cast() });
        } else {
            for (c, to) in to.iter_mut().enumerate() {
                let w = self.class_weight.map_or(1.0, |w| w[c].to_f64());
                *to = T::from_f64(
                    (self.x[c].to_f64() - self.lse).exp() * self.scale - self.less * w - if c == self.label { self.own } else { 0.0 },
                );
            }
            return;
        }
        let at = &mut to[self.label];
        *at = T::from_f64(at.to_f64() - self.own);
    }
}

struct RowGradient<'a, T> {
    line: &'a Gradient<'a, T>,
    x: *const f32,
    w: *const f32,
    out: *mut f32,
}

impl<T> Kernel for RowGradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let line = Line::row(s, self.line.x.len());
        let (lse, scale, less) = (s.splat(self.line.lse as f32), s.splat(self.line.scale as f32), s.splat(self.line.less as f32));
        for i in line.steps() {
            // SAFETY: `x`, `out`, and `w` where given, have the line's length.
            unsafe {
                let p = math::exp(s, s.sub(line.load(s, self.x, i, 0.0), lse));
                let w = if self.w.is_null() { s.splat(1.0) } else { line.load(s, self.w, i, 0.0) };
                line.store(s, self.out, i, s.fnma(less, w, s.mul(p, scale)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, each_isa, noise, run};
    use ferrograd_tensor::{ErrorKind, bf16};

    struct Case {
        x: Vec<f64>,
        labels: Vec<i32>,
        w: Option<Vec<f64>>,
        classes: usize,
        smoothing: f64,
    }

    impl Case {
        fn new(rows: usize, classes: usize, weights: bool, smoothing: f64) -> Case {
            let labels = (0..rows).map(|i| if i % 5 == 3 { -100 } else { (i * 7 % classes) as i32 }).collect();
            let w = weights.then(|| noise(9, classes).iter().map(|v| 1.5 + v).collect());
            Case { x: noise(4, rows * classes).iter().map(|v| v * 5.0).collect(), labels, w, classes, smoothing }
        }
        /// The definition, written out: losses, weights.
        fn reference(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
            let row = |(i, &label): (usize, &i32)| {
                if label == -100 {
                    return (0.0, 0.0);
                }
                let x = &x[i * self.classes..][..self.classes];
                let sum: f64 = x.iter().map(|v| v.exp()).sum();
                let log_p = |c: usize| x[c] - sum.ln();
                let w = |c: usize| self.w.as_ref().map_or(1.0, |w| w[c]);
                let smooth: f64 = (0..self.classes).map(|c| -w(c) * log_p(c)).sum();
                let y = label as usize;
                ((1.0 - self.smoothing) * -w(y) * log_p(y) + self.smoothing / self.classes as f64 * smooth, w(y))
            };
            self.labels.iter().enumerate().map(row).unzip()
        }
        fn check<T: Element>(&self, tolerance: f64) {
            let (n, c) = (self.labels.len(), self.classes);
            let to = |v: &[f64]| -> Vec<T> { v.iter().map(|&v| T::from_f64(v)).collect() };
            let back = |v: &[T]| -> Vec<f64> { v.iter().map(|v| v.to_f64()).collect() };
            let (x, w) = (to(&self.x), self.w.as_ref().map(|w| to(w)));
            let w_view = w.as_ref().map(|w| View::of(w, &[c]));
            let dloss = to(&noise(6, n));
            let [mut loss, mut lse, mut weight] = [(); 3].map(|_| vec![T::default(); n]);
            let mut dx = vec![T::default(); n * c];
            run(0, |cx| {
                let (logits, labels) = (View::of(&x, &[n, c]), View::of(&self.labels, &[n]));
                cross_entropy(
                    cx,
                    &logits,
                    &labels,
                    w_view.as_ref(),
                    -100,
                    self.smoothing,
                    &mut ViewMut::of(&mut loss, &[n]),
                    &mut ViewMut::of(&mut lse, &[n]),
                    &mut ViewMut::of(&mut weight, &[n]),
                )?;
                cross_entropy_grad(
                    cx,
                    &View::of(&dloss, &[n]),
                    &logits,
                    &labels,
                    &View::of(&lse, &[n]),
                    w_view.as_ref(),
                    -100,
                    self.smoothing,
                    &mut ViewMut::of(&mut dx, &[n, c]),
                )
            })
            .unwrap();
            let x = back(&x);
            let (want, weights) = self.reference(&x);
            let what = format!("{} [{n}, {c}] smoothing {} weights {}", T::DTYPE, self.smoothing, self.w.is_some());
            assert_close(&back(&loss), &want, tolerance, tolerance, &what);
            assert_close(&back(&weight), &weights, tolerance, 0.0, &what);
            // Central differences of the reference.
            let dloss = back(&dloss);
            let total = |x: &[f64]| -> f64 { self.reference(x).0.iter().zip(&dloss).map(|(l, d)| l * d).sum() };
            let mut moved = x.clone();
            let want: Vec<f64> = (0..if n * c < 400 { n * c } else { 0 })
                .map(|i| {
                    moved[i] = x[i] + 1e-5;
                    let up = total(&moved);
                    moved[i] = x[i] - 1e-5;
                    let down = total(&moved);
                    moved[i] = x[i];
                    (up - down) / 2e-5
                })
                .collect();
            assert_close(&back(&dx)[..want.len()], &want, tolerance.max(1e-7), tolerance.max(1e-8), &format!("gradient of {what}"));
        }
    }

    #[test]
    fn losses_and_gradients_follow_the_definition() {
        each_isa(|_| {
            for (rows, classes) in [(1, 1), (6, 10), (11, 16), (9, 33), (0, 3), (2000, 20)] {
                for (weights, smoothing) in [(false, 0.0), (true, 0.0), (false, 0.1), (true, 0.3)] {
                    let case = Case::new(rows, classes, weights, smoothing);
                    case.check::<f32>(1e-5);
                    case.check::<f64>(1e-12);
                    case.check::<bf16>(4e-2);
                }
            }
        });
    }

    #[test]
    fn a_label_that_is_no_class_is_an_error() {
        let x = [0f32; 6];
        for labels in [[0, 3], [-1, 0], [i32::MIN, 1]] {
            let [mut a, mut b, mut c] = [[0f32; 2]; 3];
            let error = run(0, |cx| {
                cross_entropy(
                    cx,
                    &View::of(&x, &[2, 3]),
                    &View::of(&labels, &[2]),
                    None,
                    -100,
                    0.0,
                    &mut ViewMut::of(&mut a, &[2]),
                    &mut ViewMut::of(&mut b, &[2]),
                    &mut ViewMut::of(&mut c, &[2]),
                )
            })
            .unwrap_err();
            assert!(error.kind == ErrorKind::Index && error.message.contains("3 classes"), "{}", error.message);
        }
    }
}
