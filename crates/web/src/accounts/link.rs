//! An account gets a second way in: who somebody is at a provider.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use maud::{Markup, html};

use super::{must_have_accounts, provider, signed_in};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Named, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::{Access, Visitor};

/// The part of the account's page about other ways in.
pub(super) fn section(access: &Access) -> Markup {
    html! {
        @if !access.providers.is_empty() {
            h2 { "Other ways to sign in" }
            div.actions {
                @for provider in &access.providers {
                    form method="post" action={ "/account/links/" (segment(&provider.name)) } { button.plain { "Link " (provider.name) } }
                }
            }
        }
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
