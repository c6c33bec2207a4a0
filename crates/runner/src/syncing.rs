//! Code and data come into the work folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archive::{ArchiveError, Artifact};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::ScraperId;
use registry::{Cause, Origin, Outcome, Version};
use runlog::Stream;
use sandbox::{Ended, Job, JobLimits, Mount, Network};
use walkdir::WalkDir;

use crate::control::Control;
use crate::execution::{Break, Execution, Workshop};
use crate::job::{Output, on_thread};
use crate::places::{remove_tree, touch};
use crate::upload;

/// Fetches one commit; the address and reference are arguments, never part of the script. A server that does not give single commits is asked for what leads to
/// them, and one that does not know a shortened commit for everything. Several things that are fetched at once would come in the order of their names. A repository
/// of this machine belongs to somebody else than the job, which git believes to be safe only where a file says so.
const FETCH: &str = r#"
command -v git >/dev/null || exit 127
one() { git fetch -q --no-tags "$@" && git checkout -q --force --detach FETCH_HEAD; }
all() { git fetch -q --tags -- "$1" '+refs/heads/*:refs/fetched/*' && git checkout -q --force --detach "$2^{commit}"; }
is_commit() { case "$1" in *[!0-9a-f]*) return 1;; esac; }
git config --global safe.directory '*' && git init -q . &&
{ one --depth 1 -- "$1" "$2" || one -- "$1" "$2" || { is_commit "$2" && all "$1" "$2"; }; } &&
git rev-parse HEAD
"#;

/// The secret that opens a private repository over HTTPS: a token, or `NAME:PASSWORD`.
const GIT_SECRET: &str = "MORPH_GIT_TOKEN";

/// What code may be, in files and bytes.
const MAX_CODE_FILES: usize = 100_000;
const MAX_CODE_BYTES: u64 = 1 << 30;

const FETCH_TIME: Duration = Duration::from_secs(600);

impl Execution {
    /// Brings code and data.
    pub(crate) async fn sync(&self) -> Result<(), Break> {
        match (&self.lease.run.cause, &self.lease.scraper.origin) {
            (Cause::Upload { by, checksum }, _) => {
                self.unpack(&upload::home(by)?, &Artifact::Sent(*checksum))
                    .await?;
            }
            (_, Origin::Upload { checksum }) => {
                self.unpack(self.scraper(), &Artifact::Upload(*checksum)).await?;
            }
            (_, Origin::Folder { path }) => self.copy(path).await?,
            (_, Origin::Git { url, reference }) => self.fetch(url, reference.as_deref()).await?,
        }
        match &self.lease.version {
            Some(version) => self.bring_data(version).await,
            None => Ok(()),
        }
    }

    async fn copy(&self, from: &str) -> Result<(), Break> {
        self.tell(&format!("Copying the code from {from}"));
        let (from, to, control) = (PathBuf::from(from), self.app(), Arc::clone(&self.control));
        let copied = on_thread("copy", move || copy_tree(&from, &to, &control)).await;
        copied.map_err(|error| {
            Break::over(
                Outcome::SyncFailed,
                format!("the code could not be copied: {error}"),
            )
        })
    }

    async fn unpack(&self, home: &ScraperId, artifact: &Artifact) -> Result<(), Break> {
        self.tell("Unpacking the code that was sent");
        let tar = self.folder.join("code.tar");
        let fetched = self.unless_halted(self.shop.archive.fetch_artifact(home, artifact, &tar));
        fetched
            .await?
            .map_err(|error| Break::ours("the code that was sent cannot be read", &error))?;
        let to = self.app();
        let unpacked = on_thread("unpack", move || upload::unpack(&tar, &to)).await;
        unpacked.map_err(|error| {
            Break::over(
                Outcome::SyncFailed,
                format!("the code that was sent could not be unpacked: {error}"),
            )
        })
    }

