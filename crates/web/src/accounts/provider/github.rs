//! GitHub's OAuth 2, which is no OpenID Connect: who it is, its API says.

use axum::http::{Request, header};
use openidconnect::{CsrfToken, PkceCodeChallenge};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use super::http::{Http, HttpError};
use super::ticket::Ticket;
use super::{Known, no_answer};
use crate::problem::Problem;
use crate::visitor::Provider;

/// What the code is exchanged for.
#[derive(Deserialize)]
struct Tokens {
    access_token: String,
}

/// What GitHub says of somebody.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    email: Option<String>,
}

/// Where somebody signs in. We ask for no scope: the public profile is enough.
pub(super) fn place(
    provider: &Provider,
    site: &str,
    back: &str,
    challenge: &PkceCodeChallenge,
    state: &CsrfToken,
) -> Result<Url, Problem> {
    let parameters = [
        ("client_id", provider.client_id.as_str()),
        ("redirect_uri", back),
        ("state", state.secret()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    Url::parse_with_params(&format!("{site}/login/oauth/authorize"), parameters)
        .map_err(|error| no_answer(provider, &error))
}

/// Who came back with this code.
pub(super) async fn known(
    http: &Http,
    provider: &Provider,
    (site, api): (&str, &str),
    back: &str,
    ticket: &Ticket,
    code: &str,
) -> Result<Known, Problem> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &provider.client_id)
        .append_pair("client_secret", provider.client_secret.reveal())
        .append_pair("code", code)
        .append_pair("redirect_uri", back)
        .append_pair("code_verifier", &ticket.verifier)
        .finish();
    let exchange = Request::post(format!("{site}/login/oauth/access_token"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let tokens: Tokens = ask(http, provider, exchange, form.into_bytes()).await?;
    let who = Request::get(format!("{api}/user"))
        .header(header::AUTHORIZATION, format!("Bearer {}", tokens.access_token));
    let user: User = ask(http, provider, who, Vec::new()).await?;
    Ok(Known {
        subject: user.id.to_string(),
        name: user.login,
        email: user.email,
    })
}

async fn ask<T: DeserializeOwned>(
    http: &Http,
    provider: &Provider,
    request: axum::http::request::Builder,
    body: Vec<u8>,
) -> Result<T, Problem> {
    let request = request
        .header(header::ACCEPT, "application/json")
        .body(body)
        .map_err(|error| no_answer(provider, &error))?;
    answer(http, request)
        .await
        .map_err(|error| no_answer(provider, &error))
}

async fn answer<T: DeserializeOwned>(http: &Http, request: Request<Vec<u8>>) -> Result<T, HttpError> {
    let answer = http.send(request).await?;
    match answer.status().is_success() {
        true => Ok(serde_json::from_slice(answer.body())?),
        false => Err(HttpError::Status(answer.status().as_u16())),
    }
}
