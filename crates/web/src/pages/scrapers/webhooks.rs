//! `/scrapers/{owner}/{name}/webhooks`: who is called, and how it went.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use model::ScraperId;
use registry::{Delivery, DeliveryState, Event, Scope, Secret, Webhook, WebhookId};

use super::{address, run_address};
use crate::api::scrapers::Of;
use crate::clock;
use crate::display::time;
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Area, Frame, table};
use crate::params::{Form, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Calls that are shown of each.
const SHOWN: usize = 10;

const EVENTS: [(Event, &str, &str); 4] = [
    (Event::Finished, "finished", "every run that is over"),
    (Event::Failed, "failed", "a run that did not succeed"),
    (
        Event::Recovered,
        "recovered",
        "a run that succeeded after one that did not",
    ),
    (
        Event::Changed,
        "changed",
        "a run that added, changed or removed rows",
    ),
];

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Markup, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let fields = Params::of([("event", "finished".to_owned())]);
    shown(&app, &frame, &id, &fields, &Remark::default(), None).await
}

/// The page with what was entered, and with the key of a webhook that was just added.
async fn shown(
    app: &App,
    frame: &Frame,
    id: &ScraperId,
    fields: &Params,
    remark: &Remark,
    key: Option<&Secret>,
) -> Result<Markup, Problem> {
    let registry = app.runner.registry();
    let mut hooks = Vec::new();
    for hook in registry.webhooks(id).await? {
        let calls = registry.deliveries(id, hook.id).await?;
        hooks.push((hook, calls));
    }
    let place = format!("{}/webhooks", address(id));
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } " / " a href=(address(id)) { (id) } }
        h1 { "Webhooks" }
        (remark.above())
        @if let Some(key) = key {
            div.notice role="status" {
                p { strong { "Its bodies are signed with this key, which is shown only now:" } }
                code.secret { (key.reveal()) }
            }
        }
        @if hooks.is_empty() { p.soft { "None yet." } }
        @for (hook, calls) in &hooks { (one(&place, hook, calls)) }
        h2 { "Add one" }
        form method="post" action=(place) {
            (field("url", "Address", "It gets a JSON body. Words such as SCRAPER, OUTCOME or ADDED in it are replaced, as at morph.io.").needed_text(fields.text("url"), 2_000))
            fieldset {
                legend { "Called for" }
                @for (_, name, text) in EVENTS {
                    label.choice { input type="checkbox" name="event" value=(name) checked[fields.all("event").any(|event| event == name)]; (text) }
                }
            }
            div.actions { button { "Add it" } }
        }
    };
    Ok(layout::work_page(frame, Area::Scrapers, "Webhooks", &content))
}

fn one(place: &str, hook: &Webhook, calls: &[Delivery]) -> Markup {
    let events = EVENTS.iter().filter(|(event, _, _)| hook.events.contains(event));
    let events: Vec<&str> = events.map(|(_, name, _)| *name).collect();
    let head = html! { th { "Run" } th { "State" } th { "Answer" } th.wide { "Next try" } th { span.unseen { "What to do" } } };
    let rows = html! { @for call in calls.iter().take(SHOWN) { (row(place, call)) } };
    html! {
        h2 { (hook.url) }
        form.line method="post" action=(place) {
            span.soft { "Called for: " (events.join(", ")) } " "
            button.plain name="remove" value=(hook.id.0) { "Remove" span.unseen { " " (hook.url) } }
        }
        @if calls.is_empty() { p.soft { "Not called yet." } }
        @else {
            (table(&format!("Calls of {}", hook.url), &head, &rows))
        }
    }
}

fn row(place: &str, call: &Delivery) -> Markup {
    let state = match call.state {
        DeliveryState::Waiting => "waits",
        DeliveryState::Delivered => "delivered",
        DeliveryState::GivenUp => "given up",
    };
    html! {
        tr {
            th scope="row" { a href=(run_address(call.run)) { (call.run) } }
            td { (state) @if call.tries > 1 { span.small.soft { (call.tries) " tries" } } }
            td.long { (call.answer.as_deref().unwrap_or("\u{2013}")) }
            td.wide { @if call.state == DeliveryState::Waiting { (time(call.due_at)) } @else { "\u{2013}" } }
            td { @if call.state != DeliveryState::Waiting { form method="post" action=(place) { button.plain name="redeliver" value=(call.id) { "Once more" span.unseen { ", call " (call.id) } } } } }
        }
    }
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Response, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    match changed(&app, &id, &fields).await {
        Ok(None) => Ok(Redirect::to(&format!("{}/webhooks", address(&id))).into_response()),
        Ok(Some(key)) => {
            let page = shown(
                &app,
                &frame,
                &id,
                &Params::default(),
                &Remark::default(),
                Some(&key),
            )
            .await?;
            Ok(([(header::CACHE_CONTROL, "no-store")], page).into_response())
        }
        Err(problem) => {
            let remark = Remark::of("", problem)?;
            Ok(remark.answer(shown(&app, &frame, &id, &fields, &remark, None).await?))
        }
    }
}

/// The key of the webhook, where one is added.
async fn changed(app: &App, id: &ScraperId, fields: &Params) -> Result<Option<Secret>, Problem> {
    let registry = app.runner.registry();
    if let Some(hook) = number(fields, "remove")? {
        registry.remove_webhook(id, WebhookId(hook)).await?;
        return Ok(None);
    }
    if let Some(call) = number(fields, "redeliver")? {
        registry.redeliver(id, call, clock::now()).await?;
        return Ok(None);
    }
    let wanted: Vec<&str> = fields.all("event").collect();
    let events = EVENTS.iter().filter(|(_, name, _)| wanted.contains(name));
    let events = events.map(|(event, _, _)| *event).collect();
    let (_, key) = registry
        .add_webhook(id, fields.text("url"), events, clock::now())
        .await?;
    Ok(Some(key))
}

fn number(fields: &Params, name: &str) -> Result<Option<u64>, Problem> {
    match fields.text(name) {
        "" => Ok(None),
        text => {
            let number = text.parse();
            number
                .map(Some)
                .map_err(|_| Problem::bad_request(format!("{name:?} is a number")))
        }
    }
}