    /// Waits for `work`, as long as the run is not to stop.
    async fn unless_halted<T>(&self, work: impl Future<Output = T>) -> Result<T, Break> {
        tokio::select! {
            done = work => Ok(done),
            () = self.control.halted() => Err(Break::Fenced),
        }
    }

    /// Fetches with git, in the sandbox: what a repository's server answers is as foreign as a scraper.
    async fn fetch(&self, url: &str, reference: Option<&str>) -> Result<(), Break> {
        let reference = reference.unwrap_or("HEAD");
        self.tell(&format!("Fetching {reference} of {url}"));
        let job = self.fetch_job(url, reference);
        let done = self
            .shop
            .run_job(job, &self.control, &self.log, Output::Returned, None)
            .await?;
        match done.ended {
            Ended::Exited(0) => {}
            Ended::Exited(127) => {
                let message = "git is not installed on this machine: ask its operator for the package git";
                return Err(Break::over(Outcome::SyncFailed, message));
            }
            Ended::NotStarted(why) => return Err(Break::over(Outcome::SyncFailed, why)),
            Ended::TimedOut => {
                return Err(Break::again(
                    Outcome::SyncFailed,
                    "the repository took longer than ten minutes",
                ));
            }
            Ended::DiskFull => {
                return Err(Break::over(
                    Outcome::SyncFailed,
                    "the repository is larger than 1 GiB",
                ));
            }
            _ => {
                let message =
                    "the repository could not be fetched; see above, and check its address and reference";
                return Err(Break::again(Outcome::SyncFailed, message));
            }
        }
        let commit = String::from_utf8_lossy(&done.output).trim().to_owned();
        let git = self.app().join(".git");
        // A scraper has no use for it, and a commit says what it is.
        let removed = on_thread("tidy", move || remove_tree(&git)).await;
        removed.map_err(|error| Break::ours("the repository cannot be removed", &error))?;
        self.tell(&format!("Fetched commit {commit}"));
        self.revision.get_or_init(|| commit);
        Ok(())
    }

