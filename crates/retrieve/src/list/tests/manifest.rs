use crate::entry::Entry;
use crate::error::Error;
use crate::list::Manifest;

fn read(text: impl AsRef<[u8]>) -> Result<Vec<Entry>, Error> {
    Manifest::new(text.as_ref()).collect()
}

fn check_bad(text: impl AsRef<[u8]>, why: &str) {
    let error = read(text).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn all_three_forms_are_read() {
    let entries = read(
        "# a comment\r\ns3://b/folder/key with space\r\n\nhttps://h/x?y=1\tname/of it\n   \n\
         {\"url\":\"gs://b/k\",\"name\":\"n\",\"size\":10,\"etag\":\"\\\"e\\\"\",\"range\":[2,10]}\ns3://b/last",
    )
    .unwrap();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["key with space", "name/of it", "n", "last"]);
    assert_eq!(entries[1].location.to_string(), "https://h/x");
    assert_eq!(entries[2].size, Some(10));
    assert_eq!(entries[2].etag.as_deref(), Some("\"e\""));
    assert_eq!(entries[2].range, Some(2..10));
}

#[test]
fn errors_name_the_line() {
    check_bad("s3://b/k\n\nftp://x/y\n", "line 3");
    check_bad("{\"url\":\"s3://b/k\",\"nmae\":\"x\"}", "line 1");
    check_bad(
        "{\"url\":\"s3://b/k\",\"range\":[5,5]}",
        "line 1 of the manifest has a range",
    );
    check_bad(
        "{\"url\":\"s3://b/k\",\"size\":3,\"range\":[1,5]}",
        "beyond the size",
    );
    check_bad("s3://b/k\t", "empty name");
    check_bad(b"\xff\n", "line 1 of the manifest is not UTF-8");
    check_bad("#".repeat((64 << 10) + 1), "longer than 65536 bytes");
}

#[test]
fn nothing_comes_after_an_error() {
    let mut manifest = Manifest::new(&b"ftp://a/b\ns3://b/k\n"[..]);
    assert!(manifest.next().unwrap().is_err());
    assert!(manifest.next().is_none());
}

#[test]
fn an_empty_manifest_is_no_error() {
    assert_eq!(read("").unwrap(), []);
    assert_eq!(read("\u{feff}# only a comment").unwrap(), []);
}
