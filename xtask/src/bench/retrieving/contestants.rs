//! Who is measured, and the command line of each.

use super::arena::Arena;
use std::path::Path;
use std::process::Command;

/// One program with one set of options.
#[derive(Clone, Copy)]
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) command: fn(&Arena, &Path) -> Command,
}

/// What the scenario is about, in the words of the command lines.
pub(super) const ONE: &str = "b/one";
pub(super) const BIG: &str = "b/big/";
pub(super) const SMALL: &str = "b/small/";
pub(super) const KEYS: &str = "b/keys/";
const BIG_FILES: [&str; 4] = [
    "b/big/00000000",
    "b/big/00000001",
    "b/big/00000002",
    "b/big/00000003",
];

const fn contestant(name: &'static str, command: fn(&Arena, &Path) -> Command) -> Contestant {
    Contestant { name, command }
}

/// Bytes of one object, in order, to nobody.
pub(super) const READ_ONE: &[Contestant] = &[
    contestant("haul (iterator)", |arena, _| arena.example("fetch", &[&s3(ONE)])),
    contestant("haul cat", |arena, _| arena.haul(&["cat", &s3(ONE)])),
    contestant("CRT", |arena, _| arena.python("crt", "read", &[ONE])),
    contestant("boto3", |arena, _| arena.python("boto3", "read", &[ONE])),
    contestant("s5cmd cat", |arena, _| arena.s5cmd(&["cat", &s3(ONE)])),
    contestant("floor: one bare connection", |arena, _| arena.floor("/b/one")),
];

/// One object to a file.
pub(super) const SAVE_ONE: &[Contestant] = &[
    contestant("haul get", |arena, to| {
        arena.haul(&["get", &s3(ONE), &folder(to)])
    }),
    contestant("boto3 download_file", |arena, to| {
        arena.python("boto3", "save", &[&to.display().to_string(), ONE])
    }),
    contestant("CRT", |arena, to| {
        arena.python("crt", "save", &[&to.display().to_string(), ONE])
    }),
    contestant("s5cmd", |arena, to| arena.s5cmd(&["cp", &s3(ONE), &folder(to)])),
    contestant("s5cmd tuned", |arena, to| {
        arena.s5cmd(&[
            "cp",
            "--concurrency",
            "32",
            "--part-size",
            "8",
            &s3(ONE),
            &folder(to),
        ])
    }),
    contestant("rclone", |arena, to| arena.rclone(&[], ONE, to)),
    contestant("rclone tuned", |arena, to| arena.rclone(RCLONE_TUNED, ONE, to)),
    contestant("aria2", |arena, to| arena.aria2(ONE, to)),
];

/// Four objects to four files.
pub(super) const SAVE_FOUR: &[Contestant] = &[
    contestant("haul get", |arena, to| {
        arena.haul(&["get", &s3(BIG), &folder(to)])
    }),
    contestant("boto3 download_file", |arena, to| {
        let folder = to.display().to_string();
        let words: Vec<&str> = std::iter::once(folder.as_str()).chain(BIG_FILES).collect();
        arena.python("boto3", "save", &words)
    }),
    contestant("s5cmd", |arena, to| {
        arena.s5cmd(&["cp", &s3("b/big/*"), &folder(to)])
    }),
    contestant("s5cmd tuned", |arena, to| {
        arena.s5cmd(&[
            "cp",
            "--concurrency",
            "8",
            "--part-size",
            "16",
            &s3("b/big/*"),
            &folder(to),
        ])
    }),
    contestant("rclone", |arena, to| arena.rclone(&[], BIG, to)),
    contestant("rclone tuned", |arena, to| arena.rclone(RCLONE_TUNED, BIG, to)),
];

/// The program that the requirement describes, on four objects whose lengths are no multiple of 8,000,000 bytes.
pub(super) const ORIGINAL: &[Contestant] = &[
    contestant("haul get", |arena, to| {
        arena.haul(&["get", &s3(BIG), &folder(to)])
    }),
    contestant("retriever-research 0.0.5", |arena, to| {
        arena.python("original", "save", &["b", "big/", &to.display().to_string()])
    }),
];

/// Many small objects, to memory and to files.
pub(super) const SMALL_READ: &[Contestant] = &[
    contestant("haul (iterator)", |arena, _| {
        arena.example("fetch", &[&s3(SMALL)])
    }),
    contestant("obstore", |arena, _| {
        arena.python("obstore", "read", &["b", "small/"])
    }),
];
pub(super) const SMALL_SAVE: &[Contestant] = &[
    contestant("haul get", |arena, to| {
        arena.haul(&["get", &s3(SMALL), &folder(to)])
    }),
    contestant("rclone", |arena, to| arena.rclone(&[], SMALL, to)),
    contestant("rclone tuned", |arena, to| {
        arena.rclone(&["--transfers", "64", "--checkers", "64"], SMALL, to)
    }),
    contestant("s5cmd", |arena, to| {
        arena.s5cmd(&["cp", &s3("b/small/*"), &folder(to)])
    }),
];

/// One object in order, whose first range is slow.
pub(super) const SLOW_HEAD: &[Contestant] = &[
    contestant("haul cat, 64 MiB", |arena, _| {
        arena.haul(&["cat", "--memory", "64MiB", &s3(ONE)])
    }),
    contestant("boto3", |arena, _| arena.python("boto3", "read", &[ONE])),
    contestant("CRT", |arena, _| arena.python("crt", "read", &[ONE])),
    contestant("s5cmd cat", |arena, _| arena.s5cmd(&["cat", &s3(ONE)])),
];

/// A listing.
pub(super) const LIST: &[Contestant] = &[
    contestant("haul ls", |arena, _| {
        arena.haul(&["ls", "--recursive", &s3(KEYS)])
    }),
    contestant("boto3 paginator", |arena, _| {
        arena.python("boto3", "list", &["b", "keys/"])
    }),
    contestant("s5cmd ls", |arena, _| arena.s5cmd(&["ls", &s3("b/keys/*")])),
    contestant("rclone lsf", |arena, _| arena.rclone_list(KEYS)),
];

const RCLONE_TUNED: &[&str] = &[
    "--multi-thread-streams",
    "16",
    "--multi-thread-chunk-size",
    "16M",
    "--multi-thread-cutoff",
    "32M",
];

fn s3(address: &str) -> String {
    format!("s3://{address}")
}

/// A folder as all programs understand it.
fn folder(path: &Path) -> String {
    format!("{}/", path.display())
}