    fn fetch_job(&self, url: &str, reference: &str) -> Job {
        let command = ["/bin/sh", "-c", FETCH, "fetch", url, reference];
        let variables = [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/tmp"),
            ("LANG", "C.UTF-8"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ALLOW_PROTOCOL", "https:http:file"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secret = self.secrets.iter().find(|(name, _)| name.as_str() == GIT_SECRET);
        let signs_in = secret.and_then(|(_, secret)| credentials(url, secret.reveal()));
        let local = Path::new(url.strip_prefix("file://").unwrap_or(url));
        let mounts = local.is_absolute().then(|| Mount {
            from: local.to_owned(),
            to: local.to_owned(),
            writable: false,
        });
        Job {
            name: format!("sync-{}", self.lease.run.id),
            command: command.map(str::to_owned).to_vec(),
            environment: variables
                .into_iter()
                .chain(signs_in.into_iter().flatten())
                .collect(),
            folder: self.app(),
            mounts: mounts.into_iter().collect(),
            network: Network::Gateway,
            limits: JobLimits {
                disk_bytes: MAX_CODE_BYTES,
                files: MAX_CODE_FILES as u64,
                time: FETCH_TIME,
                ..self.limits()
            },
        }
    }

    async fn bring_data(&self, version: &Version) -> Result<(), Break> {
        let from = self
            .unless_halted(self.shop.data_file(self.scraper(), version))
            .await?;
        let from = from.map_err(|error| Break::ours("the last data cannot be read", &error))?;
        let app = self.app();
        self.tell(&format!("Data of version {} is in data.sqlite", version.number));
        // A copy: what is kept must not change. What the code brought of that name would be taken for its journal.
        let copied = on_thread("copy", move || {
            for name in [
                "data.sqlite",
                "data.sqlite-wal",
                "data.sqlite-shm",
                "data.sqlite-journal",
            ] {
                remove_tree(&app.join(name))?;
            }
            fs::copy(from, app.join("data.sqlite")).map(drop)
        });
        copied
            .await
            .map_err(|error| Break::ours("the last data cannot be copied", &error))
    }

    /// Says what went wrong, in the log.
    pub(crate) fn complain(&self, text: &str) {
        self.say(Stream::InternalErr, text);
    }
}

impl Workshop {
    /// A version of data as a file of this machine, which stays there for a day after it was last asked for.
    pub(crate) async fn data_file(
        &self,
        scraper: &ScraperId,
        version: &Version,
    ) -> Result<PathBuf, ArchiveError> {
        let file = self.places.data(&version.checksum);
        if !file.exists() {
            let artifact = Artifact::Dataset(version.checksum);
            self.archive.fetch_artifact(scraper, &artifact, &file).await?;
        }
        touch(&file, SystemTime::now());
        Ok(file)
    }
}

/// Variables that make git sign in to the server of `url`, and to no other: only where nobody can listen.
fn credentials(url: &str, secret: &str) -> Option<[(String, String); 3]> {
    let host = url.strip_prefix("https://")?.split('/').next()?;
    // Servers that give out tokens take any name with them.
    let pair = match secret.contains(':') {
        true => secret.to_owned(),
        false => format!("x-access-token:{secret}"),
    };
    let header = format!("Authorization: Basic {}", BASE64_STANDARD.encode(pair));
    Some([
        ("GIT_CONFIG_COUNT".to_owned(), "1".to_owned()),
        (
            "GIT_CONFIG_KEY_0".to_owned(),
            format!("http.https://{host}/.extraHeader"),
        ),
        ("GIT_CONFIG_VALUE_0".to_owned(), header),
    ])
}

/// Copies files and folders below `from`, but for git's own and old data. Links are copied as links.
pub(crate) fn copy_tree(from: &Path, to: &Path, control: &Control) -> io::Result<()> {
    let (mut files, mut bytes) = (0, 0);
    let wanted = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() != 1 || !(name == ".git" || name.starts_with("data.sqlite"))
    };
    for entry in WalkDir::new(from).min_depth(1).into_iter().filter_entry(wanted) {
        let entry = entry?;
        if control.is_halted() {
            return Err(io::Error::other("the run was stopped"));
        }
        files += 1;
        bytes += if entry.file_type().is_file() {
            entry.metadata()?.len()
        } else {
            0
        };
        if files > MAX_CODE_FILES || bytes > MAX_CODE_BYTES {
            return Err(io::Error::other(format!(
                "there are more than {MAX_CODE_FILES} files or {} MiB in it; name the folder of the scraper alone",
                MAX_CODE_BYTES >> 20
            )));
        }
        let target = to.join(entry.path().strip_prefix(from).map_err(io::Error::other)?);
        copy_entry(&entry, &target)?;
    }
    Ok(())
}

fn copy_entry(entry: &walkdir::DirEntry, target: &Path) -> io::Result<()> {
    let kind = entry.file_type();
    if kind.is_dir() {
        fs::create_dir_all(target)
    } else if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)
    } else if kind.is_file() {
        fs::copy(entry.path(), target).map(drop)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::credentials;

    #[test]
    fn a_token_goes_to_the_server_of_the_repository_only_and_never_in_the_clear() {
        let [_, (_, key), (_, header)] = credentials("https://git.test:8443/a/b.git", "t0ken").unwrap();
        assert_eq!(key, "http.https://git.test:8443/.extraHeader");
        // x-access-token:t0ken
        assert_eq!(header, "Authorization: Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=");
        let [.., (_, header)] = credentials("https://git.test/b.git", "ann:word").unwrap();
        assert_eq!(header, "Authorization: Basic YW5uOndvcmQ=");
        for url in ["http://git.test/b.git", "/srv/b.git", "file:///srv/b.git"] {
            assert_eq!(credentials(url, "t0ken"), None, "{url}");
        }
    }
}
