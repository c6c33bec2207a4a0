use crate::passages::{Passages, Section, fold};
use crate::{Extract, Extracted, language};

/// A first line up to this long, in bytes, is the title.
const MAX_TITLE_LINE_BYTES: usize = 120;

/// Reads plain text: as it is, in passages.
pub(crate) fn extract(text: &str) -> Extracted {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    let first_line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let title = if first_line.len() <= MAX_TITLE_LINE_BYTES {
        fold(first_line)
    } else {
        String::new()
    };

    let mut passages = Passages::default();
    passages.add(&Section {
        text: text.into(),
        ..Section::default()
    });
    let (passages, truncated) = passages.finish();
    let language = language::detect(&passages);
    let content_type = "text/plain".to_owned();
    let extract = Extract {
        title,
        language,
        content_type,
        passages,
        truncated,
        ..Extract::default()
    };
    Extracted {
        extract,
        ..Extracted::default()
    }
}
