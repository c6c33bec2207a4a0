use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Host, Timestamp};
use pack::Pack;
use rusqlite::OptionalExtension;

use crate::SearchError;
use crate::answer::Hit;
use crate::filter::{self, Facts};
use crate::index::Index;
use crate::layout::Layout;
use crate::postings::{Lookup, Postings, union};
use crate::query::{Clause, Query};
use crate::ranking::{Found, Match, Statistics};
use crate::snippet::{Highlighter, beginning};
use crate::wording::{Alternative, Wording};

/// Languages of a pack whose word forms a query takes in, the most frequent first.
const MAX_LANGUAGES: usize = 8;

/// Stems that a prefix stands for beside the terms that begin with it.
const MAX_COMPLETIONS: usize = 64;

/// Tells a search to stop.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), SearchError> {
        if self.0.load(Ordering::Relaxed) {
            Err(SearchError::Stopped)
        } else {
            Ok(())
        }
    }
}

/// One connection to a pack; for one thread at a time.
pub(crate) struct Searcher {
    pack: Pack,
    index: Index,
    layout: Arc<Layout>,
    wording: Wording,
}

impl Searcher {
    /// Opens the pack and reads what is shared between its searchers.
    pub(crate) fn first(path: &Path) -> Result<Self, SearchError> {
        let pack = Pack::open(path)?;
        let wording = wording(&pack)?;
        let count_words = |text: &str| wording.tokenizer().tokens(text).len();
        let layout = Arc::new(Layout::read(&pack, &count_words)?);
        Ok(Self {
            index: Index::open(pack.connection())?,
            pack,
            layout,
            wording,
        })
    }

