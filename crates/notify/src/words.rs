//! morph's words in addresses.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use registry::{Outcome, RowChanges, Run};
use url::{Position, Url};

/// What stands in an address as it is (RFC 3986, unreserved characters).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The address with morph's words in its path and query replaced, as whole words and percent-encoded: what stands beside a word is no letter, digit or `_`.
///
/// | word | becomes |
/// |---|---|
/// | `ADDED`, `REMOVED`, `CHANGED`, `UNCHANGED` | rows, all tables together, by key |
/// | `AUTO` | `true` unless somebody asked for the run, else `false` |
/// | `COMMIT`, `REVISION` | the commit, and its first eight digits |
/// | `OUTCOME` | `success` or `failed` |
/// | `RUN` | the run's number (not in morph) |
/// | `RUN_TIME` | seconds that it ran |
/// | `SCRAPER` | `owner/name` (not in morph) |
/// | `STATUS_CODE` | 0, the exit code, 255, 998 or 999 |
///
/// An address that cannot be read stays as it is.
pub fn expand(url: &str, run: &Run) -> String {
    let Ok(url) = Url::parse(url) else {
        return url.to_owned();
    };
    let replaced = replace_words(&url[Position::BeforePath..Position::AfterQuery], run);
    format!("{}{replaced}", &url[..Position::BeforePath])
}

fn replace_words(text: &str, run: &Run) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            // `%20ADDED` is a space and a word.
            '%' => (1..=3).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(1),
            first if is_of_word(first) => rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(end.min(rest.len()));
        match value(token, run) {
            Some(value) => replaced.extend(utf8_percent_encode(&value, ENCODED)),
            None => replaced.push_str(token),
        }
        rest = behind;
    }
    replaced
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn value(word: &str, run: &Run) -> Option<String> {
    let ending = run.ending.as_ref()?;
    let rows = all_tables(ending.changes.values());
    let revision = ending.revision.as_deref().unwrap_or_default();
    let value = match word {
        "ADDED" => rows.added.to_string(),
        "REMOVED" => rows.removed.to_string(),
        "CHANGED" => rows.changed.to_string(),
        "UNCHANGED" => rows.unchanged.to_string(),
        "AUTO" => (!run.cause.is_awaited()).to_string(),
        "COMMIT" => revision.to_owned(),
        "REVISION" => revision.chars().take(8).collect(),
        "OUTCOME" if ending.outcome == Outcome::Succeeded => "success".to_owned(),
        "OUTCOME" => "failed".to_owned(),
        "RUN" => run.id.to_string(),
        "RUN_TIME" => (ending.usage.wall_ms / 1000).to_string(),
        "SCRAPER" => run.scraper.to_string(),
        "STATUS_CODE" => ending.status_code().to_string(),
        _ => return None,
    };
    Some(value)
}

/// The rows of all tables together.
pub(crate) fn all_tables<'a>(tables: impl IntoIterator<Item = &'a RowChanges>) -> RowChanges {
    let mut all = RowChanges::default();
    for rows in tables {
        all += *rows;
    }
    all
}
