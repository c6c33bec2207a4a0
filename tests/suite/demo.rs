//! `haul demo`: the main job on the site that is part of the binary.

use anyhow::{Result, ensure};
use tests::{Bench, Haul};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("demo: once, and it ends by itself", &[], once);
}

fn once() -> Result<()> {
    let haul = Haul::new()?;
    let ended = haul.expect(0, &["demo", "--once"])?;
    ensure!(ended.stdout.contains("Recycling"), "no sample answer: {ended:#?}");
    ended.says(&[
        "www.hollow.example",
        "library.hollow.example",
        "parques.hollow.example",
    ])?;
    ensure!(
        !haul.data().exists(),
        "the demo leaves nothing in the data folder"
    );
    Ok(())
}
