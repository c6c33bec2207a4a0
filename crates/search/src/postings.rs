use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::SearchError;
use crate::index::{Index, Terms, positions};
use crate::layout::Layout;
use crate::wording::{Alternative, Sequence, TERMS_COLUMN};

/// How much a word counts in the title, heading, text and extra terms; as the pack's own `ORDER BY rank` has it.
const WEIGHTS: [f32; 4] = [8.0, 4.0, 1.0, 0.5];

const TITLE_COLUMN: usize = 0;

/// A passage that matches, and how well; idf is not in it, because it may span several packs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Posting {
    pub(crate) passage: u32,
    pub(crate) impact: f32,
}

/// Passages that match, by number, each once.
pub(crate) type Postings = Vec<Posting>;

/// Looks terms up in one pack.
pub(crate) struct Lookup<'a> {
    pub(crate) index: &'a Index,
    pub(crate) layout: &'a Layout,
    pub(crate) connection: &'a Connection,
    /// Asked often whether to go on.
    pub(crate) go_on: &'a dyn Fn() -> Result<(), SearchError>,
}

impl Lookup<'_> {
    /// The passages that match one of the alternatives; the best counts.
    pub(crate) fn any(&self, alternatives: &[Alternative]) -> Result<Postings, SearchError> {
        let mut found = Vec::new();
        for alternative in alternatives {
            let more = self.all(&alternative.parts)?;
            found = if found.is_empty() {
                more
            } else {
                union(&found, &more)
            };
        }
        Ok(found)
    }

    fn all(&self, parts: &[Sequence]) -> Result<Postings, SearchError> {
        let mut parts = parts.iter();
        let Some(first) = parts.next() else {
            return Ok(Vec::new());
        };
        let mut found = self.sequence(first)?;
        for part in parts {
            found = intersection(&found, &self.sequence(part)?);
        }
        Ok(found)
    }

    fn sequence(&self, sequence: &Sequence) -> Result<Postings, SearchError> {
        let counts = match sequence.terms.as_slice() {
            [term] => self.counts(&sequence.sought(0, term), sequence.in_terms)?,
            _ => counted(&self.places(sequence)?),
        };
        let posting = |(passage, weight): (u32, f32)| Posting {
            passage,
            impact: self.layout.impact(passage, weight),
        };
        Ok(counts.into_iter().map(posting).collect())
    }

    /// Per passage, the weighted number of times that the terms occur.
    fn counts(&self, terms: &Terms<'_>, in_terms: bool) -> Result<Vec<(u32, f32)>, SearchError> {
        let mut counts: Vec<(u32, f32)> = Vec::new();
        self.rows(terms, &mut |passage, encoded| {
            let columns = positions(encoded).map(|(column, _)| column);
            let weight: f32 = columns
                .filter(|column| !in_terms || *column == TERMS_COLUMN)
                .map(|column| WEIGHTS.get(column).copied().unwrap_or(0.0))
                .sum();
            if weight > 0.0 {
                counts.push((passage, weight));
            }
        })?;
        if matches!(terms, Terms::BeginWith(_)) || self.index.is_split() {
            counts.sort_unstable_by_key(|(passage, _)| *passage);
            counts.dedup_by(|next, first| {
                let same = next.0 == first.0;
                if same {
                    first.1 += next.1;
                }
                same
            });
        }
        Ok(counts)
    }

    /// Where the sequence begins, by passage.
    fn places(&self, sequence: &Sequence) -> Result<Places, SearchError> {
        let mut found: Option<Places> = None;
        for (at, term) in sequence.terms.iter().enumerate() {
            let mut places = self.places_of(&sequence.sought(at, term), sequence.in_terms)?;
            // Where the sequence would begin if this term is its own.
            places.shift(at as u64);
            let both = match found {
                Some(found) => found.intersection(&places),
                None => places,
            };
            if both.0.is_empty() {
                return Ok(both);
            }
            found = Some(both);
        }
        Ok(found.unwrap_or_default())
    }

    fn places_of(&self, terms: &Terms<'_>, in_terms: bool) -> Result<Places, SearchError> {
        let mut places = Places::default();
        self.rows(terms, &mut |passage, encoded| {
            let inside = positions(encoded).filter(|(column, _)| !in_terms || *column == TERMS_COLUMN);
            places.0.extend(inside.map(|(column, word)| Place {
                passage,
                column: column as u32,
                word,
            }));
        })?;
        if matches!(terms, Terms::BeginWith(_)) || self.index.is_split() {
            places.0.sort_unstable();
        }
        Ok(places)
    }

    fn rows(&self, terms: &Terms<'_>, on_row: &mut dyn FnMut(u32, &[u8])) -> Result<(), SearchError> {
        let (mut last_id, mut from) = (0, 0);
        self.index
            .rows(self.connection, terms, self.go_on, &mut |id, encoded| {
                if id < last_id {
                    from = 0;
                }
                last_id = id;
                if let Some(passage) = self.layout.passage(id, from) {
                    from = passage;
                    on_row(passage, encoded);
                }
            })
    }

    /// Pages whose title has `words` side by side, and whether it begins with them.
    pub(crate) fn titles(&self, words: Vec<String>) -> Result<FxHashMap<u32, bool>, SearchError> {
        let sequence = Sequence {
            terms: words,
            prefix: false,
            in_terms: false,
        };
        let places = self.places(&sequence)?;
        let mut titles = FxHashMap::default();
        for place in places
            .0
            .iter()
            .filter(|place| place.column as usize == TITLE_COLUMN)
        {
            *titles.entry(self.layout.page_of(place.passage)).or_default() |= place.word == 0;
        }
        Ok(titles)
    }
}

