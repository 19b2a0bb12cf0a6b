//! Words to ids.
use crate::Reader;
use crate::words::{Letters, Word, Words};
use std::ops::ControlFlow;

/// The id of padding.
pub const PAD: i32 = 0;
/// The id of every word outside the vocabulary.
pub const OOV: i32 = 1;

/// Bytes of an id.
const ID: usize = size_of::<i32>();

/// The end at which a row is padded or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// The most ids that a text may have, and the side at which it loses what is beyond them.
pub type Cut = Option<(usize, Side)>;

/// Word k has id k + 2, after padding and the unknown.
#[derive(Default)]
pub struct Vocabulary(pub(crate) Words);

impl Vocabulary {
    /// Of equal words the first is found.
    pub fn new<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Vocabulary {
        let (mut all, mut letters) = (Words::default(), Letters::default());
        for word in words {
            all.append(letters.word(word.as_ref().as_bytes()));
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

    /// The ids of each text one after the other, and how many each has after the cut.
    pub fn encode<T: AsRef<str>>(&self, reader: &mut Reader, texts: impl IntoIterator<Item = T>, cut: Cut) -> (Vec<i32>, Vec<i32>) {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        for text in texts {
            lengths.push(self.encode_one(reader, text.as_ref(), cut, &mut ids));
        }
        (ids, lengths)
    }

    /// As `encode`, into `rows` of `columns` ids (at least 1), which the texts fill, padded on the given side and cut on the other given side.
    pub fn encode_rows<T: AsRef<str>>(
        &self,
        reader: &mut Reader,
        texts: impl IntoIterator<Item = T>,
        columns: usize,
        padding: Side,
        truncation: Side,
        rows: &mut [u8],
    ) -> Vec<i32> {
        let mut ids = Vec::new();
        let one = |(text, row): (T, &mut [u8])| {
            ids.clear();
            let length = self.encode_one(reader, text.as_ref(), Some((columns, truncation)), &mut ids);
            write_row(&ids, padding, row);
            length
        };
        texts.into_iter().zip(rows.chunks_exact_mut(ID * columns.max(1))).map(one).collect()
    }

    /// Appends a text's ids and tells how many they are.
    fn encode_one(&self, reader: &mut Reader, text: &str, cut: Cut, ids: &mut Vec<i32>) -> i32 {
        let from = ids.len();
        // A text that loses its end is not read to it.
        let end = if let Some((most, Side::Right)) = cut { from + most } else { usize::MAX };
        reader.each(text, |word| {
            if ids.len() == end {
                return ControlFlow::Break(());
            }
            ids.push(self.id(word));
            ControlFlow::Continue(())
        });
        if let Some((most, Side::Left)) = cut {
            let surplus = (ids.len() - from).saturating_sub(most);
            ids.drain(from..from + surplus);
        }
        (ids.len() - from) as i32
    }
}

/// What `encode` gave, part by part, as rows of `columns` ids (int32), padded on the given side, into `rows`, which they fill. `columns` is at least the
/// longest length.
pub fn write_rows<P: AsRef<[i32]>>(parts: &[(P, P)], columns: usize, padding: Side, rows: &mut [u8]) {
    let mut rows = rows.chunks_exact_mut(ID * columns.max(1));
    for (ids, lengths) in parts {
        let mut ids = ids.as_ref();
        for (&length, row) in lengths.as_ref().iter().zip(&mut rows) {
            let (text, more) = ids.split_at(length as usize);
            write_row(text, padding, row);
            ids = more;
        }
    }
}

fn write_row(ids: &[i32], padding: Side, row: &mut [u8]) {
    let (room, pads) = match padding {
        Side::Right => row.split_at_mut(ID * ids.len()),
        Side::Left => {
            let (pads, room) = row.split_at_mut(row.len() - ID * ids.len());
            (room, pads)
        }
    };
    for (place, id) in room.chunks_exact_mut(ID).zip(ids) {
        place.copy_from_slice(&id.to_ne_bytes());
    }
    for place in pads.chunks_exact_mut(ID) {
        place.copy_from_slice(&PAD.to_ne_bytes());
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
        let mut encode = |cut| vocabulary.encode(&mut reader, texts, cut);
        let all = encode(None);
        assert_eq!(all, (vec![2, 3, 4, 4, 1], vec![3, 0, 2]));
        let [right, left] = [Side::Right, Side::Left].map(|side| encode(Some((2, side))));
        assert_eq!(right, (vec![2, 3, 4, 1], vec![2, 0, 2]));
        assert_eq!(left, (vec![3, 4, 4, 1], vec![2, 0, 2]));
        for side in [Side::Right, Side::Left] {
            assert_eq!(encode(Some((0, side))), (vec![], vec![0, 0, 0]));
        }
        let parts = [all, left];
        let ids = |bytes: &[u8]| bytes.chunks(ID).map(|id| i32::from_ne_bytes(id.try_into().expect("four bytes"))).collect::<Vec<_>>();
        let rows = |parts: &[_], columns, padding, count| {
            let mut rows = vec![0xff; ID * columns * count];
            write_rows(parts, columns, padding, &mut rows);
            ids(&rows)
        };
        assert_eq!(rows(&parts, 3, Side::Right, 6), [2, 3, 4, 0, 0, 0, 4, 1, 0, 3, 4, 0, 0, 0, 0, 4, 1, 0]);
        assert_eq!(rows(&parts, 3, Side::Left, 6), [2, 3, 4, 0, 0, 0, 0, 4, 1, 0, 3, 4, 0, 0, 0, 0, 4, 1]);
        assert!(rows(&parts[..0], 3, Side::Left, 0).is_empty());
        assert!(rows(&[(vec![], vec![0, 0])], 0, Side::Left, 2).is_empty());
        let cases = [
            (Side::Right, Side::Right, [2, 3, 0, 0, 4, 1]),
            (Side::Left, Side::Left, [3, 4, 0, 0, 4, 1]),
            (Side::Left, Side::Right, [2, 3, 0, 0, 4, 1]),
        ];
        for (padding, truncation, expected) in cases {
            let mut row = vec![0xff; ID * 2 * 3];
            assert_eq!(vocabulary.encode_rows(&mut reader, texts, 2, padding, truncation, &mut row), [2, 0, 2]);
            assert_eq!(ids(&row), expected);
        }
    }
}
