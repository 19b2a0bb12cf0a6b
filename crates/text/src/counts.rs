//! Counting words, and their order by frequency.
use crate::words::{Word, Words};
use crate::{Reader, Vocabulary};
use std::cmp::Reverse;
use std::ops::ControlFlow;

/// How often each word came.
#[derive(Default)]
pub struct Counts {
    words: Words,
    counts: Vec<u64>,
}

impl Counts {
    pub fn add<T: AsRef<str>>(&mut self, reader: &mut Reader, texts: impl IntoIterator<Item = T>) {
        for text in texts {
            reader.each(text.as_ref(), |word| {
                self.more(word, 1);
                ControlFlow::Continue(())
            });
        }
    }

    /// Sums: the order in which parts are merged does not show.
    pub fn merge(&mut self, other: &Counts) {
        for (number, &count) in other.counts.iter().enumerate() {
            self.more(other.words.get(number), count);
        }
    }

    #[inline]
    fn more(&mut self, word: Word, count: u64) {
        let number = self.words.number(word);
        match self.counts.get_mut(number) {
            Some(sum) => *sum += count,
            None => self.counts.push(count),
        }
    }

    /// The words that came `least` times or more, the most frequent first, at most `most` of them. Of equal ones the last in byte order
    /// comes first, as in Keras' `adapt`.
    pub fn vocabulary(&self, least: u64, most: usize) -> Vocabulary {
        // Most are told apart by their count and first eight bytes, without a look at the words.
        let key = |(number, &count): (usize, &u64)| {
            let first = self.words.get(number).order().0.next().unwrap_or(0);
            (Reverse(count), Reverse(first), number)
        };
        let mut keys: Vec<_> = self.counts.iter().enumerate().filter(|&(_, &count)| count >= least).map(key).collect();
        let order = |a: &(Reverse<u64>, Reverse<u64>, usize), b: &(Reverse<u64>, Reverse<u64>, usize)| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| {
                let ((x, m), (y, n)) = (self.words.get(a.2).order(), self.words.get(b.2).order());
                y.cmp(x).then(n.cmp(&m))
            })
        };
        if most < keys.len() {
            if most > 0 {
                keys.select_nth_unstable_by(most - 1, order);
            }
            keys.truncate(most);
        }
        keys.sort_unstable_by(order);
        let mut words = Words::default();
        for (_, _, number) in keys {
            words.number(self.words.get(number));
        }
        Vocabulary(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clean, Split};

    fn counted(texts: &[&str]) -> Counts {
        let mut counts = Counts::default();
        counts.add(&mut Reader::new(Clean { lower: true, punctuation: true, ..Clean::default() }, Split::Whitespace), texts);
        counts
    }

    #[test]
    fn counts_in_parts_are_counts_of_all() {
        let (mut parts, all) = (counted(&["The cat", "the DOG!"]), counted(&["The cat", "the DOG!", "a cat, the end"]));
        parts.merge(&counted(&["a cat, the end"]));
        let words = |counts: &Counts, least, most| counts.vocabulary(least, most).words().collect::<Vec<_>>();
        assert_eq!(words(&parts, 1, 99), ["the", "cat", "end", "dog", "a"]);
        assert_eq!(words(&parts, 1, 99), words(&all, 1, 99));
        assert_eq!(words(&all, 2, 99), ["the", "cat"]);
        assert_eq!(words(&all, 1, 3), ["the", "cat", "end"]);
        assert!(words(&all, 1, 0).is_empty());
    }

    #[test]
    fn of_equally_frequent_words_the_last_in_byte_order_is_first() {
        let mut names = ["prefixed", "prefixedA", "prefixed\0", "prefixedlong", "prefixe", "z", "é", "a"];
        let words: Vec<_> = counted(&["a z prefixe prefixed prefixed\0 prefixeda prefixedlong é"]).vocabulary(1, 99).words().collect();
        names[1] = "prefixeda";
        names.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(words, names);
    }
}
