use std::ops::Range;

use pack::terms::{self, is_cjk};
use serde::Serialize;

use crate::query::{Clause, Query};
use crate::wording::{self, Wording};

/// How long a snippet is, in bytes, before the marks of omission.
pub const SNIPPET_BYTES: usize = 240;

/// The mark of omitted text.
const OMISSION: &str = "…";

/// A text with the places that match a query.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Highlighted {
    /// The text, without mark-up: escape it before it becomes HTML.
    pub text: String,
    /// Ranges of bytes of `text` on character boundaries, in order, not overlapping.
    pub highlights: Vec<Range<usize>>,
}

impl Highlighted {
    /// The text in pieces, each with whether it is highlighted.
    pub fn pieces(&self) -> impl Iterator<Item = (&str, bool)> {
        let bounds = self.highlights.iter().flat_map(|range| [range.start, range.end]);
        let ends = bounds.chain([self.text.len()]);
        let mut start = 0;
        ends.enumerate().filter_map(move |(at, end)| {
            let piece = self.text.get(start..end)?;
            start = end;
            (!piece.is_empty()).then_some((piece, at % 2 == 1))
        })
    }
}

/// Finds the words of one query in texts, as the index does.
pub(crate) struct Highlighter {
    needles: Vec<Needle>,
    /// The folded first characters of all needles: whether a word is worth a closer look.
    initials: Vec<char>,
}

struct Needle {
    /// Which word of the query.
    word: usize,
    what: What,
}

enum What {
    /// An index term.
    Term(String),
    /// A beginning of folded words.
    Prefix(String),
    /// A run of CJK characters.
    Run(String),
}

/// A place in a text that matches a word of the query.
struct Hit {
    range: Range<usize>,
    /// The words of the query that it matches, by number.
    words: u64,
}

impl Highlighter {
    pub(crate) fn new(query: &Query, wording: &mut Wording) -> Self {
        let mut needles = Vec::new();
        let mut word = 0;
        for clause in query.wanted() {
            add_clause(clause, &mut word, wording, &mut needles);
        }
        let initial = |needle: &Needle| match &needle.what {
            What::Term(text) | What::Prefix(text) => text.chars().next(),
            What::Run(_) => None,
        };
        let initials = needles.iter().filter_map(initial).collect();
        Self { needles, initials }
    }

    /// The whole of `text` with its matches.
    pub(crate) fn whole(&self, text: &str, language: Option<&str>, wording: &mut Wording) -> Highlighted {
        let hits = self.hits(text, language, wording);
        Highlighted {
            text: text.to_owned(),
            highlights: hits.into_iter().map(|hit| hit.range).collect(),
        }
    }

    /// The stretch of `text` of about [`SNIPPET_BYTES`] with the most different words of the query, then the most places, then
    /// the earliest; cut between words. None where nothing matches.
    pub(crate) fn snippet(
        &self,
        text: &str,
        language: Option<&str>,
        wording: &mut Wording,
    ) -> Option<Highlighted> {
        let hits = self.hits(text, language, wording);
        let chosen = hits.get(densest(&hits)?)?;
        let (first, last) = (chosen.first()?, chosen.last()?);
        let cut = around(text, first.range.start..last.range.end);
        Some(excerpt(text, &cut, &hits))
    }

