//! `/accounts`: operators let people in, and show them out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use maud::{Markup, html};
use model::OwnerName;
use registry::{Account, AccountChange, NewAccount, Secret};

use super::must_have_accounts;
use crate::clock;
use crate::display::date;
use crate::names::refuse_reserved;
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Form, Named, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::{Visitor, is_same};

/// Random bytes of a password that somebody gets to begin with.
const PASSWORD_BYTES: usize = 15;

/// A password that was just set for somebody.
struct Handed<'a> {
    name: &'a OwnerName,
    password: &'a Secret,
}

/// `/accounts`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
) -> Result<Markup, Problem> {
    must_have_accounts(&app)?;
    visitor.must_operate(&app).await?;
    shown(&app, &visitor, &frame, &Remark::default(), None).await
}

async fn shown(
    app: &App,
    visitor: &Visitor,
    frame: &Frame,
    remark: &Remark,
    handed: Option<&Handed<'_>>,
) -> Result<Markup, Problem> {
    let accounts = app.runner.registry().accounts().await?;
    let own = visitor.owner()?;
    let head = html! { th { "Name" } th.wide { "Mail" } th { "Since" } th { "Is" } th { span.unseen { "What to do" } } };
    let rows = html! { @for account in &accounts { (row(account, account.name == own)) } };
    let content = html! {
        p.above { a href="/account" { "Account" } }
        h1 { "Accounts" }
        @if let Some(handed) = handed { (password(handed)) }
        (layout::table("Accounts", &head, &rows))
        h2 { "Let somebody in" }
        form method="post" action="/accounts" {
            (field("name", "Name", "Their scrapers are below it: letters, digits, '-', '_' and '.'.").wrong(remark.at("name")).name("", "off"))
            (field("email", "Mail (optional)", "").wrong(remark.at("email")).mail(""))
            (field("is_operator", "Operator", "May do everything, with everything.").tick(false))
            div.actions { button { "Let them in" } }
        }
        p.soft { "They get a password to begin with, which is shown once." }
    };
    Ok(layout::work_page(frame, Area::Account, "Accounts", &content))
}

fn password(handed: &Handed<'_>) -> Markup {
    html! {
        div.notice role="status" {
            p { strong { "The password of " (handed.name) } " is shown only now. Give it to them; they choose another one on their account's page." }
            code.secret { (handed.password.reveal()) }
        }
    }
}

/// Nobody takes their own rights away, so there are no buttons for it.
fn row(account: &Account, is_own: bool) -> Markup {
    let place = format!("/accounts/{}", segment(account.name.as_str()));
    let change = |field: &str, value: &str, text: &str| {
        html! {
            form method="post" action=(place) {
                input type="hidden" name=(field) value=(value);
                button.plain { (text) span.unseen { " " (account.name) } }
            }
        }
    };
    html! {
        tr {
            th scope="row" { (account.name) }
            td.wide { (account.email.as_deref().unwrap_or_default()) }
            td { (date(account.created_at)) }
            td {
                @if account.is_disabled { "disabled" } @else if account.is_operator { "operator" } @else { "member" }
                @if is_own { span.soft { " (you)" } }
            }
            td {
                @if !is_own {
                    div.actions {
                        @if account.is_operator { (change("operator", "no", "Make member")) } @else { (change("operator", "yes", "Make operator")) }
                        @if account.is_disabled { (change("disabled", "no", "Enable")) } @else { (change("disabled", "yes", "Disable")) }
                        form method="post" action={ (place) "/password" } { button.plain { "New password" span.unseen { " for " (account.name) } } }
                    }
                }
            }
        }
    }
}

/// Lets somebody in and shows their password.
pub(super) async fn add(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Form(fields): Form,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    visitor.must_operate(&app).await?;
    let email = Some(fields.text("email").to_owned());
    let is_operator = !fields.text("is_operator").is_empty();
    let added = match fields.parsed::<OwnerName>("name") {
        Ok(Some(name)) => let_in(&app, name, email, is_operator).await,
        Ok(None) => Err(Problem::bad_request("give a name")),
        Err(problem) => Err(problem),
    };
    match added {
        Ok((account, password)) => handed(&app, &visitor, &frame, &account.name, &password).await,
        Err(problem) => {
            let remark = Remark::of("name", problem)?;
            Ok(remark.answer(shown(&app, &visitor, &frame, &remark, None).await?))
        }
    }
}

async fn handed(
    app: &App,
    visitor: &Visitor,
    frame: &Frame,
    name: &OwnerName,
    password: &Secret,
) -> Result<Response, Problem> {
    let handed = Handed { name, password };
    let page = shown(app, visitor, frame, &Remark::default(), Some(&handed)).await?;
    Ok((StatusCode::CREATED, page).into_response())
}

/// Makes an account with a random password.
pub(crate) async fn let_in(
    app: &App,
    name: OwnerName,
    email: Option<String>,
    is_operator: bool,
) -> Result<(Account, Secret), Problem> {
    refuse_reserved(&name)?;
    let password = random_password()?;
    let new = NewAccount {
        name,
        email: email
            .map(|email| email.trim().to_owned())
            .filter(|email| !email.is_empty()),
        password: Some(password.clone()),
        is_operator,
    };
    let account = app.runner.registry().add_account(new, clock::now()).await?;
    Ok((account, password))
}

fn random_password() -> Result<Secret, Problem> {
    let mut bytes = [0; PASSWORD_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|error| Problem::failed("the system's randomness", true, &error))?;
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// Changes an account, unless somebody would shut themselves out.
pub(crate) async fn changed(
    app: &App,
    visitor: &Visitor,
    name: &OwnerName,
    change: AccountChange,
) -> Result<Account, Problem> {
    let is_own = is_same(&visitor.owner()?, name);
    if is_own && (change.is_disabled == Some(true) || change.is_operator == Some(false)) {
        return Err(Problem::bad_request(
            "you would shut yourself out; another operator can do this",
        ));
    }
    Ok(app.runner.registry().change_account(name, change).await?)
}

/// Makes somebody operator or not, disables or enables them.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(name): Named<OwnerName>,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    must_have_accounts(&app)?;
    visitor.must_operate(&app).await?;
    let said = |field: &str| match fields.text(field) {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let change = AccountChange {
        is_operator: said("operator"),
        is_disabled: said("disabled"),
        ..AccountChange::default()
    };
    changed(&app, &visitor, &name, change).await?;
    Ok(Redirect::to("/accounts"))
}

/// Sets a random password for somebody who forgot theirs, and shows it.
pub(super) async fn reset_password(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    frame: Frame,
    Named(name): Named<OwnerName>,
) -> Result<Response, Problem> {
    must_have_accounts(&app)?;
    visitor.must_operate(&app).await?;
    let password = random_password()?;
    app.runner
        .registry()
        .set_password(&name, password.clone())
        .await?;
    handed(&app, &visitor, &frame, &name, &password).await
}
