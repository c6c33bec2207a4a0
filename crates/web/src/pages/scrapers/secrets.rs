//! `/scrapers/{owner}/{name}/secrets`: names only; values never come back.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use registry::{Scope, Secret, SecretName};

use super::address;
use crate::api::scrapers::Of;
use crate::pages::form::field;
use crate::pages::layout::{self, Area, Frame};
use crate::params::Form;
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
    let names = app.runner.registry().secret_names(&id).await?;
    let place = address(&id);
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } " / " a href=(place) { (id) } }
        h1 { "Secrets" }
        p { "A run finds each as an environment variable. They are sealed, masked in logs, and not there while dependencies are installed." }
        @if names.is_empty() { p.soft { "None yet." } } @else { (listed(&place, &names)) }
        h2 { "Set one" }
        form method="post" action={ (place) "/secrets" } autocomplete="off" {
            (field("name", "Name", "MORPH_ and letters, digits and '_'. One that is there gets the new value.").needed_text("MORPH_", 100))
            div.field {
                label for="value" { "Value" }
                input #value type="password" name="value" required maxlength="32768" autocomplete="new-password";
            }
            div.actions { button { "Set it" } }
        }
    };
    Ok(layout::work_page(&frame, Area::Scrapers, "Secrets", &content))
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
    visitor: Visitor,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let registry = app.runner.registry();
    match fields.text("remove") {
        "" => {
            let value = Secret::new(fields.exact("value"));
            registry
                .set_secret(&id, &SecretName::new(fields.text("name"))?, value)
                .await?;
        }
        name => registry.remove_secret(&id, &SecretName::new(name)?).await?,
    }
    Ok(Redirect::to(&format!("{}/secrets", address(&id))))
}
