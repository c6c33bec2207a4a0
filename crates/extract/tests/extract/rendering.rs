//! What was extracted, as text that reads well in a test: only what is there gets a line.

use std::fmt::Write;

use extract::{Extracted, Input, Passage, extract};
use model::PageUrl;

pub(crate) const PAGE: &str = "http://example.gov/dir/page";

/// Extracts `bytes` as if they were fetched from [`PAGE`].
pub(crate) fn read(content_type: Option<&str>, bytes: &[u8]) -> Extracted {
    let url = PageUrl::parse(PAGE).unwrap();
    extract(&Input {
        url: &url,
        content_type,
        bytes,
    })
    .unwrap()
}

/// Compares without regard to indentation and empty lines around.
#[track_caller]
pub(crate) fn check_rendering(extracted: &Extracted, expected: &str) {
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    let actual = render(extracted);
    let actual: Vec<&str> = actual.trim().lines().map(str::trim).collect();
    assert_eq!(actual, expected, "\n--- actual\n{}\n", actual.join("\n"));
}

fn render(extracted: &Extracted) -> String {
    let extract = &extracted.extract;
    let mut out = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            writeln!(out, "{name}: {value}").unwrap();
        }
    };
    line("title", Some(extract.title.clone()));
    line("description", Some(extract.description.clone()));
    line("language", extract.language.clone());
    line(
        "published",
        extract.published_at.map(|at| at.as_millis().to_string()),
    );
    line(
        "modified",
        extract.modified_at.map(|at| at.as_millis().to_string()),
    );
    line("canonical", extracted.canonical.as_ref().map(ToString::to_string));
    line("noindex", extracted.noindex.then(|| "yes".to_owned()));
    line("nofollow", extracted.nofollow.then(|| "yes".to_owned()));
    line("truncated", extract.truncated.then(|| "yes".to_owned()));
    for passage in &extract.passages {
        render_passage(passage, &mut out);
    }
    for link in &extracted.links {
        writeln!(
            out,
            "-> {}{}",
            link.url,
            if link.nofollow { " nofollow" } else { "" }
        )
        .unwrap();
    }
    out
}

fn render_passage(passage: &Passage, out: &mut String) {
    let anchor = passage
        .anchor
        .as_ref()
        .map(|anchor| format!(" #{anchor}"))
        .unwrap_or_default();
    let page = passage
        .pdf_page
        .map(|page| format!(" p. {page}"))
        .unwrap_or_default();
    writeln!(out, "[{}]{anchor}{page}", passage.heading).unwrap();
    if !passage.text.is_empty() {
        writeln!(out, "{}", passage.text.replace('\t', " | ")).unwrap();
    }
}