    fn hits(&self, text: &str, language: Option<&str>, wording: &mut Wording) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (range, kind) in words_of(text) {
            let Some(word) = text.get(range.clone()) else {
                continue;
            };
            match kind {
                Kind::Cjk => self.hits_in_run(word, range.start, &mut hits),
                Kind::Word if self.worth_a_look(word) => {
                    self.hits_in_word(word, range.start, language, wording, &mut hits);
                }
                Kind::Word => {}
            }
        }
        hits
    }

    /// Stemming and folding keep the first letter of what is ASCII.
    fn worth_a_look(&self, word: &str) -> bool {
        let Some(first) = word
            .bytes()
            .next()
            .map(|first| char::from(first.to_ascii_lowercase()))
        else {
            return false;
        };
        !word.is_ascii()
            || self
                .initials
                .iter()
                .any(|initial| !initial.is_ascii() || *initial == first)
    }

    fn hits_in_word(
        &self,
        word: &str,
        start: usize,
        language: Option<&str>,
        wording: &mut Wording,
        hits: &mut Vec<Hit>,
    ) {
        let stems = match language.filter(|language| terms::has_stems(language)) {
            Some(language) => wording.stems(language, word),
            None => Vec::new(),
        };
        let mut forms: Vec<String> = stems.iter().flat_map(|stem| wording.terms(stem)).collect();
        for token in wording.tokenizer().tokens(word) {
            forms.push(token.term);
            let matches = |needle: &&Needle| match &needle.what {
                What::Term(term) => forms.contains(term),
                What::Prefix(begin) => token.word.starts_with(begin.as_str()),
                What::Run(_) => false,
            };
            let words = bits(self.needles.iter().filter(matches));
            if words != 0 {
                hits.push(Hit {
                    range: start + token.range.start..start + token.range.end,
                    words,
                });
            }
            forms.pop();
        }
    }

    fn hits_in_run(&self, run: &str, start: usize, hits: &mut Vec<Hit>) {
        let mut at = 0;
        while let Some(rest) = run.get(at..).filter(|rest| !rest.is_empty()) {
            let longest = self.needles.iter().filter_map(|needle| match &needle.what {
                What::Run(sought) if rest.starts_with(sought.as_str()) => Some((sought.len(), needle)),
                _ => None,
            });
            match longest.max_by_key(|(length, _)| *length) {
                Some((length, needle)) => {
                    hits.push(Hit {
                        range: start + at..start + at + length,
                        words: bits([needle].into_iter()),
                    });
                    at += length;
                }
                None => at += rest.chars().next().map_or(1, char::len_utf8),
            }
        }
    }
}

fn add_clause(clause: &Clause, word: &mut usize, wording: &mut Wording, needles: &mut Vec<Needle>) {
    for run in wording::runs(clause.text()) {
        if run.chars().next().is_some_and(is_cjk) {
            needles.push(Needle {
                word: *word,
                what: What::Run(run.to_owned()),
            });
            *word += 1;
            continue;
        }
        let tokens = wording.tokenizer().tokens(run);
        let last = tokens.len().saturating_sub(1);
        for (at, token) in tokens.into_iter().enumerate() {
            if matches!(clause, Clause::Prefix(_)) && at == last {
                needles.push(Needle {
                    word: *word,
                    what: What::Prefix(token.word),
                });
            }
            needles.push(Needle {
                word: *word,
                what: What::Term(token.term),
            });
            *word += 1;
        }
    }
    if matches!(clause, Clause::Word(_)) {
        let stems = wording
            .alternatives(clause)
            .into_iter()
            .skip(1)
            .flat_map(|alternative| alternative.parts);
        let terms = stems
            .filter(|part| part.column.is_some() && !part.prefix)
            .flat_map(|part| part.terms);
        let needle = |term| Needle {
            word: word.saturating_sub(1),
            what: What::Term(term),
        };
        needles.extend(terms.map(needle));
    }
}

fn bits<'a>(needles: impl Iterator<Item = &'a Needle>) -> u64 {
    needles.fold(0, |bits, needle| bits | 1 << needle.word.min(63))
}

enum Kind {
    Word,
    Cjk,
}

/// The runs of letters and digits of `text`; runs of CJK characters apart. Marks that follow a letter belong to it.
fn words_of(text: &str) -> impl Iterator<Item = (Range<usize>, Kind)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_word = |character: char| {
            character.is_alphanumeric() || (!character.is_ascii() && !character.is_whitespace())
        };
        let start = at + text.get(at..)?.find(is_word)?;
        let rest = text.get(start..)?;
        let cjk = is_cjk(rest.chars().next()?);
        let ends = |character: char| !is_word(character) || is_cjk(character) != cjk;
        at = start + rest.find(ends).unwrap_or(rest.len());
        Some((start..at, if cjk { Kind::Cjk } else { Kind::Word }))
    })
}

