//! Dependencies between our crates are those of the table in `ARCHITECTURE.md`, and no others.

use super::Finding;
use cargo_metadata::{DependencyKind, Metadata};
use std::collections::{BTreeMap, BTreeSet};

/// Crate name to the names of our crates that it uses.
pub(super) type Edges = BTreeMap<String, BTreeSet<String>>;

const RULE: &str = "edges";
const HEADING: &str = "## Allowed edges";

/// The edges that stand in the manifests; what only tests use is free.
pub(super) fn of(metadata: &Metadata) -> Edges {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<String> = packages.iter().map(|package| package.name.to_string()).collect();
    let used = |package: &cargo_metadata::Package| {
        let dependencies = package.dependencies.iter();
        let normal = dependencies.filter(|dependency| dependency.kind != DependencyKind::Development);
        normal
            .map(|dependency| dependency.name.clone())
            .filter(|name| ours.contains(name))
            .collect()
    };
    packages
        .iter()
        .map(|package| (package.name.to_string(), used(package)))
        .collect()
}

/// Compares the manifests' edges with the table in the text of `ARCHITECTURE.md`.
pub(super) fn check(architecture: &str, actual: &Edges) -> Vec<Finding> {
    let allowed = table(architecture);
    if allowed.is_empty() {
        return vec![Finding::new(
            RULE,
            "ARCHITECTURE.md",
            format!("has no table under `{HEADING}`"),
        )];
    }
    let mut findings = Vec::new();
    for (name, uses) in actual {
        let Some(may_use) = allowed.get(name) else {
            findings.push(Finding::new(
                RULE,
                "ARCHITECTURE.md",
                format!("has no row for crate `{name}`"),
            ));
            continue;
        };
        for forbidden in uses.difference(may_use) {
            findings.push(Finding::new(
                RULE,
                name,
                format!("may not use `{forbidden}`, see ARCHITECTURE.md"),
            ));
        }
    }
    for gone in allowed.keys().filter(|name| !actual.contains_key(*name)) {
        findings.push(Finding::new(
            RULE,
            "ARCHITECTURE.md",
            format!("lists crate `{gone}`, which is not there"),
        ));
    }
    findings
}

fn table(architecture: &str) -> Edges {
    let section = architecture
        .lines()
        .skip_while(|line| line.trim() != HEADING)
        .skip(1);
    let rows = section
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with('|'));
    rows.filter_map(|row| {
        let mut cells = row.trim_matches('|').split('|');
        let name = backticked(cells.next()?).into_iter().next()?;
        Some((name, backticked(cells.next().unwrap_or_default())))
    })
    .collect()
}

fn backticked(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# Map\n\n## Allowed edges\n\n| crate | may use |\n|---|---|\n| `model` | - |\n\
                         | `pack` | `model` |\n\n## Next\n\n| `ghost` | - |\n";

    fn check_edges(actual: &[(&str, &[&str])]) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let actual = actual
            .iter()
            .map(|(name, uses)| (name.to_string(), owned(uses)))
            .collect();
        check(TABLE, &actual)
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.message))
            .collect()
    }

    #[test]
    fn a_subset_of_the_table_passes() {
        assert!(check_edges(&[("model", &[]), ("pack", &["model"])]).is_empty());
        assert!(check_edges(&[("model", &[]), ("pack", &[])]).is_empty());
    }

    #[test]
    fn an_edge_beside_the_table_is_found() {
        let found = check_edges(&[("model", &["pack"]), ("pack", &["model"])]);
        assert_eq!(found, ["model: may not use `pack`, see ARCHITECTURE.md"]);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let found = check_edges(&[("model", &[]), ("pack", &[]), ("web", &[])]);
        assert_eq!(found, ["ARCHITECTURE.md: has no row for crate `web`"]);
    }

    #[test]
    fn a_row_without_a_crate_is_found() {
        assert_eq!(
            check_edges(&[("model", &[])]),
            ["ARCHITECTURE.md: lists crate `pack`, which is not there"]
        );
    }

    #[test]
    fn a_missing_table_is_found() {
        assert_eq!(check("# Map\n", &Edges::new()).len(), 1);
    }
}
