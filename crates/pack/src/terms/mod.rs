//! Extra index terms, for what the tokenizer of SQLite misses.
//!
//! - It stems English only. For a page in another language that [`has_stems`], the index holds the stem of every word,
//!   folded, where it differs from the folded word.
//! - It takes a run of CJK characters (Han, Kana, Hangul) as one word. The index holds every pair of neighbours of
//!   such a run, in order, and its last character alone, so that a phrase of pairs finds exactly what contains the run,
//!   and a prefix query of one character finds every passage that has it.
//!
//! ```
//! # fn main() -> Result<(), pack::PackError> {
//! let mut stems = pack::terms::Stems::new()?;
//! assert_eq!(stems.of("es", "canciones"), ["cancion"]);
//! assert_eq!(pack::terms::bigrams("東京都"), ["東京", "京都"]);
//! assert_eq!(pack::terms::index_terms(Some("es"), &["Canciones", "東京都"], &mut stems), "cancion 東京 京都 都");
//! # Ok(())
//! # }
//! ```

mod cjk;
mod stems;

pub use crate::terms::cjk::{bigrams, is_cjk};
pub use crate::terms::stems::{Stems, has_stems};

/// The content of the column `terms` for a passage in `language` (a primary language subtag) made of `fields`. Empty for
/// most English text.
pub fn index_terms(language: Option<&str>, fields: &[&str], stems: &mut Stems) -> String {
    let mut terms = String::new();
    stems.append(language, fields.iter().copied(), &mut terms);
    stems.trim();
    for field in fields {
        cjk::append(field, &mut terms);
    }
    terms
}
