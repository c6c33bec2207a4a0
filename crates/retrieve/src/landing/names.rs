use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

/// The longest part of a path, in bytes; what Linux file systems allow.
const MAX_PART: usize = 255;

/// How names of our own files end; they begin with a dot.
pub(super) const PARTIAL: &str = ".haul-partial";
pub(super) const JOURNAL: &str = ".haul-journal";

/// What a name has come to mean in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A file may be saved there.
    File(Place),
    /// The name ends in `/`: an empty object that stands for a folder. It is made; bytes, if it has any, are not saved.
    Folder(Parents),
}

/// A file below a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) parents: Parents,
    pub(super) name: OsString,
}

/// A folder below a destination, with `/` between its parts; empty for the destination itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parents(pub(super) String);

/// The names that a run has used, by their fingerprints: some 20 to 40 bytes for each file and folder.
#[derive(Debug, Default)]
pub(crate) struct Names {
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    files: HashSet<Fingerprint>,
    folders: HashSet<Fingerprint>,
}

/// 128 bits of a path's SHA-256: names of one run do not share them by chance, nor by intent with less than 2^64 tries.
type Fingerprint = [u8; 16];

impl Names {
    /// Takes `name` for a file or a folder of this run. Empty parts are dropped, so `a//b` and `a/b` are one name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Escape`] for an absolute name and for `..`; [`ErrorKind::Invalid`] for `.`, NUL, no name and parts
    /// that are too long; [`ErrorKind::Collision`] if the name, or a part of it as a file, or it as a folder, is taken,
    /// and for names that are ours.
    pub(crate) fn claim(&self, name: &str) -> Result<Claim, Error> {
        let parts = parts(name)?;
        let Some((last, parents)) = parts.split_last() else {
            return Err(invalid(name, "it is empty"));
        };
        let prints = fingerprints(&parts);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if name.ends_with('/') {
            used.take_folder(name, &prints)?;
            return Ok(Claim::Folder(Parents(parts.join("/"))));
        }
        used.take_file(name, &prints)?;
        Ok(Claim::File(Place {
            parents: Parents(parents.join("/")),
            name: OsString::from(last),
        }))
    }
}

impl Used {
    fn take_folder(&mut self, name: &str, prints: &[Fingerprint]) -> Result<(), Error> {
        if prints.iter().any(|print| self.files.contains(print)) {
            return Err(collision(
                name,
                "another object of this run is a file where it needs a folder",
            ));
        }
        self.folders.extend(prints);
        Ok(())
    }

    fn take_file(&mut self, name: &str, prints: &[Fingerprint]) -> Result<(), Error> {
        let Some((print, parents)) = prints.split_last() else {
            return Ok(());
        };
        if self.files.contains(print) {
            return Err(collision(name, "another object of this run has the same path"));
        }
        if self.folders.contains(print) {
            return Err(collision(name, "other objects of this run are below it"));
        }
        self.take_folder(name, parents)?;
        self.files.insert(*print);
        Ok(())
    }
}

/// The parts of a name, all of which may be names of files or folders.
fn parts(name: &str) -> Result<Vec<&str>, Error> {
    if name.starts_with('/') {
        return Err(escape(name, "it is absolute"));
    }
    if name.contains('\0') {
        return Err(invalid(name, "it holds a NUL byte"));
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    parts.iter().try_for_each(|part| check_part(name, part))?;
    Ok(parts)
}

fn check_part(name: &str, part: &str) -> Result<(), Error> {
    match part {
        ".." => Err(escape(name, "`..` leads out of the destination")),
        "." => Err(invalid(name, "`.` is no name of a file")),
        _ if part.len() > MAX_PART => Err(invalid(name, "a part of it is longer than 255 bytes")),
        _ if part.starts_with('.') && (part.ends_with(PARTIAL) || part.ends_with(JOURNAL)) => Err(collision(
            name,
            "names of partial files and journals are reserved",
        )),
        _ => Ok(()),
    }
}

/// The fingerprint of every leading path, the whole one last.
fn fingerprints(parts: &[&str]) -> Vec<Fingerprint> {
    let mut digest = Sha256::new();
    let leading = parts.iter().map(|part| {
        digest.update(part.as_bytes());
        digest.update(b"/");
        let mut print = Fingerprint::default();
        for (to, from) in print.iter_mut().zip(digest.clone().finalize()) {
            *to = from;
        }
        print
    });
    leading.collect()
}

/// A hidden name for a file of ours beside `name`. One that would be too long keeps its beginning and a fingerprint.
pub(super) fn beside(name: &std::ffi::OsStr, ending: &str) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = name.as_bytes();
    let mut hidden = vec![b'.'];
    match bytes.get(..MAX_PART - ending.len()) {
        None => hidden.extend(bytes),
        Some(long) => {
            hidden.extend(long.get(..long.len() - 34).unwrap_or_default());
            let print = Sha256::digest(bytes);
            let hex = print.iter().take(16).map(|byte| format!("{byte:02x}"));
            hidden.extend(format!("-{}", hex.collect::<String>()).bytes());
        }
    }
    hidden.extend(ending.bytes());
    OsString::from_vec(hidden)
}

fn escape(name: &str, why: &str) -> Error {
    refused(ErrorKind::Escape, name, why)
}

fn invalid(name: &str, why: &str) -> Error {
    refused(ErrorKind::Invalid, name, why)
}

fn collision(name: &str, why: &str) -> Error {
    refused(ErrorKind::Collision, name, why)
}

fn refused(kind: ErrorKind, name: &str, why: &str) -> Error {
    Error::new(
        kind,
        format!("{name:?} cannot be saved under its name: {why}; give it another name"),
    )
}
