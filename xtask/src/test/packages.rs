//! The Debian packages that hold the programs which tests start.

use crate::run::{must_succeed, on_path, output_of};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// A program, and the Debian package that brings it; a package of libraries is its own sign.
const NEEDED: [(&str, &str); 30] = [
    ("bwrap", "bubblewrap"),
    ("chromium", "chromium"),
    ("git", "git"),
    // What tests of the proxy make a network with.
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nginx", "nginx-light"),
    // What scrapers are written in, and with.
    ("node", "nodejs"),
    ("perl", "perl"),
    ("libdatabase-dumptruck-perl", "libdatabase-dumptruck-perl"),
    ("libhtml-tree-perl", "libhtml-tree-perl"),
    ("libwww-perl", "libwww-perl"),
    ("php", "php-cli"),
    ("php-curl", "php-curl"),
    ("php-mbstring", "php-mbstring"),
    ("php-sqlite3", "php-sqlite3"),
    ("php-xml", "php-xml"),
    ("podman", "podman"),
    ("runc", "runc"),
    // The server's own programs are not on the path; this one, which runs them, comes with them.
    ("pg_ctlcluster", "postgresql"),
    // The same package brings promtool.
    ("prometheus", "prometheus"),
    ("pgrep", "procps"),
    ("python3", "python3"),
    ("redis-server", "redis-server"),
    ("ruby", "ruby"),
    ("ruby-sqlite3", "ruby-sqlite3"),
    // What installs the dependencies of scrapers.
    ("composer", "composer"),
    ("cpanm", "cpanminus"),
    ("npm", "npm"),
    ("pip3", "python3-pip"),
    ("sqlite3", "sqlite3"),
];

/// Installs what is missing when we may; returns the packages that are missing still.
pub(super) fn install_missing() -> Result<Vec<&'static str>> {
    let missing = missing(is_installed);
    if missing.is_empty() {
        println!("all there");
        return Ok(missing);
    }
    let Some(mut install) = apt_get() else {
        println!("to run all tests, install: apt-get install {}", missing.join(" "));
        return Ok(missing);
    };
    println!("installing {}", missing.join(" "));
    must_succeed(
        apt_get()
            .unwrap_or_else(|| Command::new("apt-get"))
            .args(["update", "-qq"]),
    )?;
    must_succeed(
        install
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing),
    )?;
    Ok(self::missing(is_installed))
}

fn is_installed(program: &str) -> bool {
    on_path(program)
        || Path::new("/var/lib/dpkg/info")
            .join(format!("{program}.list"))
            .exists()
}

fn missing(is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    NEEDED
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect()
}

/// `apt-get` with the right to install, when we have it without asking anybody.
fn apt_get() -> Option<Command> {
    if !on_path("apt-get") {
        return None;
    }
    if output_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Some(command);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", "apt-get"]);
    output_of(Command::new("sudo").args(["-n", "true"]))
        .is_ok()
        .then_some(command)
}

#[cfg(test)]
mod tests {
    #[test]
    fn packages_are_named_for_the_programs_that_are_not_there() {
        let missing = super::missing(|program| !["chromium", "php-sqlite3"].contains(&program));
        assert_eq!(missing, ["chromium", "php-sqlite3"]);
        assert!(super::missing(|_| true).is_empty());
    }
}
