//! HTML marks: tags become a space, so that the words beside `<br />` stay apart; entities become what they stand for.
use memchr::memchr2;

/// Entities met in prose. Others stay as they are written.
const ENTITIES: [(&str, &str); 14] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ndash", "\u{2013}"),
    ("mdash", "\u{2014}"),
    ("hellip", "\u{2026}"),
    ("lsquo", "\u{2018}"),
    ("rsquo", "\u{2019}"),
    ("ldquo", "\u{201c}"),
    ("rdquo", "\u{201d}"),
    ("copy", "\u{a9}"),
];
/// Longer names than any above, and `#x10ffff`.
const LONGEST: usize = 8;

/// `text` without its tags and with its entities decoded: `text` itself where it has none, else written into `out`, which is emptied first.
/// A `<` that opens no tag, as in `a < b`, or whose tag never ends, stays.
pub fn strip<'t>(text: &'t str, out: &'t mut String) -> &'t str {
    let mark = |text: &str| memchr2(b'<', b'&', text.as_bytes());
    if mark(text).is_none() {
        return text;
    }
    out.clear();
    let mut rest = text;
    // Where no `>` follows, none follows further on either: a long text of `<a` alone is not searched again and again.
    let mut ends = true;
    while let Some(at) = mark(rest) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('<') {
            let end = if ends { tag(rest) } else { None };
            ends = ends && (end.is_some() || !opens(rest));
            end.inspect(|_| out.push(' '))
        } else {
            entity(rest, out)
        };
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

/// Bytes of the tag that `rest` begins with.
fn tag(rest: &str) -> Option<usize> {
    if opens(rest) { rest.find('>').map(|end| end + 1) } else { None }
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
        out.push(char::from_u32(code.ok()?)?);
    } else {
        out.push_str(ENTITIES.iter().find(|(entity, _)| *entity == name)?.1);
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
        ];
        for (text, expected) in cases {
            assert_eq!(strip(text), expected, "{text}");
        }
    }

    #[test]
    fn a_megabyte_of_open_tags_takes_no_quadratic_time() {
        let text = "<a".repeat(1 << 19);
        assert_eq!(strip(&text), text);
    }
}
