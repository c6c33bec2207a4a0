//! Results as a page: one file, nothing from elsewhere, no script.

mod figures;
mod machines;
mod plot;
mod sections;
#[cfg(test)]
mod tests;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::merge::Merged;
use crate::results::Results;

const STYLE: &str = include_str!("style.css");

/// The page of one machine.
pub fn html(results: &Results) -> String {
    let title = format!("Retrieve benchmark: {}", results.addresses.join(", "));
    page(&title, "Retrieve benchmark", &sections::body(results))
}

/// The page of several machines.
pub fn merged_html(merged: &Merged) -> String {
    let heading = format!("Retrieve benchmark on {} machines", merged.machines.len());
    page(&heading, &heading, &machines::body(merged))
}

fn page(title: &str, heading: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                h1 { (heading) }
                (body)
            } }
        }
    };
    page.into_string()
}

/// In UTC, to the second.
fn date(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(String::new, |time| {
        time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    })
}