/// The hits that fit into one snippet and match the most different words; one pass with two ends.
fn densest(hits: &[Hit]) -> Option<Range<usize>> {
    let mut best: Option<(Range<usize>, u32)> = None;
    let mut counts = [0_u32; 64];
    let mut first = 0;
    for (last, hit) in hits.iter().enumerate() {
        count(&mut counts, hit.words, 1);
        while let Some(front) = hits
            .get(first)
            .filter(|front| hit.range.end - front.range.start > SNIPPET_BYTES)
        {
            if first == last {
                break;
            }
            count(&mut counts, front.words, u32::MAX);
            first += 1;
        }
        let different = counts.iter().filter(|count| **count > 0).count() as u32;
        let places = (last - first) as u32;
        let worth = different * 10_000 + places.min(9_999);
        if best.as_ref().is_none_or(|(_, most)| worth > *most) {
            best = Some((first..last + 1, worth));
        }
    }
    best.map(|(range, _)| range)
}

fn count(counts: &mut [u32; 64], words: u64, change: u32) {
    let mut words = words;
    while words != 0 {
        let word = words.trailing_zeros() as usize;
        counts[word] = counts[word].wrapping_add(change);
        words &= words - 1;
    }
}

/// `core` widened on both sides to about [`SNIPPET_BYTES`], to the beginning of a sentence or line where one is near.
fn around(text: &str, core: Range<usize>) -> Range<usize> {
    let room = SNIPPET_BYTES.saturating_sub(core.len());
    let earliest = text.floor_char_boundary(core.start.saturating_sub(room / 3));
    let start = word_start(text, earliest, core.start);
    let latest = text.ceil_char_boundary(start.saturating_add(SNIPPET_BYTES).max(core.end));
    start..word_end(text, core.end, latest)
}

/// The first place from `earliest` up to `latest` where a sentence or, failing that, a word begins.
fn word_start(text: &str, earliest: usize, latest: usize) -> usize {
    if earliest == 0 {
        return 0;
    }
    let window = text.get(earliest..latest).unwrap_or_default();
    let sentence = window
        .rfind(['\n'])
        .or_else(|| window.rfind(". ").map(|at| at + 1));
    let word = window.find(|c: char| c.is_whitespace() || is_cjk(c));
    match sentence.or(word) {
        Some(at) => {
            earliest
                + at
                + window
                    .get(at..)
                    .map_or(0, |rest| rest.len() - rest.trim_start().len())
        }
        None => latest,
    }
}

/// The last place from `earliest` up to `latest` where a word ends.
fn word_end(text: &str, earliest: usize, latest: usize) -> usize {
    if latest >= text.len() {
        return text.len();
    }
    let window = text.get(earliest..latest).unwrap_or_default();
    window
        .rfind(|c: char| c.is_whitespace() || is_cjk(c))
        .map_or(earliest, |at| earliest + at)
}

/// The part `cut` of the text on one line, with marks of omission and the hits inside it.
fn excerpt(text: &str, cut: &Range<usize>, hits: &[Hit]) -> Highlighted {
    let body = text.get(cut.clone()).unwrap_or_default();
    let mut excerpt = String::with_capacity(body.len() + 2 * OMISSION.len());
    if cut.start > 0 {
        excerpt.push_str(OMISSION);
    }
    let shift = excerpt.len();
    excerpt.extend(
        body.chars()
            .map(|c| if c.is_ascii_whitespace() { ' ' } else { c }),
    );
    if cut.end < text.len() {
        excerpt.push_str(OMISSION);
    }
    let inside = hits
        .iter()
        .filter(|hit| hit.range.start >= cut.start && hit.range.end <= cut.end);
    let moved = inside.map(|hit| hit.range.start - cut.start + shift..hit.range.end - cut.start + shift);
    Highlighted {
        text: excerpt,
        highlights: moved.collect(),
    }
}

/// The beginning of `text`, for want of a match.
pub(crate) fn beginning(text: &str) -> Highlighted {
    excerpt(
        text,
        &(0..word_end(text, 0, text.ceil_char_boundary(SNIPPET_BYTES))),
        &[],
    )
}
