//! The source itself tells of its items.

use std::sync::Arc;

use archive::Kind;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crawldb::{Source, SourceKind};
use crawler::is_inside;
use ledger::{LedgerError, MAX_UPDATES};
use model::{ArchiveKey, ItemId, PageUrl, SourceId, Timestamp};
use serde::{Deserialize, Serialize};
use updates::{LiveChange, LiveUpdate, LogError, Position};
use utoipa::ToSchema;

use crate::api::sources::existing;
use crate::params::{Body, Named};
use crate::problem::Problem;
use crate::state::App;

/// Bytes of one call at most.
const MAX_CALL_BYTES: usize = 16 << 20;
/// Bytes of the content of one item at most.
const MAX_CONTENT_BYTES: usize = 8 << 20;
/// Bytes of a media type at most.
const MAX_MEDIA_TYPE_BYTES: usize = 255;

/// What happened to one item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUpdate {
    /// Where the item is; it must lie inside the source.
    #[schema(example = "https://example.gov/forms/w-9")]
    url: String,
    /// Its id, where that is not its URL; only feeds have such ids.
    id: Option<String>,
    change: ChangeName,
    /// When it happened, RFC 3339. It counts where the source's clock is trusted.
    at: Option<String>,
    /// Of the content, as in `Content-Type`; guessed where it is missing.
    #[schema(example = "text/html")]
    media_type: Option<String>,
    /// What it is now, as text, at most 8 MiB; only with `upsert`.
    content: Option<String>,
    /// The same as bytes in Base64, instead of `content`.
    content_base64: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UpdateChange)]
enum ChangeName {
    /// It was created or changed, and its content is here.
    Upsert,
    /// It was created or changed: fetch it.
    Fetch,
    /// It is gone.
    Delete,
}

/// What was taken.
#[derive(Serialize, ToSchema)]
pub(crate) struct Taken {
    /// In the order of the updates.
    updates: Vec<TakenUpdate>,
}

/// One update in the log.
#[derive(Serialize, ToSchema)]
struct TakenUpdate {
    /// The item.
    id: String,
    /// Where the update lies in the live topic of the source.
    partition: u32,
    offset: u64,
}

