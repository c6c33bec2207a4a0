use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::SearchError;
use crate::index::{Index, Terms, positions};
use crate::layout::Layout;
use crate::wording::{Alternative, Sequence};

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
            [term] => self.counts(&sequence.sought(0, term), sequence.column)?,
            _ => counted(&self.places(sequence)?),
        };
        let posting = |(passage, weight): (u32, f32)| Posting {
            passage,
            impact: self.layout.impact(passage, weight),
        };
        Ok(counts.into_iter().map(posting).collect())
    }

    /// Per passage, the weighted number of times that the terms occur.
    fn counts(&self, terms: &Terms<'_>, column: Option<usize>) -> Result<Vec<(u32, f32)>, SearchError> {
        let weight = |encoded: &[u8]| -> f32 {
            places_in(encoded, column)
                .map(|(column, _)| weight_of(column))
                .sum()
        };
        let mut counts: Vec<(u32, f32)> = Vec::new();
        if self.comes_in_order(terms) {
            self.rows(terms, &mut |passage, encoded| {
                counts.push((passage, weight(encoded)));
            })?;
        } else {
            let mut all = vec![0.0; self.layout.passages()];
            self.rows(terms, &mut |passage, encoded| {
                if let Some(sum) = all.get_mut(passage as usize) {
                    *sum += weight(encoded);
                }
            })?;
            counts.extend((0..).zip(all));
        }
        counts.retain(|(_, weight)| *weight > 0.0);
        Ok(counts)
    }

    /// Whether rows come by number and once.
    fn comes_in_order(&self, terms: &Terms<'_>) -> bool {
        matches!(terms, Terms::Is(_)) && !self.index.is_split()
    }

    /// Where the sequence begins, by passage.
    fn places(&self, sequence: &Sequence) -> Result<Places, SearchError> {
        let mut found: Option<Places> = None;
        for (at, term) in sequence.terms.iter().enumerate() {
            let mut places = self.places_of(&sequence.sought(at, term), sequence.column)?;
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

    fn places_of(&self, terms: &Terms<'_>, column: Option<usize>) -> Result<Places, SearchError> {
        let mut places = Places::default();
        self.rows(terms, &mut |passage, encoded| {
            places.0.extend(
                places_in(encoded, column).filter_map(|(column, word)| Place::new(passage, column, word)),
            );
        })?;
        if !self.comes_in_order(terms) {
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
            column: Some(TITLE_COLUMN),
        };
        let mut titles = FxHashMap::default();
        for place in self.places(&sequence)?.0 {
            *titles.entry(self.layout.page_of(place.passage())).or_default() |= place.word() == 0;
        }
        Ok(titles)
    }
}

/// The places of a row in one column, or in all.
fn places_in(encoded: &[u8], column: Option<usize>) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = column.map_or((0, usize::MAX), |column| (column, column));
    positions(encoded)
        .skip_while(move |place| place.0 < first)
        .take_while(move |place| place.0 <= last)
}

fn weight_of(column: usize) -> f32 {
    WEIGHTS.get(column).copied().unwrap_or(0.0)
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

/// Passage (32 bits), column (8) and number of the word in it (24) in one number, for a phrase of common words has millions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

impl Place {
    /// None for what no pack has: a passage is some kilobytes long.
    fn new(passage: u32, column: usize, word: u64) -> Option<Self> {
        let column = u8::try_from(column).ok()?;
        (word < 1 << 24).then_some(Self(u64::from(passage) << 32 | u64::from(column) << 24 | word))
    }

    fn passage(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn column(self) -> usize {
        (self.0 >> 24) as usize & 0xff
    }

    fn word(self) -> u64 {
        self.0 & 0xff_ffff
    }

    /// The place `words` words before, in the same column.
    fn before(self, words: u64) -> Option<Self> {
        (self.word() >= words).then(|| Self(self.0 - words))
    }
}

/// In order.
#[derive(Default)]
struct Places(Vec<Place>);

impl Places {
    /// Moves every place `by` words to the front; what would begin before the text goes.
    fn shift(&mut self, by: u64) {
        self.0 = self.0.iter().filter_map(|place| place.before(by)).collect();
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
    let runs = places.0.chunk_by(|a, b| a.passage() == b.passage());
    runs.filter_map(|run| {
        Some((
            run.first()?.passage(),
            run.iter().map(|place| weight_of(place.column())).sum(),
        ))
    })
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
