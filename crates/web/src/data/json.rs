//! Values as JSON.

use std::io::Write;

use dataset::Value;

use crate::data::ruby;

/// Characters that end a `script` element or a line of JavaScript are written as escapes, as Rails does.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let Some((escape, length)) = escape(*byte, &bytes[at..]) else {
            continue;
        };
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(escape.as_ref());
        from = at + length;
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// What stands for the character that begins here, and its length, if it cannot stand for itself.
fn escape(byte: u8, rest: &[u8]) -> Option<(Escape, usize)> {
    let short = |text: &'static [u8; 2]| Some((Escape::Short(*text), 1));
    match byte {
        b'"' => short(b"\\\""),
        b'\\' => short(b"\\\\"),
        b'\n' => short(b"\\n"),
        b'\r' => short(b"\\r"),
        b'\t' => short(b"\\t"),
        0x08 => short(b"\\b"),
        0x0c => short(b"\\f"),
        0..0x20 | b'<' | b'>' | b'&' => Some((Escape::long(0, byte), 1)),
        0xe2 if matches!(rest, [_, 0x80, 0xa8 | 0xa9, ..]) => {
            let last = rest.get(2).map_or(0, |last| last & 0x0f);
            Some((Escape::long(0x20, 0x20 | last), 3))
        }
        _ => None,
    }
}

enum Escape {
    Short([u8; 2]),
    Long([u8; 6]),
}

impl Escape {
    fn long(high: u8, low: u8) -> Self {
        let digit = |half: u8| char::from_digit(u32::from(half & 0x0f), 16).map_or(b'0', |digit| digit as u8);
        Self::Long([
            b'\\',
            b'u',
            digit(high >> 4),
            digit(high),
            digit(low >> 4),
            digit(low),
        ])
    }
}

impl AsRef<[u8]> for Escape {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Long(bytes) => bytes,
        }
    }
}

/// A value as it is; bytes as Datasette writes them, `{"$base64": true, "encoded": ...}`.
pub(crate) fn value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Integer(number) => integer(*number, out),
        Value::Real(number) => real(*number, out),
        Value::Text(text) => string(text, out),
        Value::Blob(bytes) => {
            out.extend_from_slice(b"{\"$base64\":true,\"encoded\":");
            string(&encoded(bytes), out);
            out.push(b'}');
        }
    }
}

/// Bytes as text.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

pub(crate) fn integer(number: i64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "{number}");
}

/// JSON has no infinity.
pub(crate) fn real(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        ruby::float(number, out);
    } else {
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_rails_does() {
        for (text, expected) in [
            ("", r#""""#),
            ("é\u{1f600}", "\"é\u{1f600}\""),
            ("a\"b\\c", r#""a\"b\\c""#),
            (
                "\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}",
                "\"\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\"",
            ),
            ("</script>&", r#""\u003c/script\u003e\u0026""#),
            ("\u{2028}x\u{2029}\u{2027}", "\"\\u2028x\\u2029\u{2027}\""),
        ] {
            let mut out = Vec::new();
            string(text, &mut out);
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
