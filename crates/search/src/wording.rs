//! From what somebody typed to the terms that the index holds.

use pack::Tokenizer;
use pack::terms::{self, Stems};

use crate::query::Clause;

/// The column of the index that holds stems and CJK pairs.
pub(crate) const TERMS_COLUMN: usize = 3;

/// Alternatives that one clause becomes, at most.
const MAX_ALTERNATIVES: usize = 16;

/// Words that are all in one passage; one of the ways to match a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alternative {
    pub(crate) parts: Vec<Sequence>,
}

/// Terms side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// At least one.
    pub(crate) terms: Vec<String>,
    /// The last term need only begin so.
    pub(crate) prefix: bool,
    /// The column that they are in, by number; any one where none is said.
    pub(crate) column: Option<usize>,
}

impl Sequence {
    fn of(terms: Vec<String>) -> Self {
        Self {
            terms,
            prefix: false,
            column: None,
        }
    }

    fn in_terms(terms: Vec<String>) -> Self {
        Self {
            terms,
            prefix: false,
            column: Some(TERMS_COLUMN),
        }
    }
}

impl Alternative {
    /// One index term.
    pub(crate) fn word(term: String) -> Self {
        Sequence::of(vec![term]).into()
    }
}

impl From<Sequence> for Alternative {
    fn from(sequence: Sequence) -> Self {
        Self {
            parts: vec![sequence],
        }
    }
}

/// Knows the words of a pack's languages.
pub(crate) struct Wording {
    tokenizer: Tokenizer,
    stems: Stems,
    languages: Vec<String>,
}

impl Wording {
    /// For pages in `languages` (primary subtags).
    pub(crate) fn new(languages: Vec<String>) -> Result<Self, pack::PackError> {
        Ok(Self {
            tokenizer: Tokenizer::new()?,
            stems: Stems::new()?,
            languages,
        })
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The folded stems of `word` as a page in `language` has them.
    pub(crate) fn stems(&mut self, language: &str, word: &str) -> Vec<String> {
        self.stems.of(language, word)
    }

    /// The terms of `text`, folded and stemmed.
    pub(crate) fn terms(&self, text: &str) -> Vec<String> {
        self.tokenizer
            .tokens(text)
            .into_iter()
            .map(|token| token.term)
            .collect()
    }

    /// The ways to match `clause`; none where the index sees no word in it.
    pub(crate) fn alternatives(&mut self, clause: &Clause) -> Vec<Alternative> {
        let text = clause.text();
        let words = self.terms(text);
        if words.is_empty() {
            return Vec::new();
        }
        let single = words.len() == 1;
        let mut alternatives: Vec<Alternative> = vec![Sequence::of(words).into()];
        if text.chars().any(terms::is_cjk) {
            alternatives.push(self.cjk(text));
        }
        match clause {
            Clause::Word(word) if single => self.add_stems(word, &mut alternatives),
            Clause::Prefix(begin) => alternatives.extend(self.prefix(begin)),
            Clause::Word(_) | Clause::Phrase(_) => {}
        }
        alternatives.truncate(MAX_ALTERNATIVES);
        alternatives
    }

    /// The stems of `word` in every language of the pack.
    fn add_stems(&mut self, word: &str, alternatives: &mut Vec<Alternative>) {
        for at in 0..self.languages.len() {
            for stem in self.stems.of(&self.languages[at], word) {
                let alternative = Sequence::in_terms(self.terms(&stem)).into();
                if !alternatives.contains(&alternative) {
                    alternatives.push(alternative);
                }
            }
        }
    }

    /// Words that begin with the last word of `begin`, as it is written: a stem is no beginning.
    fn prefix(&self, begin: &str) -> Option<Alternative> {
        let mut tokens = self.tokenizer.tokens(begin);
        let last = tokens.pop()?;
        let mut words: Vec<String> = tokens.into_iter().map(|token| token.term).collect();
        words.push(last.word);
        Some(
            Sequence {
                prefix: true,
                ..Sequence::of(words)
            }
            .into(),
        )
    }

    /// Runs of CJK characters as pairs side by side, what is between them as words.
    fn cjk(&self, text: &str) -> Alternative {
        let mut parts = Vec::new();
        for run in runs(text) {
            let pairs = terms::bigrams(run);
            let is_cjk = run.chars().next().is_some_and(terms::is_cjk);
            let sequence = if !is_cjk {
                Sequence::of(self.terms(run))
            } else if pairs.is_empty() {
                Sequence {
                    prefix: true,
                    ..Sequence::in_terms(self.terms(run))
                }
            } else {
                Sequence::in_terms(self.terms(&pairs.join(" ")))
            };
            if !sequence.terms.is_empty() {
                parts.push(sequence);
            }
        }
        Alternative { parts }
    }
}

/// `text` cut where CJK begins or ends.
pub(crate) fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_cjk = terms::is_cjk(rest.chars().next()?);
        let end = rest
            .find(|character| terms::is_cjk(character) != is_cjk)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}
