use model::PageUrl;

/// What a page is, as far as reading its text goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTML or XHTML.
    Html,
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// PDF.
    Pdf,
    /// Anything else: its media type, `application/octet-stream` where nothing tells.
    Other(String),
}

/// How many bytes of a page are looked at to tell what it is, as in the WHATWG's MIME Sniffing (section 5.2).
const SNIFFED_BYTES: usize = 1445;

/// Tells what a page is: by its `Content-Type` where that says something, else by its first bytes, else by the
/// extension of its path.
///
/// `text/plain` is what many servers say of a file they do not know, so a Markdown extension and the signature of a
/// PDF overrule it.
pub fn kind_of(content_type: Option<&str>, bytes: &[u8], url: &PageUrl) -> Kind {
    let media_type = content_type.map(media_type).unwrap_or_default();
    match media_type.as_str() {
        "text/html" | "application/xhtml+xml" => Kind::Html,
        "text/markdown" | "text/x-markdown" => Kind::Markdown,
        "application/pdf" | "application/x-pdf" => Kind::Pdf,
        "text/plain" => plain_or_better(bytes, url),
        "" | "unknown/unknown" | "application/unknown" => sniff(bytes, url),
        "application/octet-stream" | "binary/octet-stream" => download(bytes, url),
        _ => Kind::Other(media_type),
    }
}

/// The media type of a `Content-Type` value: lower-case, without parameters; empty where it is malformed.
pub(crate) fn media_type(content_type: &str) -> String {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    if name.contains('/') {
        name.to_ascii_lowercase()
    } else {
        String::new()
    }
}

fn plain_or_better(bytes: &[u8], url: &PageUrl) -> Kind {
    if has_pdf_signature(bytes) {
        return Kind::Pdf;
    }
    if is_binary(bytes) {
        return Kind::Other("application/octet-stream".to_owned());
    }
    match extension(url).as_str() {
        "md" | "markdown" => Kind::Markdown,
        _ => Kind::Text,
    }
}

fn sniff(bytes: &[u8], url: &PageUrl) -> Kind {
    if has_pdf_signature(bytes) {
        return Kind::Pdf;
    }
    if looks_like_html(bytes) {
        return Kind::Html;
    }
    if is_binary(bytes) {
        return Kind::Other("application/octet-stream".to_owned());
    }
    match extension(url).as_str() {
        "html" | "htm" | "xhtml" => Kind::Html,
        "md" | "markdown" => Kind::Markdown,
        "css" => Kind::Other("text/css".to_owned()),
        "js" | "mjs" => Kind::Other("text/javascript".to_owned()),
        "json" => Kind::Other("application/json".to_owned()),
        "xml" | "rss" | "atom" => Kind::Other("application/xml".to_owned()),
        _ => Kind::Text,
    }
}

/// A server that calls something a stream of bytes offers it for download. Pages and PDFs are known by their bytes
/// or names; that something else happens to be text (a program, a table) does not make it a page.
fn download(bytes: &[u8], url: &PageUrl) -> Kind {
    match sniff(bytes, url) {
        Kind::Text if extension(url) != "txt" => Kind::Other("application/octet-stream".to_owned()),
        kind => kind,
    }
}

/// The extension of the last path segment, lower-case; empty where it has none.
fn extension(url: &PageUrl) -> String {
    let name = url.path().rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .unwrap_or_default()
}

/// `%PDF-` may stand anywhere in the first 1,024 bytes (ISO 32000-1, annex H.3.4.1).
fn has_pdf_signature(bytes: &[u8]) -> bool {
    memchr::memmem::find(&bytes[..bytes.len().min(1024)], b"%PDF-").is_some()
}

fn looks_like_html(bytes: &[u8]) -> bool {
    const STARTS: [&[u8]; 12] = [
        b"<!doctype html",
        b"<html",
        b"<head",
        b"<body",
        b"<title",
        b"<script",
        b"<div",
        b"<h1",
        b"<table",
        b"<p>",
        b"<meta",
        b"<!--",
    ];
    let bytes = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .trim_ascii_start();
    let begins_with = |start: &&[u8]| {
        bytes
            .get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    STARTS.iter().any(begins_with) || (bytes.starts_with(b"<?xml") && mentions_html(bytes))
}

fn mentions_html(bytes: &[u8]) -> bool {
    memchr::memmem::find(&bytes[..bytes.len().min(SNIFFED_BYTES)], b"<html").is_some()
}

/// Control characters that no text has, by the WHATWG's MIME Sniffing (section 3): text in UTF-16 is told by its mark.
fn is_binary(bytes: &[u8]) -> bool {
    let has_mark = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F);
    !has_mark && bytes.iter().take(SNIFFED_BYTES).any(is_control)
}
