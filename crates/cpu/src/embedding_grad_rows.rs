//! The gradient of an embedding as the rows it has: sorted ids, each once, and a sum of rows of dy for each. Sums meet their rows in the order of
//! `embedding_grad`, so that what is made of them has its bits.
use crate::copy::convert_one;
use crate::index::{check_indices, with_index};
use crate::scatter::add;
use crate::strided::GRAIN;
use ferrograd_simd::{Kernel, Simd, prefetch, vectorize};
use ferrograd_tensor::{Cx, DType, Element, Meta, Result, SyncPtr, View, ViewMut, bf16, f16, with_element, with_float};
use std::marker::PhantomData;

/// Columns summed at a time, in registers.
const BLOCK: usize = 64;

/// Scratch of [`embedding_grad_rows`] in bytes: a key an id, and where each row's keys end.
pub fn embedding_grad_rows_scratch(ids: &Meta) -> usize {
    2 * ids.numel() * size_of::<i64>()
}

/// `indices`: the ids that occur but for `padding_idx` (none where it is negative), ascending, then `rows` in the places left over; `values`: the sum of
/// the rows of dy with each id. Values in places left over are zeros.
pub fn embedding_grad_rows(
    cx: &mut Cx,
    dy: &View,
    ids: &View,
    rows: i64,
    padding_idx: i64,
    indices: &mut ViewMut,
    values: &mut ViewMut,
) -> Result {
    check_indices(ids, rows as usize, "rows")?;
    let count = ids.numel();
    let (room, cx) = cx.split_scratch::<i64>(2 * count);
    let (keys, ends) = room.split_at_mut(count);
    // A key is an id and its place.
    let mut used = 0;
    with_index!(ids, I => for (at, &id) in ids.slice::<I>().iter().enumerate() {
        if id.to_i64() != padding_idx {
            keys[used] = id.to_i64() << 32 | at as i64;
            used += 1;
        }
    });
    let keys = &mut keys[..used];
    sort_by_id(keys, &mut ends[..used], rows as usize);
    let indices = indices.slice_mut::<i32>();
    let mut found = 0;
    for (at, key) in keys.iter().enumerate() {
        let id = (key >> 32) as i32;
        if found == 0 || indices[found - 1] != id {
            indices[found] = id;
            found += 1;
        }
        ends[found - 1] = at as i64 + 1;
    }
    indices[found..].fill(rows as i32);
    let sums = Sums { keys, ends: &ends[..found], features: values.dims()[1] };
    match dy.dtype() {
        DType::BF16 => sums.write::<bf16, f32>(&cx, dy.slice(), values.slice_mut()),
        DType::F16 => sums.write::<f16, f32>(&cx, dy.slice(), values.slice_mut()),
        dtype => with_element!(dtype, T => sums.write::<T, T>(&cx, dy.slice(), values.slice_mut())),
    }
    Ok(())
}

/// How many keys on a row is asked for, and how many f32 of it at most.
const AHEAD: usize = 6;
const MOST_AHEAD: usize = 256;
/// Bits of an id that a pass sorts by.
const DIGIT: u32 = 11;
/// Below so many keys passes cost more than comparing.
const FEW: usize = 512;

/// Sorts keys whose places ascend, by ids below `rows`, places of one id in their order. `room` is as long as the keys.
fn sort_by_id(keys: &mut [i64], room: &mut [i64], rows: usize) {
    if keys.len() < FEW {
        return keys.sort_unstable();
    }
    let bits = usize::BITS - (rows - 1).leading_zeros();
    let (mut from, mut to) = (&mut *keys, room);
    let mut in_room = false;
    for shift in (0..bits).step_by(DIGIT as usize) {
        let digit = |key: i64| (key >> (32 + shift)) as usize & ((1 << DIGIT) - 1);
        let mut starts = [0u32; 1 << DIGIT];
        from.iter().for_each(|&key| starts[digit(key)] += 1);
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for &key in from.iter() {
            let place = &mut starts[digit(key)];
            to[*place as usize] = key;
            *place += 1;
        }
        (from, to) = (to, from);
        in_room = !in_room;
    }
    if in_room {
        to.copy_from_slice(from);
    }
}

struct Sums<'a> {
    keys: &'a [i64],
    ends: &'a [i64],
    features: usize,
}

impl Sums<'_> {
    /// Adds in `A`, rounding once.
    fn write<T: Element, A: Element>(&self, cx: &Cx, dy: &[T], values: &mut [T]) {
        let features = self.features;
        if features == 0 {
            return;
        }
        cx.par_chunks_mut(values, (GRAIN / features).max(1) * features, |first, rows| {
            vectorize(Part::<T, A> { sums: self, dy, first: first / features, rows, accumulator: PhantomData });
        });
    }
}

/// Some of the rows, from row `first` on.
struct Part<'a, T, A> {
    sums: &'a Sums<'a>,
    dy: &'a [T],
    first: usize,
    rows: &'a mut [T],
    accumulator: PhantomData<A>,
}

impl<T: Element, A: Element> Kernel for Part<'_, T, A> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Sums { keys: all, ends, features } = *self.sums;
        for (place, row) in (self.first..).zip(self.rows.chunks_exact_mut(features)) {
            let Some(&end) = ends.get(place) else {
                row.fill(T::from_f64(0.0));
                continue;
            };
            let keys = &all[if place == 0 { 0 } else { ends[place - 1] as usize }..end as usize];
            // Rows of dy lie anywhere: those of a few ids on are asked for meanwhile.
            if let Some(key) = all.get(end as usize + AHEAD) {
                let row = self.dy.as_ptr().wrapping_add((key & 0xffff_ffff) as usize * features);
                prefetch(row.cast(), (features * size_of::<T>() / size_of::<f32>()).min(MOST_AHEAD));
            }
            let mut blocks = row.chunks_exact_mut(BLOCK);
            let mut at = 0;
            for block in &mut blocks {
                sum_rows::<T, A, BLOCK>(keys, self.dy, features, at, block);
                at += BLOCK;
            }
            for one in blocks.into_remainder().chunks_exact_mut(1) {
                sum_rows::<T, A, 1>(keys, self.dy, features, at, one);
                at += 1;
            }
        }
    }
}

