//! What people are asked, and what they decide.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use crawldb::{Decision, ItemState, Ruling};
use futures::{StreamExt, TryStreamExt, stream};
use ledger::LedgerError;
use model::{ItemId, SourceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::crawls::needed;
use crate::api::found::{Found, FoundItems, chosen_state};
use crate::api::sources::existing;
use crate::clock;
use crate::params::{Body, Named, Params};
use crate::problem::Problem;
use crate::state::App;

/// Items of one call at most.
const MAX_RULINGS: usize = 1_000;
/// Items of one call that are decided about at a time.
const AT_A_TIME: usize = 8;
/// What is left to people.
pub(crate) const STATES: [(&str, ItemState); 2] = [
    ("escalated", ItemState::Escalated),
    ("ignored", ItemState::Ignored),
];

/// Items that are left to a person, of one source or of all, by source and id.
#[utoipa::path(
    get, path = "/api/v1/escalations", tag = "escalations", operation_id = "list_escalations",
    params(
        ("source" = Option<String>, Query, description = "Only items of this source"),
        ("state" = Option<String>, Query, description = "`escalated` (the default), or `ignored`: those that a person decided to leave"),
        ("after" = Option<String>, Query, description = "Only items after this one: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 50 where it is missing"),
    ),
    responses(
        (status = 200, body = FoundItems),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Json<FoundItems>, Problem> {
    let state = chosen_state(&params, &STATES)?;
    let found = Found::of(&app, &[state], &params).await?;
    Ok(Json(FoundItems::from(&found)))
}

/// A decision about items.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRulings {
    /// 1 to 1,000 ids of items of the source.
    items: Vec<String>,
    /// `requeue`, `ignore` and `delete` for what is escalated or ignored; `keep` and `delete` for candidates for deletion.
    #[schema(value_type = String, example = "requeue")]
    decision: Decision,
    /// Why; kept with the item.
    reason: String,
    /// Who decides.
    by: String,
}

/// What became of a decision, item by item.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rulings {
    /// In the order of the ids.
    items: Vec<RuledBody>,
}

/// What became of the decision about one item.
#[derive(Serialize, ToSchema)]
#[schema(as = Ruled)]
struct RuledBody {
    id: String,
    /// The state that the item is in now, where it was done.
    #[schema(value_type = Option<String>, example = "pending")]
    state: Option<ItemState>,
    /// Why it was not.
    error: Option<String>,
}

/// Decides about items that are left to a person, or that the source no longer shows. Each is judged alone.
#[utoipa::path(
    post, path = "/api/v1/sources/{source}/rulings", tag = "escalations", operation_id = "rule",
    params(("source" = String, Path, description = "Its id")),
    request_body = NewRulings,
    responses(
        (status = 200, body = Rulings),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rule(
    State(app): State<Arc<App>>,
    Named(source): Named<SourceId>,
    Body(new): Body<NewRulings>,
) -> Result<Json<Rulings>, Problem> {
    existing(&app, &source).await?;
    if new.items.is_empty() || new.items.len() > MAX_RULINGS {
        return Err(Problem::bad_request(format!(
            "name 1 to {MAX_RULINGS} items at a time"
        )));
    }
    let ruling = ruling(new.decision, &new.reason, &new.by)?;
    let ids: Vec<ItemId> = new.items.into_iter().map(ItemId::new).collect::<Result<_, _>>()?;
    let (app, source, ruling) = (&app, &source, &ruling);
    let ruled = ids.into_iter().map(|id| async move {
        let ruled = decide(app, source, &id, ruling).await?;
        Ok::<_, Problem>(RuledBody::of(&id, ruled))
    });
    let ruled = stream::iter(ruled).buffered(AT_A_TIME);
    let items = ruled.try_collect().await?;
    Ok(Json(Rulings { items }))
}

impl RuledBody {
    fn of(id: &ItemId, ruled: Result<ItemState, String>) -> Self {
        let (state, error) = match ruled {
            Ok(state) => (Some(state), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            id: id.to_string(),
            state,
            error,
        }
    }
}

/// A decision of this moment.
pub(crate) fn ruling(decision: Decision, reason: &str, by: &str) -> Result<Ruling, Problem> {
    Ok(Ruling {
        decision,
        reason: needed("reason", reason)?,
        by: needed("by", by)?,
        at: clock::now(),
    })
}

/// The state that the item is in after the decision, or why it does not fit the item.
pub(crate) async fn decide(
    app: &App,
    source: &SourceId,
    id: &ItemId,
    ruling: &Ruling,
) -> Result<Result<ItemState, String>, Problem> {
    let ruled = app.ledger.rule(source, id, ruling, clock::now()).await;
    app.attention.forget();
    match ruled {
        Ok(item) => Ok(Ok(item.state)),
        Err(LedgerError::Refused(why)) => Ok(Err(why)),
        Err(error) => Err(error.into()),
    }
}
