//! Signing in at somebody else: there (`begin`), and back with a code that we exchange for who it is (`finish`).

mod github;
mod http;
mod openid;
mod ticket;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use model::OwnerName;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge};
use registry::{Identity, RegistryError};
use url::Url;

use self::http::Http;
use self::ticket::Ticket;
use super::sign_in::own_place;
use super::{cookie, must_have_accounts};
use crate::clock;
use crate::names::is_reserved;
use crate::params::{Named, Params, segment};
use crate::problem::{Chain, Problem};
use crate::state::App;
use crate::visitor::{Provider, ProviderKind, Visitor};

/// Characters of a provider's own words that are shown at most.
const MAX_WORDS: usize = 200;

/// Whom a provider knows.
struct Known {
    /// What never changes of them.
    subject: String,
    /// What they are called there.
    name: String,
    /// Where mail reaches them, where the provider has made sure of it.
    email: Option<String>,
}

/// Leads to the provider.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Named(name): Named<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    must_have_accounts(&app)?;
    let to = own_place(params.text("to"));
    let (cookie, place) = outgoing(&app, provider(&app, &name)?, to, None).await?;
    Ok((cookie, Redirect::to(place.as_str())))
}

/// What the browser keeps until it comes back, and where it goes.
pub(super) async fn outgoing(
    app: &App,
    provider: &Provider,
    to: String,
    links: Option<OwnerName>,
) -> Result<([(HeaderName, HeaderValue); 1], Url), Problem> {
    let _turn = app.provider_visits.acquire().await;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (state, nonce) = (CsrfToken::new_random(), Nonce::new_random());
    let ticket = Ticket {
        provider: provider.name.clone(),
        state: state.secret().clone(),
        nonce: nonce.secret().clone(),
        verifier: verifier.secret().clone(),
        to,
        links,
        begun_at: clock::now(),
    };
    let back = back(app, provider);
    let place = match &provider.kind {
        ProviderKind::OpenId { issuer } => {
            let http = Http::new().map_err(|error| no_answer(provider, &error))?;
            openid::place(&http, provider, issuer, back, (challenge, state, nonce)).await?
        }
        ProviderKind::GitHub { site, .. } => github::place(provider, site, &back, &challenge, &state)?,
    };
    let sealed = ticket.seal(&provider.client_secret);
    Ok((cookie::PENDING.set(&app.access, &sealed), place))
}

/// Whoever comes back from the provider is signed in, or their account gets the identity.
pub(super) async fn finish(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(name): Named<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    let provider = provider(&app, &name)?;
    let ticket = cookie::PENDING
        .read(&app.access, &headers)
        .and_then(|sealed| Ticket::open(sealed, &provider.client_secret, clock::now()))
        .filter(|ticket| ticket.is_answered_by(&provider.name, params.text("state")));
    let ticket = ticket.ok_or_else(|| {
        Problem::bad_request(
            "this sign-in did not begin in this browser, or took longer than ten minutes; begin again",
        )
    })?;
    if !params.text("error").is_empty() {
        return Err(refusal(provider, &params));
    }
    must_be_who_began(&visitor, &ticket)?;
    let known = known(&app, provider, &ticket, params.text("code")).await?;
    let entered = enter(&app, provider, &ticket, known).await?;
    let leave = cookie::PENDING.clear(&app.access);
    Ok((leave, entered, Redirect::to(&ticket.to)).into_response())
}

/// Somebody else may sit at the browser by now, or the account was disabled.
fn must_be_who_began(visitor: &Visitor, ticket: &Ticket) -> Result<(), Problem> {
    let is_it = |account: &OwnerName| matches!(visitor, Visitor::Person(now) if now.name == *account);
    match ticket.links.as_ref().is_none_or(is_it) {
        true => Ok(()),
        false => Err(Problem::bad_request(
            "whoever began to link is no longer signed in; sign in and begin again",
        )),
    }
}

async fn known(app: &App, provider: &Provider, ticket: &Ticket, code: &str) -> Result<Known, Problem> {
    let _turn = app.provider_visits.acquire().await;
    let http = Http::new().map_err(|error| no_answer(provider, &error))?;
    let back = back(app, provider);
    match &provider.kind {
        ProviderKind::OpenId { issuer } => openid::known(&http, provider, issuer, back, ticket, code).await,
        ProviderKind::GitHub { site, api } => {
            github::known(&http, provider, (site, api), &back, ticket, code).await
        }
    }
}

/// The session of whoever it is, as a cookie; none where an account was linked, which is signed in already.
async fn enter(
    app: &App,
    provider: &Provider,
    ticket: &Ticket,
    known: Known,
) -> Result<axum::response::AppendHeaders<Vec<(HeaderName, HeaderValue)>>, Problem> {
    let identity = Identity {
        provider: provider.name.clone(),
        subject: known.subject,
    };
    let registry = app.runner.registry();
    if let Some(account) = &ticket.links {
        registry.add_identity(account, identity).await?;
        return Ok(axum::response::AppendHeaders(Vec::new()));
    }
    let (wanted, may_register) = (known.name, app.access.may_register);
    let signed_in = registry
        .sign_in_as(
            identity,
            &wanted,
            known.email,
            may_register,
            is_reserved,
            clock::now(),
        )
        .await;
    match signed_in {
        Ok((token, _)) => {
            let cookie = cookie::SESSION.set(&app.access, token.reveal());
            Ok(axum::response::AppendHeaders(cookie.into()))
        }
        Err(RegistryError::NotFound { .. }) => {
            let detail = format!(
                "{wanted} of {} has no account here; ask whoever operates this server, or sign in with a password and link the two on your account's page",
                provider.name
            );
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
        Err(error) => Err(error.into()),
    }
}

/// Where the provider leads back to; it must be written down there.
fn back(app: &App, provider: &Provider) -> String {
    let base = &app.access.base;
    format!("{base}/sign-in/{}/back", segment(&provider.name))
}

pub(super) fn provider<'a>(app: &'a App, name: &str) -> Result<&'a Provider, Problem> {
    let mut providers = app.access.providers.iter();
    providers
        .find(|provider| provider.name == name)
        .ok_or_else(|| Problem::not_found("nobody signs in there; /sign-in shows where people do"))
}

/// In the provider's own words, which came through the browser: short, and shown as text.
fn refusal(provider: &Provider, params: &Params) -> Problem {
    let words = match params.text("error_description") {
        "" => params.text("error"),
        words => words,
    };
    let words: String = words.chars().take(MAX_WORDS).collect();
    let detail = format!("{} did not sign you in: {words}", provider.name);
    Problem::new(StatusCode::FORBIDDEN, detail)
}

/// The provider did not do what it should. The cause goes to the log.
fn no_answer(provider: &Provider, error: &dyn std::error::Error) -> Problem {
    tracing::warn!(provider = provider.name, error = %Chain(error), "a provider did not sign somebody in");
    let detail = format!(
        "{} did not answer as it should; try again, and if it stays so, tell whoever operates this server",
        provider.name
    );
    Problem::new(StatusCode::BAD_GATEWAY, detail)
}
