use std::borrow::Cow;

use memchr::memchr;

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// `bytes` without sequences that tell a terminal something: colours, moves, titles (ECMA-48).
pub(crate) fn without_terminal_sequences(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(ESCAPE, bytes) else {
        return Cow::Borrowed(bytes);
    };
    let mut plain = bytes[..first].to_vec();
    let mut rest = &bytes[first..];
    while let Some(at) = memchr(ESCAPE, rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        rest = &rest[sequence_len(rest)..];
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

/// Bytes of the sequence whose escape character stands before `bytes`.
fn sequence_len(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(b'[') => 1 + parameters_len(&bytes[1..], 0x20..=0x3f),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => 1 + string_len(&bytes[1..]),
        Some(_) => parameters_len(bytes, 0x20..=0x2f),
        None => 0,
    }
}

/// Bytes that belong to a sequence, and the one that ends it.
fn parameters_len(bytes: &[u8], parameters: std::ops::RangeInclusive<u8>) -> usize {
    let end = bytes.iter().position(|byte| !parameters.contains(byte));
    let end = end.unwrap_or(bytes.len());
    let is_final = bytes.get(end).is_some_and(|byte| (0x30..=0x7e).contains(byte));
    end + usize::from(is_final)
}

/// Of a string for the terminal, with its end; nothing where it does not end on this line, so that no text is lost.
fn string_len(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|byte| matches!(*byte, BELL | ESCAPE));
    match end {
        Some(at) if bytes[at] == BELL => at + 1,
        Some(at) if bytes.get(at + 1) == Some(&b'\\') => at + 2,
        _ => 0,
    }
}

/// Appends `bytes` as text that can be shown: what is not UTF-8 is replaced, control characters but tabs are pictured.
pub(crate) fn append(text: &mut Vec<u8>, bytes: &[u8]) {
    let is_plain = |byte: &u8| matches!(*byte, b' '..=b'~' | b'\t');
    if bytes.iter().all(is_plain) {
        return text.extend_from_slice(bytes);
    }
    let mut buffer = [0; 4];
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            text.extend_from_slice(shown(character).encode_utf8(&mut buffer).as_bytes());
        }
        if !chunk.invalid().is_empty() {
            text.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// A character that can be shown: Unicode has pictures of the ASCII control characters.
fn shown(character: char) -> char {
    match character {
        '\t' => '\t',
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{fffd}',
        _ => character,
    }
}

/// Shortens `text`, which began at `start`, to `max` bytes of whole characters; whether that was necessary.
pub(crate) fn shorten(text: &mut Vec<u8>, start: usize, max: usize) -> bool {
    let mut end = start + max;
    if text.len() <= end {
        return false;
    }
    let continues = |byte: u8| byte & 0xc0 == 0x80;
    while end > start && continues(text[end]) {
        end -= 1;
    }
    text.truncate(end);
    true
}
