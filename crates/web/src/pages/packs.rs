use std::sync::Arc;

use archive::PackVersion;
use axum::extract::State;
use maud::{Markup, html};
use model::Host;
use packer::{HostStatus, Stage};

use crate::api::packs::{Slice, file_address};
use crate::display::{bytes, count, counted, time};
use crate::pages::layout::{self, Area};
use crate::params::{Params, link};
use crate::problem::Problem;
use crate::state::App;

/// `/packs`
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Markup, Problem> {
    let slice = Slice::of(&app, &params).await?;
    let waiting: Vec<HostStatus> = app
        .packer
        .status()
        .into_iter()
        .filter(|host| host.stage != Stage::Published)
        .collect();
    let content = html! {
        h1 { "Packs" }
        p.lead { "The pack of a host is one SQLite file with its pages and their full-text index. Search it here, or take it with you." }
        @if !waiting.is_empty() { (on_the_way(&waiting)) }
        @if slice.total == 0 {
            p { "None is published yet: " a href="/sources" { "crawl a source" } "." }
        } @else {
            (table(&slice.packs))
            @if let Some(next) = &slice.next {
                nav.pager aria-label="Further packs" {
                    a href=(link("/packs", &[("after", next.as_str()), ("limit", params.text("limit"))])) rel="next" { "Next packs" }
                    span.soft { (counted(slice.total as u64, "host")) " in all" }
                }
            }
        }
    };
    Ok(layout::page(Area::Packs, "Packs", &content))
}

fn on_the_way(hosts: &[HostStatus]) -> Markup {
    html! {
        h2 { "On the way" }
        ul {
            @for host in hosts {
                li {
                    (host.host) ": "
                    @match &host.stage {
                        Stage::Building => "being packed",
                        Stage::Failed(reason) => { strong { "failed" } ", will be tried again: " (reason) },
                        Stage::Waiting | Stage::Published => { (counted(host.waiting, "change")) " waiting" },
                    }
                }
            }
        }
    }
}

fn table(packs: &[(Host, PackVersion)]) -> Markup {
    html! {
        (layout::table("Packs", &html! { th { "Host" } th.number { "Pages" } th.number.wide { "Passages" }
                        th.wide { "Built" } th.wide { "SHA-256" } th { "File" } }, &html! { @for (host, version) in packs { (row(host, version)) } }))
    }
}

fn row(host: &Host, version: &PackVersion) -> Markup {
    let checksum = version.checksum.to_string();
    html! {
        tr {
            td { (host) }
            td.number { (count(version.pages)) }
            td.number.wide { (count(version.passages)) }
            td.wide { (time(version.built_at)) }
            td.wide.mono title=(checksum) { (checksum.get(..12).unwrap_or_default()) "\u{2026}" }
            td {
                a href=(file_address(host)) download aria-label={ "Download the pack of " (host) } { "Download" }
                span.small.soft { (bytes(version.size)) }
            }
        }
    }
}
