//! A million packages: in a chain, and all around one. What must not happen is recursion, or work that grows with the graph.

use pkgindex::{Answer, Cycles, Index, Revision};

use crate::{now, opened};

const MILLION: usize = 1_000_000;

fn answers(index: &Index, lines: &str) -> Vec<Answer> {
    let replies = now(index.replies(lines.as_bytes())).unwrap();
    replies.iter().map(|reply| reply.answer).collect()
}

fn batch(index: &Index, line: impl Fn(usize) -> String) {
    let lines: String = (0..MILLION).map(line).collect();
    assert_eq!(now(index.batch(lines.as_bytes())).unwrap(), Revision(1));
}

#[test]
fn a_chain() {
    for cycles in [Cycles::Literal, Cycles::Reject] {
        let index = opened(cycles);
        batch(&index, |at| match at + 1 {
            MILLION => format!("INDEX|p{at}|\n"),
            next => format!("INDEX|p{at}|p{next}\n"),
        });
        assert_eq!(
            (index.sizes().packages, index.sizes().edges),
            (MILLION, MILLION - 1)
        );
        let last = MILLION - 1;
        let closed = match cycles {
            Cycles::Reject => Answer::Fail,
            _ => Answer::Ok,
        };
        let closing = format!("REMOVE|p{last}|\nINDEX|p{last}|p0\nINDEX|p{last}|\nREMOVE|p0|\nREMOVE|p1|\n");
        let expected = [Answer::Fail, closed, Answer::Ok, Answer::Ok, Answer::Ok];
        assert_eq!(answers(&index, &closing), expected);
        assert_eq!(index.sizes().packages, MILLION - 2);
    }
}

#[test]
fn a_star() {
    let index = opened(Cycles::Literal);
    batch(&index, |at| match at {
        0 => "INDEX|hub|\n".to_owned(),
        _ => format!("INDEX|p{at}|hub\n"),
    });
    assert_eq!(index.sizes().edges, MILLION - 1);
    // With a look at all dependents each of these would take as long as the batch, and all of them for hours.
    let lines: String = (1..20_000)
        .map(|at| format!("REMOVE|p{at}|\nREMOVE|hub|\nINDEX|p{at}|hub\n"))
        .collect();
    let told = answers(&index, &lines);
    assert!(
        told.chunks(3)
            .all(|told| told == [Answer::Ok, Answer::Fail, Answer::Ok])
    );
    assert_eq!(index.sizes().edges, MILLION - 1);
}

#[test]
fn names_that_come_and_go_leave_nothing() {
    let index = opened(Cycles::Literal);
    for round in 0..200 {
        let mut lines: String = (0..500)
            .map(|at| format!("INDEX|r{round}-{at}|\nINDEX|s{round}-{at}|r{round}-{at}\n"))
            .collect();
        lines.extend((0..500).map(|at| format!("REMOVE|s{round}-{at}|\nREMOVE|r{round}-{at}|\n")));
        assert!(answers(&index, &lines).iter().all(|&answer| answer == Answer::Ok));
    }
    let sizes = index.sizes();
    assert_eq!((sizes.packages, sizes.edges), (0, 0));
    assert_eq!(sizes.revision, Revision(200 * 2000));
    assert!(now(index.snapshot()).unwrap().is_empty());
}
