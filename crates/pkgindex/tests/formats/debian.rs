use pkgindex::formats::{MAX_FIELD_BYTES, read_debian};

use crate::{gzip, text};

const FIXTURE: &str = include_str!("../data/Packages");
const EXPECTED: &str = include_str!("../data/Packages.index");

fn edges(packages: &str) -> String {
    text(&read_debian(packages.as_bytes()).unwrap()).to_owned()
}

#[test]
fn packages_are_read() {
    let read = read_debian(FIXTURE.as_bytes()).unwrap();
    assert_eq!(text(&read), EXPECTED);
    assert_eq!((read.report.packages, read.report.edges), (9, 8));
    assert_eq!((read.report.unresolved, read.report.revision), (1, None));
    assert_eq!(read.report.unresolved_names, ["nowhere-a"]);
}

#[test]
fn compressed_packages_are_read() {
    let read = read_debian(&*gzip(FIXTURE.as_bytes())).unwrap();
    assert_eq!(text(&read), EXPECTED);
}

#[test]
fn carriage_returns_and_missing_last_newline_are_no_matter() {
    let windows = FIXTURE.trim_end().replace('\n', "\r\n");
    assert_eq!(edges(&windows), EXPECTED);
}

#[test]
fn first_alternative_that_exists_is_the_edge() {
    let real = "Package: a\n\nPackage: b\n\n";
    assert_eq!(
        edges(&format!("{real}Package: p\nDepends: b | a\n")),
        "INDEX|a|\nINDEX|b|\nINDEX|p|b\n"
    );
    assert_eq!(
        edges(&format!("{real}Package: p\nDepends: c | a\n")),
        "INDEX|a|\nINDEX|b|\nINDEX|p|a\n"
    );
}

#[test]
fn package_goes_before_what_provides_its_name() {
    let packages = "Package: real\n\nPackage: other\nProvides: real\n\nPackage: p\nDepends: real\n";
    assert_eq!(edges(packages), "INDEX|other|\nINDEX|p|real\nINDEX|real|\n");
}

#[test]
fn most_important_provider_is_the_edge() {
    let packages =
        "Package: a\nProvides: v\n\nPackage: b\nProvides: v\nPriority: important\n\nPackage: p\nDepends: v\n";
    assert_eq!(edges(packages), "INDEX|a|\nINDEX|b|\nINDEX|p|b\n");
    let equal = packages.replace("important", "extra");
    assert_eq!(edges(&equal), "INDEX|a|\nINDEX|b|\nINDEX|p|a\n");
}

#[test]
fn provider_needs_no_other() {
    let packages = "Package: a\nProvides: v\n\nPackage: b\nProvides: v\nDepends: v\n";
    assert_eq!(edges(packages), "INDEX|a|\nINDEX|b|\n");
}

#[test]
fn newest_version_counts() {
    let ordered = [
        "0~~",
        "0~",
        "0",
        "0+b1",
        "0.1",
        "1~rc1-1",
        "1-1",
        "1-1+b1",
        "1-1.1",
        "1-2",
        "1-10",
        "1a",
        "1+a",
        "1.0-1",
        "2-1-1",
        "10-1",
        "1:0",
        "1:0.00100",
        "1:0.101",
        "99999999999999999999999:0",
    ];
    let stanza = |version: &str| {
        let needed = ordered.iter().position(|other| *other == version).unwrap();
        format!("Package: p\nVersion: {version}\nDepends: d{needed}\n\n")
    };
    let dependencies: String = (0..ordered.len())
        .map(|at| format!("Package: d{at}\n\n"))
        .collect();
    for (at, older) in ordered.iter().enumerate() {
        for (above, newer) in ordered.iter().enumerate().skip(at + 1) {
            for packages in [stanza(older) + &stanza(newer), stanza(newer) + &stanza(older)] {
                let lines = edges(&(packages + &dependencies));
                assert!(
                    lines.ends_with(&format!("INDEX|p|d{above}\n")),
                    "{older} is older than {newer}"
                );
            }
        }
    }
}

#[test]
fn same_version_counts_once() {
    let packages = "Package: p\nVersion: 1\nDepends: a\n\nPackage: p\nVersion: 01-0\nDepends: b\n\nPackage: a\n\nPackage: b\n";
    assert_eq!(edges(packages), "INDEX|a|\nINDEX|b|\nINDEX|p|a\n");
}

#[test]
fn errors_say_what_and_where() {
    let check = |packages: &[u8], message: &str| {
        assert_eq!(read_debian(packages).unwrap_err().to_string(), message);
    };
    check(
        b"Package: a\nnonsense\n",
        "line 2: a paragraph has lines `Field: value`, and its longer values go on in lines that begin with a space",
    );
    check(
        b"Package: a\n\n continued\n",
        "line 3: a paragraph has lines `Field: value`, and its longer values go on in lines that begin with a space",
    );
    check(
        b"Version: 1\n\n",
        "line 2: the paragraph that ends here has no field `Package`",
    );
    check(
        b"Package: a\nDepends: b\ndepends: c\n",
        "line 3: the paragraph has this field already",
    );
    check(b"Package: a\nDepends: \xff\n", "line 2: it is not UTF-8");
    check(
        "Package: a\nDepends: b | m\u{fc}ll\n\n".as_bytes(),
        "line 3: `m\u{fc}ll` is no name: the name has a character that is not one of a-z A-Z 0-9 + - _ . @ / :",
    );
    check(
        b"Package: a\nDepends: (>= 1)\n",
        "line 3: `` is no name: the name is empty; give it at least one character",
    );
}

#[test]
fn long_field_of_short_lines_is_refused() {
    let line = format!(" {},\n", "a".repeat(1000));
    let packages = format!("Package: p\nDepends:\n{}", line.repeat(MAX_FIELD_BYTES / 1000));
    let error = read_debian(packages.as_bytes()).unwrap_err().to_string();
    assert!(
        error.ends_with(&format!("it is longer than {MAX_FIELD_BYTES} bytes")),
        "{error}"
    );
}
