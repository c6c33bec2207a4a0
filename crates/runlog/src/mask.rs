use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Secrets that are shorter than this stand in too many words.
const MIN_BYTES: usize = 6;

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
    longest: usize,
}

impl Mask {
    /// A mask of these secrets; of one with several lines, each line is a secret too.
    pub(crate) fn new(secrets: &[&str]) -> Result<Self, BuildError> {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            add_forms(secret.as_bytes(), &mut forms);
            for line in secret.split(['\n', '\r']) {
                add_forms(line.trim().as_bytes(), &mut forms);
            }
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        let finder = (!forms.is_empty()).then(|| AhoCorasick::new(forms));
        Ok(Self {
            finder: finder.transpose()?,
            longest,
        })
    }

    /// Bytes of the longest form: so much must be seen of what follows a place to know that no secret begins there.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Where secrets are in `bytes`, in order and apart from each other.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let Some(finder) = self.finder.as_ref().filter(|finder| finder.is_match(bytes)) else {
            return Vec::new();
        };
        let mut found: Vec<_> = finder
            .find_overlapping_iter(bytes)
            .map(|found| found.range())
            .collect();
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

fn add_forms(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    if secret.len() < MIN_BYTES {
        return;
    }
    forms.insert(secret.to_vec());
    add_base64(secret, forms);
    add_percent_encoded(secret, forms);
    add_escaped(secret, forms);
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
