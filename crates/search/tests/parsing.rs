//! What a typed text means.

use model::Timestamp;
use proptest::prelude::*;
use search::{Clause, Filter, MAX_CLAUSES, MAX_QUERY_BYTES, Query};

/// A query in one line: groups, `|` between alternatives, then what is excluded, then filters.
fn shown(query: &Query) -> String {
    let clause = |clause: &Clause| match clause {
        Clause::Word(text) => text.clone(),
        Clause::Phrase(text) => format!("\"{text}\""),
        Clause::Prefix(text) => format!("{text}*"),
    };
    let group = |group: &Vec<Clause>| group.iter().map(clause).collect::<Vec<_>>().join("|");
    let mut parts: Vec<String> = query.groups.iter().map(group).collect();
    parts.extend(
        query
            .excluded
            .iter()
            .map(|excluded| format!("-{}", clause(excluded))),
    );
    parts.extend(query.filters.iter().map(|filter| format!("{filter:?}")));
    parts.extend(query.excluded_filters.iter().map(|filter| format!("-{filter:?}")));
    parts.join(" ")
}

#[track_caller]
fn check(typed: &str, meant: &str) {
    assert_eq!(shown(&Query::parse(typed)), meant, "{typed:?}");
}

#[test]
fn words_phrases_and_prefixes() {
    check("", "");
    check("  tide\ttables\n", "tide tables");
    check("\"high tide\" now", "\"high tide\" now");
    check("\"high tide", "\"high tide\"");
    check("a\"b c\"d", "a \"b c\" d");
    check("“high tide” «marea alta»", "\"high tide\" \"marea alta\"");
    check("tid* ti** *", "tid* ti*");
    check("os.path C++ 東京都", "os.path C++ 東京都");
    check("+ - -- \"\" \"!\" ()", "");
}

#[test]
fn operators() {
    check("tide OR current", "tide|current");
    check("a OR b OR \"c d\" e", "a|b|\"c d\" e");
    check("OR tide", "tide");
    check("tide OR", "tide");
    check("tide or current", "tide or current");
    check("\"OR\" a", "\"OR\" a");
    check("tide -moon -\"new moon\" -sp*", "tide -moon -\"new moon\" -sp*");
    check("a - b well-known", "a b well-known");
    check("a OR -b c", "a c -b");
    check("NEAR(a b) AND NOT {title}: x", "NEAR(a b) AND NOT {title}: x");
}

#[test]
fn filters() {
    check("tide site:NOAA.gov", "tide Site(\"noaa.gov\")");
    check("path:/news/ path:\"/a b\"", "Path(\"/news/\") Path(\"/a b\")");
    check("type:PDF -lang:es", "Type(\"pdf\") -Language(\"es\")");
    check(
        "after:1970-01-02 before:1970-02",
        "After(86400000ms) Before(2678400000ms)",
    );
    check("before:1970", "Before(0ms)");
    check("after:1969", "After(0ms)");
    check("site: tide", "site: tide");
    check("foo:bar http://e.gov/", "foo:bar http://e.gov/");
}

#[test]
fn a_date_that_is_none_is_a_word() {
    for typed in [
        "after:tomorrow",
        "after:2023-02-29",
        "before:20",
        "before:2024-1-1-1",
        "after:2024-13",
    ] {
        check(typed, typed);
    }
}

#[test]
fn dates_are_the_beginnings_of_their_periods() {
    let parsed = Query::parse("after:2024-02-29").filters;
    assert_eq!(parsed, [Filter::After(Timestamp::from_millis(1_709_164_800_000))]);
}

#[test]
fn limits_cut_and_say_so() {
    let long = "é ".repeat(MAX_QUERY_BYTES);
    let query = Query::parse(&long);
    assert!(query.cut);
    assert_eq!(query.groups.len(), MAX_CLAUSES);
    assert!(!Query::parse(&"a ".repeat(MAX_CLAUSES)).cut);
    assert!(Query::parse(&"a ".repeat(MAX_CLAUSES + 1)).cut);
}

proptest! {
    #[test]
    fn any_bytes_are_a_query(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        let query = Query::parse(&String::from_utf8_lossy(&bytes));
        prop_assert!(query.groups.iter().all(|group| !group.is_empty()));
        prop_assert!(query.wanted().count() <= MAX_CLAUSES);
    }
}
