//! Code and data come into the work folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use archive::{Archive, ArchiveError, Artifact};
use model::{Checksum, ScraperId};
use registry::{Cause, Origin, Outcome, Version};
use runlog::Stream;
use sandbox::{Ended, Job, JobLimits, Mount, Network};
use walkdir::WalkDir;

use crate::execution::{Break, Execution, Workshop};
use crate::job::{Output, on_thread};
use crate::places::{Places, touch};
use crate::upload;

/// Fetches one commit; the address and reference are arguments, never part of the script. A server that does not give single
/// commits is asked for everything.
const FETCH: &str = r#"
git init -q . &&
{ git fetch -q --depth 1 --no-tags -- "$1" "$2" || git fetch -q --no-tags -- "$1" '+refs/heads/*:refs/fetched/*' "$2"; } &&
git checkout -q --force FETCH_HEAD && git rev-parse HEAD
"#;

/// What code may be, in files and bytes.
const MAX_CODE_FILES: usize = 100_000;
const MAX_CODE_BYTES: u64 = 1 << 30;

const FETCH_TIME: Duration = Duration::from_secs(600);

impl Execution {
    /// Brings code and data. The commit, where the code comes from git.
    pub(crate) async fn sync(&self) -> Result<Option<String>, Break> {
        let revision = match (&self.lease.run.cause, &self.lease.scraper.origin) {
            (Cause::Upload { by, checksum }, _) => {
                self.unpack(&upload::home(by)?, checksum).await?;
                None
            }
            (_, Origin::Upload { checksum }) => {
                self.unpack(self.scraper(), checksum).await?;
                None
            }
            (_, Origin::Folder { path }) => {
                self.copy(path).await?;
                None
            }
            (_, Origin::Git { url, reference }) => Some(self.fetch(url, reference.as_deref()).await?),
        };
        if let Some(version) = &self.lease.version {
            self.bring_data(version).await?;
        }
        Ok(revision)
    }

    async fn copy(&self, from: &str) -> Result<(), Break> {
        self.tell(&format!("Copying the code from {from}"));
        let (from, to) = (PathBuf::from(from), self.app());
        let copied = on_thread("copy", move || copy_tree(&from, &to)).await;
        copied.map_err(|error| {
            Break::over(
                Outcome::SyncFailed,
                format!("the code could not be copied: {error}"),
            )
        })
    }

    async fn unpack(&self, home: &ScraperId, checksum: &Checksum) -> Result<(), Break> {
        self.tell("Unpacking the code that was sent");
        let tar = self.folder.join("code.tar");
        let artifact = Artifact::Upload(*checksum);
        let fetched = self.shop.archive.fetch_artifact(home, &artifact, &tar).await;
        fetched.map_err(|error| Break::ours("the code that was sent cannot be read", &error))?;
        let to = self.app();
        let unpacked = on_thread("unpack", move || upload::unpack(&tar, &to)).await;
        unpacked.map_err(|error| {
            Break::over(
                Outcome::SyncFailed,
                format!("the code that was sent could not be unpacked: {error}"),
            )
        })
    }

    /// Fetches with git, in the sandbox: what a repository's server answers is as foreign as a scraper.
    async fn fetch(&self, url: &str, reference: Option<&str>) -> Result<String, Break> {
        let reference = reference.unwrap_or("HEAD");
        self.tell(&format!("Fetching {reference} of {url}"));
        let job = self.fetch_job(url, reference);
        let done = self
            .shop
            .run_job(job, &self.control, &self.log, Output::Returned, None)
            .await;
        match done.ended {
            Ended::Exited(0) => {}
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
        let _ = fs::remove_dir_all(git);
        self.tell(&format!("Fetched commit {commit}"));
        Ok(commit)
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
            // A repository of this machine belongs to somebody else than the job.
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", "*"),
        ];
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
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
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
        let from = self.shop.data_file(self.scraper(), version).await;
        let from = from.map_err(|error| Break::ours("the last data cannot be read", &error))?;
        let to = self.app().join("data.sqlite");
        self.tell(&format!("Data of version {} is in data.sqlite", version.number));
        // A copy: what is kept must not change.
        let copied = on_thread("copy", move || {
            remove_if_there(&to)?;
            fs::copy(from, to).map(drop)
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
    /// A version of data as a file of this machine.
    pub(crate) async fn data_file(
        &self,
        scraper: &ScraperId,
        version: &Version,
    ) -> Result<PathBuf, ArchiveError> {
        data_file(&self.archive, &self.places, scraper, version).await
    }
}

/// A version of data as a file of this machine, which stays there for a day after it was last asked for.
pub(crate) async fn data_file(
    archive: &Archive,
    places: &Places,
    scraper: &ScraperId,
    version: &Version,
) -> Result<PathBuf, ArchiveError> {
    let file = places.data(&version.checksum);
    if !file.exists() {
        let artifact = Artifact::Dataset(version.checksum);
        archive.fetch_artifact(scraper, &artifact, &file).await?;
    }
    touch(&file, SystemTime::now());
    Ok(file)
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Copies files and folders below `from`, but for git's own and old data. Links are copied as links.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let (mut files, mut bytes) = (0, 0);
    let wanted = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() != 1 || !(name == ".git" || name.starts_with("data.sqlite"))
    };
    for entry in WalkDir::new(from).min_depth(1).into_iter().filter_entry(wanted) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from).map_err(io::Error::other)?);
        let kind = entry.file_type();
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            bytes += fs::copy(entry.path(), &target)?;
        }
        files += 1;
        if files > MAX_CODE_FILES || bytes > MAX_CODE_BYTES {
            return Err(io::Error::other(format!(
                "there are more than {MAX_CODE_FILES} files or {} MiB in it; name the folder of the scraper alone",
                MAX_CODE_BYTES >> 20
            )));
        }
    }
    Ok(())
}
