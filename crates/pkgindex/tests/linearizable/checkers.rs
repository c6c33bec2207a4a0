//! The checkers themselves, on histories written by hand.

use bytes::Bytes;
use pkgindex::testkit::histories::{Operation, Told, linearize, replay};
use pkgindex::testkit::model::Model;
use pkgindex::{Answer, Change, Cycles, Revision};

/// `client [invoked returned] line -> ANSWER at revision`, a line each; `?` stands for an answer that never came.
fn history(text: &str) -> Vec<Operation> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
        .map(|words| Operation {
            client: words[0].parse().unwrap(),
            invoked: words[1].parse().unwrap(),
            line: words[3].to_owned(),
            outcome: words.get(4).map(|answer| Told {
                returned: words[2].parse().unwrap(),
                answer: answer_of(answer),
                revision: words.get(5).map(|revision| Revision(revision.parse().unwrap())),
            }),
        })
        .collect()
}

fn answer_of(word: &str) -> Answer {
    match word {
        "OK" => Answer::Ok,
        "FAIL" => Answer::Fail,
        _ => Answer::Error,
    }
}

fn is_linearizable(text: &str) -> bool {
    linearize(&Model::new(), &history(text), Cycles::Literal).is_ok()
}

fn replayed(lines: &[&str], text: &str) -> Result<(), String> {
    let changes: Vec<_> = (1..)
        .zip(lines)
        .map(|(revision, line)| Change {
            revision: Revision(revision),
            origin: 7,
            lines: Bytes::from(format!("{line}\n")),
        })
        .collect();
    replay(&changes, &history(text), Cycles::Literal).map_err(|bad| bad.what)
}

#[track_caller]
fn check_contradiction(lines: &[&str], text: &str, says: &str) {
    let what = replayed(lines, text).unwrap_err();
    assert!(what.contains(says), "{what:?} does not say {says:?}");
}

#[test]
fn what_overlaps_may_be_turned_around() {
    assert!(is_linearizable(
        "1 0 5 INDEX|a| OK
         2 1 4 QUERY|a| FAIL
         3 2 3 QUERY|a| OK"
    ));
}

#[test]
fn what_does_not_overlap_may_not() {
    assert!(!is_linearizable(
        "1 0 1 INDEX|a| OK
         2 2 3 QUERY|a| FAIL"
    ));
    assert!(!is_linearizable(
        "1 0 9 INDEX|a| OK
         2 1 2 QUERY|a| OK
         2 3 4 QUERY|a| FAIL"
    ));
}

#[test]
fn check_and_act_apart_show() {
    assert!(!is_linearizable(
        "1 0 1 INDEX|a| OK
         1 2 9 INDEX|b|a OK
         2 3 8 REMOVE|a| OK"
    ));
}

#[test]
fn a_lost_reverse_edge_shows() {
    assert!(!is_linearizable(
        "1 0 1 INDEX|a| OK
         1 2 3 INDEX|b| OK
         1 4 5 INDEX|c|a,b OK
         2 6 7 REMOVE|b| OK"
    ));
}

#[test]
fn what_nobody_knows_of_may_have_happened_or_not_and_at_any_time_after() {
    for answer in ["OK", "FAIL"] {
        assert!(is_linearizable(&format!(
            "1 0 - INDEX|a|
             2 5 6 QUERY|a| {answer}"
        )));
    }
    assert!(!is_linearizable(
        "2 0 1 QUERY|a| OK
         1 2 - INDEX|a|"
    ));
    assert!(!is_linearizable(
        "1 0 - INDEX|a|
         2 1 2 QUERY|a| OK
         2 3 4 QUERY|a| FAIL"
    ));
}

#[test]
fn a_report_has_only_what_it_needs() {
    let text = "1 0 1 INDEX|a| OK
        1 2 3 INDEX|z| OK
        3 4 5 QUERY|z| OK
        3 6 7 QUERY|x| FAIL
        2 8 9 QUERY|a| FAIL
        3 10 11 QUERY|z| OK";
    let bad = linearize(&Model::new(), &history(text), Cycles::Literal).unwrap_err();
    let lines: Vec<_> = bad
        .operations
        .iter()
        .map(|operation| operation.line.as_str())
        .collect();
    assert_eq!(lines, ["INDEX|a|", "INDEX|z|", "QUERY|a|"]);
    assert_eq!(bad.longest.len(), 2);
    assert!(bad.to_string().contains("client 2: QUERY|a| -> FAIL"), "{bad}");
}

#[test]
fn many_clients_with_the_same_lines_are_judged_at_once() {
    let lines: String = (0..12)
        .map(|at| format!("{at} {at} {} INDEX|p{}| OK\n", 100 + at, at % 4))
        .collect();
    assert!(is_linearizable(&lines));
    assert!(!is_linearizable(&format!("{lines}9 500 501 QUERY|p0| FAIL")));
}

#[test]
fn a_right_order_of_revisions_is_right() {
    assert_eq!(
        Ok(()),
        replayed(
            &["INDEX|a|", "INDEX|b|a", "REMOVE|b|"],
            "1 0 3 INDEX|a| OK 1
             2 1 4 INDEX|b|a,a OK 2
             2 2 6 QUERY|b| FAIL 1
             3 5 7 REMOVE|a| FAIL 2
             3 8 - REMOVE|b|c
             1 9 10 QUERY|b| FAIL 3
             1 11 12 nonsense ERROR 3"
        )
    );
}

#[test]
fn revisions_that_go_back_show() {
    check_contradiction(
        &["INDEX|a|"],
        "1 0 1 INDEX|a| OK 1
         2 2 3 QUERY|a| FAIL 0",
        "though 1 was known before",
    );
}

#[test]
fn a_change_that_nobody_asked_for_shows() {
    check_contradiction(&["INDEX|a|"], "1 0 1 QUERY|a| OK 1", "nobody had asked");
    check_contradiction(
        &["INDEX|a|"],
        "1 0 1 QUERY|a| OK 1
         2 2 3 INDEX|a| OK 1",
        "nobody had asked",
    );
    check_contradiction(
        &["INDEX|a|", "REMOVE|a|", "INDEX|a|"],
        "1 0 - INDEX|a|
         1 1 2 REMOVE|a| OK 2",
        "revision 3",
    );
}

#[test]
fn answers_that_their_state_does_not_give_show() {
    check_contradiction(
        &["INDEX|a|"],
        "1 0 1 INDEX|a| OK 1
         2 2 3 REMOVE|a| FAIL 1",
        "says OK, and it was told FAIL",
    );
    check_contradiction(&["INDEX|a|b"], "1 0 1 INDEX|a|b OK 1", "not allowed");
    check_contradiction(&[], "1 0 1 REMOVE|a| OK 4", "never reached");
}
