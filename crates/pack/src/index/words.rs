use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::PackError;

/// Rows of the table `words` at most.
const MAX_WORDS: usize = 50_000;

/// How many passages have each word.
#[derive(Default)]
pub(crate) struct Words {
    passages: FxHashMap<Box<str>, u64>,
}

impl Words {
    pub(crate) fn add(&mut self, word: Box<str>, passages: u64) {
        *self.passages.entry(word).or_default() += passages;
        if self.passages.len() > 10 * MAX_WORDS {
            self.passages.retain(|_, passages| *passages > 1);
        }
        // Still too many: the rest are rare, too.
        if self.passages.len() > 10 * MAX_WORDS {
            let kept = std::mem::take(self).commonest();
            self.passages = kept.into_iter().collect();
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (word, passages) in other.passages {
            self.add(word, passages);
        }
    }

    /// Writes the table `words`.
    pub(crate) fn write(self, connection: &Connection) -> Result<(), PackError> {
        let mut words = self.commonest();
        words.sort_unstable();
        let mut insert = connection.prepare("INSERT INTO words(word, passages) VALUES(?1, ?2)")?;
        for (word, passages) in words {
            insert.execute((&*word, passages.cast_signed()))?;
        }
        Ok(())
    }

    /// The commonest ones, by number of passages, then by spelling.
    fn commonest(self) -> Vec<(Box<str>, u64)> {
        let mut words: Vec<_> = self.passages.into_iter().collect();
        if words.len() > MAX_WORDS {
            words.select_nth_unstable_by(MAX_WORDS, |a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            words.truncate(MAX_WORDS);
        }
        words
    }
}
