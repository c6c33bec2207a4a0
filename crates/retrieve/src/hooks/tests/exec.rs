use std::fs;
use std::time::{Duration, Instant};

use super::{end, finish_file, meta, run};
use crate::error::ErrorKind;
use crate::hooks::{Exec, Hooks};
use crate::outcome::Outcome;

/// What the command says to a file that holds `content`; the error where it refuses.
fn ask(exec: Exec, content: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a file");
    fs::write(&path, content).unwrap();
    let registry = run(Hooks::default().functional(exec));
    let outcome = finish_file(&registry, &meta(3, "x y"), Some(&path));
    end(&registry);
    match outcome {
        Outcome::Failed(error) => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn exec(command: &str) -> Exec {
    Exec::new(command).unwrap()
}

#[test]
fn the_status_of_the_command_decides() {
    assert_eq!(ask(exec("grep -q wanted {}"), "this is wanted"), Ok(()));
    let refused = ask(exec("grep -q wanted {}"), "this is not");
    assert_eq!(refused, Err("hook grep refuses it: exit status: 1".to_owned()));
}

#[test]
fn words_are_cut_as_in_a_shell_but_nothing_is_expanded() {
    let command =
        r#"sh -c 'test "$1" = "a b\"c\\d $HOME * " && test "$2" = "x y"' - "a b\"c\\d $HOME * " x\ y"#;
    assert_eq!(ask(exec(&command.replace("$HOME", "~")), ""), Ok(()));
    let literal = exec(r#"sh -c 'test "$1" = "\$HOME"' - $HOME"#);
    assert_eq!(ask(literal, ""), Ok(()));
    for command in ["", "  ", "echo 'open", "echo \"open", "echo \\"] {
        assert_eq!(
            Exec::new(command).unwrap_err().kind(),
            ErrorKind::Invalid,
            "{command:?}"
        );
    }
}

#[test]
fn the_path_stands_in_any_word_and_the_environment_tells_the_rest() {
    assert_eq!(
        ask(
            exec("sh -c 'grep -q content \"${1#--file=}\"' - --file={}"),
            "content"
        ),
        Ok(())
    );
    let told = exec(
        r#"sh -c 'echo "$HAUL_NAME|$HAUL_LOCATION|$HAUL_INDEX|$HAUL_BYTES|$HAUL_SIZE|$HAUL_ETAG|${HAUL_CHECKSUM-none}"; exit 1'"#,
    );
    let told = ask(told, "").unwrap_err();
    let expected = "hook sh refuses it: exit status: 1: x y|s3://bucket/x y|3|1000|1000|\"abc\"|none";
    assert_eq!(told, expected);
}

#[test]
fn the_end_of_what_a_command_says_is_kept() {
    let error = ask(exec("sh -c 'seq 100000; echo the reason >&2; exit 7'"), "").unwrap_err();
    assert!(error.ends_with("100000\nthe reason"), "{error}");
    assert!(error.len() < 2200, "{}", error.len());
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let command = format!(
        "sh -c 'sleep 1000 & echo $! > {}; echo waiting; wait'",
        pid_file.display()
    );
    let started = Instant::now();
    let error = ask(exec(&command).time_limit(Duration::from_millis(500)), "").unwrap_err();
    assert_eq!(error, "hook sh refuses it: no answer after 0.5 s: waiting");
    assert!(started.elapsed() < Duration::from_secs(10));
    let child = fs::read_to_string(&pid_file).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    let is_dead = || state().is_empty() || state().contains(") Z");
    while !is_dead() {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", state());
        std::thread::yield_now();
    }
}

#[test]
fn a_child_that_is_left_behind_does_not_hold_up_the_file() {
    let started = Instant::now();
    assert_eq!(ask(exec("sh -c 'sleep 3 & exit 0'"), ""), Ok(()));
    assert!(started.elapsed() < Duration::from_millis(2500));
}

#[test]
fn commands_run_side_by_side_up_to_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, "").unwrap();
    // Fails where another one is there.
    let alone = exec("sh -c 'mkdir \"$1.lock\" && sleep 0.05 && rmdir \"$1.lock\"' - {}").at_once(1);
    // Two that wait for each other.
    let meeting = exec(
        "sh -c 'touch \"$1.$HAUL_INDEX\"; while ! test -e \"$1.0\" -a -e \"$1.1\"; do sleep 0.01; done' - {}",
    );
    for hook in [alone, meeting.at_once(2).time_limit(Duration::from_secs(10))] {
        let registry = run(Hooks::default().functional(hook));
        std::thread::scope(|scope| {
            for index in 0..2 {
                let (registry, path) = (&registry, &path);
                scope.spawn(move || {
                    let outcome = finish_file(registry, &meta(index, "x"), Some(path));
                    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
                });
            }
        });
    }
}

#[test]
fn what_cannot_be_run_refuses_the_file() {
    let error = ask(exec("/no/such/program {}"), "").unwrap_err();
    assert!(error.contains("cannot run it"), "{error}");
    let registry = run(Hooks::default().functional(exec("true")));
    let outcome = finish_file(&registry, &meta(0, "x"), None);
    assert!(matches!(outcome, Outcome::Failed(error) if error.to_string().contains("it is not saved")));
}
