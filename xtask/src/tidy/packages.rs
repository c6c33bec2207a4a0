//! Every package carries the licence, the edition and a purpose, is named like its folder and stays unpublished.

use super::Finding;
use cargo_metadata::Metadata;

const RULE: &str = "packages";
const LICENCE: &str = "Apache-2.0 OR MIT";
const EDITION: &str = "2024";

/// What a manifest says of its package.
#[derive(Clone)]
pub(super) struct Package {
    name: String,
    folder: String,
    licence: Option<String>,
    edition: String,
    description: Option<String>,
    publishable: bool,
}

/// The packages of the workspace.
pub(super) fn of(metadata: &Metadata) -> Vec<Package> {
    let packages = metadata.workspace_packages();
    let described = packages.into_iter().map(|package| Package {
        name: package.name.to_string(),
        folder: package
            .manifest_path
            .parent()
            .and_then(|folder| folder.file_name())
            .unwrap_or_default()
            .to_owned(),
        licence: package.license.clone(),
        edition: package.edition.to_string(),
        description: package.description.clone(),
        publishable: package
            .publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty()),
    });
    described.collect()
}

pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let breaches = [
        (
            package.licence.as_deref() != Some(LICENCE),
            format!("must have `license = \"{LICENCE}\"`"),
        ),
        (package.edition != EDITION, format!("must have edition {EDITION}")),
        (
            package.description.is_none(),
            "must say its purpose in `description`".to_owned(),
        ),
        (package.publishable, "must have `publish = false`".to_owned()),
        (
            package.folder != package.name,
            format!("must be in a folder of its name, not `{}`", package.folder),
        ),
    ];
    let broken = breaches.into_iter().filter(|(is_broken, _)| *is_broken);
    broken
        .map(|(_, message)| Finding::new(RULE, &package.name, message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Package {
        Package {
            name: "pack".to_owned(),
            folder: "pack".to_owned(),
            licence: Some(LICENCE.to_owned()),
            edition: EDITION.to_owned(),
            description: Some("the pack file".to_owned()),
            publishable: false,
        }
    }

    fn check_with(change: impl Fn(&mut Package)) -> usize {
        let mut package = good();
        change(&mut package);
        check(&[package]).len()
    }

    #[test]
    fn a_complete_package_passes() {
        assert_eq!(check_with(|_| {}), 0);
    }

    #[test]
    fn each_breach_is_found() {
        assert_eq!(check_with(|package| package.licence = None), 1);
        assert_eq!(
            check_with(|package| package.licence = Some("GPL-3.0".to_owned())),
            1
        );
        assert_eq!(check_with(|package| package.edition = "2021".to_owned()), 1);
        assert_eq!(check_with(|package| package.description = None), 1);
        assert_eq!(check_with(|package| package.publishable = true), 1);
        assert_eq!(check_with(|package| package.folder = "packs".to_owned()), 1);
    }
}
