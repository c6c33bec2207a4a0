//! What tests of the real `haul` binary are made of.
//!
//! - [`Haul`]: the binary on a data folder of its own; runs a command to its end, or starts it and kills it.
//! - [`PackageIndex`]: a running `haul pkgindex serve`, and its clients.
//! - [`Site`]: a web server in this process that answers as the test says and counts who asked for what.
//! - [`ChangingSite`]: a site whose pages come, change, go and fail as a seed says.
//! - [`Nginx`], [`SeaweedFs`], [`Postgres`], [`Redis`], [`Podman`], [`Prometheus`], [`Browser`]: real servers and a real browser, where they are installed.
//! - [`Bench`]: the list of tests. A test whose [`Need`] is not met is reported as ignored, never as passed.
//! - [`wait::until`]: tests wait for conditions; they do not sleep and hope.

mod browser;
mod changing;
mod haul;
pub mod http;
mod nginx;
mod package_index;
mod podman;
mod postgres;
mod prometheus;
mod redis;
mod seaweedfs;
mod site;
mod trials;
pub mod wait;

pub use browser::{Browser, Page};
pub use changing::{ChangingSite, HOST};
pub use haul::{Ended, Haul, Running};
pub use nginx::Nginx;
pub use package_index::{PackageIndex, Talk};
pub use podman::Podman;
pub use postgres::Postgres;
pub use prometheus::Prometheus;
pub use redis::Redis;
pub use seaweedfs::SeaweedFs;
pub use site::{Answer, Request, Site};
pub use trials::{Bench, Need};

/// A small generator of numbers (splitmix64), so that a run can be repeated from its seed.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
