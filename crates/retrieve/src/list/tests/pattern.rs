use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::list::Pattern;

fn check(text: &str, prefix: &str, matching: &[&str], others: &[&str]) {
    let pattern = Pattern::parse(text).unwrap();
    assert_eq!(pattern.prefix(), prefix);
    for key in matching {
        assert!(pattern.matches(key), "{text:?} does not match {key:?}");
    }
    for key in others {
        assert!(!pattern.matches(key), "{text:?} matches {key:?}");
    }
}

#[test]
fn a_star_stays_within_one_part() {
    check(
        "logs/*.gz",
        "logs/",
        &["logs/a.gz", "logs/.gz"],
        &["logs/a/b.gz", "logs/a.gzip", "x/logs/a.gz"],
    );
    check("logs/a?c", "logs/a", &["logs/abc"], &["logs/a/c", "logs/ac"]);
}

#[test]
fn two_stars_go_through_all_parts() {
    check("a/**/z", "a/", &["a/z", "a/b/z", "a/b/c/z"], &["a/b/zz", "z"]);
    check("a/**", "a/", &["a/b", "a/b/c"], &["b/a/c"]);
    check("**/*.txt", "", &["a.txt", "b/a.txt"], &["a.text"]);
}

#[test]
fn sets_and_alternatives() {
    check(
        "d/{a,b/c}/[0-9]*",
        "d/",
        &["d/a/1", "d/b/c/2x"],
        &["d/c/1", "d/a/x"],
    );
    check("d{,.bak}", "d", &["d", "d.bak"], &["dx"]);
    check("[!a]", "", &["b"], &["a"]);
    check("ä{ö,ü}*", "ä", &["äöß"], &["ä"]);
}

#[test]
fn a_backslash_escapes() {
    check(r"a\*b/\[x\]*", "a*b/[x]", &["a*b/[x]1"], &["aab/[x]1"]);
}

#[test]
fn the_relative_name_begins_after_the_spelled_out_folders() {
    let relative = |pattern, key| Pattern::parse(pattern).unwrap().relative(key).to_owned();
    assert_eq!(relative("a/b/*.txt", "a/b/c.txt"), "c.txt");
    assert_eq!(relative("a/b*/c", "a/bcd/c"), "bcd/c");
    assert_eq!(relative("**/c", "x/y/c"), "x/y/c");
    assert_eq!(relative(r"a\/b/*", "a/b/c"), "c");
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in ["a[", "a{b", "[ä]", "a\\", &"*".repeat(3000)] {
        assert_eq!(
            Pattern::parse(text).unwrap_err().kind(),
            ErrorKind::Invalid,
            "{text}"
        );
    }
}

#[test]
fn many_stars_take_no_longer() {
    let pattern = Pattern::parse(&format!("{}b", "a*".repeat(500))).unwrap();
    let begin = Instant::now();
    assert!(!pattern.matches(&"a".repeat(1024)));
    assert!(begin.elapsed() < Duration::from_secs(2));
}
