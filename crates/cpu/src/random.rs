//! Random tensors. Each is a pure function of its key (see `philox`), the same on any number of threads, and but for last bits of normal numbers
//! on every vector path.
use crate::philox::{GROUP, Stream};
use crate::strided::GRAIN;
use ferrograd_simd::{Kernel, Simd, math, reference, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Error, Result, View, ViewMut, with_element, with_float};
use std::f64::consts::TAU;

/// Hands out the generator's present state as a key and raises its counter.
pub fn rng_next(_: &mut Cx, state: &mut ViewMut, key: &mut ViewMut) -> Result {
    let state = state.slice_mut::<i64>();
    key.slice_mut::<i64>().copy_from_slice(state);
    state[1] = state[1].wrapping_add(1);
    Ok(())
}

/// Fills `out` in runs of `N` elements, one of `make`'s results each.
fn fill<T: Element, const N: usize>(cx: &Cx, out: &mut [T], make: impl Fn(u64) -> [T; N] + Sync) {
    cx.par_chunks_mut(out, GRAIN / 4, |first, part| {
        for (i, run) in part.chunks_mut(N).enumerate() {
            run.copy_from_slice(&make((first / N + i) as u64)[..run.len()]);
        }
    });
}

fn check_range(low: f64, high: f64) -> Result {
    if low < high && (high - low).is_finite() {
        return Ok(());
    }
    Err(Error::value(format!("the range is empty or unbounded.\n  low {low}, high {high}\n  Give finite bounds with low < high.")))
}

/// Evenly distributed in [low, high), with as many random bits as the dtype has digits. `dims` and `dtype` are `y`'s.
pub fn uniform(cx: &mut Cx, key: &View, _dims: &[i64], _dtype: i64, low: f64, high: f64, y: &mut ViewMut) -> Result {
    if !(low <= high && (high - low).is_finite()) {
        check_range(low, high)?;
    }
    let stream = Stream::new(key);
    // Rounding to the dtype may reach `high`, which does not belong to the range.
    fn place<T: Element>(unit: f64, low: f64, high: f64) -> T {
        let v = T::from_f64(low + unit * (high - low));
        if v.to_f64() >= high { T::from_f64(low) } else { v }
    }
    with_float!(y.dtype(), T => {
        let out = y.slice_mut::<T>();
        let bits = match T::DTYPE { DType::F64 => 53, DType::F32 => 24, DType::F16 => 11, _ => 8 };
        if bits == 53 {
            fill(cx, out, |group| stream.longs(group).map(|u| place((u >> 11) as f64 / (1u64 << 53) as f64, low, high)));
        } else {
            fill(cx, out, |group| stream.words(group).map(|u| place((u >> (32 - bits)) as f64 / (1u64 << bits) as f64, low, high)));
        }
        Ok(())
    })
}

/// Normally distributed (Box and Muller's transform: two numbers of a group make two results). `dims` and `dtype` are `y`'s.
pub fn normal(cx: &mut Cx, key: &View, _dims: &[i64], _dtype: i64, mean: f64, std: f64, y: &mut ViewMut) -> Result {
    let stream = Stream::new(key);
    with_float!(y.dtype(), T => {
        let out = y.slice_mut::<T>();
        if T::DTYPE == DType::F64 {
            fill(cx, out, |group| {
                let u = stream.longs(group);
                let mut z = [T::default(); GROUP / 2];
                for i in 0..GROUP / 4 {
                    // in (0, 1], so that the logarithm is finite
                    let radius = (-2.0 * (((u[i] >> 11) + 1) as f64 / (1u64 << 53) as f64).ln()).sqrt();
                    let angle = TAU * ((u[i + GROUP / 4] >> 11) as f64 / (1u64 << 53) as f64);
                    z[i] = T::from_f64(mean + std * radius * angle.cos());
                    z[i + GROUP / 4] = T::from_f64(mean + std * radius * angle.sin());
                }
                z
            });
        } else {
            fill(cx, out, |group| vectorize(Normal { stream, group }).map(|z| T::from_f64(mean + std * z as f64)));
        }
        Ok(())
    })
}

struct Normal {
    stream: Stream,
    group: u64,
}

impl Kernel for Normal {
    type Output = [f32; GROUP];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; GROUP] {
        const HALF: usize = GROUP / 2;
        let words = self.stream.words_inline(self.group);
        let mut z = [0f32; GROUP];
        for i in 0..HALF {
            // 24 bits each: (0, 1] and [0, 1)
            z[i] = ((words[i] >> 8) + 1) as f32 * (1.0 / 16_777_216.0);
            z[i + HALF] = (words[i + HALF] >> 8) as f32 * (1.0 / 16_777_216.0);
        }
        let mut i = 0;
        while i < HALF {
            // SAFETY: every path's lanes divide 32.
            unsafe {
                let (u, v) = (s.load(z.as_ptr().add(i)), s.load(z.as_ptr().add(i + HALF)));
                let radius = s.sqrt(s.mul(s.splat(-2.0), math::log(s, u)));
                let angle = s.mul(v, s.splat(std::f32::consts::TAU));
                s.store(z.as_mut_ptr().add(i), s.mul(radius, math::cos(s, angle)));
                s.store(z.as_mut_ptr().add(i + HALF), s.mul(radius, math::sin(s, angle)));
            }
            i += S::LANES;
        }
        z
    }
}

