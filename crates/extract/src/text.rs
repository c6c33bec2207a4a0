use std::borrow::Cow;
use std::ops::Range;

use crate::MAX_PASSAGE_BYTES;
use crate::passages::Section;

/// Which part of the page a section stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    Outside,
    Article,
    Main,
}

/// What separates the text that comes next from the text before; the strongest of several wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    None,
    Space,
    Cell,
    Line,
}

/// The visible text of a page in one buffer, cut into sections.
#[derive(Debug)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    gap: Gap,
    sections: Vec<Part>,
    /// The places that can be linked to, in order.
    marks: Vec<Mark>,
    /// The names of the marks, one behind the other.
    names: String,
}

/// A place with a name.
#[derive(Clone, Debug)]
struct Mark {
    /// How much text stands before it.
    at: usize,
    kind: MarkKind,
    name: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MarkKind {
    Block,
    Inline,
}

/// Which mark of a [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarkId(usize);

/// A longer fragment leads nowhere that anybody would link to, in bytes.
const MAX_NAME_BYTES: usize = 200;

#[derive(Debug)]
struct Part {
    region: Region,
    anchor: Option<MarkId>,
    /// Where its heading begins: right behind the section before.
    start: usize,
    /// Where its heading ends and its text begins.
    text_start: usize,
}

impl Text {
    /// Room for a page of `html_bytes` bytes, of which a third is text more often than not.
    pub(crate) fn with_capacity(html_bytes: usize) -> Self {
        let first = Part {
            region: Region::Outside,
            anchor: None,
            start: 0,
            text_start: 0,
        };
        Self {
            bytes: Vec::with_capacity(html_bytes / 3),
            gap: Gap::None,
            sections: vec![first],
            marks: Vec::new(),
            names: String::new(),
        }
    }

    /// Names the place between the text so far and what comes; nothing where the name is of no use.
    pub(crate) fn mark(&mut self, name: &[u8]) -> Option<MarkId> {
        self.add_mark(name, MarkKind::Inline)
    }

    /// Names the block that comes: a long section may be cut there.
    pub(crate) fn mark_block(&mut self, name: &[u8]) -> Option<MarkId> {
        self.add_mark(name, MarkKind::Block)
    }

    fn add_mark(&mut self, name: &[u8], kind: MarkKind) -> Option<MarkId> {
        let name = std::str::from_utf8(name.trim_ascii()).ok()?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return None;
        }
        let start = self.names.len();
        self.names.push_str(name);
        self.marks.push(Mark {
            at: self.bytes.len(),
            kind,
            name: start..self.names.len(),
        });
        Some(MarkId(self.marks.len() - 1))
    }

    /// The last mark, where no text came after it.
    pub(crate) fn mark_here(&self) -> Option<MarkId> {
        let last = self.marks.last().filter(|mark| mark.at == self.bytes.len());
        last.map(|_| MarkId(self.marks.len() - 1))
    }

    fn name(&self, mark: &Mark) -> &str {
        self.names.get(mark.name.clone()).unwrap_or_default()
    }

    /// Separates what comes from what was.
    pub(crate) fn separate(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// Begins a section; what comes until [`Text::end_heading`] is its heading.
    pub(crate) fn begin_section(&mut self, region: Region, anchor: Option<MarkId>) {
        let start = self.bytes.len();
        self.gap = Gap::None;
        self.sections.push(Part {
            region,
            anchor,
            start,
            text_start: start,
        });
    }

    /// Ends the heading of the last section.
    pub(crate) fn end_heading(&mut self) {
        self.gap = Gap::None;
        let end = self.bytes.len();
        if let Some(section) = self.sections.last_mut() {
            section.text_start = end;
        }
    }

    /// How long the last section is so far: while its heading is open, how long that is.
    pub(crate) fn section_len(&self) -> usize {
        self.bytes.len() - self.sections.last().map_or(0, |section| section.start)
    }

    /// Changes where the last section is found.
    pub(crate) fn set_anchor(&mut self, anchor: MarkId) {
        if let Some(section) = self.sections.last_mut() {
            section.anchor = Some(anchor);
        }
    }

    /// Whether the last section can be pointed at.
    pub(crate) fn has_anchor(&self) -> bool {
        self.sections
            .last()
            .is_some_and(|section| section.anchor.is_some())
    }

    /// Adds text, white space folded.
    pub(crate) fn push_folded(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let (run, rest) = text.split_at(ordinary_run(text));
            if !run.is_empty() {
                self.fill_gap();
                self.bytes.extend_from_slice(run);
            }
            text = self.push_special(rest);
        }
    }

