use std::sync::Arc;

use model::Checksum;
use rustc_hash::FxHashMap;

use crate::SearchError;
use crate::answer::Answer;
use crate::files::PackFile;
use crate::query::Query;
use crate::ranking::{Match, Statistics, best};
use crate::searcher::Stop;
use crate::shelf::{OpenPack, Shelf};

/// Answers from the packs in `files`, on the calling thread.
///
/// Scores of several packs are comparable because the rarity of words is counted over all of them: every pack is asked
/// first how often it has them, then for its matches. With one pack the first question is saved.
pub(crate) fn answer(
    shelf: &Shelf,
    files: &[Arc<PackFile>],
    query: &Query,
    (skip, count): (usize, usize),
    packs_checksum: Checksum,
    stop: &Stop,
) -> Result<Answer, SearchError> {
    let mut total = 0;
    let mut candidates: Vec<(usize, Match)> = Vec::new();
    let statistics = match files {
        [] | [_] => None,
        _ => Some(statistics(shelf, files, query, stop)?),
    };
    for (at, file) in files.iter().enumerate() {
        let matches = matches(&*shelf.get(file)?, query, statistics.as_ref(), stop)?;
        total += matches.len() as u64;
        candidates.extend(best(matches, skip + count).into_iter().map(|found| (at, found)));
    }
    candidates.sort_by(|(at, a), (other, b)| {
        a.rank
            .order(&b.rank)
            .then(at.cmp(other))
            .then(a.page.cmp(&b.page))
    });
    let shown = candidates.get(skip..).unwrap_or_default().iter().take(count);
    let mut highlighters = FxHashMap::default();
    let mut results = Vec::with_capacity(count.min(candidates.len()));
    for (at, found) in shown {
        stop.check()?;
        let Some(file) = files.get(*at) else { continue };
        let pack = shelf.get(file)?;
        let mut searcher = pack.searcher()?;
        let highlighter = highlighters
            .entry(*at)
            .or_insert_with(|| searcher.highlighter(query));
        results.push(searcher.hit(found, highlighter, &file.host)?);
    }
    Ok(Answer {
        total,
        results,
        packs: files.len(),
        packs_checksum,
        query_cut: query.cut,
    })
}

fn statistics(
    shelf: &Shelf,
    files: &[Arc<PackFile>],
    query: &Query,
    stop: &Stop,
) -> Result<Statistics, SearchError> {
    let mut all = Statistics::default();
    for file in files {
        all.add(&shelf.get(file)?.searcher()?.statistics(query, stop)?);
    }
    Ok(all)
}

fn matches(
    pack: &OpenPack,
    query: &Query,
    statistics: Option<&Statistics>,
    stop: &Stop,
) -> Result<Vec<Match>, SearchError> {
    let mut searcher = pack.searcher()?;
    let found = searcher.find(query, stop)?;
    let own = found.statistics(pack.layout());
    searcher.matches(query, &found, statistics.unwrap_or(&own), stop)
}
