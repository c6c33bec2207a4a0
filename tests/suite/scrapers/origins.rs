//! Code from git, over both protocols that web servers speak: git's own, and plain files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::{Answer, Bench, Need, Request, Site};

use super::server::{ask, over, up};
use super::{SANDBOX, SITE, haul, rows};

pub(super) fn add(bench: &mut Bench) {
    let needs = [
        SANDBOX,
        Need::Program("git"),
        Need::Program("python3"),
        Need::Program("sqlite3"),
    ];
    bench.test("scraper: code from a git server", &needs, || fetched(smart));
    bench.test(
        "scraper: code from a git repository in plain files",
        &needs,
        || fetched(plain),
    );
}

/// Each reference leads to its own commit. The branches before and behind `main` in the order of names are traps.
fn fetched(answer: fn(&Path, &Request) -> Answer) -> Result<()> {
    let place = tempfile::tempdir()?;
    let repository = Repository::make(place.path())?;
    let folder = place.path().to_owned();
    let site = Site::serve(move |request| answer(&folder, request))?;
    let haul = haul(&site)?;
    let url = format!("http://{SITE}/code.git");
    let commit = repository.git(&["rev-parse", "aaa"])?;
    let references = [
        (None, "main"),
        (Some("aaa"), "aaa"),
        (Some("zeta"), "zeta"),
        (Some("v1"), "first"),
        (Some(commit.as_str()), "aaa"),
    ];
    let (running, address) = up(&haul)?;
    for (number, (reference, expected)) in references.into_iter().enumerate() {
        let scraper = format!("git/n{number}");
        let mut add = vec!["scraper", "add", &scraper, &url];
        add.extend(reference.iter().flat_map(|reference| ["--reference", reference]));
        haul.expect(0, &add)?;
        let run = over(&address, &ask(&haul, &scraper)?)?;
        ensure!(run["ending"]["outcome"] == "succeeded", "{reference:?}: {run:#}");
        let data = haul.folder().join("data.sqlite").display().to_string();
        haul.expect(0, &["scraper", "data", &scraper, "-o", &data])?;
        let found = rows(Path::new(&data), "select name from data")?;
        ensure!(found.trim() == expected, "{reference:?} led to {found}");
        fs::remove_file(&data)?;
    }
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}

/// A repository `code.git` with three branches and a tag, whose commits leave their names.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    fn make(place: &Path) -> Result<Self> {
        let folder = place.join("code.git");
        fs::create_dir(&folder)?;
        let repository = Self { folder };
        repository.git(&["init", "-q", "--bare", "-b", "main"])?;
        let first = repository.commit("first", None)?;
        repository.git(&["tag", "v1", &first])?;
        for branch in ["aaa", "main", "zeta"] {
            let commit = repository.commit(branch, Some(&first))?;
            repository.git(&["update-ref", &format!("refs/heads/{branch}"), &commit])?;
        }
        repository.git(&["update-server-info"])?;
        Ok(repository)
    }

    fn commit(&self, name: &str, parent: Option<&str>) -> Result<String> {
        let code =
            format!("import scraperwiki\nscraperwiki.sqlite.save(['id'], {{'id': 1, 'name': '{name}'}})\n");
        let file = self.git_with(&["hash-object", "-w", "--stdin"], &code)?;
        let tree = self.git_with(&["mktree"], &format!("100644 blob {file}\tscraper.py\n"))?;
        let mut command = vec!["commit-tree", &tree, "-m", name];
        command.extend(parent.iter().flat_map(|parent| ["-p", parent]));
        self.git(&command)
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        self.git_with(arguments, "")
    }

    fn git_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.folder)
            .args([
                "-c",
                "user.name=somebody",
                "-c",
                "user.email=somebody@example.org",
            ])
            .args(arguments);
        let output = fed(command, input.as_bytes())?;
        Ok(String::from_utf8(output)?.trim().to_owned())
    }
}

fn fed(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    process.stdin.take().context("no input")?.write_all(input)?;
    let output = process.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(output.stdout)
}

/// Any file of the repository, and nothing that understands git.
fn plain(folder: &Path, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    match fs::read(folder.join(path.trim_start_matches('/'))) {
        Ok(file) => Answer::bytes("application/octet-stream", file),
        Err(_) => Answer::status(404),
    }
}

/// What `git http-backend` says, which is a program for CGI (RFC 3875).
fn smart(folder: &Path, request: &Request) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let header = |name: &str| {
        let value = request.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"));
    let Ok(said) = fed(command, &request.body) else {
        return Answer::status(500);
    };
    answered(&said).unwrap_or_else(|| Answer::status(502))
}

fn answered(said: &[u8]) -> Option<Answer> {
    let end = said.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(said.get(..end)?).ok()?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    match field("Status: ") {
        Some(status) => Some(Answer::status(status.split(' ').next()?.parse().ok()?)),
        None => Some(Answer::bytes(field("Content-Type: ")?, said.get(end + 4..)?)),
    }
}
