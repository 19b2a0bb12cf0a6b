//! Reading: a text is cleaned and cut into words in one pass.
use crate::html;
use crate::words::{END, Letters, STEP, Word};
use crate::{Clean, Split};
use std::ops::ControlFlow;

/// One way of reading texts, with the memory it needs, kept from text to text.
pub struct Reader {
    clean: Clean,
    split: Split,
    table: [u16; 256],
    letters: Letters,
    stripped: String,
    cleaned: String,
}

impl Reader {
    pub fn new(clean: Clean, split: Split) -> Reader {
        let class = |byte: u8| match byte {
            b'\t'..=b'\r' | b' ' => END,
            _ if clean.punctuation && byte.is_ascii_punctuation() => 0,
            _ => STEP | u16::from(if clean.lower { byte.to_ascii_lowercase() } else { byte }),
        };
        Reader {
            clean,
            split,
            table: std::array::from_fn(|byte| class(byte as u8)),
            letters: Letters::default(),
            stripped: String::new(),
            cleaned: String::new(),
        }
    }

    /// Calls `word` for each word of `text`, in their order, until it breaks.
    pub fn each(&mut self, text: &str, mut word: impl FnMut(Word) -> ControlFlow<()>) {
        let text = if self.clean.html { html::strip(text, &mut self.stripped) } else { text };
        let _ = match self.split {
            Split::Whitespace => pieces(self.clean.without_html(), &self.table, text, &mut self.letters, &mut self.cleaned, word),
            split => {
                self.clean.without_html().apply(text, &mut self.cleaned, &mut String::new());
                split.each(&self.cleaned, |token| word(self.letters.word(token.as_bytes())))
            }
        };
    }
}

/// The words between ASCII's whitespace. No form, case or sigma looks beyond it, so that a piece with other letters is cleaned by itself.
fn pieces(
    clean: Clean,
    table: &[u16; 256],
    text: &str,
    letters: &mut Letters,
    cleaned: &mut String,
    mut word: impl FnMut(Word) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut from = 0;
    while from < text.len() {
        let (found, len, seen) = letters.ascii(&text.as_bytes()[from..], table, clean.lower);
        if seen.is_ascii() {
            if found.len > 0 {
                word(found)?;
            }
        } else {
            clean.apply(&text[from..from + len], cleaned, &mut String::new());
            Split::Whitespace.each(cleaned, |token| word(letters.word(token.as_bytes())))?;
        }
        from += len + 1;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Form;

    fn read(clean: Clean, split: Split, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        Reader::new(clean, split).each(text, |word| {
            all.push(String::from_utf8(word.bytes().collect()).expect("whole characters"));
            ControlFlow::Continue(())
        });
        all
    }

    /// First the whole text cleaned, then cut.
    fn in_two_steps(clean: Clean, split: Split, text: &str) -> Vec<String> {
        let (mut cleaned, mut all) = (String::new(), Vec::new());
        clean.apply(text, &mut cleaned, &mut String::new());
        let _ = split.each(&cleaned, |token| {
            all.push(token.to_string());
            ControlFlow::Continue(())
        });
        all
    }

    #[test]
    fn one_pass_gives_what_cleaning_and_then_cutting_gives() {
        let ascii =
            "a|B|WordsOfLetters|It's|-|...|longer-than-eight|exactly8| |  |\t|\n|\u{b}|\r|\0|<br />|<|>|< b|&amp;|&nbsp;|&#233;|&|;";
        let others = "é|É|e\u{301}|\u{301}|Σ|ΟΔΟΣ|Σ'|ﬁ|²|¨|\u{1100}|\u{1161}|字|😀|İ|ß|\u{85}|\u{a0}|\u{2003}|\u{3000}";
        let parts: Vec<&str> = ascii.split('|').chain(others.split('|')).collect();
        let mut state = 1u64;
        let mut below = |n: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        for _ in 0..20_000 {
            let text: String = (0..below(9)).map(|_| parts[below(parts.len())]).collect();
            let form = [None, Some(Form::Nfc), Some(Form::Nfd), Some(Form::Nfkc), Some(Form::Nfkd)][below(5)];
            let clean = Clean { html: below(2) == 0, form, lower: below(2) == 0, punctuation: below(2) == 0 };
            let split = [Split::Whitespace, Split::Whitespace, Split::Character, Split::Whole][below(4)];
            assert_eq!(read(clean, split, &text), in_two_steps(clean, split, &text), "{clean:?} {split:?} {text:?}");
        }
    }

    #[test]
    fn a_break_ends_it() {
        for (split, text) in [(Split::Whitespace, "a b c"), (Split::Whitespace, "é\u{a0}ö ü"), (Split::Character, "abc")] {
            let mut count = 0;
            Reader::new(Clean::default(), split).each(text, |_| {
                count += 1;
                if count == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(count, 2, "{text}");
        }
    }
}
