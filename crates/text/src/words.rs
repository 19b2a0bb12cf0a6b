//! Words numbered in the order in which they first came.

/// A word's bytes, eight to a number, the first lowest, zeros behind the last: short words are compared and hashed in a register or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    pub(crate) eights: &'a [u64],
    /// In bytes.
    pub(crate) len: usize,
}

impl Word<'_> {
    /// Its bytes.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        self.eights.iter().flat_map(|eight| eight.to_le_bytes()).take(self.len)
    }

    /// What orders words by their bytes: the eights with their first byte highest, then the length, which tells zeros from padding.
    pub(crate) fn order(self) -> (impl Iterator<Item = u64>, usize) {
        (self.eights.iter().map(|eight| eight.swap_bytes()), self.len)
    }

    /// Folded products of 64 x 64 bits, as in wyhash. Its state is fixed: nothing but speed depends on it.
    #[inline]
    fn hash(self) -> u64 {
        self.eights.iter().fold(self.len as u64, |hash, eight| {
            let product = u128::from(hash ^ eight ^ 0xa076_1d64_78bd_642f) * 0xe703_7ed1_a0b4_28db;
            product as u64 ^ (product >> 64) as u64
        })
    }
}

/// Where a word is being put together, byte by byte.
#[derive(Default)]
pub struct Letters(Vec<u64>);

impl Letters {
    pub fn word(&mut self, bytes: &[u8]) -> Word<'_> {
        self.0.clear();
        let eight = |part: &[u8]| part.iter().rev().fold(0, |eight, &byte| (eight << 8) | u64::from(byte));
        self.0.extend(bytes.chunks(8).map(eight));
        Word { eights: &self.0, len: bytes.len() }
    }

    /// The first word of `bytes` and where it ends. `table` has for each byte what is written, `STEP` where it is, `END` where it ends the word; all letters
    /// are written, in lower case if `lower`. `seen` is the sum (or) of the bytes of the word.
    // Words that come back through memory cost as much again as reading them.
    #[inline(always)]
    pub(crate) fn ascii(&mut self, bytes: &[u8], table: &[u16; 256], lower: bool) -> (Word<'_>, usize, u8) {
        self.0.clear();
        let (mut eight, mut bits, mut seen, mut at) = (0u64, 0u32, 0u8, 0);
        // Most words are letters and then a space: eight bytes are looked at together.
        while let Some(next) = bytes.get(at..at + 8) {
            let next = u64::from_le_bytes(next.try_into().expect("eight bytes"));
            let written = if lower { next | LOWER } else { next };
            let others = !letters(next) & HIGH;
            if others == 0 {
                self.0.push(written);
                at += 8;
                continue;
            }
            bits = others.trailing_zeros() & !7;
            eight = written & ((1 << bits) - 1);
            at += (bits / 8) as usize;
            break;
        }
        while let Some(&byte) = bytes.get(at) {
            let class = table[usize::from(byte)];
            if class >= END {
                break;
            }
            seen |= byte;
            eight |= u64::from(class as u8) << bits;
            bits += u32::from(class >> 8);
            if bits == 64 {
                self.0.push(eight);
                (eight, bits) = (0, 0);
            }
            at += 1;
        }
        let len = 8 * self.0.len() + (bits / 8) as usize;
        if bits > 0 {
            self.0.push(eight);
        }
        (Word { eights: &self.0, len }, at, seen)
    }
}

/// The highest bit of each of eight bytes.
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
/// The bit that tells ASCII's small letters from the capitals, in each of eight bytes.
const LOWER: u64 = u64::from_le_bytes([0x20; 8]);

/// The highest bit of each byte that is a letter of ASCII's.
fn letters(eight: u64) -> u64 {
    let every = |byte: u8| u64::from_le_bytes([byte; 8]);
    let small = (eight | LOWER) & !HIGH;
    // No sum of seven bits and these leaves its byte.
    let (from_a, beyond_z) = (small + every(0x80 - b'a'), small + every(0x7f - b'z'));
    from_a & !beyond_z & !eight & HIGH
}

/// In a class of `Letters::ascii`: the byte in the low bits is written, which moves on by 8 bits.
pub(crate) const STEP: u16 = 8 << 8;
/// In a class of `Letters::ascii`: the byte ends the word.
pub(crate) const END: u16 = 16 << 8;

/// One place of the table: a word of eight bytes or fewer is known without a look elsewhere.
#[derive(Clone, Copy)]
struct Slot {
    first: u64,
    len: u32,
    number: u32,
}

const EMPTY: u32 = u32::MAX;

impl Slot {
    fn new(word: Word, number: usize) -> Slot {
        let len = u32::try_from(word.len).expect("a word is shorter than 4 GiB");
        Slot { first: first(word), len, number: u32::try_from(number).expect("words are fewer than 2^32") }
    }
}

