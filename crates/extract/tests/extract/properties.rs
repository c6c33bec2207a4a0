//! What holds for any input.

use std::collections::HashMap;

use extract::{Extracted, Input, MAX_LINKS, MAX_PASSAGE_BYTES, MAX_PASSAGES, extract};
use model::PageUrl;
use proptest::prelude::*;
use proptest::sample::select;

use crate::rendering::read;

/// Pieces of which broken pages are made.
const SOUP: [&str; 60] = [
    "<p>",
    "</p>",
    "<div id=a>",
    "</div>",
    "<nav>",
    "</nav>",
    "<main>",
    "</main>",
    "<article>",
    "</article>",
    "<h1>",
    "</h2>",
    "<pre>\n",
    "</pre>",
    "<table>",
    "<tr>",
    "<td>",
    "</td>",
    "</table>",
    "<ul>",
    "<li hidden>",
    "</ul>",
    "<svg>",
    "</svg>",
    "<title>",
    "</title>",
    "<script>",
    "</script>",
    "<textarea>",
    "</textarea>",
    "<style>",
    "<xmp>",
    "<template>",
    "<select>",
    "<button>",
    "</button>",
    "<a href='x",
    "' rel=\"",
    "\">",
    "<img alt=é>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<",
    "</",
    "/>",
    ">",
    "&amp;",
    "&#x110000;",
    "&nbsp",
    "é",
    "日本",
    "\0",
    "\u{ad}",
    "\u{200b}",
    " word ",
    "\r\n",
    "<é",
    "<meta name=robots content=none>",
];

fn check_limits(extracted: &Extracted) {
    let passages = &extracted.extract.passages;
    assert!(passages.len() <= MAX_PASSAGES && extracted.links.len() <= MAX_LINKS);
    for passage in passages {
        assert!(passage.text.len() <= MAX_PASSAGE_BYTES, "{passage:?}");
        assert!(
            !passage.text.contains('\0') && !passage.heading.contains('\0'),
            "{passage:?}"
        );
        assert!(
            !passage.text.is_empty() || !passage.heading.is_empty(),
            "{passage:?}"
        );
    }
    assert!(extracted.extract.title.len() <= 500 && extracted.extract.description.len() <= 1000);
}

/// Nested elements with `@` where a visible word goes and `~` where a hidden one goes.
fn nested_html() -> impl Strategy<Value = String> {
    let visible = select(
        &[
            "div",
            "p",
            "span",
            "section",
            "li",
            "td",
            "h2",
            "pre",
            "blockquote",
            "b",
            "x-y",
            "dd",
        ][..],
    );
    let hidden = select(
        &[
            "nav",
            "aside",
            "template",
            "div hidden",
            "button",
            "form role=search",
        ][..],
    );
    let hidden_text = select(
        &[
            "~ ",
            "<b>~</b> ",
            "<div>~ </div>",
            "<p>~ ",
            "<ul><li>~ <li>~ </ul>",
        ][..],
    );
    let leaf = prop_oneof![
        4 => Just("@ ".to_owned()),
        1 => select(&["<svg><text>~</text></svg> ", "<b hidden><i>~</i> ~ </b>", "<script>~</script> "][..]).prop_map(str::to_owned),
        1 => (hidden, hidden_text).prop_map(|(tag, text)| element(tag, text)),
    ];
    let tree = leaf.prop_recursive(6, 60, 6, move |inner| {
        (visible.clone(), prop::collection::vec(inner, 0..6))
            .prop_map(|(tag, inner)| element(tag, &inner.concat()))
    });
    prop::collection::vec(tree, 1..6).prop_map(|trees| trees.concat())
}

fn element(tag: &str, inner: &str) -> String {
    let name = tag.split(' ').next().unwrap_or_default();
    format!("<{tag}>{inner}</{name}> ")
}

/// Numbers the words, so that each is unique.
fn number_words(template: &str) -> (String, usize) {
    let mut words = 0;
    let mut html = String::new();
    for letter in template.chars() {
        match letter {
            '@' => {
                html.push_str(&format!("w{words}"));
                words += 1;
            }
            '~' => html.push_str("hidden"),
            letter => html.push(letter),
        }
    }
    (html, words)
}

fn count_words(extracted: &Extracted) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for passage in &extracted.extract.passages {
        for word in passage
            .heading
            .split_whitespace()
            .chain(passage.text.split_whitespace())
        {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    counts
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400), content_type in prop::option::of(
        select(&["text/html", "application/xhtml+xml", "text/plain", "text/markdown", "text/html; charset=utf-16be",
            "text/html; charset=iso-2022-jp", ""][..]),
    )) {
        let url = PageUrl::parse("http://example.gov/").unwrap();
        if let Ok(extracted) = extract(&Input { url: &url, content_type, bytes: &bytes }) {
            check_limits(&extracted);
        }
    }

    #[test]
    fn any_tag_soup_is_read(pieces in prop::collection::vec(select(&SOUP[..]), 0..80)) {
        let soup = pieces.concat();
        for content_type in ["text/html; charset=utf-8", "application/xhtml+xml", "text/markdown"] {
            let extracted = read(Some(content_type), soup.as_bytes());
            check_limits(&extracted);
            prop_assert_eq!(&extracted, &read(Some(content_type), soup.as_bytes()));
        }
    }

    #[test]
    fn every_visible_word_appears_once_and_no_other(template in nested_html()) {
        let (html, words) = number_words(&template);
        let counts = count_words(&read(Some("text/html"), html.as_bytes()));
        let expected = (0..words).map(|word| (format!("w{word}"), 1)).collect::<HashMap<_, _>>();
        prop_assert_eq!(counts, expected, "{}", html);
    }

    #[test]
    fn no_word_of_a_long_text_is_lost_or_doubled(words in prop::collection::vec(select(&["a", "bc.", "déf", "日本語。", "longer-words-as-well"][..]), 0..2000)) {
        let html = format!("<p>{}", words.join(" "));
        let extracted = read(Some("text/html; charset=utf-8"), html.as_bytes());
        check_limits(&extracted);
        let texts: Vec<&str> = extracted.extract.passages.iter().map(|passage| passage.text.as_str()).collect();
        prop_assert_eq!(texts.join(" "), words.join(" "));
    }
}

/// Each of these made some parser quadratic once.
#[test]
fn repetition_is_read_in_linear_time() {
    let repeated = [
        "<div>",
        "<a ",
        "</p>",
        "<p>",
        "<h1>",
        "<nav>",
        "<nav><p>",
        "<!--",
        "<b></i>",
        "<p hidden>",
        "<table><td>",
        "&amp",
        "<svg>",
        "<pre>\n",
        "<li>",
        "<main>",
        "<article>",
        "<a href=x>",
        "</",
        "<![CDATA[",
        "<div a=",
        "\u{ad}",
        " \n",
    ];
    for piece in repeated {
        let html = piece.repeat(200_000 / piece.len());
        check_limits(&read(Some("text/html; charset=utf-8"), html.as_bytes()));
    }
}
