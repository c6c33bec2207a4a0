//! Signing in with a password, and out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use model::Timestamp;
use registry::{Secret, SignIn};
use url::Url;

use super::{cookie, must_have_accounts};
use crate::clock;
use crate::pages::form::field;
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Form, Params, link, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::{Access, Visitor};

/// Bytes of the place to go on to at most.
const MAX_PLACE_BYTES: usize = 1 << 10;

/// `/sign-in?to=`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    let to = own_place(params.text("to"));
    if let Visitor::Person(_) = visitor {
        return Ok(Redirect::to(&to).into_response());
    }
    Ok(form(&app.access, &frame, &to, "", "").into_response())
}

/// Signs in.
pub(super) async fn with_password(
    State(app): State<Arc<App>>,
    frame: Frame,
    Form(fields): Form,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    let (name, to) = (fields.text("name"), own_place(fields.text("to")));
    let password = Secret::new(fields.exact("password"));
    let refused = |status: StatusCode, why: &str| (status, form(&app.access, &frame, &to, name, why));
    match attempt(&app, name, password).await? {
        SignIn::Done(token, _) => Ok((
            cookie::SESSION.set(&app.access, token.reveal()),
            Redirect::to(&to),
        )
            .into_response()),
        SignIn::Wrong => {
            Ok(refused(StatusCode::UNAUTHORIZED, "the name or the password is wrong").into_response())
        }
        SignIn::TooMany(until) => {
            let seconds = wait(until);
            let why = format!("there were too many wrong passwords; try again in {seconds} s");
            let later = [(header::RETRY_AFTER, seconds.to_string())];
            Ok((later, refused(StatusCode::TOO_MANY_REQUESTS, &why)).into_response())
        }
    }
}

/// One try. Few go on at a time: each takes memory and a core.
pub(super) async fn attempt(app: &App, name: &str, password: Secret) -> Result<SignIn, Problem> {
    let _turn = app.sign_ins.acquire().await;
    Ok(app
        .runner
        .registry()
        .sign_in(name, password, clock::now())
        .await?)
}

fn wait(until: Timestamp) -> u64 {
    until.since(clock::now()).as_secs() + 1
}

/// Signs out.
pub(super) async fn out(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    if let Some(token) = cookie::SESSION.read(&app.access, &headers) {
        app.runner.registry().sign_out(&Secret::new(token)).await?;
    }
    Ok((cookie::SESSION.clear(&app.access), Redirect::to("/")))
}

fn form(access: &Access, frame: &Frame, to: &str, name: &str, wrong: &str) -> Markup {
    let content = html! {
        h1 { "Sign in" }
        form method="post" action="/sign-in" {
            input type="hidden" name="to" value=(to);
            (field("name", "Name", "").name(name, "username"))
            (field("password", "Password", "").wrong(wrong).password("current-password"))
            div.actions { button { "Sign in" } }
        }
        @if !access.providers.is_empty() {
            h2 { "Or" }
            div.actions {
                @for provider in &access.providers {
                    a.button.plain href=(link(&format!("/sign-in/{}", segment(&provider.name)), &[("to", to)])) { "Sign in with " (provider.name) }
                }
            }
        }
        p.soft { "Whoever operates this server lets people in." }
    };
    layout::work_page(frame, Area::Account, "Sign in", &content)
}

/// The place to go on to: a path of this server, whatever the text says; `/` where it is none.
pub(super) fn own_place(text: &str) -> String {
    const HERE: &str = "http://here.invalid";
    let here = Url::parse(HERE).ok();
    let place = here.and_then(|here| here.join(text).ok());
    let own = place.filter(|place| text.starts_with('/') && place.origin().ascii_serialization() == HERE);
    let path = own.map(|place| place.as_str().trim_start_matches(HERE).to_owned());
    // What begins with two slashes is a host to browsers, and a long one does not fit the cookie of a sign-in elsewhere.
    path.filter(|path| !path.starts_with("//") && path.len() <= MAX_PLACE_BYTES)
        .unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::own_place;

    #[test]
    fn nobody_is_led_away_from_here() {
        for (text, place) in [
            ("/sources?after=a%2Fb", "/sources?after=a%2Fb"),
            ("/", "/"),
            ("", "/"),
            ("//evil.test/", "/"),
            ("/\\evil.test/", "/"),
            ("/\t/evil.test/", "/"),
            ("/.//evil.test", "/"),
            ("/a/..//evil.test", "/"),
            ("https://evil.test/", "/"),
            ("https:evil.test", "/"),
            ("javascript:alert(1)", "/"),
            ("evil", "/"),
        ] {
            assert_eq!(own_place(text), place, "{text:?}");
        }
    }
}
