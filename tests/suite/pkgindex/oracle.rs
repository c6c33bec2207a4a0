//! The real server and the naive model of the protocol, command by command.

use anyhow::{Result, ensure};
use pkgindex::testkit::driver::{Options, drive};
use tests::{Bench, Haul, PackageIndex};

pub(crate) fn add(bench: &mut Bench) {
    for store in ["memory", "log:index"] {
        let name = format!("pkgindex: answers as the model does, store {store}");
        bench.test(name, &[], move || as_the_model(store));
    }
}

fn as_the_model(store: &str) -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, store)?;
    let findings = drive(server.commands(), &Options::default());
    ensure!(findings.is_empty(), "{findings:#?}");
    server.stop()
}
