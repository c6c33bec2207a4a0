use std::path::Path;

use model::Checksum;

use crate::SearchError;
use crate::answer::{Answer, Request};
use crate::query::Query;
use crate::ranking::best;
use crate::searcher::{Searcher, Stop};

/// Answers from one pack file, on the calling thread and without a time limit. The file is verified first, because it
/// may come from anywhere; [`Request::hosts`] is not looked at.
///
/// # Errors
///
/// When the file is no pack, or one that cannot be read.
pub fn search_file(path: &Path, request: &Request) -> Result<Answer, SearchError> {
    let meta = pack::check(path)?;
    let (query, stop) = (Query::parse(&request.query), Stop::default());
    let mut searcher = Searcher::first(path)?;
    let found = searcher.find(&query, &stop)?;
    let statistics = found.statistics(searcher.layout());
    let matches = searcher.matches(&query, &found, &statistics, &stop)?;
    let (total, (skip, count)) = (matches.len() as u64, request.window());
    let highlighter = searcher.highlighter(&query);
    let shown = best(matches, skip + count).into_iter().skip(skip);
    let results = shown
        .map(|found| searcher.hit(&found, &highlighter, &meta.host))
        .collect::<Result<_, _>>()?;
    let content = format!("{} {:?}", meta.host, meta.sources);
    Ok(Answer {
        total,
        results,
        packs: 1,
        packs_checksum: Checksum::of(content.as_bytes()),
        query_cut: query.cut,
    })
}
