//! A crate, module or file is named after its idea; some names say that there is none.

use super::{Finding, SourceFile};

const RULE: &str = "names";
const DRAWERS: [&str; 8] = [
    "common", "utils", "util", "helpers", "misc", "manager", "base", "core",
];

/// Looks at each part of the path and at the modules declared in the file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let stem = file.path.trim_end_matches(".rs");
    let parts = stem.split('/').filter(|part| is_drawer(part));
    let mut findings: Vec<Finding> = parts.map(|part| finding(&file.path, part)).collect();
    for (number, line) in (1..).zip(file.text.lines()) {
        if let Some(name) = declared_module(line).filter(|name| is_drawer(name)) {
            findings.push(finding(&format!("{}:{number}", file.path), name));
        }
    }
    findings
}

fn finding(place: &str, name: &str) -> Finding {
    Finding::new(RULE, place, format!("`{name}` names a drawer; name the idea"))
}

fn is_drawer(name: &str) -> bool {
    DRAWERS.contains(&name)
}

fn declared_module(line: &str) -> Option<&str> {
    let (visibility, rest) = line.trim_start().split_once("mod ")?;
    let is_declaration = visibility.is_empty() || visibility.starts_with("pub");
    is_declaration.then(|| rest.trim_end_matches([';', '{', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&file).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn names_of_ideas_pass() {
        assert!(check_file("crates/pack/src/writer.rs", "mod score;\npub mod coreutils;\n").is_empty());
    }

    #[test]
    fn drawers_are_found_in_paths_and_declarations() {
        assert_eq!(
            check_file("crates/common/src/a.rs", ""),
            ["crates/common/src/a.rs"]
        );
        assert_eq!(check_file("crates/x/src/utils.rs", ""), ["crates/x/src/utils.rs"]);
        assert_eq!(
            check_file("a.rs", "use b;\npub(crate) mod helpers;\nmod misc {\n"),
            ["a.rs:2", "a.rs:3"]
        );
    }
}