    /// Takes what folding has to look at from the front of `text`.
    fn push_special<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        match text {
            [0xC2, 0xAD, rest @ ..] | [0xE2, 0x80, 0x8B, rest @ ..] => rest,
            [0xC2, 0xA0, rest @ ..] => {
                self.separate(Gap::Space);
                rest
            }
            [first @ (0xC2 | 0xE2), rest @ ..] => {
                self.fill_gap();
                self.bytes.push(*first);
                rest
            }
            [_, rest @ ..] => {
                self.separate(Gap::Space);
                rest
            }
            [] => text,
        }
    }

    /// Adds text as it is, but for NUL, which no database likes in its text.
    pub(crate) fn push_preformatted(&mut self, text: &[u8]) {
        for piece in text.split(|byte| *byte == 0).filter(|piece| !piece.is_empty()) {
            self.fill_gap();
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Drops white space at the end of preformatted text.
    pub(crate) fn trim_end(&mut self) {
        let start = self.sections.last().map_or(0, |section| section.text_start);
        let section = self.bytes.get(start..).unwrap_or_default();
        let length = start + section.trim_ascii_end().len();
        self.bytes.truncate(length);
    }

    fn fill_gap(&mut self) {
        let at_start = self
            .sections
            .last()
            .is_none_or(|section| section.text_start == self.bytes.len());
        let separator = match std::mem::replace(&mut self.gap, Gap::None) {
            Gap::None => return,
            _ if at_start => return,
            Gap::Space => b' ',
            Gap::Cell => b'\t',
            Gap::Line => b'\n',
        };
        self.bytes.push(separator);
    }

    /// Whether any section of the region has text or a heading.
    pub(crate) fn has_text_in(&self, region: Region) -> bool {
        let mut sections = self.sections.iter().enumerate();
        sections.any(|(at, section)| section.region == region && !self.section_range(at).is_empty())
    }

    /// The sections that have text or a heading: of one region, or all.
    pub(crate) fn sections(&self, region: Option<Region>) -> impl Iterator<Item = Section<'_>> {
        let is_wanted = move |part: &Part| region.is_none_or(|region| part.region == region);
        let parts = self.sections.iter().enumerate();
        parts
            .filter(move |(_, part)| is_wanted(part))
            .filter_map(|(at, part)| {
                let range = self.section_range(at);
                let text_start = part.text_start.min(range.end);
                let mark = part.anchor.and_then(|MarkId(mark)| self.marks.get(mark));
                (!range.is_empty()).then(|| Section {
                    heading: self.lossy(range.start..text_start),
                    anchor: mark.map(|mark| self.name(mark)),
                    pdf_page: None,
                    text: self.lossy(text_start..range.end),
                    marks: self.marks_in(text_start..range.end),
                })
            })
    }

    /// The marks of blocks, where the text is so long that it will be cut.
    fn marks_in(&self, range: Range<usize>) -> Vec<(usize, &str)> {
        if range.len() <= MAX_PASSAGE_BYTES {
            return Vec::new();
        }
        let first = self.marks.partition_point(|mark| mark.at < range.start);
        let marks = self
            .marks
            .iter()
            .skip(first)
            .take_while(|mark| mark.at < range.end);
        let of_blocks = marks.filter(|mark| mark.kind == MarkKind::Block);
        of_blocks
            .map(|mark| (mark.at - range.start, self.name(mark)))
            .collect()
    }

    fn section_range(&self, at: usize) -> Range<usize> {
        let start = self.sections.get(at).map_or(0, |section| section.start);
        let end = self
            .sections
            .get(at + 1)
            .map_or(self.bytes.len(), |next| next.start);
        start..end.max(start)
    }

    fn lossy(&self, range: Range<usize>) -> Cow<'_, str> {
        let bytes = self.bytes.get(range).unwrap_or_default();
        // Malformed only where an overlong heading was ended inside a letter; and checking is faster than repairing.
        std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
    }
}

/// Bytes that folding need not look at: neither white space nor control characters, nor the first byte of a no-break
/// space (U+00A0), a soft hyphen (U+00AD) or a zero-width space (U+200B).
const ORDINARY: [bool; 256] = {
    let mut ordinary = [true; 256];
    let mut byte = 0;
    while byte <= 0x20 {
        ordinary[byte] = false;
        byte += 1;
    }
    ordinary[0x7F] = false;
    ordinary[0xC2] = false;
    ordinary[0xE2] = false;
    ordinary
};

/// How many bytes at the front can be taken as they are: words with single spaces between them.
fn ordinary_run(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if !ORDINARY[usize::from(byte)] && !is_single_space(text, at) {
            break;
        }
        at += 1;
    }
    at
}

fn is_single_space(text: &[u8], at: usize) -> bool {
    let is_between = at > 0 && text.get(at + 1).is_some_and(|next| ORDINARY[usize::from(*next)]);
    text.get(at) == Some(&b' ') && is_between
}
