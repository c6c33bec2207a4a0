//! Bytes in, text out: HTML, plain text, Markdown and PDF to passages and links.
//!
//! [`extract`] takes a page as fetched ([`Input`]) and gives what it tells ([`Extracted`]): its text in [`Passage`]s that
//! can be searched and pointed at ([`Extract`]), its [`Link`]s, and what it asks of crawlers. It is a plain function:
//! no network, no clock, the same output for the same input. [`kind_of`] tells beforehand what a page is.
//!
//! HTML is read as a stream. The tokenizer of the WHATWG (`html5gum`) hands over tags and text; a stack of open
//! elements, never deeper than a limit, tells content from boilerplate; visible text goes once into one buffer, which
//! is cut into passages at the end. There is no tree, and nothing is allocated per tag. Where a page has `main`, or
//! one `article`, only that is content. Boilerplate whose end tag is missing would hide the rest of the page, so such
//! a page is read a second time with that element as content.
//!
//! Every page can be read: what is malformed is read as browsers would, or nearly so, in linear time. Everything has a
//! limit; reaching one sets [`Extract::truncated`] and is no error.
//!
//! PDFs are another matter: their parsers panic, loop and swallow memory. [`PdfReader`] therefore runs one in a child
//! process within [`PdfLimits`]; the child is any program that calls [`serve_pdf`].
//!
//! ```
//! use extract::{Input, extract};
//! use model::PageUrl;
//!
//! let url = PageUrl::parse("http://example.gov/permits").unwrap();
//! let bytes = b"<title>Permits</title><nav>Home</nav><h1 id=fees>Fees</h1><p>A permit is <a href=/free>free</a>.";
//! let page = extract(&Input { url: &url, content_type: Some("text/html"), bytes }).unwrap();
//!
//! assert_eq!(page.extract.title, "Permits");
//! assert_eq!(page.extract.passages[0].heading, "Fees");
//! assert_eq!(page.extract.passages[0].anchor.as_deref(), Some("fees"));
//! assert_eq!(page.extract.passages[0].text, "A permit is free.");
//! assert_eq!(page.links[0].url.as_str(), "http://example.gov/free");
//! ```

mod charset;
mod dates;
mod document;
mod html;
mod kind;
mod language;
mod links;
mod markdown;
mod passages;
mod pdf;
mod plain;
mod text;

pub use crate::document::{Extract, Extracted, Link, Passage};
pub use crate::kind::{Kind, kind_of};
pub use crate::pdf::{PdfError, PdfLimits, PdfReader, ServeError, serve_pdf};

use model::PageUrl;

/// The most passages of one page; what comes after is cut off.
pub const MAX_PASSAGES: usize = 4096;

/// The most bytes of one passage's text.
pub const MAX_PASSAGE_BYTES: usize = 4096;

/// The most links of one page.
pub const MAX_LINKS: usize = 20_000;

/// The most bytes of a title.
const MAX_TITLE_BYTES: usize = 500;

/// The most bytes of a description.
const MAX_DESCRIPTION_BYTES: usize = 1000;

/// A page as fetched.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Where it was fetched from, after redirects; what its links are relative to.
    pub url: &'a PageUrl,
    /// The value of the `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The body, with transfer and content encodings undone.
    pub bytes: &'a [u8],
}

/// Why a page has no text that this crate can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// A kind of content without text, or one not known here.
    #[error("there is no text extraction for {content_type}; leave it out of the crawl")]
    Unsupported {
        /// Its media type.
        content_type: String,
    },
    /// A PDF: its parser runs in a process of its own, so give the bytes to [`PdfReader::read`].
    #[error("a PDF is read by the PDF reader, not in this process")]
    Pdf,
}

/// Reads the text and links of an HTML, XHTML, plain text or Markdown page.
///
/// The same input gives the same output; time and memory grow linearly with the input, whatever it is. Limits cut off
/// what is too much and set [`Extract::truncated`].
///
/// # Errors
///
/// [`ExtractError`] where the page is of another kind; malformed pages are none.
pub fn extract(input: &Input<'_>) -> Result<Extracted, ExtractError> {
    let kind = kind_of(input.content_type, input.bytes, input.url);
    let text = || charset::decode(input.bytes, input.content_type);
    match kind {
        Kind::Html => Ok(html::extract(&text(), syntax(input), input.url)),
        Kind::Markdown => Ok(markdown::extract(&text(), input.url)),
        Kind::Text => Ok(plain::extract(&text())),
        Kind::Pdf => Err(ExtractError::Pdf),
        Kind::Other(content_type) => Err(ExtractError::Unsupported { content_type }),
    }
}

fn syntax(input: &Input<'_>) -> html::Syntax {
    let is_xhtml = input
        .content_type
        .is_some_and(|value| kind::media_type(value) == "application/xhtml+xml");
    if is_xhtml {
        html::Syntax::Xhtml
    } else {
        html::Syntax::Html
    }
}
