use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far a page is searched for its own word (WHATWG 13.2.3.2).
const PRESCANNED_BYTES: usize = 1024;

/// How much the guess looks at when a page says nothing and is not UTF-8.
const GUESSED_BYTES: usize = 64 * 1024;

/// Decodes a page: by its byte order mark, else by the charset of its `Content-Type`, else by what it says itself in
/// its first bytes, else as UTF-8 where it is that, else by a guess. What is malformed becomes U+FFFD.
pub(crate) fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    let declared = content_type
        .and_then(|value| charset_of(value.as_bytes()))
        .or_else(|| prescan(bytes));
    if let Some(encoding) = declared {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => guess(bytes).decode_without_bom_handling(bytes).0,
    }
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(
        &bytes[..bytes.len().min(GUESSED_BYTES)],
        bytes.len() <= GUESSED_BYTES,
    );
    detector.guess(None, Utf8Detection::Allow)
}

/// What `<meta charset>`, `<meta http-equiv=content-type>` or an XML declaration says. A page that can be read that
/// far is not in UTF-16, whatever it says.
fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(PRESCANNED_BYTES)];
    let declared = xml_encoding(head).or_else(|| meta_charset(head))?;
    Some(if declared == UTF_16BE || declared == UTF_16LE {
        UTF_8
    } else {
        declared
    })
}

fn xml_encoding(head: &[u8]) -> Option<&'static Encoding> {
    let declaration = head.strip_prefix(b"<?xml")?;
    let end = memchr::memchr(b'>', declaration)?;
    label_after(declaration.get(..end)?, b"encoding")
}

fn meta_charset(head: &[u8]) -> Option<&'static Encoding> {
    let mut rest = head;
    while let Some(at) = memchr::memchr(b'<', rest) {
        rest = rest.get(at + 1..)?;
        if let Some(comment) = rest.strip_prefix(b"!--") {
            rest = comment.get(memchr::memmem::find(comment, b"-->")?..)?;
        } else if rest
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"meta"))
        {
            let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
            if let Some(encoding) = charset_of(rest.get(..end)?) {
                return Some(encoding);
            }
        }
    }
    None
}

fn charset_of(text: &[u8]) -> Option<&'static Encoding> {
    label_after(text, b"charset")
}

/// The encoding named in `name = "label"`, wherever in the text that stands.
fn label_after(text: &[u8], name: &[u8]) -> Option<&'static Encoding> {
    let at = text
        .windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name))?;
    let value = text
        .get(at + name.len()..)?
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    let value = value
        .strip_prefix(b"\"")
        .or_else(|| value.strip_prefix(b"'"))
        .unwrap_or(value);
    let ends =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b';' | b'>' | b'/' | b'?');
    let end = value.iter().position(ends).unwrap_or(value.len());
    Encoding::for_label(value.get(..end)?)
}
