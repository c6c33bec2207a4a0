//! Any bytes are HTML; passages keep their limits.
#![no_main]

use extract::{Input, MAX_LINKS, MAX_PASSAGE_BYTES, MAX_PASSAGES, extract};
use libfuzzer_sys::fuzz_target;
use model::PageUrl;

fuzz_target!(|bytes: &[u8]| {
    let url = PageUrl::parse("http://example.gov/a/b").expect("a valid URL");
    let input = Input { url: &url, content_type: Some("text/html"), bytes };
    let extracted = extract(&input).expect("any bytes are HTML");
    let passages = &extracted.extract.passages;
    assert!(passages.len() <= MAX_PASSAGES && extracted.links.len() <= MAX_LINKS);
    assert!(passages.iter().all(|passage| passage.text.len() <= MAX_PASSAGE_BYTES));
});
