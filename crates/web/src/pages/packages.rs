use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use catalog::{Package, Published};
use maud::{Markup, html};
use model::Host;

use crate::api::packages::{Slice, collect, existing};
use crate::api::packs::file_address;
use crate::display::counted;
use crate::pages::layout::{self, Area};
use crate::params::{Form, Named, Params, link, segment};
use crate::problem::Problem;
use crate::state::App;

/// Names that a row of the list shows; the package's own page has all.
const NAMES_IN_ROW: usize = 3;

/// `/packages`
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Markup, Problem> {
    let slice = Slice::of(&app, &params).await?;
    let content = html! {
        h1 { "Packages" }
        p.lead { "Everything that is published has a name here, with what it needs. What something else needs cannot be removed." }
        @if slice.packages.is_empty() {
            p { "Nothing is published yet: " a href="/sources" { "crawl a source" } "." }
        } @else {
            (table(&slice.packages))
            @if let Some(next) = &slice.next {
                nav.pager aria-label="Further packages" {
                    a href=(link("/packages", &[("after", next.as_str()), ("limit", params.text("limit"))])) rel="next" { "Next packages" }
                    span.soft { (counted(slice.total as u64, "package")) " in all" }
                }
            }
            div.actions { a.button href="/packages/new" { "Make a collection" } }
        }
    };
    Ok(layout::page(Area::Packages, "Packages", &content))
}

fn table(packages: &[Package]) -> Markup {
    html! {
        (layout::table("Packages", &html! { th { "Package" } th { "Needs" } th { "Needed by" } }, &html! { @for package in packages {
                        tr {
                            td { a href=(address(&package.name)) { (package.name) } }
                            td { (some_of(&package.dependencies)) }
                            td { (some_of(&package.dependents)) }
                        }
                    } }))
    }
}

fn some_of(names: &[String]) -> Markup {
    html! {
        @if names.is_empty() { span.soft { "nothing" } }
        @for (place, name) in names.iter().take(NAMES_IN_ROW).enumerate() {
            @if place > 0 { ", " }
            a href=(address(name)) { (name) }
        }
        @if names.len() > NAMES_IN_ROW { " and " (names.len() - NAMES_IN_ROW) " more" }
    }
}

/// Where the page of a package is.
fn address(name: &str) -> String {
    format!("/packages/{}", segment(name))
}

/// `/packages/{name}`
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Named(name): Named<Published>,
) -> Result<Markup, Problem> {
    let package = existing(&app, &name).await?;
    let content = html! {
        p.above { a href="/packages" { "Packages" } }
        h1 { (package.name) }
        @match &name {
            Published::Pack(host) => { (about_pack(host)) },
            Published::Collection(own) => { (about_collection(own)) },
        }
        (names("Needs", &package.dependencies))
        (names("Needed by", &package.dependents))
        (removal(&name, &package))
    };
    Ok(layout::page(Area::Packages, &package.name, &content))
}

fn about_collection(own: &str) -> Markup {
    html! {
        p.lead { "A collection keeps the packs that it names: none of them can be removed while it is there." }
        div.actions { a.button href=(link("/packages/new", &[("name", own)])) { "Change it" } }
    }
}

fn about_pack(host: &Host) -> Markup {
    html! {
        p.lead { "The pack of " (host) ": one SQLite file with its pages and their full-text index." }
        div.actions {
            a.button href=(file_address(host)) download { "Download" }
            a href=(link("/", &[("host", host.as_str())])) { "Search it" }
        }
    }
}

fn names(title: &str, names: &[String]) -> Markup {
    html! {
        h2 { (title) }
        @if names.is_empty() {
            p.soft { "Nothing." }
        } @else {
            ul { @for name in names { li { a href=(address(name)) { (name) } } } }
        }
    }
}

fn removal(name: &Published, package: &Package) -> Markup {
    let (what, becomes) = match name {
        Published::Pack(_) => (
            "pack",
            "It is no longer searched, and all its versions are deleted.",
        ),
        Published::Collection(_) => ("collection", "The packs in it stay."),
    };
    html! {
        @if package.dependents.is_empty() {
            details {
                summary { "Remove this " (what) }
                p { (becomes) }
                form method="post" action={ (address(&package.name)) "/delete" } {
                    button.danger { "Remove " (package.name) }
                }
            }
        } @else {
            p { "It cannot be removed while a package above needs it." }
        }
    }
}

/// `/packages/new`
pub(crate) async fn new(State(app): State<Arc<App>>, params: Params) -> Result<Markup, Problem> {
    let hosts = app.library.hosts();
    let name = params.text("name");
    let ticked = match Published::collection(name) {
        Ok(collection) => app.catalog.package(&collection).await?,
        Err(_) => None,
    };
    let is_ticked = |host: &Host| {
        let pack = Published::Pack(host.clone()).to_string();
        ticked
            .as_ref()
            .is_some_and(|package| package.dependencies.contains(&pack))
    };
    let content = html! {
        p.above { a href="/packages" { "Packages" } }
        h1 { "Make a collection" }
        form method="post" action="/packages" {
            div.field {
                label for="name" { "Name" }
                input #name type="text" name="name" required maxlength="100" pattern="[a-z0-9.\\-]+" value=(name) placeholder="health" aria-describedby="name-help";
                p #name-help .soft { "a-z, 0-9, '-' and '.'. A collection that exists is changed." }
            }
            fieldset {
                legend { "Packs" }
                @for (host, _) in hosts.iter().take(catalog::MAX_PACKS) {
                    label.choice { input type="checkbox" name="host" value=(host) checked[is_ticked(host)]; (host) }
                }
            }
            div.actions { button { "Make it" } a href="/packages" { "Back" } }
        }
    };
    Ok(layout::page(Area::Packages, "Make a collection", &content))
}

/// Makes what the form describes.
pub(crate) async fn add(State(app): State<Arc<App>>, Form(fields): Form) -> Result<Redirect, Problem> {
    let name = Published::collection(fields.text("name"))?;
    collect(&app, &name, fields.all("host")).await?;
    Ok(Redirect::to(&address(&name.to_string())))
}

/// Removes the package.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Named(name): Named<Published>,
) -> Result<Redirect, Problem> {
    app.catalog.remove(&name).await?;
    Ok(Redirect::to("/packages"))
}