#[inline]
fn first(word: Word) -> u64 {
    word.eights.first().copied().unwrap_or(0)
}

/// An open table with linear probing, at most half full.
#[derive(Default)]
pub struct Words {
    slots: Vec<Slot>,
    /// The eights of all words, one after the other, and where each word ends among them.
    eights: Vec<u64>,
    ends: Vec<usize>,
    lens: Vec<u32>,
}

impl Words {
    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    #[inline]
    pub fn get(&self, number: usize) -> Word<'_> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        Word { eights: &self.eights[start..self.ends[number]], len: self.lens[number] as usize }
    }

    #[inline]
    pub fn find(&self, word: Word) -> Option<usize> {
        if self.slots.is_empty() { None } else { self.place(word).ok() }
    }

    /// The word's number, a new one if need be.
    #[inline]
    pub fn number(&mut self, word: Word) -> usize {
        self.grow();
        self.place(word).unwrap_or_else(|place| self.add(word, Some(place)))
    }

    /// Gives the word a new number in any case; of equal words the first is found.
    pub fn append(&mut self, word: Word) {
        self.grow();
        let place = self.place(word).err();
        self.add(word, place);
    }

    /// The number of a word that is here, or the slot it would take.
    #[inline(always)]
    fn place(&self, word: Word) -> Result<usize, usize> {
        let (first, mask) = (first(word), self.slots.len() - 1);
        let mut at = word.hash() as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.number == EMPTY {
                return Err(at);
            }
            let number = slot.number as usize;
            if slot.first == first && slot.len as usize == word.len && (word.len <= 8 || self.get(number).eights == word.eights) {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn add(&mut self, word: Word, place: Option<usize>) -> usize {
        let number = self.len();
        let slot = Slot::new(word, number);
        self.eights.extend(word.eights);
        self.ends.push(self.eights.len());
        self.lens.push(slot.len);
        if let Some(place) = place {
            self.slots[place] = slot;
        }
        number
    }

    /// Makes room for one word more.
    #[inline]
    fn grow(&mut self) {
        if 2 * self.len() >= self.slots.len() {
            self.double();
        }
    }

    #[cold]
    fn double(&mut self) {
        let size = (2 * self.slots.len()).max(1024);
        self.slots = vec![Slot { first: 0, len: 0, number: EMPTY }; size];
        for number in 0..self.len() {
            let word = self.get(number);
            if let Err(place) = self.place(word) {
                self.slots[place] = Slot::new(word, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_while_the_table_grows() {
        let names: Vec<String> =
            (0..5000).map(|i| format!("{}{i}", "long".repeat(i % 5))).chain(["".into(), "\0".into(), "a\0".into(), "a".into()]).collect();
        let (mut words, mut letters) = (Words::default(), Letters::default());
        assert_eq!(words.find(letters.word(b"a")), None);
        for (number, name) in names.iter().enumerate() {
            assert_eq!(words.number(letters.word(name.as_bytes())), number);
        }
        for (number, name) in names.iter().enumerate() {
            assert_eq!(words.find(letters.word(name.as_bytes())), Some(number), "{name:?}");
            assert_eq!(words.number(letters.word(name.as_bytes())), number);
            assert_eq!(words.get(number).bytes().collect::<Vec<_>>(), name.as_bytes());
        }
        assert_eq!((words.len(), words.find(letters.word(b"nowhere"))), (names.len(), None));
        // An equal word has a number of its own, and the first is found, before and after the table has grown.
        words.append(letters.word(b"long1"));
        for number in names.len() + 1..3 * names.len() {
            assert_eq!(words.find(letters.word(b"long1")), Some(1));
            assert_eq!(words.number(letters.word(format!("more {number}").as_bytes())), number);
        }
    }

    #[test]
    fn letters_are_told_from_all_other_bytes() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut bytes = [b'm'; 8];
                bytes[place] = byte;
                let expected = bytes.map(|byte| if byte.is_ascii_alphabetic() { 0x80 } else { 0 });
                assert_eq!(super::letters(u64::from_le_bytes(bytes)).to_le_bytes(), expected, "{bytes:?}");
            }
        }
    }

    #[test]
    fn words_are_ordered_as_their_bytes() {
        let names = ["", "\0", "a", "a\0", "a\0b", "ab", "abcdefgh", "abcdefgh\0", "abcdefghi", "b", "é", "字"];
        for a in names {
            for b in names {
                let (mut one, mut other) = (Letters::default(), Letters::default());
                let ((x, m), (y, n)) = (one.word(a.as_bytes()).order(), other.word(b.as_bytes()).order());
                assert_eq!(x.cmp(y).then(m.cmp(&n)), a.as_bytes().cmp(b.as_bytes()), "{a:?} {b:?}");
            }
        }
    }
}
