//! HTML without a tree: the tokenizer of the WHATWG hands over tags and text, a small stack of open elements tells
//! what is content, and the text goes into one buffer that is cut into passages at the end.

mod attributes;
mod boilerplate;
mod emitter;
mod facts;
mod open;
mod page;
mod tag;

use html5gum::Tokenizer;
use model::PageUrl;

use self::emitter::PageEmitter;
use self::page::Page;
pub(crate) use self::page::Syntax;
use crate::passages::{Passages, fold, shorten};
use crate::text::Region;
use crate::{Extract, Extracted, MAX_DESCRIPTION_BYTES, MAX_TITLE_BYTES, Passage, language};

/// Reads a page.
pub(crate) fn extract(html: &str, syntax: Syntax, url: &PageUrl) -> Extracted {
    let page = read(html, syntax, Vec::new());
    let unclosed = page.unclosed_boilerplate();
    if unclosed.is_empty() {
        return finish(page, syntax, url);
    }
    // A forgotten `</nav>` would hide the rest of the page: what has no end is read again, as content.
    finish(read(html, syntax, unclosed), syntax, url)
}

fn read(html: &str, syntax: Syntax, content: Vec<usize>) -> Page {
    let mut page = Page::new(html.len(), syntax, content);
    let Ok(()) = Tokenizer::new_with_emitter(html, PageEmitter::new(&mut page)).finish();
    page
}

fn finish(page: Page, syntax: Syntax, url: &PageUrl) -> Extracted {
    let base = page.facts.base(url);
    let (passages, cut_off) = passages(&page);
    let truncated = cut_off || page.is_too_deep() || page.facts.references.truncated;
    let title = title(&page, &passages);
    let facts = page.facts;
    let canonical = facts.canonical(&base);
    let description = if facts.description.is_empty() {
        &facts.og_description
    } else {
        &facts.description
    };
    let description = shorten(&fold(description), MAX_DESCRIPTION_BYTES).to_owned();
    let language = facts.language.or_else(|| language::detect(&passages));
    let extract = Extract {
        title,
        description,
        language,
        content_type: syntax.media_type().to_owned(),
        published_at: facts.published_at,
        modified_at: facts.modified_at,
        passages,
        truncated,
    };
    let links = facts.references.resolve(&base, url);
    Extracted {
        extract,
        links,
        canonical,
        noindex: facts.noindex,
        nofollow: facts.nofollow,
    }
}

fn passages(page: &Page) -> (Vec<Passage>, bool) {
    let mut passages = Passages::default();
    for section in page.text.sections(content_region(page)) {
        passages.add(&section);
    }
    passages.finish()
}

/// Where the content is: in `main`, else in the only article, else anywhere.
fn content_region(page: &Page) -> Option<Region> {
    if page.text.has_text_in(Region::Main) {
        return Some(Region::Main);
    }
    (page.articles == 1 && page.text.has_text_in(Region::Article)).then_some(Region::Article)
}

fn title(page: &Page, passages: &[Passage]) -> String {
    let declared = fold(&String::from_utf8_lossy(&page.title));
    let shared = fold(&page.facts.og_title);
    let first_heading = passages
        .iter()
        .map(|passage| passage.heading.as_str())
        .find(|heading| !heading.is_empty());
    let candidates = [
        declared.as_str(),
        shared.as_str(),
        first_heading.unwrap_or_default(),
    ];
    let title = candidates
        .into_iter()
        .find(|title| !title.is_empty())
        .unwrap_or_default();
    shorten(title, MAX_TITLE_BYTES).to_owned()
}
