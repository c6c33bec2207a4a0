//! Named exceptions to the size rules, each with a reason, and none longer than it is needed.

use super::Finding;
use anyhow::{Context, Result};
use serde::Deserialize;

const RULE: &str = "exemptions";
const EXEMPTIBLE: [&str; 2] = ["file-size", "function-size"];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exemptions {
    #[serde(default)]
    exempt: Vec<Exemption>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exemption {
    rule: String,
    place: String,
    reason: String,
}

impl Exemption {
    fn covers(&self, finding: &Finding) -> bool {
        EXEMPTIBLE.contains(&finding.rule) && self.rule == finding.rule && self.place == finding.place
    }
}

/// Takes away the findings that `text` exempts; adds one for each exemption that is idle or gives no reason.
pub(super) fn apply(findings: Vec<Finding>, text: &str) -> Result<Vec<Finding>> {
    let Exemptions { exempt } = toml::from_str(text).context("the exemptions are not as they should be")?;
    let mut idle = Vec::new();
    for exemption in &exempt {
        if exemption.reason.trim().is_empty() {
            idle.push(Finding::new(RULE, &exemption.place, "is exempt without a reason"));
        }
        if !findings.iter().any(|finding| exemption.covers(finding)) {
            idle.push(Finding::new(
                RULE,
                &exemption.place,
                format!("needs no exemption from {}", exemption.rule),
            ));
        }
    }
    let kept = findings
        .into_iter()
        .filter(|finding| !exempt.iter().any(|exemption| exemption.covers(finding)));
    Ok(kept.chain(idle).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_with(rule: &'static str, text: &str) -> Vec<&'static str> {
        let findings = vec![Finding::new(rule, "a.rs", "is long")];
        apply(findings, text)
            .expect("valid TOML")
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    const EXEMPT_A: &str = "[[exempt]]\nrule = \"file-size\"\nplace = \"a.rs\"\nreason = \"a table\"\n";

    #[test]
    fn an_exempt_finding_is_taken_away() {
        assert!(check_with("file-size", EXEMPT_A).is_empty());
        assert_eq!(check_with("file-size", ""), ["file-size"]);
    }

    #[test]
    fn an_idle_exemption_is_found() {
        assert_eq!(check_with("words", EXEMPT_A), ["words", "exemptions"]);
    }

    #[test]
    fn an_exemption_needs_a_reason() {
        assert_eq!(
            check_with("file-size", &EXEMPT_A.replace("a table", " ")),
            ["exemptions"]
        );
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(apply(Vec::new(), "[[exempts]]\n").is_err());
    }
}
