//! Text in XML.

use std::borrow::Cow;

/// Escapes what cannot stand in an element. Control characters become references, as S3 writes them, although XML 1.0
/// has no way to say most of them.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(needs_reference) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control < ' ' => escaped.push_str(&format!("&#x{:x};", control as u32)),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

fn needs_reference(byte: u8) -> bool {
    byte < b' ' || matches!(byte, b'&' | b'<' | b'>' | b'"')
}