/// Normally distributed, but only between `low` and `high` (in the same unit as `mean`): the inverse of the distribution function at an evenly
/// distributed point. `dims` and `dtype` are `y`'s.
pub fn truncated_normal(
    cx: &mut Cx,
    key: &View,
    _dims: &[i64],
    _dtype: i64,
    mean: f64,
    std: f64,
    low: f64,
    high: f64,
    y: &mut ViewMut,
) -> Result {
    if low >= high || low.is_nan() || high.is_nan() || std <= 0.0 || std.is_nan() {
        return Err(Error::value(format!("the range is empty.\n  std {std}, low {low}, high {high}\n  Give std > 0 and low < high.")));
    }
    let stream = Stream::new(key);
    // Worked out in the left tail, where the distribution function keeps its digits.
    let (from, to) = ((low - mean) / std, (high - mean) / std);
    let flip = from > 0.0;
    let (from, to) = if flip { (-to, -from) } else { (from, to) };
    let (start, end) = (reference::normal_cdf(from), reference::normal_cdf(to));
    with_float!(y.dtype(), T => {
        fill(cx, y.slice_mut::<T>(), |group| stream.longs(group).map(|u| {
            let unit = ((u >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            let z = quantile(start + unit * (end - start)).clamp(from, to);
            T::from_f64((mean + std * if flip { -z } else { z }).clamp(low, high))
        }));
        Ok(())
    })
}

/// The inverse of the normal distribution function: a rational first guess (Abramowitz and Stegun 26.2.22), then Newton's steps.
fn quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let t = (-2.0 * p.ln()).sqrt();
    let mut x = (2.30753 + 0.27061 * t) / (1.0 + t * (0.99229 + 0.04481 * t)) - t;
    for _ in 0..3 {
        let density = (-0.5 * x * x).exp() / TAU.sqrt();
        let newton = (reference::normal_cdf(x) - p) / density;
        // Halley's correction: the density's own slope is -x times it.
        x -= newton / (1.0 + 0.5 * x * newton);
    }
    x
}

/// Whole numbers in [low, high). `dims` and `dtype` are `y`'s.
pub fn randint(cx: &mut Cx, key: &View, _dims: &[i64], _dtype: i64, low: f64, high: f64, y: &mut ViewMut) -> Result {
    let (low, high) = (low.ceil(), high.ceil());
    check_range(low, high)?;
    let stream = Stream::new(key);
    let (low, count) = (low as i64, (high - low) as u128);
    with_element!(y.dtype(), T => {
        fill(cx, y.slice_mut::<T>(), |group| stream.longs(group).map(|u| T::from_i64(low.wrapping_add(((u as u128 * count) >> 64) as i64))));
    });
    Ok(())
}

/// The numbers 0 .. len - 1 in random order, int32 (Fisher and Yates, from the end).
pub fn permutation(_: &mut Cx, key: &View, _len: i64, y: &mut ViewMut) -> Result {
    let stream = Stream::new(key);
    let out = y.slice_mut::<i32>();
    for (i, v) in out.iter_mut().enumerate() {
        *v = i as i32;
    }
    let mut longs = [0; GROUP / 2];
    for (drawn, i) in (1..out.len()).rev().enumerate() {
        if drawn % longs.len() == 0 {
            longs = stream.longs((drawn / longs.len()) as u64);
        }
        let j = ((longs[drawn % longs.len()] as u128 * (i as u128 + 1)) >> 64) as usize;
        out.swap(i, j);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{each_isa, run};
    use ferrograd_tensor::{bf16, f16};

    const KEY: [i64; 2] = [42, 7];

    fn draw<T: Element>(n: usize, op: impl Fn(&mut Cx, &View, &mut ViewMut) -> Result) -> Vec<f64> {
        let mut y = vec![T::default(); n];
        run(0, |cx| op(cx, &View::of(&KEY, &[2]), &mut ViewMut::of(&mut y, &[n]))).unwrap();
        y.iter().map(|v| v.to_f64()).collect()
    }
    fn moments(x: &[f64]) -> (f64, f64) {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        (mean, (x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / x.len() as f64).sqrt())
    }

    #[test]
    fn a_generator_hands_out_keys_and_counts() {
        let (mut state, mut key) = ([9i64, i64::MAX], [0i64; 2]);
        run(0, |cx| rng_next(cx, &mut ViewMut::of(&mut state, &[2]), &mut ViewMut::of(&mut key, &[2]))).unwrap();
        assert_eq!((key, state), ([9, i64::MAX], [9, i64::MIN]));
    }

    #[test]
    fn uniform_numbers_fill_their_range_evenly() {
        const N: usize = 100_000;
        fn check<T: Element>(tolerance: f64) {
            let x = draw::<T>(N, |cx, key, y| uniform(cx, key, &[], 0, -2.0, 3.0, y));
            let (mean, std) = moments(&x);
            assert!(x.iter().all(|&v| (-2.0..3.0).contains(&v)));
            assert!((mean - 0.5).abs() < tolerance && (std - 5.0 / 12f64.sqrt()).abs() < tolerance, "{mean} {std}");
        }
        check::<f32>(0.02);
        check::<f64>(0.02);
        check::<f16>(0.03);
        check::<bf16>(0.05);
        let x = draw::<f32>(N, |cx, key, y| uniform(cx, key, &[], 0, 0.0, 1.0, y));
        for k in 0..20 {
            let share = x.iter().filter(|&&v| (v * 20.0) as usize == k).count() as f64 / N as f64;
            assert!((share - 0.05).abs() < 0.004, "{k}: {share}");
        }
    }

    #[test]
    fn normal_numbers_have_their_moments() {
        each_isa(|_| {
            for x in [
                draw::<f32>(200_001, |cx, key, y| normal(cx, key, &[], 0, 1.0, 2.0, y)),
                draw::<f64>(200_001, |cx, key, y| normal(cx, key, &[], 1, 1.0, 2.0, y)),
            ] {
                let (mean, std) = moments(&x);
                assert!((mean - 1.0).abs() < 0.02 && (std - 2.0).abs() < 0.02, "{mean} {std}");
                let third = x.iter().map(|v| ((v - mean) / std).powi(3)).sum::<f64>() / x.len() as f64;
                let fourth = x.iter().map(|v| ((v - mean) / std).powi(4)).sum::<f64>() / x.len() as f64;
                assert!(third.abs() < 0.03 && (fourth - 3.0).abs() < 0.1, "{third} {fourth}");
                let within = x.iter().filter(|&&v| (v - 1.0).abs() < 2.0).count() as f64 / x.len() as f64;
                assert!((within - 0.6827).abs() < 0.005, "{within}");
            }
        });
    }

    #[test]
    fn a_prefix_does_not_depend_on_the_length() {
        for n in [0, 1, 63, 64, 65, 8191, 8193, 30000] {
            let long = draw::<f32>(30_001, |cx, key, y| normal(cx, key, &[], 0, 0.0, 1.0, y));
            assert_eq!(draw::<f32>(n, |cx, key, y| normal(cx, key, &[], 0, 0.0, 1.0, y)), long[..n]);
        }
    }

    #[test]
    fn quantile_inverts_the_distribution() {
        for x in [-30.0, -8.0, -5.0, -2.5, -1.0, -0.1, 0.0] {
            let got = quantile(reference::normal_cdf(x));
            assert!((got - x).abs() < 1e-9 * (1.0 + x.abs()), "{x}: {got}");
        }
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-12);
    }

    #[test]
    fn truncated_normal_numbers_stay_inside() {
        let x = draw::<f32>(50_000, |cx, key, y| truncated_normal(cx, key, &[], 0, 0.0, 1.0, -2.0, 2.0, y));
        let (mean, std) = moments(&x);
        // The deviation of a normal cut at two is 0.8796.
        assert!(x.iter().all(|v| v.abs() <= 2.0) && mean.abs() < 0.02 && (std - 0.8796).abs() < 0.01, "{mean} {std}");
        let tail = draw::<f64>(1000, |cx, key, y| truncated_normal(cx, key, &[], 1, 0.0, 1.0, 6.0, 9.0, y));
        assert!(tail.iter().all(|v| (6.0..=9.0).contains(v)) && (moments(&tail).0 - 6.158).abs() < 0.02, "{}", moments(&tail).0);
        assert!(
            run(0, |cx| truncated_normal(cx, &View::of(&KEY, &[2]), &[], 0, 0.0, 1.0, 2.0, 2.0, &mut ViewMut::of(&mut [0f32], &[1])))
                .is_err()
        );
    }

    #[test]
    fn integers_and_permutations() {
        let x = draw::<i32>(60_000, |cx, key, y| randint(cx, key, &[], 5, -3.0, 3.0, y));
        for k in -3..3 {
            let share = x.iter().filter(|&&v| v == k as f64).count() as f64 / 60_000.0;
            assert!((share - 1.0 / 6.0).abs() < 0.01);
        }
        assert!(run(0, |cx| randint(cx, &View::of(&KEY, &[2]), &[], 5, 3.0, 3.0, &mut ViewMut::of(&mut [0i32], &[1]))).is_err());
        for n in [0, 1, 2, 1000] {
            let mut x = draw::<i32>(n, |cx, key, y| permutation(cx, key, n as i64, y));
            let shuffled = x.windows(2).any(|w| w[0] > w[1]);
            x.sort_by(f64::total_cmp);
            assert!(x.iter().enumerate().all(|(i, &v)| v == i as f64) && (n < 1000 || shuffled));
        }
    }
}
