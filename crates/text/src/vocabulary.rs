//! Words to ids.
use crate::Reader;
use crate::words::{Letters, Word, Words};
use std::ops::ControlFlow;

/// The id of padding.
pub const PAD: i32 = 0;
/// The id of every word outside the vocabulary.
pub const OOV: i32 = 1;

/// The end at which a row is padded or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Rows of as many ids each: `padding` is the side that padding stands on, `truncation` the side that is cut off.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    pub length: usize,
    pub padding: Side,
    pub truncation: Side,
}

/// Word k has id k + 2, after padding and the unknown.
#[derive(Default)]
pub struct Vocabulary(pub(crate) Words);

impl Vocabulary {
    /// Of different words.
    pub fn new<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Vocabulary {
        let (mut all, mut letters) = (Words::default(), Letters::default());
        for word in words {
            all.number(letters.word(word.as_ref().as_bytes()));
        }
        Vocabulary(all)
    }

    /// In the order of their ids.
    pub fn words(&self) -> impl Iterator<Item = String> {
        (0..self.0.len()).map(|number| String::from_utf8(self.0.get(number).bytes().collect()).expect("words come from texts"))
    }

    #[inline]
    fn id(&self, word: Word) -> i32 {
        self.0.find(word).map_or(OOV, |number| number as i32 + OOV + 1)
    }

    /// The ids of each text one after the other, and how many each has.
    pub fn encode<T: AsRef<str>>(&self, reader: &mut Reader, texts: impl IntoIterator<Item = T>) -> (Vec<i32>, Vec<i32>) {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        for text in texts {
            let from = ids.len();
            reader.each(text.as_ref(), |word| {
                ids.push(self.id(word));
                ControlFlow::Continue(())
            });
            lengths.push((ids.len() - from) as i32);
        }
        (ids, lengths)
    }

    /// As `encode`, in rows; lengths are those after the cut.
    pub fn encode_rows<T: AsRef<str>>(
        &self,
        reader: &mut Reader,
        texts: impl ExactSizeIterator<Item = T>,
        rows: Rows,
    ) -> (Vec<i32>, Vec<i32>) {
        let Rows { length, padding, truncation } = rows;
        let (mut all, mut lengths) = (vec![PAD; texts.len() * length], Vec::with_capacity(texts.len()));
        let mut ids = Vec::new();
        for (number, text) in texts.enumerate() {
            ids.clear();
            reader.each(text.as_ref(), |word| {
                if truncation == Side::Right && ids.len() == length {
                    return ControlFlow::Break(());
                }
                ids.push(self.id(word));
                ControlFlow::Continue(())
            });
            let kept = &ids[ids.len().saturating_sub(length)..];
            let row = &mut all[number * length..(number + 1) * length];
            match padding {
                Side::Right => row[..kept.len()].copy_from_slice(kept),
                Side::Left => row[length - kept.len()..].copy_from_slice(kept),
            }
            lengths.push(kept.len() as i32);
        }
        (all, lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clean, Split};

    #[test]
    fn rows_are_padded_and_cut_on_either_side() {
        let mut reader = Reader::new(Clean { lower: true, punctuation: true, ..Clean::default() }, Split::Whitespace);
        let vocabulary = Vocabulary::new(["a", "b", "c"]);
        let texts = ["a b c", "", "c x"];
        assert_eq!(vocabulary.encode(&mut reader, texts), (vec![2, 3, 4, 4, 1], vec![3, 0, 2]));
        let mut rows = |texts: &[&str], length, padding, truncation| {
            vocabulary.encode_rows(&mut reader, texts.iter(), Rows { length, padding, truncation })
        };
        let cases = [(Side::Right, Side::Right, [2, 3, 0, 0, 4, 1]), (Side::Left, Side::Left, [3, 4, 0, 0, 4, 1])];
        for (padding, truncation, ids) in cases {
            assert_eq!(rows(&texts, 2, padding, truncation), (ids.to_vec(), vec![2, 0, 2]));
        }
        assert_eq!(rows(&["b"], 3, Side::Left, Side::Right).0, [0, 0, 3]);
        assert_eq!(rows(&texts, 0, Side::Left, Side::Left), (vec![], vec![0, 0, 0]));
        assert_eq!(rows(&texts, 0, Side::Right, Side::Right), (vec![], vec![0, 0, 0]));
    }
}
