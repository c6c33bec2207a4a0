//! Words that belong to one machine and not to the project.

use super::{Finding, SourceFile};

const RULE: &str = "words";

/// Written in halves, so that this file does not find itself.
const FORBIDDEN: [&str; 6] = [
    concat!("..", "/shared"),
    concat!("/wo", "rk/"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("files.", "pythonhosted.org"),
    concat!("deb.", "debian.org"),
];

/// The lock file names the registry; that is its purpose.
const FREE: &str = "Cargo.lock";

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    if file.path == FREE {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for word in FORBIDDEN.iter().filter(|word| is_in(line, word)) {
            findings.push(Finding::new(
                RULE,
                format!("{}:{number}", file.path),
                format!("`{word}` has no place here"),
            ));
        }
    }
    findings
}

/// A path counts only where it begins: `src/network/` holds no absolute path.
fn is_in(line: &str, word: &str) -> bool {
    let begins = |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '-');
    line.match_indices(word)
        .any(|(at, _)| !word.starts_with('/') || begins(at))
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

    #[test]
    fn ordinary_text_passes() {
        assert!(check_text("README.md", "crates/home-work/x, ./shared, https://crates.io\n").is_empty());
    }

    #[test]
    fn each_word_is_found_on_its_line() {
        for word in FORBIDDEN {
            assert_eq!(
                check_text("README.md", &format!("one\nsee {word}x\n")),
                ["README.md:2"],
                "{word}"
            );
        }
    }

    #[test]
    fn the_lock_file_is_free() {
        assert!(check_text(FREE, FORBIDDEN[2]).is_empty());
    }
}
