use std::collections::HashSet;

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::{PackError, Tokenizer};

/// Runs that one language's cache remembers; more are forgotten together.
const MAX_CACHED: usize = 200_000;

/// Stems words of languages other than English, and remembers them.
pub struct Stems {
    tokenizer: Tokenizer,
    languages: Vec<Language>,
}

struct Language {
    code: &'static str,
    stemmer: Stemmer,
    /// By run of letters and digits: the extra terms of its words.
    cache: FxHashMap<Box<str>, Vec<Box<str>>>,
}

/// Whether words of `language` (a primary language subtag, such as `es`) have stems of their own in the column `terms`.
pub fn has_stems(language: &str) -> bool {
    algorithm(language).is_some()
}

impl Stems {
    /// Stems for every language.
    ///
    /// # Errors
    ///
    /// When SQLite was built without FTS5.
    pub fn new() -> Result<Self, PackError> {
        Ok(Self {
            tokenizer: Tokenizer::new()?,
            languages: Vec::new(),
        })
    }

    /// The extra terms that find the inflected forms of `word` in pages in `language`: none where the folded word says it
    /// already, one or (where spelling with and without diacritics leads to two stems) two.
    pub fn of(&mut self, language: &str, word: &str) -> Vec<String> {
        let Some(at) = self.language(language) else {
            return Vec::new();
        };
        self.remember(at, word);
        let cached = self.languages[at].cache.get(word);
        cached.into_iter().flatten().map(ToString::to_string).collect()
    }

    /// Appends to `terms` the extra terms of the words of `fields`, each once.
    pub(crate) fn append<'a>(
        &mut self,
        language: Option<&str>,
        fields: impl Iterator<Item = &'a str> + Clone,
        terms: &mut String,
    ) {
        let Some(at) = language.and_then(|language| self.language(language)) else {
            return;
        };
        let runs = fields.flat_map(runs);
        runs.clone().for_each(|run| self.remember(at, run));
        let cache = &self.languages[at].cache;
        let mut seen: HashSet<&str, FxBuildHasher> = HashSet::default();
        for stem in runs.filter_map(|run| cache.get(run)).flatten() {
            if seen.insert(stem) {
                if !terms.is_empty() {
                    terms.push(' ');
                }
                terms.push_str(stem);
            }
        }
    }

    fn language(&mut self, code: &str) -> Option<usize> {
        if let Some(at) = self.languages.iter().position(|language| language.code == code) {
            return Some(at);
        }
        let (code, algorithm) = algorithm(code)?;
        let stemmer = Stemmer::create(algorithm);
        self.languages.push(Language {
            code,
            stemmer,
            cache: FxHashMap::default(),
        });
        Some(self.languages.len() - 1)
    }

    fn remember(&mut self, at: usize, run: &str) {
        let language = &mut self.languages[at];
        if language.cache.contains_key(run) {
            return;
        }
        let stems = extra_terms(&self.tokenizer, &language.stemmer, run);
        language.cache.insert(run.into(), stems);
    }

    /// Forgets what has grown too large; to be called between passages.
    pub(crate) fn trim(&mut self) {
        for language in &mut self.languages {
            if language.cache.len() > MAX_CACHED {
                language.cache.clear();
            }
        }
    }
}

/// The folded stems of the words of `run` that differ from the folded words. The word is stemmed as it is spelled and as
/// it is folded, because people leave diacritics out when they search.
fn extra_terms(tokenizer: &Tokenizer, stemmer: &Stemmer, run: &str) -> Vec<Box<str>> {
    let mut extra: Vec<Box<str>> = Vec::new();
    for token in tokenizer.tokens(run) {
        let spelled = run.get(token.range.clone()).unwrap_or(&token.word).to_lowercase();
        for form in [spelled.as_str(), &token.word] {
            for stem in tokenizer.tokens(&stemmer.stem(form)) {
                if stem.word != token.word && !extra.iter().any(|known| **known == *stem.word) {
                    extra.push(stem.word.into());
                }
            }
        }
    }
    extra
}

/// The pieces of `text` between ASCII characters that are no letters or digits.
fn runs(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|character: char| character.is_ascii() && !character.is_ascii_alphanumeric())
        .filter(|run| !run.is_empty())
}

fn algorithm(language: &str) -> Option<(&'static str, Algorithm)> {
    let known = [
        ("ar", Algorithm::Arabic),
        ("da", Algorithm::Danish),
        ("de", Algorithm::German),
        ("el", Algorithm::Greek),
        ("es", Algorithm::Spanish),
        ("fi", Algorithm::Finnish),
        ("fr", Algorithm::French),
        ("hu", Algorithm::Hungarian),
        ("it", Algorithm::Italian),
        ("nb", Algorithm::Norwegian),
        ("nl", Algorithm::Dutch),
        ("nn", Algorithm::Norwegian),
        ("no", Algorithm::Norwegian),
        ("pt", Algorithm::Portuguese),
        ("ro", Algorithm::Romanian),
        ("ru", Algorithm::Russian),
        ("sv", Algorithm::Swedish),
        ("ta", Algorithm::Tamil),
        ("tr", Algorithm::Turkish),
    ];
    known.into_iter().find(|(code, _)| *code == language)
}
