//! A command line cut into words, without a shell.

use crate::error::{Error, ErrorKind};

/// Cuts at white space. Single quotes keep everything, double quotes keep all but a backslash before `"` and `\`, a
/// backslash outside of quotes keeps the next character. Nothing else is special: no variables, no globs.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for a quote that is not closed and a backslash at the end.
pub(super) fn split_words(text: &str) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\'' => take_quoted(&mut chars, '\'', word),
            '"' => take_quoted(&mut chars, '"', word),
            '\\' => chars.next().map(|c| word.push(c)),
            c => {
                word.push(c);
                Some(())
            }
        }
        .ok_or_else(|| unfinished(text))?;
    }
    words.extend(word);
    Ok(words)
}

/// None where the quote is not closed.
fn take_quoted(chars: &mut impl Iterator<Item = char>, quote: char, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => match chars.next()? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

fn unfinished(text: &str) -> Error {
    let message = format!("the command {text:?} ends in a quote: close it");
    Error::new(ErrorKind::Invalid, message)
}
