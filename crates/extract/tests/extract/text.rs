//! Plain text and Markdown in, text and links out; and what is taken for what.

use crate::rendering::{check_rendering, read};
use extract::{ExtractError, Input, Kind, extract, kind_of};
use model::PageUrl;

#[track_caller]
fn check_markdown(markdown: &str, expected: &str) {
    check_rendering(&read(Some("text/markdown"), markdown.as_bytes()), expected);
}

#[test]
fn markdown_has_headings_with_the_anchors_of_github() {
    check_markdown(
        "Before *it*.\n\n# The `extract` crate: What's new?\nSoft\nbreak.\n\n## Über uns\n\n## Über uns\n\n## Own {#own-id}\n",
        "title: The extract crate: What's new?
         []
         Before it.
         [The extract crate: What's new?] #the-extract-crate-whats-new
         Soft break.
         [Über uns] #über-uns
         [Über uns] #über-uns-1
         [Own] #own-id",
    );
}

#[test]
fn markdown_blocks_are_lines() {
    check_markdown(
        "- a\n- b\n  - c\n\n> quote\n\n```rust\nfn main() {\n    x\n}\n```\n\n| h | i |\n|---|---|\n| 1 | 2 |\n\n![alt text](i.png) [link](/a#x) <http://b.gov/>\n",
        "[]
         a
         b
         c
         quote
         fn main() {
         x
         }
         h | i
         1 | 2
         alt text link http://b.gov/
         -> http://example.gov/a
         -> http://b.gov/",
    );
}

#[test]
fn markdown_has_front_matter() {
    check_markdown(
        "---\ntitle: \"The Title\"\ndate: 1970-01-02\nlang: fr-CA\ntags: [a]\n---\n# Head\n",
        "title: The Title\nlanguage: fr\npublished: 86400000\n[Head] #head",
    );
    check_markdown("+++\ntitle = 'Toml'\n+++\ntext\n", "title: Toml\n[]\ntext");
}

#[test]
fn html_in_markdown_is_read_as_html() {
    check_markdown(
        "<div align=center><h1 id=x>Logo</h1><script>no</script><a href=/h>Home</a></div>\n\nText <b>bold</b>\n",
        "title: Logo\n[Logo] #x\nHome\nText bold\n-> http://example.gov/h",
    );
}

#[test]
fn plain_text_stays_as_it_is() {
    check_rendering(
        &read(Some("text/plain"), b"\n The  Title \r\n\r\n  indented <b>\r\n"),
        "title: The Title\n[]\nThe  Title\n\nindented <b>",
    );
    let long = "word ".repeat(2000);
    let extracted = read(Some("text/plain"), long.as_bytes());
    assert_eq!(
        (extracted.extract.title.as_str(), extracted.extract.passages.len()),
        ("", 3)
    );
}

#[track_caller]
fn check_kind(content_type: Option<&str>, path: &str, bytes: &[u8], expected: &Kind) {
    let url = PageUrl::parse(&format!("http://example.gov/{path}")).unwrap();
    assert_eq!(
        kind_of(content_type, bytes, &url),
        *expected,
        "{content_type:?} {path} {bytes:?}"
    );
}

#[test]
fn the_content_type_tells_what_a_page_is() {
    check_kind(Some("Text/HTML; charset=utf-8"), "a", b"plain", &Kind::Html);
    check_kind(Some("application/xhtml+xml"), "a", b"", &Kind::Html);
    check_kind(Some("text/markdown"), "a", b"", &Kind::Markdown);
    check_kind(Some("application/pdf"), "a", b"", &Kind::Pdf);
    check_kind(Some("text/plain"), "a.txt", b"<html>", &Kind::Text);
    check_kind(
        Some("image/png"),
        "a.html",
        b"<html>",
        &Kind::Other("image/png".into()),
    );
}

#[test]
fn content_tells_what_the_header_does_not() {
    let other = |media_type: &str| Kind::Other(media_type.into());
    check_kind(None, "a", b"  \n<!DOCTYPE HTML>", &Kind::Html);
    check_kind(None, "a", b"<?xml version='1.0'?><html>", &Kind::Html);
    check_kind(Some("application/octet-stream"), "a", b"%PDF-1.7", &Kind::Pdf);
    let download = Some("application/octet-stream");
    check_kind(
        download,
        "a.py",
        b"import this",
        &other("application/octet-stream"),
    );
    check_kind(download, "a.txt", b"text", &Kind::Text);
    check_kind(download, "a.md", b"text", &Kind::Markdown);
    check_kind(Some("text/plain"), "a.pdf", b"\n%PDF-1.7", &Kind::Pdf);
    check_kind(Some("text/plain"), "README.md", b"# A", &Kind::Markdown);
    check_kind(
        Some("text/plain"),
        "a",
        b"\x89PNG\r\n\x1a\n\0",
        &other("application/octet-stream"),
    );
    check_kind(None, "a/b.htm", b"text", &Kind::Html);
    check_kind(None, "a.md", b"text", &Kind::Markdown);
    check_kind(None, "a", b"text", &Kind::Text);
    check_kind(None, "a.json", b"{}", &other("application/json"));
    check_kind(
        Some("nonsense"),
        "a",
        b"\0\x01",
        &other("application/octet-stream"),
    );
    check_kind(None, "a", b"\xFF\xFEh\0i\0", &Kind::Text);
}

#[test]
fn other_kinds_are_refused_by_name() {
    let url = PageUrl::parse("http://example.gov/a").unwrap();
    let refuse = |content_type| {
        extract(&Input {
            url: &url,
            content_type: Some(content_type),
            bytes: b"",
        })
        .unwrap_err()
    };
    assert_eq!(refuse("application/pdf"), ExtractError::Pdf);
    assert_eq!(
        refuse("image/png"),
        ExtractError::Unsupported {
            content_type: "image/png".to_owned()
        }
    );
}
