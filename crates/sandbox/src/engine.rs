//! Jobs in containers of an engine with Docker's API.
//!
//! The engine makes the container: namespaces, limits, mounts, without a network. In it the first process is ours ([`crate::contain()`] as guard, from a
//! file that is mounted), which makes the network, takes the order over a socket that is mounted as well, and hands its output over pipes that came
//! with the order. So neither the environment nor the output pass through the engine, and a guard whose worker is gone ends its container.

mod api;
mod image;
mod launch;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::Uid;

use crate::backend::{Backend, Contained, Failure, Streams, unlimited};
use crate::groups::Controls;
use crate::job::Job;
use crate::owner::Owner;
use crate::sandbox::{Ability, Lack, SandboxOptions};
use crate::uids;

use api::{Api, Information};

/// Where a guard finds the worker's socket.
pub(crate) const CONTROL: &str = "/run/haul/control";
/// Where it is itself.
const PROGRAM: &str = "/run/haul/contain";

/// Whose processes jobs are, by their number in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    /// Each job has its own, from this one on.
    Leased(u32),
    /// This one, who is the worker's.
    Fixed(u32),
    /// The container's root, who is the worker's user outside.
    Mapped,
}

/// Contains jobs with a container engine.
pub(crate) struct Engine {
    api: Api,
    image: String,
    program: PathBuf,
    words: Vec<String>,
    user: User,
    maps_users: bool,
    controls: Controls,
    gateway: bool,
    seccomp: bool,
    owner: String,
    started: AtomicU64,
}

impl Engine {
    /// Connects, gets the image ready, and removes the containers of workers that are gone.
    pub(crate) fn new(socket: &Path, options: SandboxOptions) -> Result<Self, Lack> {
        let lack = |what: &str, error: io::Error| Lack {
            ability: Ability::Namespaces,
            reason: format!("the container engine at {} {what}: {error}", socket.display()),
        };
        let api = Api::connect(socket).map_err(|error| lack("does not answer", error))?;
        let information = api
            .information()
            .map_err(|error| lack("does not describe itself", error))?;
        let (program, words) =
            program(options.contain).map_err(|error| lack("cannot be given haul", error))?;
        let image = image::make(&api).map_err(|error| lack("does not take an image", error))?;
        let owner = Owner::new().map_err(|error| lack("cannot be used", error))?;
        remove_orphans(&api).map_err(|error| lack("does not list its containers", error))?;
        Ok(Self {
            api,
            image,
            program,
            words,
            user: user(&information, options.first_uid),
            maps_users: information.maps_users,
            controls: information.controls,
            gateway: true,
            seccomp: true,
            owner: owner.to_string(),
            started: AtomicU64::new(0),
        })
    }

    fn name(&self, job: &Job) -> String {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        format!("{}{number}-{}", self.owner, job.name)
    }
}

fn program(contain: Vec<OsString>) -> io::Result<(PathBuf, Vec<String>)> {
    let mut words = contain.into_iter();
    let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    let words = words.map(OsString::into_string).collect::<Result<_, _>>();
    let words = words.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok((std::fs::canonicalize(program)?, words))
}

fn user(information: &Information, first_uid: u32) -> User {
    if information.is_rootless {
        User::Mapped
    } else if uids::can_be_taken(first_uid) {
        User::Leased(first_uid)
    } else {
        User::Fixed(Uid::effective().as_raw())
    }
}

fn remove_orphans(api: &Api) -> io::Result<()> {
    let names = api.containers()?;
    for name in names
        .iter()
        .filter(|name| Owner::of_group(name).is_some_and(|owner| owner.is_gone()))
    {
        if let Err(error) = api.remove(name) {
            tracing::warn!(container = name, %error, "a container of a worker that is gone cannot be removed");
        }
    }
    Ok(())
}

impl Backend for Engine {
    fn launch<'a>(&'a self, job: &Job) -> Result<(Box<dyn Contained + 'a>, Streams), Failure> {
        let (launched, streams) = launch::launch(self, job)?;
        Ok((Box::new(launched), streams))
    }

    fn give_up(&mut self, ability: Ability, _reason: &str) -> bool {
        match ability {
            Ability::Gateway => std::mem::replace(&mut self.gateway, false),
            Ability::Seccomp => std::mem::replace(&mut self.seccomp, false),
            _ => false,
        }
    }

    fn remedy(&self, ability: Ability) -> Option<&'static str> {
        match ability {
            Ability::Gateway => Some("load the kernel modules nf_tables, nft_chain_nat and nft_redir"),
            Ability::Namespaces => Some(
                "the engine must run on this machine and see its folders (/usr, those of haul, those for temporary files), because it is told to mount them",
            ),
            _ => None,
        }
    }

    fn unlimited(&self) -> Vec<Lack> {
        let why = "the container engine says that its control groups do not; for an engine without root, delegate them to its user";
        unlimited(self.controls, why)
    }
}
