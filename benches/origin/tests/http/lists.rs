//! ListObjectsV2 against a sorted map.

use crate::client::get;
use origin::{Config, Object, Origin};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Keys and common prefixes, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    keys: Vec<(String, u64)>,
    prefixes: Vec<String>,
}

static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin::start(Config::default()).unwrap());

/// The contents of all elements of a name.
fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let inner = xml
        .split(&open)
        .skip(1)
        .map(|rest| rest.split(&close).next().unwrap());
    inner.collect()
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// All pages of a list, joined.
fn list(bucket: &str, parameters: &str, max_keys: usize) -> Listed {
    let mut listed = Listed::default();
    let mut token = String::new();
    loop {
        let path = format!("/{bucket}?list-type=2&encoding-type=url&max-keys={max_keys}{parameters}{token}");
        let reply = get(&ORIGIN, &path, None);
        assert_eq!(reply.status, 200, "{path}");
        let xml = reply.text();
        for entry in elements(xml, "Contents") {
            listed.keys.push((
                decode(elements(entry, "Key")[0]),
                elements(entry, "Size")[0].parse().unwrap(),
            ));
        }
        let prefixes = elements(xml, "CommonPrefixes");
        let count = elements(xml, "Contents").len() + prefixes.len();
        assert!(count <= max_keys && elements(xml, "KeyCount") == [count.to_string()]);
        listed.prefixes.extend(
            prefixes
                .iter()
                .map(|prefix| decode(elements(prefix, "Prefix")[0])),
        );
        match elements(xml, "NextContinuationToken")[..] {
            [] => return listed,
            [next] => token = format!("&continuation-token={next}"),
            _ => panic!("more than one token"),
        }
    }
}

fn model(keys: &BTreeMap<String, u64>, prefix: &str, start_after: &str, delimiter: &str) -> Listed {
    let mut listed = Listed::default();
    let mut prefixes = BTreeSet::new();
    for (key, size) in keys
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && key.as_str() > start_after)
    {
        match key[prefix.len()..]
            .find(delimiter)
            .filter(|_| !delimiter.is_empty())
        {
            Some(at) => _ = prefixes.insert(key[..prefix.len() + at + delimiter.len()].to_owned()),
            None => listed.keys.push((key.clone(), *size)),
        }
    }
    listed.prefixes = prefixes.into_iter().collect();
    listed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_together_are_the_map(
        keys in prop::collection::btree_map("[ab/&+ \u{e9}\u{d7ff}\u{10ffff}\n]{1,5}", 0_u64..100, 0..40),
        prefix in "[ab/\u{10ffff}]{0,2}",
        start_after in "[ab/\u{e9}]{0,3}",
        delimiter in prop::sample::select(vec!["", "/", "a", "/a", "\u{10ffff}"]),
        max_keys in 1_usize..6,
    ) {
        ORIGIN.remove_bucket("p");
        ORIGIN.create_bucket("p");
        ORIGIN.put_many("p", keys.iter().map(|(key, size)| (key.clone(), Object::new(1, *size))));
        let parameters = format!(
            "&prefix={}&start-after={}&delimiter={}", encode(&prefix), encode(&start_after), encode(delimiter)
        );
        prop_assert_eq!(list("p", &parameters, max_keys), model(&keys, &prefix, &start_after, delimiter));
    }
}

#[test]
fn keys_come_in_the_order_of_their_bytes() {
    for key in ["a", "a!", "a/", "a/b", "b", "Z", "é", "\u{ffff}", "\u{10000}"] {
        ORIGIN.put("order", key, Object::new(1, 1));
    }
    let keys: Vec<String> = list("order", "", 2)
        .keys
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(
        keys,
        ["Z", "a", "a!", "a/", "a/b", "b", "é", "\u{ffff}", "\u{10000}"]
    );
}

#[test]
fn without_encoding_keys_are_escaped() {
    ORIGIN.put("escape", "<a&\"b\"> \r", Object::new(1, 1));
    let reply = get(&ORIGIN, "/escape?list-type=2", None);
    assert_eq!(
        elements(reply.text(), "Key"),
        ["&lt;a&amp;&quot;b&quot;&gt; &#xd;"]
    );
    assert_eq!(elements(reply.text(), "IsTruncated"), ["false"]);
}

#[test]
fn a_page_has_at_most_a_thousand_keys() {
    let objects = (0..2500).map(|number| (format!("{number:05}"), Object::new(number, number)));
    ORIGIN.put_many("thousand", objects);
    let reply = get(&ORIGIN, "/thousand?list-type=2&max-keys=5000", None);
    assert_eq!(elements(reply.text(), "Key").len(), 1000);
    assert_eq!(elements(reply.text(), "MaxKeys"), ["1000"]);
    assert_eq!(list("thousand", "", 1000).keys.len(), 2500);
}

#[test]
fn a_page_of_none_and_a_bad_token() {
    ORIGIN.put("none", "a", Object::new(1, 1));
    let reply = get(&ORIGIN, "/none?list-type=2&max-keys=0", None);
    assert_eq!(elements(reply.text(), "IsTruncated"), ["false"]);
    assert_eq!(
        get(&ORIGIN, "/none?list-type=2&continuation-token=%21", None).status,
        400
    );
}

#[test]
fn an_empty_bucket_is_there() {
    ORIGIN.create_bucket("bare");
    assert_eq!(list("bare", "", 10), Listed::default());
    assert_eq!(get(&ORIGIN, "/bare?location", None).status, 200);
}
