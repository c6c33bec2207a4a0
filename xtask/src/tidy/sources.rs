//! What no Rust source may hold: unfinished work, tests silenced without a reason, lints silenced for good.

use super::{Finding, SourceFile};

const RULE: &str = "sources";

/// Pieces of text and what to do instead. Written in halves, so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 7] = [
    (
        concat!("#[ig", "nore]"),
        "say why the test is ignored: `#[ignore = \"...\"]`",
    ),
    (concat!("TO", "DO"), "finish it, or name it in the documents"),
    (concat!("FIX", "ME"), "finish it, or name it in the documents"),
    (concat!("to", "do!("), "finish it"),
    (concat!("unimpl", "emented!("), "finish it"),
    (
        concat!("#[al", "low("),
        "mend it, or use `#[expect(..., reason = \"...\")]`",
    ),
    (
        concat!("#![al", "low("),
        "mend it, or use `#![expect(..., reason = \"...\")]`",
    ),
];

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for (text, advice) in FORBIDDEN.iter().filter(|(text, _)| line.contains(text)) {
            findings.push(Finding::new(
                RULE,
                format!("{}:{number}", file.path),
                format!("`{text}`: {advice}"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Vec<String> {
        let file = SourceFile {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        };
        check(&file).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn an_ordinary_source_passes() {
        let text = "#[expect(dead_code, reason = \"shown\")]\n#[ignore = \"needs nginx\"]\nfn todos() {}\n";
        assert!(check_text(text).is_empty());
    }

    #[test]
    fn each_forbidden_text_is_found_on_its_line() {
        for (text, _) in FORBIDDEN {
            assert_eq!(
                check_text(&format!("fn a() {{}}\n    {text}\n")),
                ["a.rs:2"],
                "{text}"
            );
        }
    }
}
