use std::fs;
use std::path::Path;

use pkgindex::formats::{read_crates, read_crates_folder};

use crate::{gzip, text};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/crates-index"))
}

const EXPECTED: &str = "INDEX|Y_2|\nINDEX|abcdef|Y_2,x\nINDEX|x|Y_2\n";

#[test]
fn folder_is_read() {
    let read = read_crates_folder(folder()).unwrap();
    assert_eq!(text(&read), EXPECTED);
    assert_eq!((read.report.packages, read.report.edges), (3, 3));
    assert_eq!(read.report.unresolved, 2, "one is nowhere, and one is elsewhere");
    assert_eq!(read.report.unresolved_names, ["nowhere", "x"]);
}

#[test]
fn stream_in_any_order_is_read() {
    let file = |name| fs::read_to_string(folder().join(name)).unwrap();
    let lines = file("1/y_2") + "\n" + &file("ab/cd/abcdef") + &file("1/x");
    let backwards: Vec<_> = lines.lines().rev().collect();
    for stream in [
        gzip(lines.as_bytes()),
        lines.clone().into_bytes(),
        backwards.join("\n").into_bytes(),
    ] {
        assert_eq!(text(&read_crates(&*stream).unwrap()), EXPECTED);
    }
}

#[test]
fn hidden_files_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    fs::write(folder.path().join(".git/HEAD"), "ref: refs/heads/main").unwrap();
    assert_eq!(read_crates_folder(folder.path()).unwrap().report.packages, 0);
}

#[test]
fn errors_say_what_and_where() {
    let check = |lines: &str, message: &str| {
        let error = read_crates(lines.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    };
    check(
        "\n{\n",
        "line 2: it does not describe a version of a crate: EOF while parsing",
    );
    check(
        "{\"vers\":\"1.0.0\",\"deps\":[]}",
        "line 1: it does not describe a version of a crate: missing field `name`",
    );
    check(
        "{\"name\":\"a\",\"vers\":\"1\",\"deps\":[]}",
        "line 1: the version is none: ",
    );
    check(
        "{\"name\":\"a b\",\"vers\":\"1.0.0\",\"deps\":[]}",
        "line 1: `a b` is no name: ",
    );
    let deep = format!(
        "{{\"name\":\"a\",\"vers\":\"1.0.0\",\"deps\":{}",
        "[".repeat(100_000)
    );
    check(&deep, "line 1: it does not describe a version of a crate: ");
}

#[test]
fn errors_in_a_folder_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad");
    fs::write(&file, "{").unwrap();
    let error = read_crates_folder(folder.path()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: line 1: ", file.display())),
        "{error}"
    );
    let missing = read_crates_folder(&folder.path().join("missing")).unwrap_err();
    assert!(matches!(missing, pkgindex::formats::FormatError::File { .. }));
}
