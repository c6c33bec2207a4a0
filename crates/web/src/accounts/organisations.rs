//! `/organisations`: several people who own scrapers together.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use model::OwnerName;
use registry::Owner;

use super::must_have_accounts;
use crate::clock;
use crate::names::refuse_reserved;
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Form, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// `/organisations`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
) -> Result<Markup, Problem> {
    must_have_accounts(&app)?;
    visitor.must_operate(&app).await?;
    shown(&app, &frame, &Remark::default()).await
}

async fn shown(app: &App, frame: &Frame, remark: &Remark) -> Result<Markup, Problem> {
    let organisations = app.runner.registry().organisations().await?;
    let content = html! {
        p.above { a href="/account" { "Account" } }
        h1 { "Organisations" }
        p.lead { "What belongs to an organisation, each of its members may change." }
        @for organisation in &organisations { (members(organisation)) }
        h2 { "Add an organisation" }
        form method="post" action="/organisations" {
            (field("name", "Name", "").wrong(remark.at("name")).name("", "off"))
            (field("members", "Members", "Names of accounts, one a line.").lines(&[]))
            div.actions { button { "Add" } }
        }
    };
    Ok(layout::work_page(frame, Area::Account, "Organisations", &content))
}

fn members(organisation: &Owner) -> Markup {
    let names: Vec<String> = organisation.members.iter().map(ToString::to_string).collect();
    let id = format!("members-{}", organisation.name);
    html! {
        h2 { (organisation.name) }
        form method="post" action="/organisations" {
            input type="hidden" name="name" value=(organisation.name);
            div.field {
                label for=(id) { "Members of " (organisation.name) ", one a line" }
                textarea id=(id) name="members" rows=(names.len().clamp(2, 12)) { (names.join("\n")) }
            }
            div.actions { button.plain { "Save" } }
        }
    }
}

/// Makes an organisation, or says anew who belongs to it.
pub(super) async fn set(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Form(fields): Form,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    visitor.must_operate(&app).await?;
    match save(&app, &fields).await {
        Ok(()) => Ok(Redirect::to("/organisations").into_response()),
        Err(problem) => {
            let remark = Remark::of("name", problem)?;
            Ok(remark.answer(shown(&app, &frame, &remark).await?))
        }
    }
}

async fn save(app: &App, fields: &Params) -> Result<(), Problem> {
    let name = fields.parsed::<OwnerName>("name")?;
    let name = name.ok_or_else(|| Problem::bad_request("give a name"))?;
    refuse_reserved(&name)?;
    let members = fields
        .lines("members")
        .map(OwnerName::new)
        .collect::<Result<_, _>>()?;
    app.runner
        .registry()
        .set_organisation(&name, members, clock::now())
        .await?;
    Ok(())
}
