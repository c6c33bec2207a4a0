use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Secrets that are shorter than this stand in too many words, and are masked only where they are words of their own.
const MIN_BYTES: usize = 6;

/// Even as words of their own, shorter ones are everywhere: `1`, `no`, `yes`.
const MIN_WORD_BYTES: usize = 4;

/// What JavaScript, Ruby and PHP leave as it is (RFC 3986, 2.3).
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What Python's `quote` leaves.
const PATH: &AsciiSet = &STRICT.remove(b'/');
/// What JavaScript's `encodeURIComponent` leaves.
const COMPONENT: &AsciiSet = &STRICT
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

/// Finds secrets in lines, in the forms in which programs write them.
pub(crate) struct Mask {
    finder: Option<AhoCorasick>,
    /// Likewise, for forms that count only between other characters than those of words.
    words: Option<AhoCorasick>,
    longest: usize,
}

impl Mask {
    /// A mask of these secrets; of one with several lines, each line is a secret too.
    pub(crate) fn new(secrets: &[&str]) -> Result<Self, BuildError> {
        let (mut forms, mut words) = (BTreeSet::new(), BTreeSet::new());
        for secret in secrets {
            for part in secret.split(['\n', '\r']).map(str::trim).chain([*secret]) {
                match part.len() {
                    MIN_BYTES.. => add_forms(part.as_bytes(), &mut forms),
                    MIN_WORD_BYTES.. => add_words(part.as_bytes(), &mut words),
                    _ => {}
                }
            }
        }
        let longest = forms.iter().chain(&words).map(Vec::len).max().unwrap_or(0);
        Ok(Self {
            finder: finder(forms)?,
            words: finder(words)?,
            longest,
        })
    }

    /// Bytes of the longest form: so much must be seen of what follows a place to know that no secret begins there.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Where secrets are in `bytes`, in order and apart from each other.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let found_by = |finder: &Option<AhoCorasick>| -> Vec<Range<usize>> {
            let Some(finder) = finder.as_ref().filter(|finder| finder.is_match(bytes)) else {
                return Vec::new();
            };
            finder
                .find_overlapping_iter(bytes)
                .map(|found| found.range())
                .collect()
        };
        let mut found = found_by(&self.words);
        found.retain(|range| is_word(bytes, range));
        found.extend(found_by(&self.finder));
        found.sort_unstable_by_key(|range| range.start);
        found.dedup_by(|next, before| {
            let overlap = next.start < before.end;
            if overlap {
                before.end = before.end.max(next.end);
            }
            overlap
        });
        found
    }
}

fn finder(forms: BTreeSet<Vec<u8>>) -> Result<Option<AhoCorasick>, BuildError> {
    (!forms.is_empty()).then(|| AhoCorasick::new(forms)).transpose()
}

fn add_forms(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    add_plain_forms(secret, forms);
    add_base64(secret, forms);
}

/// Of a short secret. In Base64 it stands alone here: in the middle of more it could be anything.
fn add_words(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    add_plain_forms(secret, forms);
    for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
        forms.insert(engine.encode(secret).into_bytes());
    }
}

fn add_plain_forms(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(secret.to_vec());
    add_percent_encoded(secret, forms);
    add_escaped(secret, forms);
    add_hexadecimal(secret, forms);
}

/// Whether nothing of a word is before or behind.
fn is_word(bytes: &[u8], range: &Range<usize>) -> bool {
    let before = range.start.checked_sub(1).and_then(|at| bytes.get(at));
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    !before.is_some_and(is_inner) && !bytes.get(range.end).is_some_and(is_inner)
}

fn add_hexadecimal(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    let lower: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.insert(lower.to_ascii_uppercase().into_bytes());
    forms.insert(lower.into_bytes());
}

/// In Base64 a secret looks different by where it begins in what was encoded; the characters at its ends, which hold bits of others, are left out.
fn add_base64(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for before in 0..3 {
        let padded = [&[0; 3][..before], secret].concat();
        let own = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
        for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
            forms.insert(engine.encode(&padded).as_bytes()[own.clone()].to_vec());
        }
    }
}

fn add_percent_encoded(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for kept in [STRICT, PATH, COMPONENT] {
        let encoded = percent_encode(secret, kept).to_string();
        forms.insert(lower_case_escapes(&encoded).into_bytes());
        forms.insert(encoded.replace("%20", "+").into_bytes());
        forms.insert(encoded.into_bytes());
    }
}

fn lower_case_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        // What follows a percent sign of our own is two hexadecimal digits.
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        text + "%" + &digits.to_ascii_lowercase() + rest
    })
}

/// As programs print strings that have quotes, backslashes or line feeds.
fn add_escaped(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    let quoted = serde_json::to_string(&String::from_utf8_lossy(secret)).unwrap_or_default();
    if let Some(escaped) = quoted
        .get(1..quoted.len().saturating_sub(1))
        .filter(|text| !text.is_empty())
    {
        forms.insert(escaped.as_bytes().to_vec());
    }
}
