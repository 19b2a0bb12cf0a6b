//! augment: random crop, flip, colour changes and cutout of images, each image with draws of its own.
//!
//! In this order, the usual one: crop from a border of zeros, flip, brightness, contrast, saturation, cutout. Colour formulas are
//! torchvision's.
use crate::philox::Stream;
use crate::strided::GRAIN;
use ferrograd_tensor::{Cx, DType, Element, Error, Result, View, ViewMut, with_float};

/// images [N, H, W, C], uint8 (0..255) or float (0..1; other ranges where the three colour amounts are 0). `pad`: pixels of zeros
/// around the image that the crop may reach into; `cutout`: side of a square of zeros whose centre is any pixel; amounts j: factors
/// evenly drawn from [max(0, 1 - j), 1 + j]. Image i draws from group i of the key's stream.
pub fn augment(
    cx: &mut Cx,
    images: &View,
    key: &View,
    flip: bool,
    pad: i64,
    cutout: i64,
    brightness: f64,
    contrast: f64,
    saturation: f64,
    y: &mut ViewMut,
) -> Result {
    let amounts = [brightness, contrast, saturation];
    if pad < 0 || cutout < 0 || amounts.iter().any(|a| !(0.0..=1e6).contains(a)) {
        return Err(Error::value(format!(
            "amounts must not be negative.\n  \
             pad {pad}, cutout {cutout}, brightness {brightness}, contrast {contrast}, saturation {saturation}\n  \
             Use 0 to leave one out."
        )));
    }
    let stream = Stream::new(key);
    let d = images.dims();
    let size = [d[1], d[2], d[3]];
    if images.numel() == 0 {
        return Ok(());
    }
    match images.dtype() {
        DType::U8 => each_image::<u8>(cx, images, &stream, size, y, (flip, pad as usize, cutout as usize, amounts)),
        dtype => with_float!(dtype, T => {
            each_image::<T>(cx, images, &stream, size, y, (flip, pad as usize, cutout as usize, amounts));
            Ok(())
        })?,
    }
    Ok(())
}

type Amounts = (bool, usize, usize, [f64; 3]);

fn each_image<T: Element>(
    cx: &Cx,
    images: &View,
    stream: &Stream,
    size: [usize; 3],
    y: &mut ViewMut,
    (flip, pad, cutout, amounts): Amounts,
) {
    let plane = size.iter().product::<usize>();
    let x = images.slice::<T>();
    cx.par_chunks_mut(y.slice_mut::<T>(), (GRAIN / plane).max(1) * plane, |start, part| {
        for (i, y) in part.chunks_exact_mut(plane).enumerate() {
            let image = start / plane + i;
            let draws = Draws::new(&stream.words(image as u64), size, flip, pad, cutout, amounts);
            crop(&x[image * plane..][..plane], size, &draws, pad, y);
            colour(y, size[2], &draws, amounts);
            cut(y, size, &draws);
        }
    });
}

/// What one image gets.
struct Draws {
    flip: bool,
    /// Corner of the crop in the padded image.
    corner: [usize; 2],
    factors: [f64; 3],
    /// Rows and columns of the cutout.
    square: [std::ops::Range<usize>; 2],
}

impl Draws {
    fn new(words: &[u32], [h, w, _]: [usize; 3], flip: bool, pad: usize, cutout: usize, amounts: [f64; 3]) -> Draws {
        let below = |word: u32, n: usize| ((word as u64 * n as u64) >> 32) as usize;
        let square = |word: u32, n: usize| {
            let start = below(word, n) as isize - (cutout / 2) as isize;
            start.max(0) as usize..(start + cutout as isize).clamp(0, n as isize) as usize
        };
        let factor = |word: u32, amount: f64| {
            let low = (1.0 - amount).max(0.0);
            low + (1.0 + amount - low) * (word >> 8) as f64 / (1 << 24) as f64
        };
        Draws {
            flip: flip && words[0] >> 31 == 1,
            corner: [below(words[1], 2 * pad + 1), below(words[2], 2 * pad + 1)],
            square: [square(words[3], h), square(words[4], w)],
            factors: std::array::from_fn(|k| factor(words[5 + k], amounts[k])),
        }
    }
}

