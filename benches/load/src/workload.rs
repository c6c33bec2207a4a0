//! What is sent: first what fills the server, then what is measured.

use clap::ValueEnum;

use crate::packages::{Draw, names, two_lists};
use crate::protocol::Protocol;
use crate::script::Script;

/// What Redis holds where only reads are measured. Short, because QUERY answers no more than yes.
const SHORT_VALUE: &str = "yes";
/// For so many reads of packages that are there, one of a package that is not.
const READS_PER_MISS: usize = 10;
/// For so many packages there is one that they can depend on.
const PACKAGES_PER_DEPENDENCY: usize = 10;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ask {
    /// QUERY or GET; one in eleven for a package that is not there.
    Read,
    /// INDEX or SET with none to three dependencies, each one a change.
    Write,
}

/// The packages, and what is asked about them.
pub(crate) struct Workload {
    protocol: Protocol,
    ask: Ask,
    dependencies: Vec<String>,
    missing: Vec<String>,
    packages: Vec<Package>,
}

struct Package {
    name: String,
    /// What it depends on, in turns. The server is filled with the second list, so the first is a change, and then again the second.
    lists: [String; 2],
}

impl Workload {
    pub(crate) fn new(protocol: Protocol, ask: Ask, count: usize) -> Self {
        let mut draw = Draw(1);
        let dependencies = count.div_ceil(PACKAGES_PER_DEPENDENCY);
        let missing = count.div_ceil(READS_PER_MISS);
        let mut names = names(count + dependencies + missing, &mut draw);
        let missing = names.split_off(count + dependencies);
        let dependencies = names.split_off(count);
        let packages = names.into_iter().map(|name| Package {
            name,
            lists: two_lists(&dependencies, &mut draw),
        });
        Self {
            protocol,
            ask,
            packages: packages.collect(),
            dependencies,
            missing,
        }
    }

    /// Writes what the packages depend on.
    pub(crate) fn dependencies(&self) -> Vec<Script> {
        let mut script = Script::default();
        for name in &self.dependencies {
            self.protocol.write(&mut script, name, "");
        }
        vec![script]
    }

    /// For each connection what it writes so that the packages are as they have to be when the measurement begins.
    pub(crate) fn filling(&self, connections: usize) -> Vec<Script> {
        let shares = self.packages.chunks(self.packages.len().div_ceil(connections));
        shares.map(|packages| self.first_writes(packages)).collect()
    }

    /// For each connection what it asks, again and again. No two write the same package, so that the order of writes is certain.
    pub(crate) fn asking(&self, connections: usize) -> Vec<Script> {
        let share = self.packages.len() / connections;
        let shares = self.packages.chunks_exact(share).take(connections);
        match self.ask {
            Ask::Read => shares.map(|packages| self.reads(packages)).collect(),
            Ask::Write => shares.map(|packages| self.writes(packages)).collect(),
        }
    }

    fn first_writes(&self, packages: &[Package]) -> Script {
        let mut script = Script::default();
        for package in packages {
            self.protocol
                .write(&mut script, &package.name, self.kept(package));
        }
        script
    }

    fn reads(&self, packages: &[Package]) -> Script {
        let mut script = Script::default();
        for (at, package) in packages.iter().enumerate() {
            if at % READS_PER_MISS == 0 {
                let absent = &self.missing[at / READS_PER_MISS];
                self.protocol.read(&mut script, absent, None);
            }
            self.protocol
                .read(&mut script, &package.name, Some(self.kept(package)));
        }
        script
    }

    fn writes(&self, packages: &[Package]) -> Script {
        let mut script = Script::default();
        for turn in 0..2 {
            for package in packages {
                self.protocol
                    .write(&mut script, &package.name, &package.lists[turn]);
            }
        }
        script
    }

    /// What the server holds of a package when the measurement begins.
    fn kept<'p>(&self, package: &'p Package) -> &'p str {
        match (self.protocol, self.ask) {
            (Protocol::Redis, Ask::Read) => SHORT_VALUE,
            _ => &package.lists[1],
        }
    }
}
