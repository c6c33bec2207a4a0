//! `/scrapers/{owner}/{name}/secrets`: names only; values never come back.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use model::ScraperId;
use registry::{Scope, Secret, SecretName};

use super::address;
use crate::api::scrapers::Of;
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Form, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Markup, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    shown(&app, &frame, &id, "MORPH_", &Remark::default()).await
}

/// The page with the name that was entered; a value is never sent back.
async fn shown(
    app: &App,
    frame: &Frame,
    id: &ScraperId,
    name: &str,
    remark: &Remark,
) -> Result<Markup, Problem> {
    let names = app.runner.registry().secret_names(id).await?;
    let place = address(id);
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } " / " a href=(place) { (id) } }
        h1 { "Secrets" }
        (remark.above())
        p { "A run finds each as an environment variable. They are sealed, masked in logs, and not there while dependencies are installed." }
        @if names.is_empty() { p.soft { "None yet." } } @else { (listed(&place, &names)) }
        h2 { "Set one" }
        form method="post" action={ (place) "/secrets" } autocomplete="off" {
            (field("name", "Name", "MORPH_ and letters, digits and '_'. One that is there gets the new value.").needed_text(name, 100))
            div.field {
                label for="value" { "Value" }
                input #value type="password" name="value" required maxlength="32768" autocomplete="new-password";
            }
            div.actions { button { "Set it" } }
        }
    };
    Ok(layout::work_page(frame, Area::Scrapers, "Secrets", &content))
}

fn listed(place: &str, names: &[SecretName]) -> Markup {
    html! {
        ul.plain.held {
            @for name in names {
                li {
                    form.line method="post" action={ (place) "/secrets" } {
                        code { (name.as_str()) } " "
                        button.plain name="remove" value=(name.as_str()) { "Remove" span.unseen { " " (name.as_str()) } }
                    }
                }
            }
        }
    }
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Response, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    match changed(&app, &id, &fields).await {
        Ok(()) => Ok(Redirect::to(&format!("{}/secrets", address(&id))).into_response()),
        Err(problem) => {
            let remark = Remark::of("", problem)?;
            Ok(remark.answer(shown(&app, &frame, &id, fields.text("name"), &remark).await?))
        }
    }
}

async fn changed(app: &App, id: &ScraperId, fields: &Params) -> Result<(), Problem> {
    let registry = app.runner.registry();
    match fields.text("remove") {
        "" => {
            let (name, value) = (
                SecretName::new(fields.text("name"))?,
                Secret::new(fields.exact("value")),
            );
            registry.set_secret(id, &name, value).await?;
        }
        name => registry.remove_secret(id, &SecretName::new(name)?).await?,
    }
    Ok(())
}