/// The crop at `corner` of `x` in a border of `pad` zeros, mirrored where the draw says so.
fn crop<T: Element>(x: &[T], [h, w, c]: [usize; 3], draws: &Draws, pad: usize, y: &mut [T]) {
    let inside = |at: usize, corner: usize, n: usize| (at + corner).checked_sub(pad).filter(|&i| i < n);
    for (i, row) in y.chunks_exact_mut(w * c).enumerate() {
        let Some(from) = inside(i, draws.corner[0], h) else {
            row.fill(T::default());
            continue;
        };
        let from = &x[from * w * c..][..w * c];
        if !draws.flip && draws.corner[1] == pad {
            row.copy_from_slice(from);
            continue;
        }
        for (j, pixel) in row.chunks_exact_mut(c).enumerate() {
            match inside(if draws.flip { w - 1 - j } else { j }, draws.corner[1], w) {
                Some(k) => pixel.copy_from_slice(&from[k * c..][..c]),
                None => pixel.fill(T::default()),
            }
        }
    }
}

/// Brightness, contrast, saturation: factor * pixel + (1 - factor) * other, with black, the mean grey, and the pixel's own grey as the
/// other.
fn colour<T: Element>(y: &mut [T], c: usize, draws: &Draws, amounts: [f64; 3]) {
    let bound = if T::DTYPE == DType::U8 { 255.0 } else { 1.0 };
    let blend = |v: T, other: f64, factor: f64| T::from_f64((factor * v.to_f64() + (1.0 - factor) * other).clamp(0.0, bound));
    // Images of other than three channels have their channels' mean for a grey. Grey is rounded as an image of the dtype would be.
    let grey = |p: &[T]| match p {
        [r, g, b] => T::from_f64(0.2989 * r.to_f64() + 0.587 * g.to_f64() + 0.114 * b.to_f64()).to_f64(),
        _ => T::from_f64(p.iter().map(|v| v.to_f64()).sum::<f64>() / p.len() as f64).to_f64(),
    };
    if amounts[0] > 0.0 {
        y.iter_mut().for_each(|v| *v = blend(*v, 0.0, draws.factors[0]));
    }
    if amounts[1] > 0.0 {
        let mean = y.chunks_exact(c).map(grey).sum::<f64>() / (y.len() / c) as f64;
        y.iter_mut().for_each(|v| *v = blend(*v, mean, draws.factors[1]));
    }
    if amounts[2] > 0.0 {
        for pixel in y.chunks_exact_mut(c) {
            let grey = grey(pixel);
            pixel.iter_mut().for_each(|v| *v = blend(*v, grey, draws.factors[2]));
        }
    }
}

