use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::attention::Waiting;
use crate::display::count;

/// Where in the site a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Search,
    Sources,
    Crawls,
    Escalations,
    Orphans,
    Packs,
    Packages,
    Nowhere,
}

const AREAS: [(Area, &str, &str); 7] = [
    (Area::Search, "/", "Search"),
    (Area::Sources, "/sources", "Sources"),
    (Area::Crawls, "/crawls", "Crawls"),
    (Area::Escalations, "/escalations", "Escalations"),
    (Area::Orphans, "/orphans", "Orphans"),
    (Area::Packs, "/packs", "Packs"),
    (Area::Packages, "/packages", "Packages"),
];

/// A page that does not change with what waits for people, so that browsers may keep it.
pub(crate) fn page(area: Area, title: &str, content: &Markup) -> Markup {
    document(area, Waiting::default(), title, &html! {}, content)
}

/// A page for those who look after sources: the navigation says what waits for them.
pub(crate) fn work_page(waiting: Waiting, area: Area, title: &str, content: &Markup) -> Markup {
    document(area, waiting, title, &html! {}, content)
}

/// A page that follows something: by events, or by reloading itself where scripts are off.
pub(crate) fn live_page(waiting: Waiting, area: Area, title: &str, content: &Markup) -> Markup {
    let head = html! {
        script src=(assets::address("live.js")) defer {}
        noscript { meta http-equiv="refresh" content="3"; }
    };
    document(area, waiting, title, &head, content)
}

fn document(area: Area, waiting: Waiting, title: &str, head: &Markup, content: &Markup) -> Markup {
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
                (header(area, waiting))
                main #content { (content) }
                (footer())
            }
        }
    }
}

fn header(area: Area, waiting: Waiting) -> Markup {
    html! {
        header {
            a.brand href="/" { img src=(assets::address("icon.svg")) alt="" width="26" height="26"; "Haul" }
            nav aria-label="Main" {
                ul {
                    @for (place, address, name) in AREAS {
                        li {
                            a href=(address) aria-current=[(place == area).then_some("page")] {
                                (name)
                                @if let items @ 1.. = waiting.at(place) { " " span.badge { (count(items)) span.unseen { " waiting" } } }
                            }
                        }
                    }
                }
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
