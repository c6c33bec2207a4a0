//! Accounts and organisations, for operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::OwnerName;
use registry::AccountChange;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::people;
use crate::api::refusals::{Guarded, Missing, Taken, TooLarge, Wrong};
use crate::api::wire::{AccountBody, OrganisationBody};
use crate::clock;
use crate::names::refuse_reserved;
use crate::params::{Named, Unread};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Every path about accounts and organisations.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(change))
        .routes(routes!(organisations))
        .routes(routes!(set_organisation))
}

/// Everybody who may sign in, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accounts {
    accounts: Vec<AccountBody>,
}

/// Somebody to let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccountBody {
    /// What they sign in with, and the owner of their scrapers.
    #[schema(value_type = String, example = "ada")]
    name: OwnerName,
    /// Where mail goes.
    email: Option<String>,
    /// Whether they may do everything.
    #[serde(default)]
    is_operator: bool,
}

/// An account that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct AddedAccount {
    account: AccountBody,
    /// To sign in with, until they choose another. It is shown only now.
    password: String,
}

/// Everybody who may sign in, by name.
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "accounts", operation_id = "list_accounts",
    responses(
        (status = 200, body = Accounts),
        Guarded,
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Json<Accounts>, Problem> {
    visitor.must_operate(&app).await?;
    let accounts = app.runner.registry().accounts().await?;
    Ok(Json(Accounts {
        accounts: accounts.iter().map(AccountBody::from).collect(),
    }))
}

/// Lets somebody in.
#[utoipa::path(
    post, path = "/api/v1/accounts", tag = "accounts", operation_id = "add_account", request_body = NewAccountBody,
    responses(
        (status = 201, body = AddedAccount),
        Wrong,
        TooLarge,
        Guarded,
        Taken,
    )
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<NewAccountBody>,
) -> Result<impl IntoResponse, Problem> {
    visitor.must_operate(&app).await?;
    let new = body.read().await?;
    let (account, password) = people::let_in(&app, new.name, new.email, new.is_operator).await?;
    let added = AddedAccount {
        account: AccountBody::from(&account),
        password: password.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(added)))
}

/// What is to be another way; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedAccount {
    /// Where mail goes; none where it is empty.
    email: Option<String>,
    /// Whether they want mail about their scrapers.
    wants_mail: Option<bool>,
    /// Whether they may do everything.
    is_operator: Option<bool>,
    /// Whether they may not sign in any more; their sessions and keys end.
    is_disabled: Option<bool>,
}

/// Changes an account. Nobody takes their own rights away.
#[utoipa::path(
    patch, path = "/api/v1/accounts/{account}", tag = "accounts", operation_id = "change_account",
    params(("account" = String, Path, description = "Its name")),
    request_body = ChangedAccount,
    responses(
        (status = 200, body = AccountBody),
        Wrong,
        TooLarge,
        Guarded,
        Missing,
    )
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(name): Named<OwnerName>,
    body: Unread<ChangedAccount>,
) -> Result<Json<AccountBody>, Problem> {
    visitor.must_operate(&app).await?;
    let body = body.read().await?;
    let address = |email: String| Some(email.trim().to_owned()).filter(|email| !email.is_empty());
    let change = AccountChange {
        email: body.email.map(address),
        wants_mail: body.wants_mail,
        is_operator: body.is_operator,
        is_disabled: body.is_disabled,
    };
    let account = people::changed(&app, &visitor, &name, change).await?;
    Ok(Json(AccountBody::from(&account)))
}

/// Organisations by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Organisations {
    organisations: Vec<OrganisationBody>,
}

/// Organisations by name.
#[utoipa::path(
    get, path = "/api/v1/organisations", tag = "accounts", operation_id = "list_organisations",
    responses(
        (status = 200, body = Organisations),
        Guarded,
    )
)]
pub(crate) async fn organisations(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Json<Organisations>, Problem> {
    visitor.must_operate(&app).await?;
    let organisations = app.runner.registry().organisations().await?;
    Ok(Json(Organisations {
        organisations: organisations.iter().map(OrganisationBody::from).collect(),
    }))
}

/// Who belongs to an organisation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Members {
    /// Names of accounts.
    #[schema(value_type = Vec<String>)]
    members: Vec<OwnerName>,
}

/// Makes an organisation, or says anew who belongs to it.
#[utoipa::path(
    put, path = "/api/v1/organisations/{organisation}", tag = "accounts", operation_id = "set_organisation",
    params(("organisation" = String, Path, description = "Its name")),
    request_body = Members,
    responses(
        (status = 200, body = OrganisationBody),
        Wrong,
        TooLarge,
        Guarded,
        Taken,
    )
)]
pub(crate) async fn set_organisation(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(name): Named<OwnerName>,
    body: Unread<Members>,
) -> Result<Json<OrganisationBody>, Problem> {
    visitor.must_operate(&app).await?;
    let body = body.read().await?;
    refuse_reserved(&name)?;
    let registry = app.runner.registry();
    let owner = registry
        .set_organisation(&name, body.members, clock::now())
        .await?;
    Ok(Json(OrganisationBody::from(&owner)))
}
