//! An account gets other ways in, and loses them: who somebody is at a provider.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use registry::Identity;

use super::account::refused;
use super::{must_have_accounts, provider, signed_in};
use crate::pages::form::Remark;
use crate::pages::layout::{self, Area, Frame};
use crate::pages::problem::sentence;
use crate::params::{Form, Named, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::{Provider, Visitor};

/// The part of the account's page about other ways in.
pub(super) async fn section(app: &App, visitor: &Visitor, remark: &Remark) -> Result<Markup, Problem> {
    let Visitor::Person(account) = visitor else {
        return Ok(html! {});
    };
    let known = app.runner.registry().identities(&account.name).await?;
    let unlinked = |provider: &&Provider| known.iter().all(|identity| identity.provider != provider.name);
    let unlinked: Vec<&Provider> = app.access.providers.iter().filter(unlinked).collect();
    Ok(html! {
        @if !known.is_empty() || !unlinked.is_empty() {
            h2 { "Other ways to sign in" }
            @if !remark.at("links").is_empty() { p.wrong role="alert" { (sentence(remark.at("links"))) } }
            @if !known.is_empty() { (linked(&known)) }
            div.actions {
                @for provider in unlinked {
                    form method="post" action=(place(&provider.name)) { button.plain { "Link " (provider.name) } }
                }
            }
        }
    })
}

fn linked(known: &[Identity]) -> Markup {
    html! {
        ul.plain.held {
            @for identity in known {
                li {
                    form.line method="post" action={ (place(&identity.provider)) "/remove" } {
                        span { (identity.provider) " " code { (identity.subject) } } " "
                        button.plain name="subject" value=(identity.subject) { "Unlink" span.unseen { " " (identity.provider) } }
                    }
                }
            }
        }
    }
}

fn place(provider: &str) -> String {
    format!("/account/links/{}", segment(provider))
}

/// Takes a way in away, unless it is the last one.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Named(provider): Named<String>,
    Form(fields): Form,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    let account = signed_in(visitor.clone())?;
    let identity = Identity {
        provider,
        subject: fields.exact("subject").to_owned(),
    };
    match app
        .runner
        .registry()
        .remove_identity(&account.name, identity)
        .await
    {
        Ok(()) => Ok(Redirect::to("/account").into_response()),
        Err(error) => refused(&app, &visitor, &frame, "links", error.into()).await,
    }
}

/// Begins to link. That somebody wants it is said by a form of this server, never by a link from elsewhere: else a page could link an account to a stranger.
/// Forms lead nowhere else, so the way on is a link.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Named(name): Named<String>,
) -> Result<impl IntoResponse, Problem> {
    must_have_accounts(&app)?;
    let account = signed_in(visitor)?;
    let provider = provider::provider(&app, &name)?;
    let to = "/account".to_owned();
    let (cookie, place) = provider::outgoing(&app, provider, to, Some(account.name)).await?;
    let content = html! {
        h1 { "Link " (provider.name) }
        p { "Sign in there, and from then on you can sign in here with it too." }
        div.actions { a.button href=(place) { "Go on to " (provider.name) } a href="/account" { "Back" } }
    };
    Ok((
        cookie,
        layout::work_page(&frame, Area::Account, "Link an account", &content),
    ))
}
