//! Secrets of runs.

use anyhow::{Result, ensure};
use registry::{Phase, Secret, SecretName};
use tests::Bench;

use crate::place::Place;
use crate::{SANDBOX, SQLITE};

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "secrets: one that changes as a run begins is not shown",
        &[SANDBOX, SQLITE],
        changed,
    );
}

/// What a run gets is what its log hides.
fn changed() -> Result<()> {
    let place = Place::new()?;
    let scraper = place.script(
        "o/s",
        "echo the token is \"$MORPH_TOKEN\"\nsqlite3 data.sqlite 'create table data(a)'",
    )?;
    // Copying takes a while.
    for number in 0..3_000 {
        std::fs::write(place.path("o-s").join(format!("file{number}")), "")?;
    }
    let name = SecretName::new("MORPH_TOKEN")?;
    let set = |value: &str| place.wait(place.registry().set_secret(&scraper, &name, Secret::new(value)));
    set("first-of-all")?;
    let run = place.ask(&scraper)?;
    place.until_phase(run, Phase::Syncing)?;
    set("second-to-come")?;
    place.over(run)?;
    let log = place.log(run)?;
    ensure!(log.contains(&"the token is ****".to_owned()), "{log:#?}");
    Ok(())
}
