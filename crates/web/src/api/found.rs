//! Items of all sources, or of one, that are in some states.

use axum::http::StatusCode;
use crawldb::{Item, ItemState, Scan, Source};
use model::{ItemId, SourceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::sources::existing;
use crate::api::wire::ItemBody;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;

/// An item of some source: how addresses and forms name it, `<source>/<item>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemName {
    pub(crate) source: SourceId,
    pub(crate) item: ItemId,
}

impl ItemName {
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            source: item.source.clone(),
            item: item.id.clone(),
        }
    }
}

impl TryFrom<String> for ItemName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // No name of a source has a slash.
        let (source, item) = text.split_once('/').ok_or("use <source>/<item>")?;
        Ok(Self {
            source: SourceId::new(source).map_err(|error| error.to_string())?,
            item: ItemId::new(item).map_err(|error| error.to_string())?,
        })
    }
}

impl std::fmt::Display for ItemName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.source, self.item)
    }
}

/// Items of one source or of several, by source and id.
#[derive(Serialize, ToSchema)]
pub(crate) struct FoundItems {
    items: Vec<ItemBody>,
    /// Give it as `after` for the items that follow; missing where there are none.
    next: Option<String>,
}

impl From<&Found> for FoundItems {
    fn from(found: &Found) -> Self {
        Self {
            items: found.items.iter().map(ItemBody::from).collect(),
            next: found.next.as_ref().map(ToString::to_string),
        }
    }
}

/// Some items, and where the next ones begin.
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// The only source that was asked for.
    pub(crate) source: Option<SourceId>,
    pub(crate) next: Option<ItemName>,
}

impl Found {
    /// Items in `states`, of the parameter `source` or of all, after the parameter `after`.
    pub(crate) async fn of(app: &App, states: &[ItemState], params: &Params) -> Result<Self, Problem> {
        let source: Option<SourceId> = params.parsed("source")?;
        let after: Option<ItemName> = params.parsed("after")?;
        let limit = params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?;
        let sources = match &source {
            Some(source) => vec![existing(app, source).await?],
            None => app.crawldb().sources().await?,
        };
        // One more than is shown tells whether there are more.
        let mut items = search(app, &sources, states, after.as_ref(), limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(ItemName::of);
        Ok(Self { items, source, next })
    }
}

async fn search(
    app: &App,
    sources: &[Source],
    states: &[ItemState],
    after: Option<&ItemName>,
    limit: usize,
) -> Result<Vec<Item>, Problem> {
    let mut items = Vec::new();
    let begun = |source: &&Source| after.is_none_or(|after| source.id >= after.source);
    for source in sources.iter().filter(begun) {
        if items.len() >= limit {
            break;
        }
        let after = after
            .filter(|after| after.source == source.id)
            .map(|after| &after.item);
        let scan = Scan {
            states,
            after,
            ..Scan::all(&source.id, limit - items.len())
        };
        items.extend(app.crawldb().items(&scan).await?);
    }
    Ok(items)
}

/// The states that the parameter `state` chooses among `known`; the first where it is missing.
pub(crate) fn chosen_state(params: &Params, known: &[(&str, ItemState)]) -> Result<ItemState, Problem> {
    let asked = params.text("state");
    let chosen = known
        .iter()
        .find(|(name, _)| *name == asked || asked.is_empty())
        .map(|(_, state)| *state);
    chosen.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let detail = format!("the parameter \"state\" is one of {}", names.join(", "));
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}
