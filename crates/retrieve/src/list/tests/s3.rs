use std::time::{Duration, UNIX_EPOCH};

use crate::error::ErrorKind;
use crate::list::{Listed, s3};

const START: &str = r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#;

fn page(inner: &str) -> Result<super::Page, String> {
    let body = format!("{START}{inner}</ListBucketResult>");
    s3::page(body.as_bytes()).map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Server);
        error.to_string()
    })
}

fn check_bad(body: &[u8], why: &str) {
    let error = s3::page(body).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn an_answer_is_read() {
    let page = page(
        "<Name>b</Name><Prefix>a+</Prefix><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
        <Contents><Key>a/%C3%A4+b%2B&amp;</Key><LastModified>1970-01-01T00:00:01.500Z</LastModified>
        <ETag>&quot;abc-2&#34;</ETag><Size>5000000000</Size><Owner><ID>Key</ID></Owner></Contents>
        <Contents><Key>b</Key><Size>0</Size></Contents>
        <CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>",
    );
    let first = Listed {
        key: "a/ä b+&".to_owned(),
        size: 5_000_000_000,
        etag: Some("\"abc-2\"".to_owned()),
        last_modified: Some(UNIX_EPOCH + Duration::from_millis(1500)),
    };
    let second = Listed {
        key: "b".to_owned(),
        ..Listed::default()
    };
    let entries = vec![first, second];
    assert_eq!(page, Ok(super::Page { entries, more: true }));
}

#[test]
fn keys_are_decoded_only_where_the_server_says_that_it_encodes() {
    let page = page("<IsTruncated>false</IsTruncated><Contents><Key>100%25+x</Key></Contents>").unwrap();
    assert_eq!(page.entries[0].key, "100%25+x");
    assert!(!page.more);
}

#[test]
fn what_is_no_answer_is_refused() {
    check_bad(b"", "ListBucketResult");
    check_bad(b"<html><body>hello</body></html>", "check the endpoint");
    check_bad(
        format!("{START}<IsTruncated>true</IsTruncated>").as_bytes(),
        "ends in the middle",
    );
    check_bad(b"<a></b>", "bad XML");
    check_bad(b"<a>\xff</a>", "UTF-8");
    check_bad(b"<a>&own;</a>", "entity");
    check_bad("<a>".repeat(1000).as_bytes(), "too deep");
    check_bad(&vec![b' '; s3::MAX_BODY + 1], "bytes");
    for (inner, why) in [
        ("<Contents><Size>-1</Size></Contents>", "size"),
        (
            "<Contents><LastModified>yesterday</LastModified></Contents>",
            "time",
        ),
        ("<Contents></Contents>", "without a key"),
        (
            "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>%FF</Key></Contents>",
            "UTF-8",
        ),
    ] {
        let error = page(inner).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_query_is_encoded_strictly_and_sorted() {
    assert_eq!(
        s3::query("", "", 1000),
        "encoding-type=url&list-type=2&max-keys=1000"
    );
    assert_eq!(
        s3::query("a b/ä", "a b/~*+'", 3),
        "encoding-type=url&list-type=2&max-keys=3&prefix=a%20b%2F%C3%A4&start-after=a%20b%2F~%2A%2B%27"
    );
}

#[test]
fn an_error_is_read() {
    let body = b"<Error><Code>NoSuchKey</Code><Message>it&apos;s gone</Message><Key>k</Key></Error>";
    let expected = ("NoSuchKey".to_owned(), "it's gone".to_owned());
    assert_eq!(s3::error_body(body), Some(expected));
    assert_eq!(
        s3::error_body(b"<Error><Code>SlowDown</Code></Error>"),
        Some(("SlowDown".to_owned(), String::new()))
    );
    assert_eq!(s3::error_body(b"<html>502</html>"), None);
    assert_eq!(s3::error_body(b"not found"), None);
}
