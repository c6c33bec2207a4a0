//! What is measured with: documents from Debian packages, and the peers from PyPI in an environment of their own.

use crate::run::must_succeed;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DEBIAN_PACKAGES: [&str; 3] = ["python3.11-doc", "sqlite3-doc", "debian-handbook"];
const PEERS: [&str; 3] = ["pagefind[bin]", "scrapy", "datasette"];

/// Folders of HTML, and where the peers' programs are.
pub(super) struct Material {
    /// The folder that holds all three.
    pub(super) all: PathBuf,
    /// The Python documentation: about 530 large pages.
    pub(super) python: PathBuf,
    /// The SQLite documentation: about 770 pages.
    pub(super) sqlite: PathBuf,
    /// The Debian handbook: about 3,300 pages in many languages.
    pub(super) handbook: PathBuf,
    /// The folder with `pagefind`, `scrapy`, `datasette`.
    pub(super) peers: PathBuf,
    /// A folder for what the measurements write.
    pub(super) scratch: PathBuf,
}

impl Material {
    /// Fetches into `folder` what is not there yet.
    pub(super) fn fetch(folder: &Path) -> Result<Self> {
        let documents = folder.join("documents");
        for package in DEBIAN_PACKAGES {
            unpack(package, &documents)?;
        }
        let peers = folder.join("venv");
        if !peers.join("complete").exists() {
            println!("installing {}", PEERS.join(", "));
            must_succeed(Command::new("python3").args(["-m", "venv"]).arg(&peers))?;
            must_succeed(
                Command::new(peers.join("bin/pip"))
                    .args(["install", "--quiet"])
                    .args(PEERS),
            )?;
            fs::write(peers.join("complete"), "")?;
        }
        let scratch = folder.join("scratch");
        fs::create_dir_all(&scratch)?;
        let documents = documents.join("usr/share/doc");
        Ok(Self {
            all: documents.clone(),
            python: documents.join("python3.11/html"),
            sqlite: documents.join("sqlite3"),
            handbook: documents.join("debian-handbook/html"),
            peers: peers.join("bin"),
            scratch,
        })
    }
}

fn unpack(package: &str, folder: &Path) -> Result<()> {
    let mark = folder.join(format!("{package}.unpacked"));
    if mark.exists() {
        return Ok(());
    }
    println!("fetching {package}");
    fs::create_dir_all(folder)?;
    let download = tempfile::tempdir()?;
    must_succeed(
        Command::new("apt-get")
            .args(["download", "-qq", package])
            .current_dir(download.path()),
    )?;
    let archive = fs::read_dir(download.path())?
        .next()
        .context("apt-get left no file")??
        .path();
    must_succeed(Command::new("dpkg-deb").arg("-x").arg(archive).arg(folder))?;
    Ok(fs::write(mark, "")?)
}
