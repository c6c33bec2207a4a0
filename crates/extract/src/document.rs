use model::{PageUrl, Timestamp};
use serde::{Deserialize, Serialize};

/// The text of one page: what the archive keeps and the pack is made of.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Extract {
    /// The title: of HTML the `title` element, else `og:title`, else the first heading; of Markdown the first heading
    /// or front matter; of PDF its metadata, else its first line. Empty where there is none. At most 500 bytes.
    pub title: String,
    /// What the page says of itself (`description`, `og:description`). At most 1,000 bytes.
    pub description: String,
    /// Primary language subtag (BCP 47), such as `en`: what the page declares, else what its text looks like.
    pub language: Option<String>,
    /// Media type without parameters, such as `text/html`.
    pub content_type: String,
    /// When the page says that it was published.
    pub published_at: Option<Timestamp>,
    /// When the page says that it was last changed.
    pub modified_at: Option<Timestamp>,
    /// The text in reading order, each at most [`MAX_PASSAGE_BYTES`](crate::MAX_PASSAGE_BYTES) long; at most
    /// [`MAX_PASSAGES`](crate::MAX_PASSAGES).
    pub passages: Vec<Passage>,
    /// Whether a limit cut some text off.
    pub truncated: bool,
}

/// A piece of a page that can be pointed at.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Passage {
    /// The heading that it stands under; empty before the first.
    pub heading: String,
    /// The fragment that leads to it: the `id` of the heading, or of the nearest element around it.
    pub anchor: Option<String>,
    /// The page of a PDF, from 1.
    pub pdf_page: Option<u32>,
    /// The text: blocks separated by a newline, white space folded elsewhere (kept in preformatted text).
    pub text: String,
}

/// Everything that one fetched page tells.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Extracted {
    /// Its text.
    pub extract: Extract,
    /// Where it links to, each target once, in order; at most [`MAX_LINKS`](crate::MAX_LINKS).
    pub links: Vec<Link>,
    /// The address that it says is its own (`link rel=canonical`).
    pub canonical: Option<PageUrl>,
    /// It asks not to be indexed (`meta name=robots`: `noindex`, `none`).
    pub noindex: bool,
    /// It asks not to follow its links (`nofollow`, `none`).
    pub nofollow: bool,
}

/// A link to another page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where to.
    pub url: PageUrl,
    /// `rel=nofollow`.
    pub nofollow: bool,
}
