//! `/account`: what people see and change of themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use registry::{Account, AccountChange, IssuedKey, Secret, SignIn};

use super::sign_in::attempt;
use super::{cookie, keys, link, must_be_person, must_have_accounts, signed_in};
use crate::display::date;
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Area, Frame};
use crate::params::Form;
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// `/account`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
) -> Result<Markup, Problem> {
    shown(&app, &visitor, &frame, &Remark::default(), None).await
}

/// The page, with what is wrong with what was entered, and with a key that was just made.
pub(super) async fn shown(
    app: &App,
    visitor: &Visitor,
    frame: &Frame,
    remark: &Remark,
    issued: Option<&IssuedKey>,
) -> Result<Markup, Problem> {
    must_be_person(visitor)?;
    let owner = visitor.owner()?;
    let links = link::section(app, visitor, remark).await?;
    let keys = keys::section(app, visitor, remark, issued).await?;
    let has_account = matches!(visitor, Visitor::Person(_));
    let content = html! {
        h1 { @if !has_account { "Keys of " } (owner) }
        @match visitor {
            Visitor::Person(account) => { (about(account)) },
            _ => { p.lead { "People do not sign in at this server: whoever reaches it may do everything. Programs that ask for data need a key all the same." } },
        }
        (keys)
        @if let Visitor::Person(account) = visitor {
            (mail(account, remark))
            (password(account, remark))
            (links)
        }
    };
    Ok(layout::work_page(frame, Area::Account, "Account", &content))
}

fn about(account: &Account) -> Markup {
    html! {
        p.lead { @if account.is_operator { "Operator" } @else { "Member" } " since " (date(account.created_at)) "." }
        @if account.is_operator {
            div.actions {
                a.button.plain href="/accounts" { "Accounts" }
                a.button.plain href="/organisations" { "Organisations" }
            }
        }
    }
}

fn mail(account: &Account, remark: &Remark) -> Markup {
    html! {
        h2 { "Mail" }
        form method="post" action="/account/mail" {
            (field("email", "Address", "").wrong(remark.at("email")).mail(account.email.as_deref().unwrap_or_default()))
            (field("wants_mail", "Write to me when a scraper of mine fails or recovers, and once a day about those that still fail", "").tick(account.wants_mail))
            div.actions { button { "Save" } }
        }
    }
}

fn password(account: &Account, remark: &Remark) -> Markup {
    html! {
        h2 { "Password" }
        form method="post" action="/account/password" {
            // Managers of passwords want to know whose it is.
            input type="hidden" name="name" value=(account.name) autocomplete="username";
            @if account.has_password { (field("old", "The one you have", "").wrong(remark.at("old")).password("current-password")) }
            (field("new", "A new one", "12 characters at least. You are signed out everywhere else.").wrong(remark.at("new")).password("new-password"))
            div.actions { button { "Change it" } }
        }
    }
}

/// Saves where mail goes.
pub(super) async fn set_mail(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Form(fields): Form,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    let account = signed_in(visitor.clone())?;
    let email = fields.text("email");
    let change = AccountChange {
        email: Some((!email.is_empty()).then(|| email.to_owned())),
        wants_mail: Some(!fields.text("wants_mail").is_empty()),
        ..AccountChange::default()
    };
    match app.runner.registry().change_account(&account.name, change).await {
        Ok(_) => Ok(Redirect::to("/account").into_response()),
        Err(error) => refused(&app, &visitor, &frame, "email", error.into()).await,
    }
}

/// Sets another password; whoever does it stays signed in here, and nowhere else.
pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Form(fields): Form,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    let account = signed_in(visitor.clone())?;
    if account.has_password
        && let Some(problem) = wrong_password(&app, &account, fields.exact("old")).await?
    {
        return refused(&app, &visitor, &frame, "old", problem).await;
    }
    let new = Secret::new(fields.exact("new"));
    let registry = app.runner.registry();
    if let Err(error) = registry.set_password(&account.name, new.clone()).await {
        return refused(&app, &visitor, &frame, "new", error.into()).await;
    }
    match attempt(&app, account.name.as_str(), new).await? {
        SignIn::Done(token, _) => {
            let cookie = cookie::SESSION.set(&app.access, token.reveal());
            Ok((cookie, Redirect::to("/account")).into_response())
        }
        SignIn::Wrong | SignIn::TooMany(_) => Ok(Redirect::to("/sign-in").into_response()),
    }
}

/// What is wrong with a password that should be the account's.
async fn wrong_password(app: &App, account: &Account, password: &str) -> Result<Option<Problem>, Problem> {
    let why = match attempt(app, account.name.as_str(), Secret::new(password)).await? {
        SignIn::Done(session, _) => {
            app.runner.registry().sign_out(&session).await?;
            return Ok(None);
        }
        SignIn::Wrong => "this is not your password",
        SignIn::TooMany(_) => "there were too many wrong passwords; try again in a few minutes",
    };
    Ok(Some(Problem::bad_request(why)))
}

/// The page again, where what was entered is not taken; other failures are a page of their own.
pub(super) async fn refused(
    app: &App,
    visitor: &Visitor,
    frame: &Frame,
    field: &'static str,
    problem: Problem,
) -> Result<Response, Problem> {
    let remark = Remark::of(field, problem)?;
    Ok(remark.answer(shown(app, visitor, frame, &remark, None).await?))
}
