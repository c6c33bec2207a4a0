//! What is behind one update: a request, or bytes that are in the archive.

use std::sync::Arc;

use archive::ArchiveError;
use crawldb::{Disposition, ItemErrorKind, ItemState, Outcome, SourceKind, StoreError};
use model::{ArchiveKey, PageUrl};
use updates::{LiveChange, LiveUpdate};

use super::place::Place;
use super::work::{Task, WorkError};
use crate::deliver::{Verdict, settled};
use crate::fetch::{Body, FetchError};
use crate::page;
use crate::patience::with_causes;
use crate::run::{Shared, item_id};

/// Pages that lead to each other at most.
const MAX_HOPS: usize = 10;

/// What came of looking into an update.
pub(super) struct Told {
    verdict: Verdict,
    /// A page that this one leads to and that the source does not have yet.
    target: Option<PageUrl>,
}

impl Told {
    pub(super) fn plain(outcome: Outcome) -> Self {
        Self {
            verdict: Verdict::Plain(Box::new(outcome)),
            target: None,
        }
    }

    /// The update, not the source, has to wait: the crawler stops.
    pub(super) fn is_given_back(&self) -> bool {
        matches!(&self.verdict, Verdict::Plain(outcome) if **outcome == Outcome::Released)
    }

    /// Bytes that it keeps in memory, roughly.
    pub(super) fn weight(&self) -> usize {
        self.verdict.weight()
    }

    /// Asks for the page that this one leads to.
    pub(super) fn wanted(&self) -> Option<LiveUpdate> {
        self.target.as_ref().map(|url| LiveUpdate {
            item: item_id(url),
            url: url.clone(),
            at: None,
            change: LiveChange::Fetch,
        })
    }

    pub(super) fn into_verdict(self) -> Verdict {
        self.verdict
    }
}

/// Looks into an update.
///
/// # Errors
///
/// Where nothing can be said of it now, though the source did its part: the archive fails, say.
pub(super) async fn read(shared: &Arc<Shared>, place: &Arc<Place>, task: &Task) -> Result<Told, WorkError> {
    let lane = place.lane(shared, &task.update.url);
    let verdict = match &task.update.change {
        LiveChange::Delete => {
            return Ok(Told::plain(Outcome::Gone {
                reason: "its source said so".to_owned(),
            }));
        }
        LiveChange::Fetch => page::read(shared, &place.run, &lane, &task.item).await.0,
        LiveChange::Upsert { content, media_type } => match payload(shared, place, content).await? {
            Ok(bytes) => {
                let body = told_body(bytes, media_type.clone());
                let verdict = page::digest(shared, &place.run, &lane, &task.item, body).await;
                told(verdict, content, place)
            }
            Err(error) => return Ok(Told::plain(failed(shared, &error))),
        },
    };
    follow(shared, place, task, verdict).await
}

/// The archived bytes; or why there are none that can be used.
async fn payload(
    shared: &Shared,
    place: &Place,
    content: &ArchiveKey,
) -> Result<Result<Vec<u8>, FetchError>, ArchiveError> {
    let max_bytes = place.source.settings.site.max_body_bytes;
    match shared.deps.archive.get(content).await {
        Ok(bytes) if bytes.len() as u64 > max_bytes => Ok(Err(FetchError::permanent(
            ItemErrorKind::TooLarge,
            format!("the payload is larger than {max_bytes} bytes; raise max_body_bytes if it is wanted"),
        ))),
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error @ (ArchiveError::NotFound { .. } | ArchiveError::Damaged { .. })) => {
            Ok(Err(FetchError::permanent(
                ItemErrorKind::Content,
                format!("the payload: {}", with_causes(&error)),
            )))
        }
        Err(error) => Err(error),
    }
}

fn told_body(bytes: Vec<u8>, content_type: Option<String>) -> Body {
    Body {
        bytes,
        is_gzip: false,
        content_type,
        etag: None,
        last_modified: None,
        robots_tags: Vec::new(),
    }
}

/// The bytes stay where they are. An item of a feed has the address that the feed gives it: what a page says of its
/// canonical address may not be in the feed at all.
fn told(mut verdict: Verdict, content: &ArchiveKey, place: &Place) -> Verdict {
    if let Verdict::Page(page) = &mut verdict {
        page.archived = Some(content.clone());
        if place.source.settings.kind == SourceKind::Feed {
            page.canonical = None;
        }
    }
    verdict
}

fn failed(shared: &Shared, error: &FetchError) -> Outcome {
    Outcome::Failed {
        error: error.at(shared.options.clock.now()),
        retry_after: error.retry_after,
        retryable: error.retryable,
    }
}

/// Turns redirects and canonical addresses into aliases, unless they go in a circle.
async fn follow(shared: &Shared, place: &Place, task: &Task, verdict: Verdict) -> Result<Told, WorkError> {
    let (target, is_redirect) = match &verdict {
        Verdict::Redirect(target) => (Some(target.clone()), true),
        Verdict::Page(page) => (page.canonical.clone(), false),
        Verdict::Plain(_) => (None, false),
    };
    let Some(target) = target else {
        return Ok(Told { verdict, target });
    };
    if leads_back(shared, place, task, &target).await? {
        return Ok(astray(shared, verdict, &target, is_redirect));
    }
    let alias = Disposition::Alias(item_id(&target));
    let is_wanted = place.admits(&target, false) && !is_there(shared, place, &target).await?;
    Ok(Told {
        target: is_wanted.then_some(target),
        ..Told::plain(settled(alias))
    })
}

/// A page whose canonical address leads back to it is indexed where it is; a redirect that does is left to a person.
fn astray(shared: &Shared, mut verdict: Verdict, target: &PageUrl, is_redirect: bool) -> Told {
    if is_redirect {
        let message = format!("the redirects go in a circle, or too far: {target} is next");
        return Told::plain(failed(
            shared,
            &FetchError::permanent(ItemErrorKind::Redirect, message),
        ));
    }
    if let Verdict::Page(page) = &mut verdict {
        page.canonical = None;
    }
    Told {
        verdict,
        target: None,
    }
}

/// Whether `target` leads back to the item, or further than anybody follows.
async fn leads_back(
    shared: &Shared,
    place: &Place,
    task: &Task,
    target: &PageUrl,
) -> Result<bool, StoreError> {
    let store = shared.deps.ledger.crawldb().store();
    let mut at = item_id(target);
    for _ in 0..MAX_HOPS {
        if at == task.update.item {
            return Ok(true);
        }
        let items = store
            .get_items(&place.source.id, std::slice::from_ref(&at))
            .await?;
        match items
            .into_iter()
            .flatten()
            .next()
            .and_then(|item| item.disposition)
        {
            Some(Disposition::Alias(next)) => at = next,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether the source has the page, or is about to: asking for those that are gone ends, because what is asked for is
/// gone no longer once it leads on.
async fn is_there(shared: &Shared, place: &Place, url: &PageUrl) -> Result<bool, StoreError> {
    let store = shared.deps.ledger.crawldb().store();
    let items = store.get_items(&place.source.id, &[item_id(url)]).await?;
    let item = items.into_iter().flatten().next();
    Ok(item.is_some_and(|item| item.state != ItemState::Deleted))
}
