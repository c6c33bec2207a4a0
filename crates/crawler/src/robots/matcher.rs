use model::PageUrl;

/// The path of an `Allow` or `Disallow` line: `*` stands for any characters, `$` at the end for the end of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What stands between the `*`; the first piece must begin the target.
    pieces: Vec<Vec<u8>>,
    anchored: bool,
    length: usize,
}

impl Pattern {
    pub(super) fn new(text: &[u8]) -> Self {
        let normal = normalise(text);
        let (body, anchored) = match normal.strip_suffix(b"$") {
            Some(body) => (body, true),
            None => (normal.as_slice(), false),
        };
        let pieces = body.split(|&byte| byte == b'*').map(<[u8]>::to_vec).collect();
        Self {
            pieces,
            anchored,
            length: normal.len(),
        }
    }

    /// How specific the rule is: its octets (RFC 9309 section 2.2.2).
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether the pattern matches from the start of the target. Greedy from the left is enough: a later `*` can make
    /// up for an early match, never the other way round. Linear in the target for every piece.
    pub(super) fn matches(&self, target: &[u8]) -> bool {
        let Some((first, others)) = self.pieces.split_first() else {
            return true;
        };
        let Some(mut rest) = target.strip_prefix(first.as_slice()) else {
            return false;
        };
        let Some((last, middle)) = others.split_last() else {
            return !self.anchored || rest.is_empty();
        };
        for piece in middle {
            let Some(after) = after_first(rest, piece) else {
                return false;
            };
            rest = after;
        }
        if self.anchored {
            rest.ends_with(last)
        } else {
            after_first(rest, last).is_some()
        }
    }
}

fn after_first<'a>(text: &'a [u8], piece: &[u8]) -> Option<&'a [u8]> {
    if piece.is_empty() {
        return Some(text);
    }
    let at = text.windows(piece.len()).position(|window| window == piece)?;
    text.get(at + piece.len()..)
}

/// What rules are compared with: path and query of the URL.
pub(super) fn target_of(url: &PageUrl) -> Vec<u8> {
    let path_and_query = &url.as_url()[url::Position::BeforePath..];
    normalise(path_and_query.as_bytes())
}

/// One form for equivalent octets: percent-encodings of unreserved characters are decoded, the others upper-case, and
/// octets that a URL cannot hold are encoded (RFC 9309 section 2.2.2).
fn normalise(text: &[u8]) -> Vec<u8> {
    let mut normal = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let encoded = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(hex_byte);
        at += if encoded.is_some() { 3 } else { 1 };
        match encoded {
            Some(value) if value.is_ascii_alphanumeric() || b"-._~".contains(&value) => normal.push(value),
            Some(value) => push_encoded(&mut normal, value),
            None if byte.is_ascii_graphic() => normal.push(byte),
            None => push_encoded(&mut normal, byte),
        }
    }
    normal
}

fn push_encoded(text: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.extend([
        b'%',
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]);
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let &[high, low] = digits else { return None };
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
