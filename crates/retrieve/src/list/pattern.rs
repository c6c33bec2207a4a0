use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, ErrorKind};

/// The longest pattern, in bytes: twice the longest key of S3.
const MAX_PATTERN: usize = 2048;

/// A glob over whole keys: `*` matches within one part of a path, `?` one byte of it, `**` any number of parts, `[a-z]`
/// and `{a,b}` what they list; `\` takes away the meaning of what follows. Matching takes time linear in the length of
/// the key.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    matcher: GlobMatcher,
    prefix: String,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an unclosed `[` or `{`, for characters beyond ASCII in `[]`, and for more than 2,048
    /// bytes.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_PATTERN {
            let message = format!(
                "a pattern has at most {MAX_PATTERN} bytes, this one has {}",
                text.len()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if has_wide_set(text) {
            let message = format!("{text:?} has more than ASCII in []: write {{ä,ö}} in place of [äö]");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true)
            .build();
        let wrong =
            |error| Error::new(ErrorKind::Invalid, format!("{text:?} is no pattern")).caused_by(error);
        Ok(Self {
            matcher: glob.map_err(wrong)?.compile_matcher(),
            prefix: literal_start(text),
        })
    }

    /// What all keys that match begin with; a listing needs no others.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn matches(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && self.matcher.is_match(key)
    }

    /// What a key that matches is called below a destination: the key without the folders that the pattern spells out.
    pub(crate) fn relative<'a>(&self, key: &'a str) -> &'a str {
        let folder = self.prefix.rfind('/').map_or(0, |slash| slash + 1);
        key.get(folder..).unwrap_or(key)
    }
}

/// Whether a set lists characters beyond ASCII; sets are matched byte by byte, so they would match parts of characters.
fn has_wide_set(pattern: &str) -> bool {
    let mut rest = pattern.chars();
    let mut inside = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' if !inside => drop(rest.next()),
            '[' => inside = true,
            ']' => inside = false,
            _ if inside && !c.is_ascii() => return true,
            _ => {}
        }
    }
    false
}

/// The text before the first character with a meaning, escapes resolved.
fn literal_start(pattern: &str) -> String {
    let mut start = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' | '?' | '[' | '{' => break,
            '\\' => start.extend(rest.next()),
            _ => start.push(c),
        }
    }
    start
}