fn cut<T: Element>(y: &mut [T], [_, w, c]: [usize; 3], draws: &Draws) {
    let [rows, columns] = draws.square.clone();
    for i in rows {
        y[(i * w + columns.start) * c..(i * w + columns.end) * c].fill(T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    const SIZE: [usize; 4] = [200, 8, 6, 3];

    fn input() -> Vec<u8> {
        (0..SIZE.iter().product::<usize>()).map(|i| (i * 7919 % 255) as u8 + 1).collect()
    }
    fn apply<T: Element>(x: &[T], n: usize, flip: bool, pad: i64, cutout: i64, amounts: [f64; 3]) -> Vec<T> {
        let dims = [n, SIZE[1], SIZE[2], SIZE[3]];
        let mut y = vec![T::from_f64(0.77); x.len()];
        let [a, b, c] = amounts;
        run(0, |cx| {
            augment(cx, &View::of(x, &dims), &View::of(&[5i64, 9], &[2]), flip, pad, cutout, a, b, c, &mut ViewMut::of(&mut y, &dims))
        })
        .unwrap();
        y
    }
    const PLANE: usize = 8 * 6 * 3;

    #[test]
    fn nothing_asked_nothing_changed() {
        assert_eq!(apply(&input(), 200, false, 0, 0, [0.0; 3]), input());
    }

    #[test]
    fn about_half_are_mirrored_and_an_image_depends_on_its_place_alone() {
        let x = input();
        let y = apply(&x, 200, true, 0, 0, [0.0; 3]);
        let mut mirrored = 0;
        for (a, b) in x.chunks(PLANE).zip(y.chunks(PLANE)) {
            let turned: Vec<u8> = a.chunks(18).flat_map(|row| row.chunks(3).rev().flatten().copied()).collect();
            assert!(b == a || b == turned);
            mirrored += (b != a) as usize;
        }
        assert!((70..130).contains(&mirrored), "{mirrored}");
        assert_eq!(apply(&x[..50 * PLANE], 50, true, 0, 0, [0.0; 3]), y[..50 * PLANE]);
    }

    #[test]
    fn crops_are_shifts_with_zeros_behind() {
        let (x, mut seen) = (input(), std::collections::HashSet::new());
        let y = apply(&x, 200, false, 2, 0, [0.0; 3]);
        for (a, b) in x.chunks(PLANE).zip(y.chunks(PLANE)) {
            let shifted = |di: isize, dj: isize| -> Vec<u8> {
                (0..PLANE)
                    .map(|at| {
                        let (i, j, c) = ((at / 18) as isize + di, (at / 3 % 6) as isize + dj, at % 3);
                        if (0..8).contains(&i) && (0..6).contains(&j) { a[(i * 6 + j) as usize * 3 + c] } else { 0 }
                    })
                    .collect()
            };
            let found = (-2..=2).flat_map(|i| (-2..=2).map(move |j| (i, j))).find(|&(i, j)| shifted(i, j) == b);
            seen.insert(found.expect("a shift"));
        }
        assert_eq!(seen.len(), 25, "all shifts occur in 200 images");
    }

    #[test]
    fn cutouts_are_clipped_squares() {
        let (x, mut areas) = (input(), std::collections::HashSet::new());
        let y = apply(&x, 200, false, 0, 4, [0.0; 3]);
        for (a, b) in x.chunks(PLANE).zip(y.chunks(PLANE)) {
            assert!(a.iter().zip(b).all(|(&a, &b)| b == a || b == 0));
            areas.insert(b.iter().filter(|&&v| v == 0).count() / 3);
        }
        assert_eq!(areas.iter().max(), Some(&16));
        assert!(areas.iter().all(|a| [4, 6, 8, 9, 12, 16].contains(a)), "{areas:?}");
    }

    #[test]
    fn colours_follow_their_formulas() {
        let x: Vec<f32> = input().iter().map(|&v| v as f32 / 255.0).collect();
        let y = apply(&x, 200, false, 0, 0, [0.4, 0.0, 0.0]);
        for (a, b) in x.chunks(PLANE).zip(y.chunks(PLANE)) {
            // From the darkest value, which nothing clips.
            let dark = (0..a.len()).min_by(|&i, &j| a[i].total_cmp(&a[j])).unwrap();
            let factor = b[dark] / a[dark];
            assert!((0.59..1.41).contains(&factor));
            assert!(a.iter().zip(b).all(|(&a, &b)| (b - (a * factor).min(1.0)).abs() < 1e-5));
        }
        // Contrast keeps the mean grey where nothing is clipped; saturation keeps each pixel's grey.
        let soft: Vec<f32> = x.iter().map(|v| 0.4 + 0.2 * v).collect();
        let grey = |p: &[f32]| 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        let y = apply(&soft, 200, false, 0, 0, [0.0, 0.5, 0.0]);
        for (a, b) in soft.chunks(PLANE).zip(y.chunks(PLANE)) {
            let mean = |v: &[f32]| v.chunks(3).map(grey).sum::<f32>() / 48.0;
            assert!((mean(a) - mean(b)).abs() < 1e-4 && a != b);
        }
        let y = apply(&soft, 200, false, 0, 0, [0.0, 0.0, 0.5]);
        for (a, b) in soft.chunks(3).zip(y.chunks(3)) {
            assert!((grey(a) - grey(b)).abs() < 1e-4);
        }
    }

    #[test]
    fn amounts_are_checked() {
        let dims = [1usize, 1, 1, 1];
        let mut y = [0u8];
        let e = run(0, |cx| {
            augment(cx, &View::of(&[1u8], &dims), &View::of(&[1i64, 1], &[2]), false, -1, 0, 0.0, 0.0, 0.0, &mut ViewMut::of(&mut y, &dims))
        });
        assert!(e.unwrap_err().message.contains("pad -1"));
    }
}
