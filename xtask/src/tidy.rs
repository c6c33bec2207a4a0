//! `cargo xtask tidy`: the house rules that a machine can check.
//!
//! Each rule is a function from text to findings, in a module of its own with tests that see it fail. This module
//! reads the workspace, asks every rule, and takes away what `xtask/tidy.toml` exempts.

mod edges;
mod exemptions;
mod names;
mod packages;
mod sizes;
mod sources;
mod words;

use crate::run::root;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// One breach of one rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    rule: &'static str,
    /// A path, `path:line`, or `path: function`.
    place: String,
    message: String,
}

impl Finding {
    fn new(rule: &'static str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule,
            place: place.into(),
            message: message.into(),
        }
    }
}

/// One text file of the workspace, its path relative to the root.
struct SourceFile {
    path: String,
    text: String,
}

/// Folders that hold nothing of ours.
const SKIPPED_FOLDERS: [&str; 3] = ["target", ".git", "data"];

/// Runs every rule on this workspace and prints the findings.
pub(crate) fn command() -> Result<ExitCode> {
    let findings = check_workspace()?;
    for Finding { rule, place, message } in &findings {
        println!("{place}: {message} [{rule}]");
    }
    if findings.is_empty() {
        println!("tidy: nothing to report");
        return Ok(ExitCode::SUCCESS);
    }
    println!("tidy: {} findings", findings.len());
    Ok(ExitCode::FAILURE)
}

fn check_workspace() -> Result<Vec<Finding>> {
    let root = root();
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(&root)
        .no_deps()
        .exec()?;
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));

    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let mut findings = edges::check(&architecture, &edges::of(&metadata));
    findings.extend(packages::check(&packages::of(&metadata)));
    for file in &files {
        findings.extend(words::check(file));
        if file.path.ends_with(".rs") {
            findings.extend(names::check(file));
            findings.extend(sources::check(file));
            findings.extend(sizes::check(file));
        }
    }
    let exemptions = fs::read_to_string(root.join("xtask/tidy.toml")).context("xtask/tidy.toml")?;
    exemptions::apply(findings, &exemptions)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_symlink() || SKIPPED_FOLDERS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Some(text) = read_text(&path)? {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            files.push(SourceFile {
                path: relative.to_string_lossy().into_owned(),
                text,
            });
        }
    }
    Ok(())
}

/// The file's text, or `None` when it is not UTF-8 or vanished while we looked.
fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_workspace_is_tidy() {
        let findings = super::check_workspace().expect("the workspace can be read");
        assert!(findings.is_empty(), "run `cargo xtask tidy`: {findings:#?}");
    }
}
