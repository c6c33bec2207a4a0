//! Who is who: signing in, accounts, keys and organisations, as pages for people. Programs find the same under `/api/v1`.

mod account;
pub(crate) mod cookie;
mod keys;
mod link;
mod organisations;
pub(crate) mod people;
mod provider;
mod sign_in;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::routing::{get, post};
use registry::Account;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Every page about accounts. They show what is for one person, once in a while a key, so nothing keeps them.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in", get(sign_in::page).post(sign_in::with_password))
        .route("/sign-in/{provider}", get(provider::begin))
        .route("/sign-in/{provider}/back", get(provider::finish))
        .route("/sign-out", post(sign_in::out))
        .route("/account", get(account::page))
        .route("/account/mail", post(account::set_mail))
        .route("/account/password", post(account::set_password))
        .route("/account/links/{provider}", post(link::begin))
        .route("/account/links/{provider}/remove", post(link::remove))
        .route("/account/keys/{owner}", post(keys::issue))
        .route("/account/keys/{owner}/{key}/rotate", post(keys::rotate))
        .route("/account/keys/{owner}/{key}/revoke", post(keys::revoke))
        .route("/accounts", get(people::list).post(people::add))
        .route("/accounts/{account}", post(people::change))
        .route("/accounts/{account}/password", post(people::reset_password))
        .route(
            "/organisations",
            get(organisations::list).post(organisations::set),
        )
        .layer(SetResponseHeaderLayer::overriding(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
}

/// Refuses where nobody signs in.
fn must_have_accounts(app: &App) -> Result<(), Problem> {
    match app.access.accounts {
        true => Ok(()),
        false => Err(Problem::not_found(
            "people do not sign in at this server; its configuration can say that they do",
        )),
    }
}

/// Refuses programs: what a key may do with keys is a matter of the API.
fn must_be_person(visitor: &Visitor) -> Result<(), Problem> {
    match visitor {
        Visitor::Program(_) => Err(Problem::bad_request(
            "this page is for people; programs use /api/v1/owners/OWNER/keys",
        )),
        _ => Ok(()),
    }
}

/// The account of whoever is signed in.
fn signed_in(visitor: Visitor) -> Result<Account, Problem> {
    match visitor {
        Visitor::Person(account) => Ok(account),
        Visitor::Program(_) => Err(Problem::bad_request(
            "this page is for people; sign in without a key",
        )),
        Visitor::Nobody | Visitor::Anyone => Err(Problem::unknown_visitor()),
    }
}