/// Tells of 1 to 1,000 items of a source that were created, changed or deleted. All are taken, in their order, or none.
///
/// They are applied soon; the greater version wins over what a crawl finds. `GET .../live` says how far that is.
#[utoipa::path(
    post, path = "/api/v1/sources/{source}/updates", tag = "live", operation_id = "send_updates",
    params(("source" = String, Path, description = "Its id")),
    request_body = Vec<NewUpdate>,
    responses(
        (status = 202, body = Taken),
        (status = 400, body = Problem, description = "None was taken", content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "The source takes none, or is being deleted", content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
    Body(new): Body<Vec<NewUpdate>, MAX_CALL_BYTES>,
) -> Result<impl IntoResponse, Problem> {
    let source = existing(&app, &id).await?;
    if new.is_empty() || new.len() > MAX_UPDATES {
        return Err(Problem::bad_request(format!(
            "send 1 to {MAX_UPDATES} updates at a time"
        )));
    }
    let mut read: Vec<ReadUpdate> = new
        .into_iter()
        .enumerate()
        .map(|(at, update)| {
            ReadUpdate::of(update, &source).map_err(|problem| problem.of(&format!("update {at}")))
        })
        .collect::<Result<_, _>>()?;
    let contents: Vec<Vec<u8>> = read
        .iter_mut()
        .filter_map(|update| update.content.take())
        .collect();
    let mut keys = app.archive.put_bundle(Kind::Content, contents).await?.into_iter();
    let updates: Vec<LiveUpdate> = read
        .into_iter()
        .map(|update| update.with_content(&mut keys))
        .collect();
    let positions = submit(&app, &source, &updates).await?;
    let taken = updates
        .iter()
        .zip(positions)
        .map(|(update, position)| TakenUpdate {
            id: update.item.to_string(),
            partition: position.partition.number,
            offset: position.offset,
        });
    let taken = taken.collect();
    Ok((StatusCode::ACCEPTED, Json(Taken { updates: taken })))
}

/// A source that is told of before its first crawl has no topics yet.
async fn submit(app: &App, source: &Source, updates: &[LiveUpdate]) -> Result<Vec<Position>, Problem> {
    match app.ledger.submit(source, updates).await {
        Err(LedgerError::Log(LogError::NoTopic(_))) => {
            app.crawler.ensure_topics(&source.id).await?;
            Ok(app.ledger.submit(source, updates).await?)
        }
        submitted => Ok(submitted?),
    }
}

/// An update that fits the source; its content is not yet in the archive.
struct ReadUpdate {
    item: ItemId,
    url: PageUrl,
    at: Option<Timestamp>,
    change: ChangeName,
    media_type: Option<String>,
    content: Option<Vec<u8>>,
}

impl ReadUpdate {
    fn of(new: NewUpdate, source: &Source) -> Result<Self, Problem> {
        let url = PageUrl::parse(&new.url)?;
        if !is_inside(&source.settings, &url) {
            return Err(Problem::bad_request(format!(
                "{url} is not inside the source {}",
                source.id
            )));
        }
        let item = ItemId::new(new.id.unwrap_or_else(|| url.to_string()))?;
        if source.settings.kind != SourceKind::Feed && item.as_str() != url.as_str() {
            return Err(Problem::bad_request(
                "the id of an item is its URL; only feeds have other ids",
            ));
        }
        let media_type = new.media_type.filter(|text| !text.is_empty());
        if media_type
            .as_ref()
            .is_some_and(|text| text.len() > MAX_MEDIA_TYPE_BYTES)
        {
            return Err(Problem::bad_request(
                "this is no media type; say one such as text/html",
            ));
        }
        Ok(Self {
            content: content(new.change, new.content, new.content_base64)?,
            at: new.at.as_deref().map(instant).transpose()?,
            change: new.change,
            item,
            url,
            media_type,
        })
    }

    /// With the key that the archive gave to its content, where it has one.
    fn with_content(self, keys: &mut impl Iterator<Item = ArchiveKey>) -> LiveUpdate {
        let upsert = |content| LiveChange::Upsert {
            content,
            media_type: self.media_type,
        };
        let change = match self.change {
            ChangeName::Upsert => keys.next().map_or(LiveChange::Fetch, upsert),
            ChangeName::Fetch => LiveChange::Fetch,
            ChangeName::Delete => LiveChange::Delete,
        };
        LiveUpdate {
            item: self.item,
            url: self.url,
            at: self.at,
            change,
        }
    }
}

/// The bytes that an upsert must have, and nothing else may.
fn content(
    change: ChangeName,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Option<Vec<u8>>, Problem> {
    let bytes = match (change, text, base64) {
        (ChangeName::Upsert, Some(text), None) => text.into_bytes(),
        (ChangeName::Upsert, None, Some(text)) => BASE64_STANDARD
            .decode(text)
            .map_err(|error| Problem::bad_request(format!("content_base64 is not Base64: {error}")))?,
        (ChangeName::Upsert, ..) => {
            return Err(Problem::bad_request(
                "an upsert has either content or content_base64",
            ));
        }
        (_, None, None) => return Ok(None),
        _ => return Err(Problem::bad_request("only an upsert has content")),
    };
    if bytes.len() > MAX_CONTENT_BYTES {
        let detail = format!("the content of an item has at most {MAX_CONTENT_BYTES} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(Some(bytes))
}

/// Reads RFC 3339.
pub(crate) fn instant(text: &str) -> Result<Timestamp, Problem> {
    let read = text.parse::<jiff::Timestamp>().ok();
    let millis = read.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let wrong = || {
        Problem::bad_request(format!(
            "{text:?} is no time; write it as 2026-11-21T10:30:00Z (RFC 3339), from 1970 on"
        ))
    };
    millis.map(Timestamp::from_millis).ok_or_else(wrong)
}
