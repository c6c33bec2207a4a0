//! What a crawl could not see: written to its record, so that nothing that it may have hidden is taken for gone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crawldb::{CrawldbError, Enumeration, MAX_INCOMPLETE, Scope};

use crate::run::{Run, Shared};

/// The gaps that this process met in one crawl.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Mutex<Noted>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Noted {
    incomplete: BTreeMap<Scope, String>,
    cut: Option<String>,
    /// Whether the crawl's record has all of it.
    is_recorded: bool,
}

impl Gaps {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unrecorded(&self) -> Option<Noted> {
        let noted = self.noted();
        let is_empty = noted.incomplete.is_empty() && noted.cut.is_none();
        (!is_empty && !noted.is_recorded).then(|| noted.clone())
    }

    /// More may have been noted since `written` was read.
    fn recorded(&self, written: &Noted) {
        let mut noted = self.noted();
        if *noted == *written {
            noted.is_recorded = true;
        }
    }
}

impl Run {
    /// This scope was not enumerated to its end: what this crawl missed in it may be there. The first reason counts.
    pub(crate) fn incomplete(&self, scope: &str, reason: impl Into<String>) {
        let mut noted = self.gaps.noted();
        if noted.incomplete.contains_key(scope) {
            return;
        }
        if noted.incomplete.len() >= MAX_INCOMPLETE {
            drop(noted);
            return self.cut(format!(
                "more than {MAX_INCOMPLETE} hosts were not enumerated to their end"
            ));
        }
        let reason = reason.into();
        tracing::warn!(crawl = %self.crawl.id, scope, reason, "not enumerated to its end: nothing of it is taken for gone");
        noted.incomplete.insert(scope.to_owned(), reason);
        noted.is_recorded = false;
    }

    /// Nothing that this crawl missed may be taken for gone, in any scope. The first reason counts.
    pub(crate) fn cut(&self, reason: impl Into<String>) {
        let mut noted = self.gaps.noted();
        if noted.cut.is_some() {
            return;
        }
        let reason = reason.into();
        tracing::warn!(crawl = %self.crawl.id, reason, "the crawl is cut: nothing is taken for gone");
        noted.cut = Some(reason);
        noted.is_recorded = false;
    }

    /// Writes to the crawl's record what it does not have yet. Call it before anything from which the gap could be told
    /// again is done with.
    pub(crate) async fn record_gaps(&self, shared: &Shared) -> Result<(), CrawldbError> {
        let Some(noted) = self.gaps.unrecorded() else {
            return Ok(());
        };
        let crawldb = shared.deps.ledger.crawldb();
        crawldb
            .update_crawl(&self.held(), |crawl| merge(&mut crawl.enumeration, &noted))
            .await?;
        self.gaps.recorded(&noted);
        Ok(())
    }
}

/// Other processes write to the record, too: what it has stays.
fn merge(record: &mut Enumeration, noted: &Noted) {
    for (scope, reason) in &noted.incomplete {
        if record.incomplete.contains_key(scope) {
            continue;
        }
        if record.incomplete.len() >= MAX_INCOMPLETE {
            let reason = format!("more than {MAX_INCOMPLETE} hosts were not enumerated to their end");
            record.cut.get_or_insert(reason);
            break;
        }
        record.incomplete.insert(scope.clone(), reason.clone());
    }
    if record.cut.is_none() {
        record.cut.clone_from(&noted.cut);
    }
}
