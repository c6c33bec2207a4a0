use maud::{Markup, html};

use crate::pages::layout::{self, Area};
use crate::problem::Problem;

/// What people see instead of the page that they asked for.
pub(crate) fn page(problem: &Problem) -> Markup {
    let content = html! {
        h1 { (problem.title()) }
        div.notice.bad role="alert" { p { (sentence(problem.detail())) } }
        p { a href="/" { "Search" } " or look at the " a href="/sources" { "sources" } "." }
    };
    layout::page(Area::Nowhere, problem.title(), &content)
}

/// A message as a sentence.
pub(crate) fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    let end = if message.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", characters.as_str())
}
