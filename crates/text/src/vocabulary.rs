//! Words and their ids: counted, cut by frequency, looked up.
use crate::{Clean, Split};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The id of padding.
pub const PAD: i32 = 0;
/// The id of every word outside the vocabulary.
pub const OOV: i32 = 1;

/// A multiplicative hash of eight bytes at a time (FxHash): words are short, and nothing but speed depends on it. Its state is fixed.
#[derive(Default)]
pub struct WordHasher(u64);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.write_u64(u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
        }
        let rest = chunks.remainder();
        let word = rest.iter().rev().fold(rest.len() as u64, |word, &byte| (word << 8) | u64::from(byte));
        self.write_u64(word);
    }

    fn write_u8(&mut self, _: u8) {}

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        // The table chooses by the lowest and the highest bits; only the high ones are mixed.
        self.0 ^ (self.0 >> 32)
    }
}

type Words<V> = HashMap<Box<str>, V, BuildHasherDefault<WordHasher>>;

/// How often each token came.
#[derive(Default)]
pub struct Counts(Words<u64>);

impl Counts {
    pub fn add<T: AsRef<str>>(&mut self, texts: &[T], clean: &Clean, split: Split) {
        let (mut cleaned, mut scratch) = (String::new(), String::new());
        for text in texts {
            clean.apply(text.as_ref(), &mut cleaned, &mut scratch);
            split.each(&cleaned, |token| match self.0.get_mut(token) {
                Some(count) => *count += 1,
                None => {
                    self.0.insert(token.into(), 1);
                }
            });
        }
    }

    /// Sums: the order in which parts are merged does not show.
    pub fn merge(&mut self, other: Counts) {
        if self.0.is_empty() {
            self.0 = other.0;
            return;
        }
        for (word, count) in other.0 {
            *self.0.entry(word).or_default() += count;
        }
    }
}

/// The words of `counts` that came `least` times or more, the most frequent first, at most `most` of them. Of equal ones the last in byte order
/// comes first, as in Keras' `adapt`.
pub fn ordered(counts: &Counts, least: u64, most: usize) -> Vec<(String, u64)> {
    let mut words: Vec<(&str, u64)> = counts.0.iter().map(|(word, &count)| (&**word, count)).filter(|&(_, count)| count >= least).collect();
    words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| b.0.cmp(a.0)));
    words.truncate(most);
    words.into_iter().map(|(word, count)| (word.to_string(), count)).collect()
}

/// The end at which a row is padded or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Words by id; word k of the list has id k + 2, after padding and the unknown.
pub struct Vocabulary(Words<i32>);

impl Vocabulary {
    pub fn new(words: Vec<String>) -> Vocabulary {
        Vocabulary(words.into_iter().zip(OOV + 1..).map(|(word, id)| (word.into_boxed_str(), id)).collect())
    }

    /// The ids of each text one after the other, and how many each has.
    pub fn encode<T: AsRef<str>>(&self, texts: &[T], clean: &Clean, split: Split) -> (Vec<i32>, Vec<i32>) {
        let (mut ids, mut lengths) = (Vec::new(), Vec::with_capacity(texts.len()));
        let (mut cleaned, mut scratch) = (String::new(), String::new());
        for text in texts {
            let from = ids.len();
            clean.apply(text.as_ref(), &mut cleaned, &mut scratch);
            split.each(&cleaned, |token| ids.push(self.0.get(token).copied().unwrap_or(OOV)));
            lengths.push((ids.len() - from) as i32);
        }
        (ids, lengths)
    }

    /// As `encode`, in rows of `length` ids: `padding` is the side that padding stands on, `truncation` the side that is cut off. Lengths are those after the cut.
    pub fn encode_rows<T: AsRef<str>>(
        &self,
        texts: &[T],
        clean: &Clean,
        split: Split,
        length: usize,
        padding: Side,
        truncation: Side,
    ) -> (Vec<i32>, Vec<i32>) {
        let (ids, mut lengths) = self.encode(texts, clean, split);
        let mut rows = vec![PAD; texts.len() * length];
        let mut rest = &ids[..];
        for (row, count) in lengths.iter_mut().enumerate() {
            let (all, after) = rest.split_at(*count as usize);
            rest = after;
            let kept = match truncation {
                Side::Right => &all[..all.len().min(length)],
                Side::Left => &all[all.len().saturating_sub(length)..],
            };
            let row = &mut rows[row * length..(row + 1) * length];
            match padding {
                Side::Right => row[..kept.len()].copy_from_slice(kept),
                Side::Left => row[length - kept.len()..].copy_from_slice(kept),
            }
            *count = kept.len() as i32;
        }
        (rows, lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOWER: Clean = Clean { html: false, form: None, lower: true, punctuation: true };

    fn counted(texts: &[&str]) -> Counts {
        let mut counts = Counts::default();
        counts.add(texts, &LOWER, Split::Whitespace);
        counts
    }

    #[test]
    fn counts_in_parts_are_counts_of_all() {
        let (mut parts, all) = (counted(&["The cat", "the DOG!"]), counted(&["The cat", "the DOG!", "a cat, the end"]));
        parts.merge(counted(&["a cat, the end"]));
        assert_eq!(ordered(&parts, 1, 99), ordered(&all, 1, 99));
        assert_eq!(ordered(&all, 2, 99), [("the".into(), 3), ("cat".into(), 2)]);
        assert_eq!(ordered(&all, 1, 3).last(), Some(&("end".into(), 1)));
    }

    #[test]
    fn rows_are_padded_and_cut_on_either_side() {
        let vocabulary = Vocabulary::new(vec!["a".into(), "b".into(), "c".into()]);
        let texts = ["a b c", "", "c x"];
        assert_eq!(vocabulary.encode(&texts, &LOWER, Split::Whitespace), (vec![2, 3, 4, 4, 1], vec![3, 0, 2]));
        let cases = [(Side::Right, Side::Right, [2, 3, 0, 0, 4, 1]), (Side::Left, Side::Left, [3, 4, 0, 0, 4, 1])];
        for (padding, truncation, ids) in cases {
            assert_eq!(vocabulary.encode_rows(&texts, &LOWER, Split::Whitespace, 2, padding, truncation), (ids.to_vec(), vec![2, 0, 2]));
        }
        let (left, _) = vocabulary.encode_rows(&["b"], &LOWER, Split::Whitespace, 3, Side::Left, Side::Right);
        assert_eq!(left, [0, 0, 3]);
        assert_eq!(vocabulary.encode_rows(&texts, &LOWER, Split::Whitespace, 0, Side::Left, Side::Left), (vec![], vec![0, 0, 0]));
    }
}
