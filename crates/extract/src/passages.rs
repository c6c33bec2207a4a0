use std::borrow::Cow;

use crate::{MAX_PASSAGE_BYTES, MAX_PASSAGES, Passage};

/// A part of a page that stands under one heading, of any length.
#[derive(Debug, Default)]
pub(crate) struct Section<'a> {
    pub(crate) heading: Cow<'a, str>,
    pub(crate) anchor: Option<&'a str>,
    pub(crate) pdf_page: Option<u32>,
    pub(crate) text: Cow<'a, str>,
    /// Named places in the text, in order: how many bytes stand before each.
    pub(crate) marks: Vec<(usize, &'a str)>,
}

impl<'a> Section<'a> {
    /// The last named place in the first `end` bytes, with where it is.
    fn mark_before(&self, end: usize) -> Option<(usize, &'a str)> {
        let after = self.marks.partition_point(|(at, _)| *at < end);
        after
            .checked_sub(1)
            .and_then(|last| self.marks.get(last))
            .copied()
    }
}

/// The longest heading kept, in bytes.
const MAX_HEADING_BYTES: usize = 1000;

/// Collects passages within the limits of a page.
#[derive(Debug, Default)]
pub(crate) struct Passages {
    list: Vec<Passage>,
    truncated: bool,
}

impl Passages {
    /// Adds a section in as many passages as its text needs; one, where it is only a heading. A later passage is found
    /// by the last named place before it.
    pub(crate) fn add(&mut self, section: &Section<'_>) {
        let folded = fold(&section.heading);
        let heading = shorten(&folded, MAX_HEADING_BYTES);
        self.truncated |= heading.len() < folded.len();
        let text = section.text.trim_end();
        let mut rest = text.trim_start_matches(['\n', '\r']);
        if rest.is_empty() && heading.is_empty() {
            return;
        }
        let mut anchor = section.anchor;
        loop {
            let start = text.len() - rest.len();
            let mark = section
                .mark_before(start + MAX_PASSAGE_BYTES)
                .map(|(at, _)| at.saturating_sub(start));
            let (piece, after) = split(rest, mark);
            if self.list.len() == MAX_PASSAGES {
                self.truncated = true;
                return;
            }
            self.list.push(Passage {
                heading: heading.to_owned(),
                anchor: anchor.map(str::to_owned),
                pdf_page: section.pdf_page,
                text: piece.to_owned(),
            });
            if after.is_empty() {
                return;
            }
            rest = after;
            anchor = section
                .mark_before(text.len() - rest.len())
                .map_or(section.anchor, |(_, name)| Some(name));
        }
    }

    /// Whether no more fit.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() == MAX_PASSAGES
    }

    /// The passages, and whether some did not fit.
    pub(crate) fn finish(self) -> (Vec<Passage>, bool) {
        (self.list, self.truncated)
    }
}

/// Cuts a passage off the front: at `mark`, a named place, else at an empty line, the end of a block, of a sentence, of a
/// word. A piece is never shorter than a quarter of the limit, so that one long line does not fall into crumbs.
fn split(text: &str, mark: Option<usize>) -> (&str, &str) {
    if text.len() <= MAX_PASSAGE_BYTES {
        return (text, "");
    }
    let window = &text[..text.floor_char_boundary(MAX_PASSAGE_BYTES)];
    let is_far = |at: &usize| (MAX_PASSAGE_BYTES / 4..=window.len()).contains(at);
    let cut = mark.filter(|at| text.is_char_boundary(*at)).filter(is_far);
    let cut = cut.or_else(|| window.rfind("\n\n").filter(is_far));
    let cut = cut.or_else(|| window.rfind('\n').filter(is_far));
    let cut = cut.or_else(|| sentence_end(window).filter(is_far));
    let cut = cut
        .or_else(|| window.rfind(char::is_whitespace).filter(is_far))
        .unwrap_or(window.len());
    let (piece, rest) = text.split_at(cut);
    (piece.trim_end(), rest.trim_start())
}

/// Where the last complete sentence ends, as far as punctuation tells.
fn sentence_end(text: &str) -> Option<usize> {
    let latin = [". ", "! ", "? "]
        .iter()
        .filter_map(|mark| text.rfind(mark))
        .max()
        .map(|at| at + 1);
    let wide = text.rfind(['。', '！', '？']).map(|at| at + '。'.len_utf8());
    latin.max(wide)
}

/// The text on one line, runs of white space as one space.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

/// The front of the text, at most `max_bytes` long, cut between words where there are some.
pub(crate) fn shorten(text: &str, max_bytes: usize) -> &str {
    if text.len() <= max_bytes {
        return text;
    }
    let front = &text[..text.floor_char_boundary(max_bytes)];
    front.rfind(' ').map_or(front, |end| &front[..end])
}
