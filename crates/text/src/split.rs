//! Splitting a cleaned text into tokens.
use std::ops::ControlFlow;

/// Where a text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// At runs of whitespace, Unicode's too.
    Whitespace,
    /// Into characters (code points), spaces among them.
    Character,
    /// Not at all: the text is one token, an empty one none.
    Whole,
}

impl Split {
    /// Calls `token` for each token of `text`, in their order, until it breaks.
    pub fn each<'t>(self, text: &'t str, mut token: impl FnMut(&'t str) -> ControlFlow<()>) -> ControlFlow<()> {
        match self {
            Split::Whitespace => text.split_whitespace().try_for_each(token),
            Split::Character => text.char_indices().try_for_each(|(at, c)| token(&text[at..at + c.len_utf8()])),
            Split::Whole if text.is_empty() => ControlFlow::Continue(()),
            Split::Whole => token(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts() {
        let tokens = |split: Split, text| {
            let mut all = Vec::new();
            let _ = split.each(text, |token| {
                all.push(token);
                ControlFlow::Continue(())
            });
            all
        };
        assert_eq!(tokens(Split::Whitespace, " a\u{a0}bé\n\tc "), ["a", "bé", "c"]);
        assert_eq!(tokens(Split::Character, "é b"), ["é", " ", "b"]);
        assert_eq!(tokens(Split::Whole, "é b"), ["é b"]);
        for split in [Split::Whitespace, Split::Character, Split::Whole] {
            assert!(tokens(split, "").is_empty());
        }
    }
}
