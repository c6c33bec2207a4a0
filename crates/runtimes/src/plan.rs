use std::path::PathBuf;

/// How a scraper is built and run. Paths are those inside the sandbox: the scraper's folder is `/app`, built dependencies are `/build`, the shims are
/// `/shims` (never writable).
///
/// *While building*, `/app` is writable, and nothing counts that a build leaves there; there are no secrets. `/build` starts empty and is what is kept.
/// *While running*, `/build` is read-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The language: `python`, `ruby`, `php`, `perl`, `node`, `procfile`, `executable`.
    pub language: String,
    /// What was recognised, for the log: `scraper.py, Python 3.11.7`.
    pub recognised: String,
    /// What people should know: "runtime.txt asks for python-3.9; the nearest installed is 3.11.7".
    pub notices: Vec<String>,
    /// Commands that install dependencies, in order, in `/app`; none where there is nothing to install.
    pub build: Vec<Vec<String>>,
    /// Of everything that the build depends on: its files, the runtime, its version. Builds with one key are alike.
    pub build_key: String,
    /// The environment of builds and runs, `PATH` included, beside `HOME` and `LANG`.
    pub environment: Vec<(String, String)>,
    /// The command that runs it, in `/app`.
    pub run: Vec<String>,
    /// Folders of `/build` that a run also sees in `/app`, where the scraper has nothing of that name: programs look for `vendor` or `node_modules` beside
    /// the code.
    pub folders: Vec<String>,
    /// Folders of the machine that it needs, at the same place, beside `/usr`: where an interpreter is installed elsewhere.
    pub needs: Vec<PathBuf>,
}
