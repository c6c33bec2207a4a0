use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catalog::{MAX_PACKS, Package, Published};
use model::Host;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::params::{Body, Named, Params};
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// What is published under names, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Packages {
    packages: Vec<PackageBody>,
    /// In all.
    total: usize,
    /// Give it as `after` for the packages that follow; missing where there are none.
    next: Option<String>,
}

/// Something that is published, with what it needs and what needs it.
#[derive(Serialize, ToSchema)]
#[schema(as = Package)]
pub(crate) struct PackageBody {
    #[schema(example = "collection/health")]
    name: String,
    /// What it depends on.
    dependencies: Vec<String>,
    /// What depends on it: while something does, it cannot be removed.
    dependents: Vec<String>,
}

/// The packs of a collection.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CollectionBody {
    /// Their hosts; each has a published pack.
    #[schema(example = json!(["example.gov", "health.example.gov"]))]
    hosts: Vec<String>,
}

/// Packs and collections, by name.
#[utoipa::path(
    get, path = "/api/v1/packages", tag = "packages", operation_id = "list_packages",
    params(
        ("after" = Option<String>, Query, description = "Only names after this one: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 100 where it is missing"),
    ),
    responses(
        (status = 200, body = Packages),
        (status = 400, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Json<Packages>, Problem> {
    let slice = Slice::of(&app, &params).await?;
    Ok(Json(Packages {
        packages: slice.packages.into_iter().map(PackageBody::from).collect(),
        total: slice.total,
        next: slice.next,
    }))
}

/// One package.
#[utoipa::path(
    get, path = "/api/v1/packages/{name}", tag = "packages", operation_id = "get_package",
    params(("name" = String, Path, description = "Its name, with `/` as `%2F`")),
    responses(
        (status = 200, body = PackageBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Named(name): Named<Published>,
) -> Result<Json<PackageBody>, Problem> {
    Ok(Json(existing(&app, &name).await?.into()))
}

/// Makes a collection, or makes an existing one hold just these packs.
#[utoipa::path(
    put, path = "/api/v1/packages/{name}", tag = "packages", operation_id = "put_collection", request_body = CollectionBody,
    params(("name" = String, Path, description = "`collection%2F` and a name of a-z, 0-9, '-' and '.'")),
    responses(
        (status = 200, body = PackageBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "A pack is not published", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Named(name): Named<Published>,
    Body(body): Body<CollectionBody>,
) -> Result<Json<PackageBody>, Problem> {
    collect(&app, &name, body.hosts.iter().map(String::as_str)).await?;
    Ok(Json(existing(&app, &name).await?.into()))
}

/// Removes a collection, or withdraws the pack of a host with all its versions. Refused while something depends on it.
#[utoipa::path(
    delete, path = "/api/v1/packages/{name}", tag = "packages", operation_id = "delete_package",
    params(("name" = String, Path, description = "Its name, with `/` as `%2F`")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "Something depends on it", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Named(name): Named<Published>,
) -> Result<StatusCode, Problem> {
    app.catalog.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The package, or the problem that there is none.
pub(crate) async fn existing(app: &App, name: &Published) -> Result<Package, Problem> {
    let package = app.catalog.package(name).await?;
    package.ok_or_else(|| Problem::not_found(format!("{name} is not published; /packages shows what is")))
}

/// Makes the collection `name` of the packs of `hosts`.
pub(crate) async fn collect<'h>(
    app: &App,
    name: &Published,
    hosts: impl Iterator<Item = &'h str>,
) -> Result<(), Problem> {
    if matches!(name, Published::Pack(_)) {
        return Err(Problem::bad_request(
            "packs are made by crawls; what can be put together here is called collection/NAME",
        ));
    }
    let hosts: Vec<Host> = hosts
        .take(MAX_PACKS + 1)
        .map(Host::new)
        .collect::<Result<_, _>>()?;
    app.catalog.collect(name, &hosts).await?;
    Ok(())
}

/// Some packages, and where the next ones begin.
pub(crate) struct Slice {
    pub(crate) packages: Vec<Package>,
    pub(crate) next: Option<String>,
    /// Packages in all.
    pub(crate) total: usize,
}

impl Slice {
    pub(crate) async fn of(app: &App, params: &Params) -> Result<Self, Problem> {
        let limit = params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?;
        let after = Some(params.text("after")).filter(|after| !after.is_empty());
        let (mut packages, total) = app.catalog.packages(after, limit + 1).await?;
        let has_more = packages.len() > limit;
        packages.truncate(limit);
        let next = packages.last().filter(|_| has_more).map(|last| last.name.clone());
        Ok(Self {
            packages,
            next,
            total,
        })
    }
}

impl From<Package> for PackageBody {
    fn from(package: Package) -> Self {
        Self {
            name: package.name,
            dependencies: package.dependencies,
            dependents: package.dependents,
        }
    }
}