/// N columns from `at` on of a sum of rows of dy.
#[inline(always)]
fn sum_rows<T: Element, A: Element, const N: usize>(keys: &[i64], dy: &[T], features: usize, at: usize, out: &mut [T]) {
    let mut sums = [A::from_f64(0.0); N];
    for key in keys {
        let from = (key & 0xffff_ffff) as usize * features + at;
        let row = &dy[from..from + N];
        for i in 0..N {
            sums[i] = add(sums[i], convert_one(row[i]));
        }
    }
    for i in 0..N {
        out[i] = convert_one(sums[i]);
    }
}

/// [rows, features]: `values` in the rows that `indices` (ascending, then `rows`) name, zeros elsewhere.
pub fn embedding_grad_dense(cx: &mut Cx, indices: &View, values: &View, rows: i64, dw: &mut ViewMut) -> Result {
    let features = values.dims()[1];
    let indices = indices.slice::<i32>();
    let total = rows as usize * features;
    with_float!(values.dtype(), T => {
        let values = values.slice::<T>();
        let to = SyncPtr(dw.slice_mut::<T>().as_mut_ptr());
        cx.par_ranges(total, GRAIN, |range| {
            stretches(indices, features, range, |range, from| {
                // SAFETY: a part of dw that is in this task's range alone.
                let out = unsafe { std::slice::from_raw_parts_mut(to.get().add(range.start), range.len()) };
                match from {
                    Some(from) => out.copy_from_slice(&values[from..from + range.len()]),
                    None => out.fill(T::from_f64(0.0)),
                }
            });
        });
        Ok(())
    })
}

/// Calls `f(elements, place)` for the stretches of `range`, elements of a matrix with rows of `features`: `place` is where the elements of a row that
/// `indices` (ascending) names start in the list of rows, None for what lies between such rows.
pub(crate) fn stretches(
    indices: &[i32],
    features: usize,
    range: std::ops::Range<usize>,
    mut f: impl FnMut(std::ops::Range<usize>, Option<usize>),
) {
    let mut at = range.start;
    let mut next = indices.partition_point(|&id| (id as usize) < at / features);
    while at < range.end {
        let row = indices.get(next).map_or(usize::MAX, |&id| id as usize);
        if row < at / features {
            // Only in a list that does not ascend.
            next += 1;
        } else if row == at / features {
            let end = range.end.min((row + 1) * features);
            f(at..end, Some(next * features + at % features));
            (at, next) = (end, next + 1);
        } else {
            let end = range.end.min(row.saturating_mul(features));
            f(at..end, None);
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scatter::{embedding_grad, embedding_grad_scratch};
    use crate::testing::{noise, run};

    /// Bits of both ways, rows by rows and at once.
    fn both<T: Element>(count: usize, rows: usize, features: usize, padding: i64) {
        let dy: Vec<T> = noise(5, count * features).iter().map(|&v| T::from_f64(v)).collect();
        let ids: Vec<i32> = (0..count).map(|i| (i * i * 31 % rows) as i32).collect();
        let (dy, ids) = (View::of(&dy, &[count, features]), View::of(&ids, &[count]));
        let places = count.min(rows);
        let (mut indices, mut values) = (vec![-1i32; places], vec![T::from_f64(f64::NAN); places * features]);
        run(embedding_grad_rows_scratch(ids.meta()), |cx| {
            embedding_grad_rows(
                cx,
                &dy,
                &ids,
                rows as i64,
                padding,
                &mut ViewMut::of(&mut indices, &[places]),
                &mut ViewMut::of(&mut values, &[places, features]),
            )
        })
        .unwrap();
        assert!(indices.windows(2).all(|w| w[0] < w[1] || w[1] as usize == rows));
        let (mut made, mut want) = (vec![T::from_f64(f64::NAN); rows * features], vec![T::from_f64(f64::NAN); rows * features]);
        run(0, |cx| {
            let (indices, values) = (View::of(&indices, &[places]), View::of(&values, &[places, features]));
            embedding_grad_dense(cx, &indices, &values, rows as i64, &mut ViewMut::of(&mut made, &[rows, features]))
        })
        .unwrap();
        run(embedding_grad_scratch(dy.meta(), rows as i64), |cx| {
            embedding_grad(cx, &dy, &ids, rows as i64, padding, &mut ViewMut::of(&mut want, &[rows, features]))
        })
        .unwrap();
        let bits = |v: &[T]| v.iter().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&made), bits(&want), "{count} {rows} {features} {}", T::DTYPE);
    }

    #[test]
    fn the_bits_of_embedding_grad() {
        for (count, rows, features, padding) in [
            (7, 5, 3, -1),
            (40, 500, 65, 0),
            (3000, 9000, 130, 31),
            (0, 4, 3, -1),
            (5, 3, 0, 1),
            (1, 1, 1, 0),
            (400, 30, 128, 2),
            (700, 1500, 5, 3),
            (600, 4_500_000, 1, -1),
            (600, 1, 2, -1),
        ] {
            both::<f32>(count, rows, features, padding);
            both::<f64>(count, rows, features, padding);
            both::<bf16>(count, rows, features, padding);
            both::<f16>(count, rows, features, padding);
        }
    }
}
