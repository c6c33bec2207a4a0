use semver::{Version, VersionReq};
use serde_json::Value;

use crate::DetectError;
use crate::folder::Folder;
use crate::manifest::VersionFile;

/// Which version a scraper asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The file that says so.
    pub(crate) file: String,
    /// In its words.
    pub(crate) words: String,
    /// One of these has to hold; none: the words cannot be understood.
    alternatives: Vec<VersionReq>,
    /// The first version that the words name.
    first: Option<Version>,
}

impl Wanted {
    /// What the first of these files that is there says.
    pub(crate) fn of(folder: Folder<'_>, files: &[VersionFile]) -> Result<Option<Self>, DetectError> {
        for file in files {
            let Some(text) = folder.read(&file.file)? else {
                continue;
            };
            if let Some(words) = words_of(file, &text)? {
                return Ok(Some(Self::parse(file, words)));
            }
        }
        Ok(None)
    }

    fn parse(file: &VersionFile, words: String) -> Self {
        let alternatives = words
            .split('|')
            .filter_map(|words| requirement(words, file.tilde_leaves_last_part_free));
        Self {
            file: file.file.clone(),
            alternatives: alternatives.collect(),
            first: version(&words),
            words,
        }
    }

    /// Whether this version is one of those.
    pub(crate) fn accepts(&self, version: &Version) -> bool {
        self.alternatives
            .iter()
            .any(|alternative| alternative.matches(version))
    }

    /// How far away a version is that is none of those.
    pub(crate) fn distance(&self, version: &Version) -> (u64, u64, u64) {
        let Some(first) = &self.first else {
            return (0, 0, 0);
        };
        (
            first.major.abs_diff(version.major),
            first.minor.abs_diff(version.minor),
            first.patch.abs_diff(version.patch),
        )
    }

    /// What people should know when they get `version`, if anything.
    pub(crate) fn notice(&self, version: &Version) -> Option<String> {
        let Self {
            file, words, first, ..
        } = self;
        if self.accepts(version) {
            return None;
        }
        Some(match first {
            Some(first) if first.major != version.major => {
                format!(
                    "{file} asks for {words}; the nearest installed is {version}, which may not run a scraper that was written for {}",
                    first.major
                )
            }
            Some(_) => format!("{file} asks for {words}; the nearest installed is {version}"),
            None => {
                format!("{file} asks for {words}, which names no version by number; it runs with {version}")
            }
        })
    }
}

/// The words of a file about the version, where it has any.
fn words_of(file: &VersionFile, text: &str) -> Result<Option<String>, DetectError> {
    let words = match (&file.pointer, &file.line) {
        (Some(pointer), _) => value(&file.file, text)?
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned),
        (None, Some(word)) => text
            .lines()
            .find_map(|line| quoted(line.trim().strip_prefix(word.as_str())?)),
        (None, None) => first_line(text),
    };
    Ok(words
        .map(|words| words.trim().to_owned())
        .filter(|words| !words.is_empty()))
}

fn first_line(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    lines
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
}

fn value(file: &str, text: &str) -> Result<Value, DetectError> {
    let parsed = if file.ends_with(".toml") {
        toml::from_str(text).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(text).map_err(|error| error.to_string())
    };
    parsed.map_err(|reason| DetectError::Invalid {
        file: file.to_owned(),
        reason,
    })
}

/// The quoted requirements in `rest`, which begins behind a word: `('>= 2.5', "< 4")`.
fn quoted(rest: &str) -> Option<String> {
    if !rest.starts_with([' ', '\t', '(', '"', '\'']) {
        return None;
    }
    let parts = rest.split(['"', '\'']).skip(1).step_by(2);
    let requirements: Vec<&str> = parts
        .take_while(|part| part.starts_with(|first: char| first.is_ascii_digit() || "<>=~^".contains(first)))
        .collect();
    (!requirements.is_empty()).then(|| requirements.join(", "))
}

/// Understands what the languages write: `python-3.9.1`, `~> 2.5`, `>=14 <20`, `18.x`, `^7.4`.
fn requirement(words: &str, tilde_leaves_last_part_free: bool) -> Option<VersionReq> {
    let mut comparators: Vec<String> = Vec::new();
    let mut rest = words;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let before = rest.get(..start)?;
        let operator: String = before
            .chars()
            .filter(|letter| "<>=~^!".contains(*letter))
            .collect();
        let is_end_of_range = before.trim() == "-";
        let numbers = rest.get(start..)?;
        let end = numbers.find([' ', ',']).unwrap_or(numbers.len());
        let mut next = comparator(&operator, numbers.get(..end)?, tilde_leaves_last_part_free);
        if is_end_of_range {
            // `14 - 20`, as npm writes it.
            comparators
                .last_mut()
                .into_iter()
                .for_each(|first| first.insert(0, '>'));
            next = next.map(|last| format!("<{last}"));
        }
        comparators.extend(next);
        rest = numbers.get(end..)?;
    }
    if comparators.is_empty() {
        return (words.trim() == "*").then_some(VersionReq::STAR);
    }
    VersionReq::parse(&comparators.join(", ")).ok()
}

fn comparator(operator: &str, numbers: &str, tilde_leaves_last_part_free: bool) -> Option<String> {
    let parts = numeric_parts(numbers);
    let number = join(&parts);
    match operator {
        "!=" => None,
        "~>" | "~=" => Some(last_part_free(&parts)),
        "~" if tilde_leaves_last_part_free => Some(last_part_free(&parts)),
        "<" | "<=" | ">" | ">=" | "^" | "~" => Some(format!("{operator}{number}")),
        _ => Some(format!("={number}")),
    }
}

/// 2.5 as 2.5 and later below 3; 2.5.1 as 2.5.1 and later below 2.6.
fn last_part_free(parts: &[u64]) -> String {
    match *parts {
        [major, minor, ..] if parts.len() == 2 => format!(">={major}.{minor}, <{}", major.saturating_add(1)),
        [_, _, _] => format!("~{}", join(parts)),
        _ => format!(">={}", join(parts)),
    }
}

/// The first version in a text, its missing parts zero.
pub(crate) fn version(text: &str) -> Option<Version> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let parts = numeric_parts(text.get(start..)?);
    let part = |index: usize| parts.get(index).copied().unwrap_or(0);
    Some(Version::new(*parts.first()?, part(1), part(2)))
}

/// The numbers with which a version begins, three at most: `18.x` has one, `2.5.1-p57` three.
fn numeric_parts(numbers: &str) -> Vec<u64> {
    let parts = numbers.splitn(4, '.').take(3).map_while(|part| {
        let end = part
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(part.len());
        part.get(..end)?.parse().ok()
    });
    parts.collect()
}

fn join(parts: &[u64]) -> String {
    let parts: Vec<String> = parts.iter().map(u64::to_string).collect();
    parts.join(".")
}
