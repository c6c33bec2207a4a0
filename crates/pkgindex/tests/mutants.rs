//! The driver passes a right server and catches each of many wrong ones.
//!
//! The server here is as simple as can be and has nothing in common with the product: a thread per connection, one lock, one switch per
//! mistake that somebody has made or might make.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mutants {
    pub(crate) mod server;
}

use std::time::Duration;

use mutants::server::{MAX_LINE_BYTES, Mistake, serve};
use pkgindex::Cycles;
use pkgindex::testkit::driver::{Finding, Options, drive};

fn found(mistake: Option<Mistake>, cycles: Cycles, rounds: usize) -> Vec<Finding> {
    let options = Options {
        cycles,
        rounds,
        max_line_bytes: MAX_LINE_BYTES,
        max_findings: 100,
        // A mistake that swallows answers costs this at every line; a right server must have time enough on a busy machine.
        patience: match mistake {
            Some(_) => Duration::from_millis(300),
            None => Duration::from_secs(10),
        },
        ..Options::default()
    };
    drive(serve(mistake, cycles), &options)
}

#[test]
fn a_right_server_has_no_findings() {
    for cycles in [Cycles::Literal, Cycles::Reject, Cycles::Report] {
        let found = found(None, cycles, 8);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{cycles:?}: {}", found.join("\n"));
    }
}

#[test]
fn a_server_that_is_not_there_is_a_finding() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = Options {
        max_findings: 1,
        ..Options::default()
    };
    let found = drive(nobody, &options);
    assert!(found[0].what.starts_with("cannot connect"), "{found:?}");
}

/// A test for each mistake: how many rounds of made-up sequences it needs to be noticed, and how the case begins that must notice it.
macro_rules! mistakes {
    ($($name:ident: $mistake:ident, $rounds:literal, $case:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let found = found(Some(Mistake::$mistake), Cycles::Literal, $rounds);
                assert!(!found.is_empty(), "{:?} survived", Mistake::$mistake);
                let found: Vec<_> = found.iter().map(ToString::to_string).collect();
                assert!(found.iter().any(|what| what.starts_with($case)), "{}", found.join("\n"));
            }
        )*

        #[test]
        fn every_mistake_has_a_test() {
            assert_eq!(Mistake::ALL, [$(Mistake::$mistake),*]);
        }
    };
}

mistakes! {
    dependencies_are_not_checked: IndexesAnything, 0, "a dependency must be indexed";
    only_the_first_dependency_is_checked: ChecksFirstDependency, 0, "a dependency must be indexed";
    dependents_are_not_checked: RemovesAnything, 0, "what is depended on stays";
    the_first_dependency_alone_has_a_reverse_edge: ReverseEdgeOfFirst, 0, "every dependency has its reverse edge";
    the_last_dependency_alone_has_a_reverse_edge: ReverseEdgeOfLast, 0, "every dependency has its reverse edge";
    removing_one_dependent_forgets_all: ForgetsAllDependents, 0, "every dependent counts";
    an_indexed_package_keeps_its_old_list: KeepsOldList, 0, "INDEX of an indexed package replaces its list";
    old_reverse_edges_stay: KeepsOldReverseEdges, 0, "INDEX of an indexed package replaces its list";
    an_index_that_fails_clears_the_list: ClearsBeforeCheck, 0, "INDEX that fails leaves the list as it was";
    a_new_package_may_need_itself: NewMayNeedItself, 0, "a new package cannot depend on itself";
    an_own_edge_blocks_removal: OwnEdgeBlocks, 0, "a package that is indexed depends on itself";
    removing_what_is_not_there_fails: RemoveOfNothingFails, 0, "what is not indexed can be removed";
    dependencies_of_a_query_must_be_there: QueryChecksDependencies, 0, "dependencies of REMOVE and QUERY mean nothing";
    names_are_lower_cased: LowerCases, 0, "names differ by case";
    names_of_one_letter_are_dropped: DropsShortNames, 0, "a name may have one letter";
    names_are_cleaned_as_paths: CleansPaths, 0, "names are no paths";
    long_names_are_cut: CutsNames, 0, "a long name";
    an_unknown_command_fails: UnknownFails, 0, "what is no command";
    lower_case_commands_are_taken: TakesLowerCase, 0, "what is no command";
    lines_are_trimmed: Trims, 0, "what is no command";
    any_letter_may_be_in_a_name: TakesAnyLetter, 0, "what is no command";
    empty_dependencies_are_skipped: SkipsEmptyDependencies, 0, "what is no command";
    more_pipes_are_ignored: IgnoresMorePipes, 0, "what is no command";
    crlf_is_taken: TakesCrlf, 0, "what is no command";
    crlf_is_sent: SendsCrlf, 0, "a dependency must be indexed";
    two_answers_to_a_line: AnswersTwice, 0, "a dependency must be indexed";
    two_answers_to_an_error: AnswersErrorTwice, 0, "what is no command";
    an_empty_line_has_no_answer: SkipsEmptyLines, 0, "what is no command";
    an_error_closes_the_connection: ClosesOnError, 0, "what is no command";
    an_unterminated_tail_is_executed: ExecutesTail, 0, "a line without its newline is nothing";
    what_follows_in_a_segment_is_lost: LosesPipelined, 0, "many lines in one segment";
    a_segment_is_a_line: TakesSegmentsAsLines, 0, "one byte in each segment";
    a_long_line_is_several: SplitsLongLines, 0, "a line that is too long";
    a_long_line_closes_the_connection: ClosesOnLongLine, 0, "a line that is too long";
    a_long_line_is_executed: ExecutesLongLines, 0, "a line that is too long";
    the_index_goes_with_the_connection: ForgetsConnection, 0, "a line without its newline is nothing";
    check_and_act_are_two_steps: ChecksThenActs, 8, "c";
}