impl Sequence {
    fn sought<'a>(&self, at: usize, term: &'a str) -> Terms<'a> {
        if self.prefix && at + 1 == self.terms.len() {
            Terms::BeginWith(term)
        } else {
            Terms::Is(term)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    passage: u32,
    column: u32,
    word: u64,
}

/// In order.
#[derive(Default)]
struct Places(Vec<Place>);

impl Places {
    /// Moves every place `by` words to the front; what would begin before the text goes.
    fn shift(&mut self, by: u64) {
        self.0.retain_mut(|place| {
            let moved = place.word.checked_sub(by);
            place.word = moved.unwrap_or(0);
            moved.is_some()
        });
    }

    fn intersection(&self, other: &Self) -> Self {
        let mut others = other.0.iter().peekable();
        let mut both = |place: &&Place| {
            while others.next_if(|other| other < place).is_some() {}
            others.peek() == Some(place)
        };
        Self(self.0.iter().filter(|place| both(place)).copied().collect())
    }
}

fn counted(places: &Places) -> Vec<(u32, f32)> {
    let weight = |place: &Place| WEIGHTS.get(place.column as usize).copied().unwrap_or(0.0);
    let runs = places.0.chunk_by(|a, b| a.passage == b.passage);
    runs.filter_map(|run| Some((run.first()?.passage, run.iter().map(weight).sum())))
        .collect()
}

/// Passages in either; in both, with the greater impact.
pub(crate) fn union(a: &[Posting], b: &[Posting]) -> Postings {
    let mut all = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(first), Some(second)) = (a.peek(), b.peek()) {
        match first.passage.cmp(&second.passage) {
            std::cmp::Ordering::Less => all.extend(a.next()),
            std::cmp::Ordering::Greater => all.extend(b.next()),
            std::cmp::Ordering::Equal => {
                all.push(Posting {
                    passage: first.passage,
                    impact: first.impact.max(second.impact),
                });
                a.next();
                b.next();
            }
        }
    }
    all.extend(a);
    all.extend(b);
    all
}

/// Passages in both, with the sum of the impacts.
fn intersection(a: &[Posting], b: &[Posting]) -> Postings {
    let mut others = b.iter().peekable();
    let both = |posting: &Posting| {
        while others.next_if(|other| other.passage < posting.passage).is_some() {}
        let other = others.next_if(|other| other.passage == posting.passage)?;
        Some(Posting {
            passage: posting.passage,
            impact: posting.impact + other.impact,
        })
    };
    a.iter().filter_map(both).collect()
}