    /// Another searcher of the same pack.
    pub(crate) fn another(path: &Path, layout: Arc<Layout>) -> Result<Self, SearchError> {
        let pack = Pack::open(path)?;
        Ok(Self {
            index: Index::open(pack.connection())?,
            wording: wording(&pack)?,
            pack,
            layout,
        })
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Looks up everything that the query wants. Groups in which the index sees no word are left out.
    pub(crate) fn find(&mut self, query: &Query, stop: &Stop) -> Result<Found, SearchError> {
        let mut found = Found::default();
        for group in &query.groups {
            if let Some(postings) = self.group(group, stop)? {
                found.groups.push(postings);
            }
        }
        let title = self.title_words(query);
        found.title_words = title.len();
        if !title.is_empty() {
            found.titles = self.lookup(&|| stop.check()).titles(title)?;
        }
        Ok(found)
    }

    /// How often each group of the query matches.
    pub(crate) fn statistics(&mut self, query: &Query, stop: &Stop) -> Result<Statistics, SearchError> {
        Ok(self.find(query, stop)?.statistics(&self.layout))
    }

    /// The pages that match, in order of the pages.
    pub(crate) fn matches(
        &mut self,
        query: &Query,
        found: &Found,
        statistics: &Statistics,
        stop: &Stop,
    ) -> Result<Vec<Match>, SearchError> {
        let mut matches = match found.groups.is_empty() {
            true if query.groups.is_empty() && !query.is_empty() => self.all_pages(),
            true => Vec::new(),
            false => found.matches(&self.layout, statistics),
        };
        self.exclude(query, &mut matches, stop)?;
        self.filter(query, &mut matches, stop)?;
        Ok(matches)
    }

    fn group(&mut self, clauses: &[Clause], stop: &Stop) -> Result<Option<Postings>, SearchError> {
        let mut found: Option<Postings> = None;
        for clause in clauses {
            let mut alternatives = self.wording.alternatives(clause);
            if let Clause::Prefix(begin) = clause {
                alternatives.extend(self.completions(begin)?);
            }
            if alternatives.is_empty() {
                continue;
            }
            let more = self.lookup(&|| stop.check()).any(&alternatives)?;
            found = Some(found.map_or_else(|| more.clone(), |found| union(&found, &more)));
        }
        Ok(found)
    }

    /// The words that begin with `begin` and whose stems do not: the stem of `running` does not begin with `runni`.
    fn completions(&self, begin: &str) -> Result<Vec<Alternative>, SearchError> {
        let tokens = self.wording.tokenizer().tokens(begin);
        let [token] = tokens.as_slice() else {
            return Ok(Vec::new());
        };
        let sql = "SELECT word FROM words WHERE word >= ?1 AND word < ?1 || char(0x10ffff)";
        let mut statement = self.pack.connection().prepare_cached(sql)?;
        let words = statement.query_map([&token.word], |row| row.get::<_, String>(0))?;
        let mut stems = BTreeSet::new();
        for word in words {
            let terms = self.wording.terms(&word?);
            stems.extend(terms.into_iter().filter(|term| !term.starts_with(&token.word)));
            if stems.len() >= MAX_COMPLETIONS {
                break;
            }
        }
        Ok(stems.into_iter().map(Alternative::word).collect())
    }

    fn lookup<'a>(&'a self, go_on: &'a dyn Fn() -> Result<(), SearchError>) -> Lookup<'a> {
        Lookup {
            index: &self.index,
            layout: &self.layout,
            connection: self.pack.connection(),
            go_on,
        }
    }

    /// The words of a query that may be a title: nothing but words and phrases.
    fn title_words(&self, query: &Query) -> Vec<String> {
        let plain = |group: &Vec<Clause>| matches!(group.as_slice(), [Clause::Word(_) | Clause::Phrase(_)]);
        if !query.groups.iter().all(plain) {
            return Vec::new();
        }
        query
            .wanted()
            .flat_map(|clause| self.wording.terms(clause.text()))
            .collect()
    }

    /// For a query of filters only.
    fn all_pages(&self) -> Vec<Match> {
        let rank = crate::ranking::Rank {
            named_so: false,
            together: true,
            score: 0.0,
        };
        let pages = 0..u32::try_from(self.layout.pages()).unwrap_or(u32::MAX);
        pages
            .map(|page| Match {
                page,
                passage: self.layout.passages_of(page).start,
                rank,
            })
            .collect()
    }

    fn exclude(&mut self, query: &Query, matches: &mut Vec<Match>, stop: &Stop) -> Result<(), SearchError> {
        for clause in &query.excluded {
            let Some(excluded) = self.group(std::slice::from_ref(clause), stop)? else {
                continue;
            };
            let mut pages = excluded
                .iter()
                .map(|posting| self.layout.page_of(posting.passage))
                .peekable();
            matches.retain(|found| {
                while pages.next_if(|page| *page < found.page).is_some() {}
                pages.peek() != Some(&found.page)
            });
        }
        Ok(())
    }

    fn filter(&self, query: &Query, matches: &mut Vec<Match>, stop: &Stop) -> Result<(), SearchError> {
        if query.filters.is_empty() && query.excluded_filters.is_empty() {
            return Ok(());
        }
        let mut passing = Vec::with_capacity(matches.len());
        for found in matches.drain(..) {
            stop.check()?;
            if self
                .facts(found.page)?
                .is_some_and(|facts| filter::passes(query, &facts))
            {
                passing.push(found);
            }
        }
        *matches = passing;
        Ok(())
    }

    fn facts(&self, page: u32) -> Result<Option<Facts>, SearchError> {
        let sql = "SELECT url, content_type, language, coalesce(modified_at, published_at, fetched_at)
                   FROM pages WHERE id = ?1";
        let mut statement = self.pack.connection().prepare_cached(sql)?;
        let id = pack::page_of(self.layout.passage_id(self.layout.passages_of(page).start));
        let facts = statement.query_row([id], |row| {
            Ok(Facts {
                url: row.get(0)?,
                content_type: row.get(1)?,
                language: row.get(2)?,
                date: time(row.get(3)?),
            })
        });
        Ok(facts.optional()?)
    }

    /// What is shown of a match.
    pub(crate) fn hit(
        &mut self,
        found: &Match,
        highlighter: &Highlighter,
        host: &Host,
    ) -> Result<Hit, SearchError> {
        let row = self.row(self.layout.passage_id(found.passage))?;
        let language = row.language.as_deref();
        let wording = &mut self.wording;
        let snippet = highlighter
            .snippet(&row.text, language, wording)
            .unwrap_or_else(|| {
                beginning(if row.description.is_empty() {
                    &row.text
                } else {
                    &row.description
                })
            });
        let title = if row.title.is_empty() {
            &row.url
        } else {
            &row.title
        };
        Ok(Hit {
            section_url: section_url(&row.url, row.pdf_page, row.anchor.as_deref()),
            host: host.clone(),
            title: highlighter.whole(title, language, wording),
            heading: highlighter.whole(&row.heading, language, wording),
            snippet,
            pdf_page: row.pdf_page,
            date: row.date,
            score: found.rank.score,
            url: row.url,
            language: row.language,
            content_type: row.content_type,
        })
    }

    fn row(&self, passage: i64) -> Result<Row, SearchError> {
        let sql =
            "SELECT url, title, description, language, content_type, coalesce(modified_at, published_at),
                     heading, anchor, pdf_page, text
                   FROM passages JOIN pages ON pages.id = page_id WHERE passages.id = ?1";
        let mut statement = self.pack.connection().prepare_cached(sql)?;
        let row = statement.query_row([passage], |row| {
            Ok(Row {
                url: row.get(0)?,
                title: row.get(1)?,
                description: row.get(2)?,
                language: row.get(3)?,
                content_type: row.get(4)?,
                date: row.get::<_, Option<i64>>(5)?.map(time),
                heading: row.get(6)?,
                anchor: row.get(7)?,
                pdf_page: row.get(8)?,
                text: row.get(9)?,
            })
        });
        Ok(row?)
    }

    pub(crate) fn highlighter(&mut self, query: &Query) -> Highlighter {
        Highlighter::new(query, &mut self.wording)
    }
}

struct Row {
    url: String,
    title: String,
    description: String,
    language: Option<String>,
    content_type: String,
    date: Option<Timestamp>,
    heading: String,
    anchor: Option<String>,
    pdf_page: Option<u32>,
    text: String,
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn wording(pack: &Pack) -> Result<Wording, SearchError> {
    let mut languages: Vec<(&String, &u64)> = pack
        .meta()
        .languages
        .iter()
        .filter(|(language, _)| pack::terms::has_stems(language))
        .collect();
    languages.sort_by_key(|(_, pages)| std::cmp::Reverse(**pages));
    let codes = languages
        .into_iter()
        .take(MAX_LANGUAGES)
        .map(|(language, _)| language.clone());
    Ok(Wording::new(codes.collect())?)
}

/// Open parameters of PDF viewers (RFC 8118) name a page; elsewhere the anchor names the section.
fn section_url(url: &str, pdf_page: Option<u32>, anchor: Option<&str>) -> String {
    match (pdf_page, anchor) {
        (Some(page), _) => format!("{url}#page={page}"),
        (None, Some(anchor)) if !anchor.is_empty() => format!("{url}#{anchor}"),
        _ => url.to_owned(),
    }
}
