//! One list of cases for the `scraperwiki` of every language, with the real interpreters: what a call does to `data.sqlite` and what it gives does not depend
//! on the language.

mod cases;
mod language;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use language::{ALL, Language};
use tests::Bench;

fn main() -> ExitCode {
    let mut bench = Bench::default();
    for language in ALL {
        bench.test(
            format!("scraperwiki for {}: all cases", language.name),
            language.needs,
            move || all_cases(language),
        );
    }
    let everybody: Vec<_> = ALL.iter().flat_map(|language| language.needs).copied().collect();
    bench.test(
        "scraperwiki: one database for all languages",
        &everybody,
        one_database,
    );
    bench.run()
}

fn all_cases(language: &Language) -> Result<()> {
    let mut cases = cases::read("cases.json")?;
    cases.extend(cases::read("scrape.json")?);
    let failures: Vec<String> = cases
        .iter()
        .filter(|case| case.is_for(language))
        .filter_map(|case| Some(format!("{}: {:#}", case.name, case.check(language).err()?)))
        .collect();
    ensure!(failures.is_empty(), "\n{}", failures.join("\n"));
    Ok(())
}

/// A scraper may be rewritten in another language and go on with its data.
fn one_database() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cases = cases::read("shared.json")?;
    for language in ALL.iter().chain(ALL.iter().rev()) {
        for case in &cases {
            case.check_in(folder.path(), language)?;
        }
    }
    Ok(())
}
