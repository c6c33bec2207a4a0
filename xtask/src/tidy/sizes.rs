//! Files and functions stay short enough to be read in one go.

use super::{Finding, SourceFile};

const FILE_LINES: usize = 500;
const TEST_FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = functions(file);
    let (lines, limit) = (file.text.lines().count(), line_limit(&file.path));
    if lines > limit {
        findings.push(Finding::new(
            "file-size",
            &file.path,
            format!("has {lines} lines, the limit is {limit}"),
        ));
    }
    findings
}

fn line_limit(path: &str) -> usize {
    let is_test = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs");
    if is_test { TEST_FILE_LINES } else { FILE_LINES }
}

/// Finds long functions in the text as `rustfmt` writes it: a function ends at the first line that is a closing
/// brace with the indentation of its `fn`.
fn functions(file: &SourceFile) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut findings = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indentation = &line[..line.len() - line.trim_start().len()];
        let length = lines[start..]
            .iter()
            .position(|line| line.strip_prefix(indentation) == Some("}"));
        let length = length.map_or(1, |end| end + 1);
        if length > FUNCTION_LINES && !ends_at_once(&lines[start..], indentation) {
            let message = format!("has {length} lines, the limit is {FUNCTION_LINES}");
            findings.push(Finding::new(
                "function-size",
                format!("{}: {name}", file.path),
                message,
            ));
        }
    }
    findings
}

/// A declaration without a body, or a function on one line.
fn ends_at_once(lines: &[&str], indentation: &str) -> bool {
    let signature = lines.iter().take_while(|line| !line.ends_with('{')).count();
    let declared = lines
        .iter()
        .position(|line| line.ends_with(';') || line.ends_with('}'))
        .unwrap_or(usize::MAX);
    declared < signature
        || lines
            .first()
            .is_some_and(|line| line.trim_start_matches(indentation).ends_with('}'))
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let is_signature = before.split_whitespace().all(|word| {
        word.starts_with("pub")
            || word.starts_with('"')
            || ["const", "async", "unsafe", "extern"].contains(&word)
    });
    let name = after.split(['(', '<']).next().unwrap_or_default();
    (is_signature && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&file).into_iter().map(|finding| finding.place).collect()
    }

    fn function(indentation: &str, signature: &str, lines: usize) -> String {
        let body = format!("{indentation}    work();\n").repeat(lines - 2);
        format!("{indentation}{signature} {{\n{body}{indentation}}}\n")
    }

    #[test]
    fn short_functions_pass() {
        assert!(check_text("src/a.rs", &function("", "fn a()", 70)).is_empty());
        let method = format!(
            "impl A {{\n{}}}\n",
            function("    ", "pub(crate) async fn a(&self)", 70)
        );
        assert!(check_text("src/a.rs", &method).is_empty());
    }

    #[test]
    fn long_functions_are_found_by_name() {
        assert_eq!(
            check_text("src/a.rs", &function("", "fn a<T>(t: T)", 71)),
            ["src/a.rs: a"]
        );
        let method = format!("impl A {{\n{}}}\n", function("    ", "pub async fn b(&self)", 71));
        assert_eq!(check_text("src/a.rs", &method), ["src/a.rs: b"]);
    }

    #[test]
    fn a_declaration_does_not_run_into_what_follows() {
        let port = format!("trait A {{\n    fn a(&self);\n}}\n{}", "// prose\n".repeat(100));
        assert!(check_text("src/a.rs", &port).is_empty());
        let one_line = format!(
            "trait A {{\n    fn a(&self) {{}}\n{}}}\n",
            "    // prose\n".repeat(100)
        );
        assert!(check_text("src/a.rs", &one_line).is_empty());
    }

    #[test]
    fn long_files_are_found_and_tests_may_be_longer() {
        assert_eq!(
            check_text("crates/a/src/a.rs", &"\n".repeat(501)),
            ["crates/a/src/a.rs"]
        );
        assert!(check_text("crates/a/tests/a.rs", &"\n".repeat(800)).is_empty());
        assert_eq!(
            check_text("tests/suite/a.rs", &"\n".repeat(801)),
            ["tests/suite/a.rs"]
        );
    }
}
