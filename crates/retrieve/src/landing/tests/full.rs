use std::process::{Command, Output};

use super::*;

const FOLDER: &str = "HAUL_TEST_LIMITED_FOLDER";

/// A run of one of these tests in a process of its own, which `script` begins: `$0` is the program and `$1` the test.
fn again(shell: &mut Command, script: &str, test: &str, folder: &Path) -> std::io::Result<Output> {
    let (_, module) = module_path!().split_once("::").unwrap();
    let program = std::env::current_exe().unwrap();
    let shell = shell
        .args(["-c", script])
        .arg(program)
        .arg(format!("{module}::{test}"));
    shell.env(FOLDER, folder).output()
}

/// The limit of 64 KiB comes with a signal that would end the process; one that wants the error ignores it.
#[test]
fn a_file_beyond_the_limit_is_a_full_disk() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return beyond_the_limit(Path::new(&folder));
    }
    let scratch = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" --exact \"$1\"";
    let test = "a_file_beyond_the_limit_is_a_full_disk";
    let output = again(&mut Command::new("sh"), script, test, scratch.path()).unwrap();
    check_passed(&output);
    assert!(listed(scratch.path()).is_empty());
}

fn beyond_the_limit(path: &Path) {
    let folder = open(path);
    let large = vec![1; 1 << 20];
    check_kind(
        save_whole(&folder, &place(&folder, "whole"), &large, None),
        ErrorKind::DiskFull,
    );
    let begun = folder
        .begin(&place(&folder, "begun"), &identity(100), true)
        .unwrap();
    check_kind(begun.landing.write_at(1 << 20, b"x"), ErrorKind::DiskFull);
}

/// A file system of 1 MiB in memory, where a process may mount one.
#[test]
fn a_full_disk_is_told_before_anything_is_fetched() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return on_a_full_disk(Path::new(&folder));
    }
    let scratch = tempfile::tempdir().unwrap();
    let script =
        "mount -t tmpfs -o size=1m none \"$HAUL_TEST_LIMITED_FOLDER\" || exit 77; exec \"$0\" --exact \"$1\"";
    let mut shell = Command::new("unshare");
    shell.args(["--user", "--map-root-user", "--mount", "sh"]);
    let test = "a_full_disk_is_told_before_anything_is_fetched";
    match again(&mut shell, script, test, scratch.path()) {
        Ok(output) if matches!(output.status.code(), Some(0 | 101)) => check_passed(&output),
        Ok(output) => eprintln!("not tested: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("not tested: unshare: {error}"),
    }
}

fn on_a_full_disk(path: &Path) {
    let folder = open(path);
    check_kind(
        folder.begin(&place(&folder, "begun"), &identity(4 << 20), true),
        ErrorKind::DiskFull,
    );
    let large = vec![1; 2 << 20];
    check_kind(
        save_whole(&folder, &place(&folder, "whole"), &large, None),
        ErrorKind::DiskFull,
    );
    assert!(listed(path).is_empty());
    save_whole(&folder, &place(&folder, "small"), b"fits", None).unwrap();
}

#[track_caller]
fn check_passed(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
