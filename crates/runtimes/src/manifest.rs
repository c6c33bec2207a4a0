use std::collections::BTreeMap;

use serde::Deserialize;

/// In the order in which they are tried: a folder with several of the files is of the first.
const MANIFESTS: [(&str, &str); 5] = [
    ("ruby", include_str!("../manifests/ruby.toml")),
    ("php", include_str!("../manifests/php.toml")),
    ("python", include_str!("../manifests/python.toml")),
    ("perl", include_str!("../manifests/perl.toml")),
    ("node", include_str!("../manifests/node.toml")),
];

/// How the scrapers of one language are recognised, built and run. In commands `{program}` is the interpreter that was chosen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// As [`Plan::language`](crate::Plan::language) has it; it is the manifest's own name.
    #[serde(skip)]
    pub(crate) language: &'static str,
    /// Everything above and below, as it is written: part of what a build depends on.
    #[serde(skip)]
    pub(crate) text: &'static str,
    /// As people write it.
    pub(crate) name: String,
    /// The file that tells the language.
    pub(crate) file: String,
    /// The interpreter; programs of this name with a version behind it count as well.
    pub(crate) program: String,
    /// Arguments that make the interpreter print its version, its own path and the folder of its installation, a line each.
    pub(crate) probe: Vec<String>,
    /// What to do where it is not installed.
    pub(crate) install: String,
    /// The command that runs a scraper without dependency files.
    pub(crate) run: Vec<String>,
    /// Folders inside the sandbox whose programs come before the machine's.
    #[serde(default)]
    pub(crate) path: Vec<String>,
    /// For builds and runs.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where a scraper says which version it wants: the first that is there counts.
    #[serde(default, rename = "version")]
    pub(crate) versions: Vec<VersionFile>,
    /// What to do with dependency files.
    pub(crate) build: Build,
}

/// A file that may say which version is wanted. Without `pointer` and `line` it is the first line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionFile {
    pub(crate) file: String,
    /// Where it is in a JSON or TOML file (a JSON pointer, RFC 6901).
    pub(crate) pointer: Option<String>,
    /// The word with which its line begins; the version stands in quotes behind it.
    pub(crate) line: Option<String>,
    /// Whether `~1.2` means 1.2 and later up to 2, as in Composer, rather than any 1.2.
    #[serde(default)]
    pub(crate) tilde_leaves_last_part_free: bool,
}

/// How dependencies are installed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    /// The files that name them. There is something to build where one of them is.
    pub(crate) files: Vec<String>,
    /// Files that say how they are installed: a build depends on them, too.
    #[serde(default)]
    pub(crate) settings: Vec<String>,
    /// Words in these files that may refer to other files of the scraper, on which the build then depends, too.
    pub(crate) local: Vec<String>,
    /// The commands, in order.
    pub(crate) commands: Vec<Vec<String>>,
    /// The command that runs a scraper that was built, where it is another.
    pub(crate) run: Option<Vec<String>>,
    /// As [`Plan::folders`](crate::Plan::folders).
    #[serde(default)]
    pub(crate) folders: Vec<String>,
    /// For scrapers with dependencies, beside the usual.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Manifest {
    pub(crate) fn all() -> Vec<Self> {
        MANIFESTS
            .map(|(language, text)| Self::parse(language, text))
            .into()
    }

    fn parse(language: &'static str, text: &'static str) -> Self {
        let manifest: Self =
            toml::from_str(text).expect("the manifests are part of this program, and every test reads them");
        Self {
            language,
            text,
            ..manifest
        }
    }
}
