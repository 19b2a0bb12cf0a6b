//! Cleaning, in this order: HTML, Unicode form, case, punctuation.
use crate::html;
use unicode_normalization::UnicodeNormalization;

/// The Unicode normalisation forms (Unicode Standard Annex 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// What to do to a text; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clean {
    pub html: bool,
    pub form: Option<Form>,
    pub lower: bool,
    /// Removes the 32 punctuation characters of ASCII, as Keras' `strip_punctuation` does.
    pub punctuation: bool,
}

impl Clean {
    pub(crate) fn without_html(self) -> Clean {
        Clean { html: false, ..self }
    }

    /// Writes the cleaned `text` into `out`, which is emptied first; `scratch` is kept from call to call so that nothing is allocated anew.
    pub fn apply(&self, text: &str, out: &mut String, scratch: &mut String) {
        out.clear();
        let text = if self.html { html::strip(text, scratch) } else { text };
        // ASCII is already in every form.
        if text.is_ascii() {
            return self.letters(text, out);
        }
        match self.form {
            None => self.letters(text, out),
            Some(form) => {
                let formed: String = match form {
                    Form::Nfc => text.nfc().collect(),
                    Form::Nfd => text.nfd().collect(),
                    Form::Nfkc => text.nfkc().collect(),
                    Form::Nfkd => text.nfkd().collect(),
                };
                self.letters(&formed, out);
            }
        }
    }

    /// Case and punctuation.
    fn letters(&self, text: &str, out: &mut String) {
        out.reserve(text.len());
        if self.lower && !text.is_ascii() {
            // The whole string at once: a final sigma is known by what stands around it.
            let lower = text.to_lowercase();
            return Clean { lower: false, ..*self }.letters(&lower, out);
        }
        if !self.punctuation {
            let from = out.len();
            out.push_str(text);
            if self.lower {
                out[from..].make_ascii_lowercase();
            }
            return;
        }
        for piece in text.split(|c: char| c.is_ascii_punctuation()) {
            let from = out.len();
            out.push_str(piece);
            if self.lower {
                out[from..].make_ascii_lowercase();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(steps: Clean, text: &str) -> String {
        let (mut out, mut scratch) = ("left over".to_string(), String::new());
        steps.apply(text, &mut out, &mut scratch);
        out
    }

    #[test]
    fn each_step_and_all() {
        let none = Clean::default();
        let all = Clean { html: true, form: Some(Form::Nfkc), lower: true, punctuation: true };
        let cases = [
            (none, "A <b>é</b>!", "A <b>é</b>!"),
            (Clean { lower: true, ..none }, "ÀB ΟΔΟΣ", "àb οδος"),
            (Clean { punctuation: true, ..none }, "it's a - B, é!", "its a  B é"),
            (Clean { form: Some(Form::Nfc), ..none }, "e\u{301}", "é"),
            (Clean { form: Some(Form::Nfd), ..none }, "é", "e\u{301}"),
            (Clean { form: Some(Form::Nfkd), ..none }, "ﬁ²", "fi2"),
            (all, "<br/>Ｆｕｌｌ &amp; It's ﬁne", " full  its fine"),
            (all, "", ""),
        ];
        for (steps, text, expected) in cases {
            assert_eq!(clean(steps, text), expected, "{text}");
        }
    }
}
