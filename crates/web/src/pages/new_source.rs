use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use crawldb::{DeletionCapability, Settings, SiteSettings, SourceKind};
use maud::{Markup, html};
use model::PageUrl;

use crate::clock;
use crate::pages::form::field;
use crate::pages::layout::{self, Area, Frame};
use crate::pages::sources;
use crate::params::{Form, Params};
use crate::problem::Problem;
use crate::settings::described;
use crate::state::App;

/// A kind of source, what it is called, what its address is.
const KINDS: [(&str, &str, &str); 3] = [
    (
        "site",
        "Site",
        "Pages that lead to each other, from a start URL: https://example.gov/",
    ),
    (
        "bucket",
        "Bucket",
        "The objects below an address: s3://bucket/folder/, gs://bucket/folder/, az://container/folder/",
    ),
    (
        "feed",
        "Feed",
        "Whatever programs send to the API; the address is the base of its URLs: https://example.gov/news/",
    ),
];

/// `/sources/new`
pub(crate) async fn page(frame: Frame) -> Markup {
    let content = html! {
        p.above { a href="/sources" { "Sources" } }
        h1 { "Add a source" }
        form method="post" action="/sources" {
            fieldset {
                legend { "Kind" }
                @for (at, (kind, label, help)) in KINDS.iter().enumerate() {
                    label.choice {
                        input type="radio" name="kind" value=(kind) checked[at == 0];
                        span { strong { (label) } span.small.soft { (help) } }
                    }
                }
            }
            (field("url", "Address", "A site is crawled on this host and obeys its robots.txt.").address("https://example.gov/"))
            (field("base", "Base URL (buckets only, optional)", "Below which URL the objects are read; made of the bucket's name where you leave it empty.").optional_address("https://docs.example.gov/"))
            (field("name", "Name (optional)", "What people call it; the host where you leave it empty.").text("", 200))
            div.actions { button { "Add" } a href="/sources" { "Back" } }
        }
        p.soft { "A folder of this machine is added on its command line: " code { "haul source add NAME PATH" } "." }
    };
    layout::work_page(&frame, Area::Sources, "Add a source", &content)
}

/// Adds what the form describes.
pub(crate) async fn add(State(app): State<Arc<App>>, Form(fields): Form) -> Result<Redirect, Problem> {
    let (id, settings) = described(&app, None, read(&fields)?).await?;
    let source = app.crawldb().add_source(id, settings, clock::now()).await?;
    Ok(Redirect::to(&sources::address(&source.id)))
}

fn read(fields: &Params) -> Result<Settings, Problem> {
    let address = fields.text("url");
    let base = fields.text("base");
    let kind = match fields.text("kind") {
        "" | "site" => SourceKind::Site,
        "feed" => SourceKind::Feed,
        "bucket" => SourceKind::Bucket {
            address: address.to_owned(),
        },
        _ => {
            return Err(Problem::bad_request(
                "the kind of a source is site, bucket or feed",
            ));
        }
    };
    let start = match &kind {
        SourceKind::Bucket { .. } if base.is_empty() => Vec::new(),
        SourceKind::Bucket { .. } => vec![PageUrl::parse(base)?],
        _ => vec![PageUrl::parse(address)?],
    };
    Ok(Settings {
        name: fields.text("name").to_owned(),
        // What a feed does not tell of may still be there.
        deletion: match kind {
            SourceKind::Feed => DeletionCapability::Explicit,
            _ => DeletionCapability::default(),
        },
        site: SiteSettings {
            start,
            ..SiteSettings::default()
        },
        kind,
        ..Settings::default()
    })
}
