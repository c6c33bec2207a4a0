use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use thiserror::Error;

use crate::folder::Folder;
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::runtime::{Found, Runtime, environment_of, key};
use crate::shims;

/// The file that may say how to start a scraper, and the word before the command.
const PROCFILE: &str = "Procfile";
const PROCFILE_WORD: &str = "scraper";
/// A program that is the scraper.
const EXECUTABLE: &str = "scraper";

/// Why a folder is no scraper that can be run here.
#[derive(Debug, Error)]
pub enum DetectError {
    /// Nothing tells the language.
    #[error(
        "there is no scraper here: the folder needs a scraper.rb, scraper.php, scraper.py, scraper.pl or scraper.js, a Procfile with a line `scraper:`, or an executable `scraper`"
    )]
    Unknown,
    /// The language's runtime is not installed.
    #[error("{language} is not installed on this machine; {remedy}")]
    NotInstalled {
        /// Which.
        language: String,
        /// What to do.
        remedy: String,
    },
    /// A file cannot be read or understood.
    #[error("{file}: {reason}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong, and what to write.
        reason: String,
    },
}

/// The runtimes of this machine.
#[derive(Clone)]
pub struct Runtimes {
    runtimes: Arc<[Runtime]>,
}

impl Runtimes {
    /// Looks which runtimes are installed: on the path, and where Debian has them.
    pub fn installed() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
        Self::in_folders(&std::env::split_paths(&path).chain(usual).collect::<Vec<_>>())
    }

    /// Looks which runtimes are in these folders.
    pub fn in_folders(folders: &[PathBuf]) -> Self {
        let runtimes = thread::scope(|scope| {
            let searches: Vec<_> = Manifest::all()
                .into_iter()
                .map(|manifest| scope.spawn(|| Runtime::search(manifest, folders)))
                .collect();
            searches
                .into_iter()
                .filter_map(|search| search.join().ok())
                .collect()
        });
        Self { runtimes }
    }

    /// Each language with the versions that are installed, or what to do to have it.
    pub fn list(&self) -> Vec<(String, Result<Vec<String>, String>)> {
        self.runtimes.iter().map(Runtime::describe).collect()
    }

    /// Says how the scraper in `folder` is built and run. Only regular files are read, up to 16 MiB of each; links are not followed.
    ///
    /// The language is that of the first of `scraper.rb`, `.php`, `.py`, `.pl`, `.js`. A line `scraper:` in a `Procfile` says how to start it instead; beside
    /// no such file it is a scraper of its own, and so is an executable `scraper`: their language is that whose dependency files are there, if any.
    ///
    /// # Errors
    ///
    /// When it is no scraper, its language is not installed, or a file cannot be understood.
    pub fn detect(&self, folder: &Path) -> Result<Plan, DetectError> {
        let folder = Folder(folder);
        let found = self.recognise(folder)?;
        match found.runtime {
            Some(runtime) => runtime.plan(folder, &found),
            None => Ok(self.plan_without_language(&found)),
        }
    }

    /// Writes the shims below `to`, which becomes `/shims`. It changes nothing where they are there already.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn unpack(&self, to: &Path) -> std::io::Result<()> {
        shims::unpack(to)
    }

    fn recognise<'a>(&'a self, folder: Folder<'_>) -> Result<Found<'a>, DetectError> {
        let command = procfile(folder)?;
        let by_file = self
            .runtimes
            .iter()
            .find(|runtime| folder.has(&runtime.manifest.file));
        if let Some(runtime) = by_file {
            let Manifest { language, file, .. } = &runtime.manifest;
            return Ok(Found {
                language,
                file,
                runtime: Some(runtime),
                command,
            });
        }
        let runtime = self
            .runtimes
            .iter()
            .find(|runtime| runtime.has_dependencies(folder));
        if command.is_some() {
            return Ok(Found {
                language: "procfile",
                file: PROCFILE,
                runtime,
                command,
            });
        }
        if folder.has_executable(EXECUTABLE) {
            let command = Some(vec![format!("./{EXECUTABLE}")]);
            return Ok(Found {
                language: "executable",
                file: EXECUTABLE,
                runtime,
                command,
            });
        }
        Err(DetectError::Unknown)
    }

    /// A scraper without dependencies may use every language's shim.
    fn plan_without_language(&self, found: &Found<'_>) -> Plan {
        let manifests = self.runtimes.iter().map(|runtime| &runtime.manifest);
        let environment = manifests
            .flat_map(|manifest| manifest.environment.clone())
            .collect();
        Plan {
            language: found.language.to_owned(),
            recognised: found.file.to_owned(),
            notices: Vec::new(),
            build: Vec::new(),
            build_key: key(&[]),
            environment: environment_of(environment, &[]),
            run: found.command.clone().unwrap_or_default(),
            folders: Vec::new(),
            needs: Vec::new(),
        }
    }
}

/// The command behind `scraper:` in a `Procfile`, for a shell.
fn procfile(folder: Folder<'_>) -> Result<Option<Vec<String>>, DetectError> {
    let text = folder.read(PROCFILE)?.unwrap_or_default();
    let command = text.lines().find_map(|line| {
        let (word, command) = line.split_once(':')?;
        (word.trim() == PROCFILE_WORD).then(|| command.trim().to_owned())
    });
    match command {
        Some(command) if command.is_empty() => Err(DetectError::Invalid {
            file: PROCFILE.to_owned(),
            reason: "there is no command behind `scraper:`".to_owned(),
        }),
        command => Ok(command.map(|command| vec!["/bin/sh".to_owned(), "-c".to_owned(), command])),
    }
}
