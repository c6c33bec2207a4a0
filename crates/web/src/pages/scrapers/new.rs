//! `/scrapers/new`

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use model::{ScraperId, ScraperName};
use registry::{NewScraper, Origin, Scope, ScraperSettings};

use super::address;
use crate::api::scrapers::checked_origin;
use crate::clock;
use crate::names::refuse_reserved;
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Form, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

pub(super) async fn page(frame: Frame, visitor: Visitor) -> Result<Markup, Problem> {
    let fields = Params::of([
        ("owner", visitor.owner()?.to_string()),
        ("schedule", "daily".to_owned()),
    ]);
    Ok(shown(&frame, &fields, &Remark::default()))
}

/// The form with what was entered.
fn shown(frame: &Frame, fields: &Params, remark: &Remark) -> Markup {
    let text = |name| fields.text(name);
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } }
        h1 { "Add a scraper" }
        (remark.above())
        form method="post" action="/scrapers" {
            (field("owner", "Owner", "You, or an organisation that you belong to.").needed_text(text("owner"), 100))
            (field("name", "Name", "Letters, digits, '-', '_' and '.'.").needed_text(text("name"), 100))
            (field("from", "Repository", "Where git fetches it: https://example.org/team/scraper.git. Operators may name a folder of this machine that the configuration allows.").needed_text(text("from"), 2_000))
            (field("reference", "Branch, tag or commit (optional)", "").text(text("reference"), 200))
            (field("schedule", "When it runs (optional)", "daily, weekly, every 6h, cron 0 3 * * * Europe/Oslo. Empty: when somebody says so.").text(text("schedule"), 200))
            (field("description", "Description (optional)", "One line.").text(text("description"), 200))
            div.actions { button { "Add it" } }
        }
        p.soft { "Code that is in no repository can be sent over the API, or run from a folder with " code { "haul run" } "." }
    };
    layout::work_page(frame, Area::Scrapers, "Add a scraper", &content)
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Form(fields): Form,
) -> Result<Response, Problem> {
    match added(&app, &visitor, &fields).await {
        Ok(id) => Ok(Redirect::to(&address(&id)).into_response()),
        Err(problem) => {
            let remark = Remark::of("", problem)?;
            Ok(remark.answer(shown(&frame, &fields, &remark)))
        }
    }
}

async fn added(app: &App, visitor: &Visitor, fields: &Params) -> Result<ScraperId, Problem> {
    let id = id(visitor, fields)?;
    refuse_reserved(&id.owner)?;
    visitor.must(app, Scope::Manage, &id.owner).await?;
    let new = NewScraper {
        origin: checked_origin(app, visitor, origin(fields), None).await?,
        settings: ScraperSettings {
            description: fields.text("description").to_owned(),
            schedule: optional(fields.text("schedule")),
            ..ScraperSettings::default()
        },
        id,
    };
    Ok(app.runner.registry().add_scraper(new, clock::now()).await?.id)
}

fn id(visitor: &Visitor, fields: &Params) -> Result<ScraperId, Problem> {
    let owner = match fields.parsed("owner")? {
        Some(owner) => owner,
        None => visitor.owner()?,
    };
    Ok(ScraperId {
        owner,
        name: ScraperName::new(fields.text("name"))?,
    })
}

/// A path is a folder, everything else the address of a repository.
pub(super) fn origin(fields: &Params) -> Origin {
    let (from, reference) = (fields.text("from"), optional(fields.text("reference")));
    match from.starts_with('/') && reference.is_none() && !from.ends_with(".git") {
        true => Origin::Folder {
            path: from.to_owned(),
        },
        false => Origin::Git {
            url: from.to_owned(),
            reference,
        },
    }
}

pub(super) fn optional(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
