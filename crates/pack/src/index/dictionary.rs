use rustc_hash::FxHashMap;

use crate::index::runs::Runs;
use crate::index::words::Words;
use crate::terms::is_cjk;
use crate::tokenizer::Tokenizer;

/// Distinct runs, or terms, after which everything is forgotten, to bound memory.
const MAX_RUNS: usize = 1 << 20;

/// A longer token is cut, as FTS5 does.
const MAX_TOKEN_BYTES: usize = 32768;

/// The byte that begins every term of an index without prefix indexes.
const MAIN_PREFIX: u8 = b'0';

/// The number of a token that is no word worth suggesting.
const NO_WORD: u32 = u32::MAX;

/// Places for runs seen lately: as many as fit into the nearest cache but one.
const RECENT: usize = 1 << 13;

/// A run of at most 16 bytes, padded with zeros, which no run contains.
type ShortRun = (u64, u64);

/// One token of a run, by number.
#[derive(Clone, Copy)]
pub(crate) struct Numbered {
    pub(crate) term: u32,
    word: u32,
}

/// Numbers terms, and knows the terms of every run of text that it has seen.
///
/// A run is what stands between two ASCII characters that are neither letter nor digit. Those separate tokens whatever
/// is around them, so the tokens of a run do not depend on its surroundings, and the tokenizer needs to be asked only once.
pub(crate) struct Dictionary {
    tokenizer: Tokenizer,
    /// Tokens of runs seen lately, each in the one place that its bytes choose: most are found here.
    recent: Box<[(ShortRun, Tokens)]>,
    short: FxHashMap<ShortRun, Tokens>,
    long: FxHashMap<Box<str>, Tokens>,
    /// Tokens of the runs that have several.
    several: Vec<Numbered>,
    term_numbers: FxHashMap<Box<[u8]>, u32>,
    terms: Vec<Term>,
    word_numbers: FxHashMap<Box<str>, u32>,
    counts: WordCounts,
}

/// In how many rows each word stands, by its number.
#[derive(Default)]
pub(crate) struct WordCounts {
    words: Vec<Word>,
    row: u32,
}

/// The tokens of a run: none, one, or some of `several`.
#[derive(Clone, Copy)]
enum Tokens {
    One(Numbered),
    Several { start: u32, count: u32 },
}

/// A term and the first bytes of it, in an order that sorts as the bytes do.
pub(crate) struct Term {
    pub(crate) head: u64,
    pub(crate) bytes: Box<[u8]>,
}

#[derive(Clone, Copy)]
struct Word {
    last_row: u32,
    passages: u32,
}

impl Dictionary {
    pub(crate) fn new(tokenizer: Tokenizer) -> Self {
        Self {
            tokenizer,
            recent: no_recent(),
            short: FxHashMap::default(),
            long: FxHashMap::default(),
            several: Vec::new(),
            term_numbers: FxHashMap::default(),
            terms: Vec::new(),
            word_numbers: FxHashMap::default(),
            counts: WordCounts::default(),
        }
    }

    /// The terms by number.
    pub(crate) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The words of the tokens seen.
    pub(crate) fn counts(&mut self) -> &mut WordCounts {
        &mut self.counts
    }

    /// Calls `on_token` for the tokens of `text`, in order, which may count them.
    pub(crate) fn tokens(&mut self, text: &str, mut on_token: impl FnMut(Numbered, &mut WordCounts)) {
        for (start, end) in Runs::of(text) {
            match self.tokens_of_run(text, start, end) {
                Tokens::One(token) => on_token(token, &mut self.counts),
                Tokens::Several { start, count } => {
                    for token in &self.several[start as usize..][..count as usize] {
                        on_token(*token, &mut self.counts);
                    }
                }
            }
        }
    }

    #[inline]
    fn tokens_of_run(&mut self, text: &str, start: usize, end: usize) -> Tokens {
        if end - start > 16 {
            return self.tokens_of_long_run(&text[start..end]);
        }
        let key = short_key(text.as_bytes(), start, end);
        let recent = &self.recent[place(key)];
        if recent.0 == key {
            return recent.1;
        }
        self.tokens_of_short_run(key, &text[start..end])
    }

    fn tokens_of_short_run(&mut self, key: ShortRun, run: &str) -> Tokens {
        let tokens = match self.short.get(&key) {
            Some(tokens) => *tokens,
            None => {
                let tokens = self.ask(run);
                self.short.insert(key, tokens);
                tokens
            }
        };
        self.recent[place(key)] = (key, tokens);
        tokens
    }

