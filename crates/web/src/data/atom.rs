//! Rows as entries of a feed: `title`, `content`, `link` and `date` of each.

use std::io::Write;

/// What a feed says about itself. Its address has no key in it: feeds are passed on.
pub(crate) struct Feed {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// RFC 3339.
    pub(crate) updated: String,
    pub(crate) author: String,
    /// Where it is read.
    pub(crate) address: String,
    /// The page of the scraper.
    pub(crate) page: String,
}

/// An entry, as the row has it.
pub(crate) struct Entry<'a> {
    pub(crate) title: &'a str,
    pub(crate) content: &'a str,
    pub(crate) link: &'a str,
    /// RFC 3339, or empty.
    pub(crate) updated: &'a str,
}

impl Feed {
    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        let (title, subtitle, author) = (
            escaped(&self.title),
            escaped(&self.subtitle),
            escaped(&self.author),
        );
        let (address, page, updated) = (escaped(&self.address), escaped(&self.page), &self.updated);
        // Writing to memory does not fail.
        let _ = write!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n  \
            <title>{title}</title>\n  \
            <subtitle>{subtitle}</subtitle>\n  \
            <updated>{updated}</updated>\n  \
            <author>\n    <name>{author}</name>\n  </author>\n  \
            <id>{address}</id>\n  \
            <link href=\"{page}\"/>\n  \
            <link href=\"{address}\" rel=\"self\"/>\n"
        );
    }
}

impl Entry<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (title, content) = (escaped(self.title), escaped(self.content));
        let (link, updated) = (escaped(self.link), escaped(self.updated));
        // Writing to memory does not fail.
        let _ = write!(
            out,
            "  <entry>\n    \
            <title>{title}</title>\n    \
            <content>{content}</content>\n    \
            <link href=\"{link}\"/>\n    \
            <id>{link}</id>\n    \
            <updated>{updated}</updated>\n  \
            </entry>\n"
        );
    }
}

pub(crate) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</feed>\n");
}

/// Text as XML; characters that XML does not know are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(character),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => {}
            other => out.push(other),
        }
    }
    out
}
