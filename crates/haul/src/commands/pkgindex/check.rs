use anyhow::Result;
use serde_json::json;

use crate::assembly::{PackageStoreOptions, open_package_store};
use crate::cli::pkgindex::Check;
use crate::exit::Exit;
use crate::output::{self, Output};

/// Says what is wrong with a store; exit code 1 when something is and was not mended.
pub(crate) fn run(output: Output, check: &Check) -> Result<Exit> {
    // Volatile or not is no matter of what is kept.
    let options = PackageStoreOptions {
        accept_volatile: true,
        ..PackageStoreOptions::default()
    };
    let findings = tokio::task::block_in_place(|| {
        let mut store = open_package_store(&check.store, &options)?;
        anyhow::Ok(store.check(check.repair)?)
    })?;
    for finding in &findings {
        if output.json {
            output.json(&json!({ "finding": finding.what, "mended": finding.mended }))?;
        } else {
            let mended = if finding.mended { "mended: " } else { "" };
            output.line(&format!("{mended}{}", finding.what))?;
        }
    }
    if findings.iter().all(|finding| finding.mended) {
        output::say(if findings.is_empty() {
            "all is well"
        } else {
            "all is well now"
        });
        return Ok(Exit::Done);
    }
    if !check.repair {
        output::say("`haul pkgindex check --repair` mends what can be mended without losing a change");
    }
    Ok(Exit::Failed)
}