    fn tokens_of_long_run(&mut self, run: &str) -> Tokens {
        if let Some(tokens) = self.long.get(run) {
            return *tokens;
        }
        let tokens = self.ask(run);
        self.long.insert(run.into(), tokens);
        tokens
    }

    #[cold]
    fn ask(&mut self, run: &str) -> Tokens {
        let start = self.several.len();
        for token in self.tokenizer.tokens(run) {
            let term = self.number_of_term(token.term.as_bytes());
            let word = self.number_of_word(&token.word);
            self.several.push(Numbered { term, word });
        }
        if let [.., only] = self.several[..]
            && self.several.len() == start + 1
        {
            self.several.pop();
            return Tokens::One(only);
        }
        Tokens::Several {
            start: start as u32,
            count: (self.several.len() - start) as u32,
        }
    }

    fn number_of_term(&mut self, term: &[u8]) -> u32 {
        let term = &term[..term.len().min(MAX_TOKEN_BYTES)];
        if let Some(number) = self.term_numbers.get(term) {
            return *number;
        }
        let number = self.terms.len() as u32;
        let bytes = [&[MAIN_PREFIX], term].concat().into_boxed_slice();
        self.terms.push(Term {
            head: head(term),
            bytes,
        });
        self.term_numbers.insert(term.into(), number);
        number
    }

    fn number_of_word(&mut self, word: &str) -> u32 {
        if !is_worth_suggesting(word) {
            return NO_WORD;
        }
        if let Some(number) = self.word_numbers.get(word) {
            return *number;
        }
        let number = self.counts.words.len() as u32;
        self.counts.words.push(Word {
            last_row: 0,
            passages: 0,
        });
        self.word_numbers.insert(word.into(), number);
        number
    }

    /// Forgets everything when there is much of it; to be called between blocks.
    pub(crate) fn trim(&mut self, words: &mut Words) {
        if (self.short.len() + self.long.len()).max(self.terms.len()) > MAX_RUNS {
            self.clear(words);
        }
    }

    /// Hands the counts to `words`, and forgets everything.
    pub(crate) fn clear(&mut self, words: &mut Words) {
        for (word, number) in self.word_numbers.drain() {
            words.add(word, u64::from(self.counts.words[number as usize].passages));
        }
        self.counts = WordCounts::default();
        self.recent = no_recent();
        self.short.clear();
        self.long.clear();
        self.several.clear();
        self.term_numbers.clear();
        self.terms.clear();
    }
}

impl WordCounts {
    /// Tells that the next tokens belong to another row.
    pub(crate) fn begin_row(&mut self) {
        self.row += 1;
    }

    /// Counts the word of `token` once for the row.
    pub(crate) fn count(&mut self, token: Numbered) {
        if let Some(word) = self.words.get_mut(token.word as usize)
            && word.last_row != self.row
        {
            word.last_row = self.row;
            word.passages += 1;
        }
    }
}

/// Words of 2 to 32 letters of an alphabet; nobody mistypes the others in a way that can be guessed.
fn is_worth_suggesting(word: &str) -> bool {
    let mut length = 0;
    word.chars().all(|character| {
        length += 1;
        character.is_alphabetic() && !is_cjk(character)
    }) && (2..=32).contains(&length)
}

/// The first eight bytes as a number.
fn head(term: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = term.len().min(8);
    bytes[..length].copy_from_slice(&term[..length]);
    u64::from_be_bytes(bytes)
}

/// The run of at most 16 bytes from `start` to `end`.
#[inline]
fn short_key(bytes: &[u8], start: usize, end: usize) -> ShortRun {
    let length = end - start;
    let mut padded = [0; 16];
    if let Some(wide) = bytes.get(start..start + 16) {
        padded.copy_from_slice(wide);
    } else {
        padded[..length].copy_from_slice(&bytes[start..end]);
    }
    let beyond = 8 * (16 - length as u32);
    let run = u128::from_le_bytes(padded) << beyond >> beyond;
    (run as u64, (run >> 64) as u64)
}

/// The place of a run among the recent ones.
fn place((low, high): ShortRun) -> usize {
    // The fractional part of the golden ratio spreads similar words.
    let mixed = (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - RECENT.ilog2())) as usize
}

fn no_recent() -> Box<[(ShortRun, Tokens)]> {
    vec![((0, 0), Tokens::Several { start: 0, count: 0 }); RECENT].into_boxed_slice()
}
