use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Result, ensure};
use runtimes::Runtimes;
use tempfile::TempDir;
use tests::{Answer, Need, Request, Site};

/// A language whose shim is tried.
pub(crate) struct Language {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    /// The scraper that takes the steps.
    file: &'static str,
    pub(crate) needs: &'static [Need],
}

pub(crate) const ALL: &[Language] = &[
    Language {
        id: "python",
        name: "Python",
        file: "scraper.py",
        needs: &[Need::Output("python3", &["-c", "import sqlite3; print(1)"])],
    },
    Language {
        id: "ruby",
        name: "Ruby",
        file: "scraper.rb",
        needs: &[Need::Output("ruby", &["-rsqlite3", "-e", "puts 1"])],
    },
    Language {
        id: "php",
        name: "PHP",
        file: "scraper.php",
        needs: &[Need::Output("php", &["-r", "echo class_exists('SQLite3');"])],
    },
    Language {
        id: "node",
        name: "Node",
        file: "scraper.js",
        needs: &[Need::Output("node", &["-p", "1"]), Need::Program("python3")],
    },
];

/// The runtimes of this machine, and where their shims are.
static MACHINE: LazyLock<(Runtimes, TempDir)> = LazyLock::new(|| {
    let shims = tempfile::tempdir().expect("a test that has no folder fails");
    let runtimes = Runtimes::installed();
    runtimes
        .unpack(shims.path())
        .expect("a test that has no shims fails");
    (runtimes, shims)
});

/// Pages to fetch.
static SITE: LazyLock<Site> = LazyLock::new(|| Site::serve(answer).expect("a test that has no site fails"));

fn answer(request: &Request) -> Answer {
    let (utf8, windows) = ("“é”", b"\x93\xe9\x94".to_vec());
    let page = [&b"<meta charset=\"windows-1252\">"[..], &windows].concat();
    match request.path.as_str() {
        "/utf-8" => Answer::bytes("text/html; charset=UTF-8", utf8),
        "/latin-1" => Answer::bytes("text/html; charset=ISO-8859-1", windows),
        "/windows-1252-by-the-page" => Answer::bytes("text/html", page),
        "/nothing-said" => Answer::bytes("text/plain", utf8),
        "/nonsense-said" => Answer::bytes("text/plain; charset=nonsense", utf8),
        "/redirect" => Answer::redirect("/utf-8"),
        "/loop" => Answer::redirect("/loop"),
        "/pdf" => Answer::bytes("application/pdf", &b"%PDF\xff\0"[..]),
        _ => Answer::status(404),
    }
}

impl Language {
    /// Runs the scraper with a case, in `folder`, as its plan says, but that the shims are elsewhere; returns what it prints.
    pub(crate) fn run(&self, folder: &Path, cases: &Path, case: &str) -> Result<String> {
        let (runtimes, shims) = &*MACHINE;
        for other in ALL {
            let _ = fs::remove_file(folder.join(other.file));
        }
        fs::copy(
            crate::cases::folder().join("drivers").join(self.file),
            folder.join(self.file),
        )?;
        let plan = runtimes.detect(folder)?;
        let here = |word: &String| word.replace("/shims", &shims.path().display().to_string());
        let words: Vec<String> = plan.run.iter().map(here).collect();
        let (program, arguments) = words.split_first().ok_or_else(|| anyhow::anyhow!("no command"))?;
        let environment = plan.environment.iter().map(|(name, value)| (name, here(value)));
        let output = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .env("LANG", "C.UTF-8")
            .env("CASES", cases)
            .env("CASE", case)
            .env("SITE", SITE.url("127.0.0.1", ""))
            .current_dir(folder)
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {errors}", output.status);
        ensure!(errors.is_empty(), "it complains: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }
}
