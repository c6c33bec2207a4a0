use model::{Checksum, Host, Timestamp};
use serde::{Deserialize, Serialize};

use crate::snippet::Highlighted;

/// Results on one page of an answer, at most.
pub const MAX_PER_PAGE: u32 = 100;
/// The last result that can be asked for; beyond it, a narrower query helps more than another page.
pub const MAX_RESULTS: u32 = 10_000;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Request {
    /// As typed; see [`Query::parse`](crate::Query::parse).
    pub query: String,
    /// Where to look; everywhere when empty.
    #[serde(default)]
    pub hosts: Vec<Host>,
    /// Which page of results, from 1. One beyond [`MAX_RESULTS`] is empty.
    pub page: u32,
    /// Results on a page: 1 to [`MAX_PER_PAGE`].
    pub per_page: u32,
}

impl Request {
    /// The first ten results everywhere.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            hosts: Vec::new(),
            page: 1,
            per_page: 10,
        }
    }

    /// How many results come before those asked for, and how many are asked for.
    pub(crate) fn window(&self) -> (usize, usize) {
        let count = self.per_page.clamp(1, MAX_PER_PAGE);
        let skip = self
            .page
            .max(1)
            .saturating_sub(1)
            .saturating_mul(count)
            .min(MAX_RESULTS);
        (skip as usize, count.min(MAX_RESULTS - skip) as usize)
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Pages that match, all of them counted.
    pub total: u64,
    /// Those asked for, best first.
    pub results: Vec<Hit>,
    /// Packs that were searched.
    pub packs: usize,
    /// Of the set of these packs: the same question with the same checksum has the same answer, for ever.
    pub packs_checksum: Checksum,
    /// Whether the query was longer than allowed and only its beginning counted.
    pub query_cut: bool,
}

/// A page that matches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// The page.
    pub url: String,
    /// The place in it: with the anchor of the section, or the page of the PDF (`#page=7`).
    pub section_url: String,
    /// Its pack.
    pub host: Host,
    /// Its title; its URL where it has none.
    pub title: Highlighted,
    /// The heading of the section; empty where there is none.
    pub heading: Highlighted,
    /// What it says about the query.
    pub snippet: Highlighted,
    /// The page of a PDF, from 1.
    pub pdf_page: Option<u32>,
    /// Primary language subtag.
    pub language: Option<String>,
    /// Media type.
    pub content_type: String,
    /// When it was changed, else published, as it says itself.
    pub date: Option<Timestamp>,
    /// BM25 with the gain for titles. Comparable inside one answer; pages that are called exactly what was asked for come first
    /// whatever their score, and pages with everything in one passage before others.
    pub score: f32,
}
