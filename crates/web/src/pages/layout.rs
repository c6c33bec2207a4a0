use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use maud::{DOCTYPE, Markup, html};
use model::OwnerName;

use crate::assets;
use crate::attention::Waiting;
use crate::display::count;
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Where in the site a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Search,
    Sources,
    Crawls,
    Escalations,
    Orphans,
    Scrapers,
    Packs,
    Packages,
    Account,
    Nowhere,
}

const AREAS: [(Area, &str, &str); 8] = [
    (Area::Search, "/", "Search"),
    (Area::Sources, "/sources", "Sources"),
    (Area::Crawls, "/crawls", "Crawls"),
    (Area::Escalations, "/escalations", "Escalations"),
    (Area::Orphans, "/orphans", "Orphans"),
    (Area::Scrapers, "/scrapers", "Scrapers"),
    (Area::Packs, "/packs", "Packs"),
    (Area::Packages, "/packages", "Packages"),
];

/// What stands around a page: what waits for people, and who is signed in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    waiting: Waiting,
    who: Who,
}

/// Who is signed in, as far as the page says so.
#[derive(Clone, Debug, Default)]
enum Who {
    /// The page is the same for everybody.
    #[default]
    Unsaid,
    /// Nobody is.
    Nobody,
    /// This account is.
    Person(OwnerName),
}

impl FromRequestParts<Arc<App>> for Frame {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let who = match Visitor::from_request_parts(parts, app).await? {
            Visitor::Person(account) => Who::Person(account.name),
            Visitor::Nobody => Who::Nobody,
            Visitor::Anyone | Visitor::Program(_) => Who::Unsaid,
        };
        let waiting = app.waiting().await;
        Ok(Self { waiting, who })
    }
}

impl Frame {
    /// The same after somebody decided something.
    pub(crate) async fn recounted(self, app: &App) -> Self {
        Self {
            waiting: app.waiting().await,
            ..self
        }
    }
}

/// A page that changes neither with what waits for people nor with who is signed in, so that browsers may keep it.
pub(crate) fn page(area: Area, title: &str, content: &Markup) -> Markup {
    document(area, &Frame::default(), title, &html! {}, content)
}

/// A page for those who look after sources: the navigation says what waits for them.
pub(crate) fn work_page(frame: &Frame, area: Area, title: &str, content: &Markup) -> Markup {
    document(area, frame, title, &html! {}, content)
}

/// A page that follows something: by events, or by reloading itself where scripts are off.
pub(crate) fn live_page(frame: &Frame, area: Area, title: &str, content: &Markup) -> Markup {
    let head = html! {
        script src=(assets::address("live.js")) defer {}
        noscript { meta http-equiv="refresh" content="3"; }
    };
    document(area, frame, title, &head, content)
}

/// A page that follows a log: by events, or by reloading itself where scripts are off.
pub(crate) fn log_page(frame: &Frame, area: Area, title: &str, content: &Markup) -> Markup {
    let head = html! {
        script src=(assets::address("log.js")) defer {}
        noscript { meta http-equiv="refresh" content="5"; }
    };
    document(area, frame, title, &head, content)
}

/// A table with a name for those who hear it. Where there is no room for it, it scrolls sideways, also by keys.
pub(crate) fn table(name: &str, head: &Markup, rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" {
            table {
                caption.unseen { (name) }
                thead { tr { (head) } }
                tbody { (rows) }
            }
        }
    }
}

fn document(area: Area, frame: &Frame, title: &str, head: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " \u{b7} Haul" }
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address("haul.css"));
                (head)
            }
            body {
                a.skip href="#content" { "Skip to content" }
                (header(area, frame))
                main #content { (content) }
                (footer())
            }
        }
    }
}

fn header(area: Area, frame: &Frame) -> Markup {
    html! {
        header {
            a.brand href="/" { img src=(assets::address("icon.svg")) alt="" width="26" height="26"; "Haul" }
            nav aria-label="Main" {
                ul {
                    @for (place, address, name) in AREAS {
                        li {
                            a href=(address) aria-current=[(place == area).then_some("page")] {
                                (name)
                                @if let items @ 1.. = frame.waiting.at(place) { " " span.badge { (count(items)) span.unseen { " waiting" } } }
                            }
                        }
                    }
                }
            }
            (visitor(area, &frame.who))
        }
    }
}

fn visitor(area: Area, who: &Who) -> Markup {
    let current = (area == Area::Account).then_some("page");
    html! {
        div.visitor {
            @match who {
                Who::Unsaid => { a href="/account" aria-current=[current] { "Account" } },
                Who::Nobody => { a href="/sign-in" aria-current=[current] { "Sign in" } },
                Who::Person(name) => {
                    a href="/account" aria-current=[current] { span.unseen { "Signed in as " } (name) }
                    form method="post" action="/sign-out" { button.plain { "Sign out" } }
                },
            }
        }
    }
}

impl Waiting {
    fn at(self, area: Area) -> u64 {
        match area {
            Area::Escalations => self.escalated,
            Area::Orphans => self.orphans,
            _ => 0,
        }
    }
}

fn footer() -> Markup {
    html! {
        footer {
            p {
                span { "Haul " (env!("CARGO_PKG_VERSION")) }
                a href="/api/v1/openapi.json" { "API" }
                a href="/metrics" { "Metrics" }
                a href="/readyz" { "Health" }
            }
        }
    }
}
