//! HTML marks: tags become a space, so that the words beside `<br />` stay apart; entities become what they stand for.
use memchr::{memchr2, memmem};

/// Entities met in prose. Others stay as they are written.
const ENTITIES: [(&str, &str); 26] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ensp", "\u{2002}"),
    ("emsp", "\u{2003}"),
    ("thinsp", "\u{2009}"),
    ("ndash", "\u{2013}"),
    ("mdash", "\u{2014}"),
    ("hellip", "\u{2026}"),
    ("lsquo", "\u{2018}"),
    ("rsquo", "\u{2019}"),
    ("sbquo", "\u{201a}"),
    ("ldquo", "\u{201c}"),
    ("rdquo", "\u{201d}"),
    ("bdquo", "\u{201e}"),
    ("bull", "\u{2022}"),
    ("euro", "\u{20ac}"),
    ("trade", "\u{2122}"),
    ("OElig", "\u{152}"),
    ("oelig", "\u{153}"),
    ("Scaron", "\u{160}"),
    ("scaron", "\u{161}"),
    ("Yuml", "\u{178}"),
];
/// Names of the characters from U+00A1 to U+00FF, in their order.
const LATIN: &str = "iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil \
    sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc \
    Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring \
    aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc \
    uuml yacute thorn yuml";
/// What numbers from 128 to 159 stand for, which are Windows' (HTML's rule for them); those that it leaves open stay as they are.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
/// Longer names than any above, and `#x10ffff`.
const LONGEST: usize = 8;
/// Elements whose contents are no text.
const HIDDEN: [&str; 2] = ["script", "style"];

/// `text` without its tags, comments, scripts and styles, and with its entities decoded: `text` itself where it has none, else written into `out`, which is emptied first.
/// A `<` that opens no tag, as in `a < b`, or whose tag never ends, stays.
pub fn strip<'t>(text: &'t str, out: &'t mut String) -> &'t str {
    let mark = |text: &str| memchr2(b'<', b'&', text.as_bytes());
    if mark(text).is_none() {
        return text;
    }
    out.clear();
    let mut rest = text;
    let mut ends = Ends::default();
    while let Some(at) = mark(rest) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('<') { ends.tag(rest).inspect(|_| out.push(' ')) } else { entity(rest, out) };
        let taken = taken.unwrap_or_else(|| {
            out.push_str(&rest[..1]);
            1
        });
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

fn opens(rest: &str) -> bool {
    rest.as_bytes().get(1).is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, b'/' | b'!'))
}

/// Ends that were looked for in vain: they are not further on either, and a long text of `<a` alone is not searched again and again.
#[derive(Default)]
struct Ends {
    no_tag: bool,
    no_comment: bool,
    no_close: [bool; HIDDEN.len()],
}

impl Ends {
    /// Bytes of the tag that `rest` begins with, and of what it hides: a comment, a script, a style.
    fn tag(&mut self, rest: &str) -> Option<usize> {
        if !opens(rest) || self.no_tag {
            return None;
        }
        // The dashes that open a comment may close it, as in `<!-->`.
        if rest.starts_with("<!--") && !self.no_comment {
            match rest[2..].find("-->") {
                Some(end) => return Some(2 + end + "-->".len()),
                None => self.no_comment = true,
            }
        }
        let Some(end) = rest.find('>') else {
            self.no_tag = true;
            return None;
        };
        let hidden = HIDDEN.iter().position(|name| named(&rest[1..], name)).filter(|&i| !self.no_close[i]);
        let close = hidden.and_then(|i| {
            hidden_end(&rest[end + 1..], HIDDEN[i]).or_else(|| {
                self.no_close[i] = true;
                None
            })
        });
        Some(end + 1 + close.unwrap_or(0))
    }
}

/// Whether a tag's name, which `rest` begins with, is this one in any case.
fn named(rest: &str, name: &str) -> bool {
    let bytes = rest.as_bytes();
    bytes.len() > name.len() && bytes[..name.len()].eq_ignore_ascii_case(name.as_bytes()) && !bytes[name.len()].is_ascii_alphanumeric()
}

/// Bytes up to the end of the element's closing tag; without one nothing was hidden.
fn hidden_end(rest: &str, name: &str) -> Option<usize> {
    let close = memmem::find_iter(rest.as_bytes(), "</").find(|at| named(&rest[at + 2..], name))?;
    rest[close..].find('>').map(|end| close + end + 1)
}

/// Writes what the entity at the front of `rest` stands for, and tells its bytes.
fn entity(rest: &str, out: &mut String) -> Option<usize> {
    let end = rest.bytes().take(LONGEST + 2).position(|c| c == b';')?;
    let name = &rest[1..end];
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        let code = code.ok()?;
        out.push(match code {
            128..160 => WINDOWS.chars().nth(code as usize - 128)?,
            _ => char::from_u32(code)?,
        });
    } else if let Some((_, text)) = ENTITIES.iter().find(|(entity, _)| *entity == name) {
        out.push_str(text);
    } else {
        out.push(char::from_u32(0xa1 + LATIN.split_ascii_whitespace().position(|latin| latin == name)? as u32)?);
    }
    Some(end + 1)
}

#[cfg(test)]
mod tests {
    fn strip(text: &str) -> String {
        super::strip(text, &mut "left over".to_string()).to_string()
    }

    #[test]
    fn tags_and_entities() {
        let cases = [
            ("", ""),
            ("good<br /><br />film", "good  film"),
            ("<p class=\"x\">a</p>", " a "),
            ("a < b, 1<2", "a < b, 1<2"),
            ("open <b without end", "open <b without end"),
            ("<a <a <", "<a <a <"),
            ("Tom &amp; Jerry &#233; &#xE9; &bogus; & &#xD800;", "Tom & Jerry é é &bogus; & &#xD800;"),
            ("&amp;lt;", "&lt;"),
            ("<!-- note -->é", " é"),
            ("&é;", "&é;"),
            ("caf&eacute; &yuml;&iexcl; &#150; &#128;&#129;", "café ÿ¡ – €\u{81}"),
            ("a<!-- b > c -->d<!-- open > e", "a d  e"),
            ("a<script type='x'>if (1 < 2) b()</script>c<STYLE>p {}</style >d", "a c d"),
            ("a<script>b</scripts> <scripted>c", "a b   c"),
        ];
        for (text, expected) in cases {
            assert_eq!(strip(text), expected, "{text}");
        }
    }

    #[test]
    fn a_megabyte_of_open_tags_takes_no_quadratic_time() {
        let text = "<a".repeat(1 << 19);
        assert_eq!(strip(&text), text);
        for (open, left) in [("<!--", "<!--"), ("</script ", "</script "), ("<script>", " "), ("<!-->", " ")] {
            assert_eq!(strip(&open.repeat(1 << 17)), left.repeat(1 << 17), "{open}");
        }
    }
}
