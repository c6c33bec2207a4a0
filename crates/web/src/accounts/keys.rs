//! The keys of an account and of its organisations.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use model::{OwnerName, Timestamp};
use registry::{ApiKey, IssuedKey, Scope};

use super::account::{refused, shown};
use super::must_be_person;
use crate::display::{date, time};
use crate::keys::{Keys, Which, Whose};
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Frame};
use crate::params::{Form, Params, Segments, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::{SCOPES, Visitor};

/// Seconds for which a key that is rotated goes on working: a day, to change it everywhere.
const OVERLAP_SECONDS: u64 = 24 * 3600;

/// What each scope lets a program do.
const MEANINGS: [(Scope, &str); 3] = [
    (Scope::Data, "Read data"),
    (Scope::Run, "Start and stop runs, tell of pushes"),
    (Scope::Manage, "Everything else"),
];

/// The part of the account's page about keys.
pub(super) async fn section(
    app: &App,
    visitor: &Visitor,
    remark: &Remark,
    issued: Option<&IssuedKey>,
) -> Result<Markup, Problem> {
    let owners = owners(app, visitor).await?;
    let mut sections = Vec::new();
    for owner in &owners {
        sections.push((owner, app.runner.registry().keys(owner).await?));
    }
    Ok(html! {
        h2 { "Keys" }
        p { "A program shows one with each request: " code { "X-Api-Key: KEY" } " or " code { "Authorization: Bearer KEY" } "." }
        @if let Some(issued) = issued { (just_made(issued)) }
        @for (owner, keys) in &sections {
            @if owners.len() > 1 { h3 { (owner) } }
            (of_owner(owner, keys))
        }
        (form(&owners, remark))
    })
}

/// The owner itself, and the organisations that it belongs to.
async fn owners(app: &App, visitor: &Visitor) -> Result<Vec<OwnerName>, Problem> {
    let own = visitor.owner()?;
    let organisations = app.runner.registry().organisations_of(&own).await?;
    Ok([vec![own], organisations].concat())
}

fn just_made(issued: &IssuedKey) -> Markup {
    html! {
        div.notice role="status" {
            p { strong { "The key " (issued.key.label) } " is shown only now: copy it." }
            code.secret { (issued.token.reveal()) }
        }
    }
}

fn of_owner(owner: &OwnerName, keys: &[ApiKey]) -> Markup {
    let head = html! { th { "Key" } th { "May" } th.wide { "Used last" } th { "Last day" } th { span.unseen { "What to do" } } };
    let rows = html! { @for key in keys { (row(key)) } };
    html! {
        @if keys.is_empty() {
            p.soft { "No keys yet." }
        } @else {
            (layout::table(&format!("Keys of {owner}"), &head, &rows))
        }
    }
}

fn row(key: &ApiKey) -> Markup {
    let place = format!("/account/keys/{}/{}", segment(key.owner.as_str()), key.id.0);
    let named = |scope: &Scope| {
        MEANINGS
            .iter()
            .find(|(known, _)| known == scope)
            .map_or("", |(_, text)| text)
    };
    let may: Vec<&str> = key.scopes.iter().map(named).collect();
    html! {
        tr {
            th scope="row" { (key.label) span.small.soft { code { (key.prefix) "\u{2026}" } } }
            td { (may.join("; ")) }
            td.wide { @if let Some(at) = key.used_at { (time(at)) } @else { span.soft { "never" } } }
            td { @if let Some(at) = key.expires_at { (date(at.before(Duration::from_millis(1)))) } @else { span.soft { "never" } } }
            td {
                div.actions {
                    form method="post" action={ (place) "/rotate" } { button.plain { "Replace" span.unseen { " " (key.label) } } }
                    form method="post" action={ (place) "/revoke" } { button.danger { "Revoke" span.unseen { " " (key.label) } } }
                }
            }
        }
    }
}

/// One form for all owners: which one is the button that is pressed.
fn form(owners: &[OwnerName], remark: &Remark) -> Markup {
    let place = |owner: &OwnerName| format!("/account/keys/{}", segment(owner.as_str()));
    html! {
        details open[!remark.at("key").is_empty()] {
            summary { "Make a key" }
            form method="post" action=[owners.first().map(place)] {
                (field("label", "What it is for", "So that you know later which one it is.").wrong(remark.at("key")).needed_text("", 100))
                fieldset {
                    legend { "What it may do" }
                    @for ((scope, name), (_, meaning)) in SCOPES.iter().zip(MEANINGS) {
                        label.choice { input type="checkbox" name="scope" value=(name) checked[*scope == Scope::Data]; (meaning) }
                    }
                }
                (field("expires", "Last day (optional)", "It works to the end of this day, UTC.").day())
                div.actions {
                    @for owner in owners { button formaction=(place(owner)) { "Make it for " (owner) } }
                }
            }
        }
    }
}

/// Makes a key and shows it.
pub(super) async fn issue(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Segments(Whose { owner }): Segments<Whose>,
    Form(fields): Form,
) -> Result<Response, Problem> {
    must_be_person(&visitor)?;
    let keys = Keys::of(&app, &visitor, owner).await?;
    let made = match read(&fields) {
        Ok((label, scopes, end)) => keys.issue(label, scopes, end).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(issued) => revealed(&app, &visitor, &frame, &issued).await,
        Err(problem) => refused(&app, &visitor, &frame, "key", problem).await,
    }
}

fn read(fields: &Params) -> Result<(&str, Vec<Scope>, Option<Timestamp>), Problem> {
    let label = fields.text("label");
    if label.is_empty() {
        return Err(Problem::bad_request("say what the key is for"));
    }
    let named = |name: &str| {
        SCOPES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(scope, _)| *scope)
    };
    let scopes = fields.all("scope").filter_map(named).collect();
    let day = fields.text("expires");
    if day.is_empty() {
        return Ok((label, scopes, None));
    }
    let end = end_of(day).ok_or_else(|| Problem::bad_request("the last day is a date such as 2030-01-31"))?;
    Ok((label, scopes, Some(end)))
}

fn end_of(day: &str) -> Option<Timestamp> {
    let next = day.parse::<Date>().ok()?.tomorrow().ok()?;
    let instant = next.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(instant.as_millisecond())
        .ok()
        .map(Timestamp::from_millis)
}

async fn revealed(
    app: &App,
    visitor: &Visitor,
    frame: &Frame,
    issued: &IssuedKey,
) -> Result<Response, Problem> {
    let page = shown(app, visitor, frame, &Remark::default(), Some(issued)).await?;
    Ok((StatusCode::CREATED, page).into_response())
}

/// Makes a key in the place of another one, which works for a day more.
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Segments(Which { owner, key }): Segments<Which>,
) -> Result<Response, Problem> {
    must_be_person(&visitor)?;
    let keys = Keys::of(&app, &visitor, owner).await?;
    let issued = keys.rotate(key, OVERLAP_SECONDS).await?;
    revealed(&app, &visitor, &frame, &issued).await
}

/// Ends a key.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Which { owner, key }): Segments<Which>,
) -> Result<Redirect, Problem> {
    must_be_person(&visitor)?;
    Keys::of(&app, &visitor, owner).await?.revoke(key).await?;
    Ok(Redirect::to("/account"))
}
