use super::*;

/// What becomes of `name`: the path of its file, `path/` for a folder, or the kind of the error.
fn claimed(folder: &Folder, name: &str) -> Result<String, ErrorKind> {
    match folder.claim(name) {
        Ok(Claim::File(place)) => Ok(folder.path(&place).to_str().unwrap().to_owned()),
        Ok(Claim::Folder(parents)) => Ok(format!("{}/", folder.make(&parents).unwrap().display())),
        Err(error) => Err(error.kind()),
    }
}

/// Claims all names in one run.
#[track_caller]
fn check(names: &[&str], expected: &[Result<&str, ErrorKind>]) {
    let (scratch, folder) = destination();
    let root = format!("{}/", scratch.path().display());
    let found = names
        .iter()
        .map(|name| claimed(&folder, name).map(|path| path.replacen(&root, "", 1)));
    let expected = expected.iter().map(|path| path.map(str::to_owned));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn names_are_paths_below_the_destination() {
    check(
        &[
            "a",
            "b/c",
            "ü/日本/😀",
            "with space",
            "-rf",
            "back\\slash",
            "...",
            ".hidden",
            "line\nfeed",
        ],
        &[
            Ok("a"),
            Ok("b/c"),
            Ok("ü/日本/😀"),
            Ok("with space"),
            Ok("-rf"),
            Ok("back\\slash"),
            Ok("..."),
            Ok(".hidden"),
            Ok("line\nfeed"),
        ],
    );
}

#[test]
fn names_that_lead_out_are_refused() {
    let escape = Err(ErrorKind::Escape);
    check(
        &["..", "../a", "a/../../b", "a/..", "/etc/passwd", "/", "//a"],
        &[escape; 7],
    );
}

#[test]
fn names_that_are_none_are_refused() {
    let invalid = Err(ErrorKind::Invalid);
    let long = "x".repeat(256);
    let deep = "d/".repeat(2100);
    check(&["", ".", "a/./b", "nul\0", &long, &deep], &[invalid; 6]);
    check(&[&"x".repeat(255)], &[Ok(&"x".repeat(255))]);
    check(&[&"ü".repeat(128)], &[invalid]);
}

#[test]
fn empty_parts_are_dropped() {
    let collision = Err(ErrorKind::Collision);
    check(
        &["a//b", "a/b", "c///d//", "c/d"],
        &[Ok("a/b"), collision, Ok("c/d/"), collision],
    );
}

#[test]
fn one_path_is_for_one_object() {
    check(&["a", "a"], &[Ok("a"), Err(ErrorKind::Collision)]);
    check(&["a", "A"], &[Ok("a"), Ok("A")]);
    check(&["a/b", "ab", "a b"], &[Ok("a/b"), Ok("ab"), Ok("a b")]);
}

#[test]
fn a_file_is_no_folder_in_either_order() {
    let collision = Err(ErrorKind::Collision);
    check(&["a", "a/b", "a/b/c"], &[Ok("a"), collision, collision]);
    check(&["a/b/c", "a/b", "a"], &[Ok("a/b/c"), collision, collision]);
    check(&["a", "a/"], &[Ok("a"), collision]);
    check(&["a/", "a"], &[Ok("a/"), collision]);
}

#[test]
fn a_folder_marker_goes_with_what_is_below_it() {
    check(
        &["a/b/", "a/", "a/b/c", "a/b/"],
        &[Ok("a/b/"), Ok("a/"), Ok("a/b/c"), Ok("a/b/")],
    );
}

#[test]
fn names_of_our_own_files_are_reserved() {
    let collision = Err(ErrorKind::Collision);
    check(
        &[".x.haul-partial", ".x.haul-journal", "a/.x.haul-journal/b"],
        &[collision; 3],
    );
    check(&["x.haul-partial"], &[Ok("x.haul-partial")]);
}

#[test]
fn a_refused_name_takes_nothing() {
    check(
        &["a/b", "a/b/c/d", "a/b/c", "c"],
        &[
            Ok("a/b"),
            Err(ErrorKind::Collision),
            Err(ErrorKind::Collision),
            Ok("c"),
        ],
    );
}

#[test]
fn one_of_many_threads_gets_a_name() {
    let (_scratch, folder) = destination();
    let taken = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..500)
                        .filter(|i| folder.claim(&format!("{i}/x")).is_ok())
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(taken, 500);
}
