//! Runs one untrusted process inside limits and reports how it ended.
//!
//! It knows nothing of scrapers or databases. [`Sandbox::detect`] looks what this machine can limit; [`Sandbox::start`] starts a
//! [`Job`], whose standard streams the caller reads, and [`Running::wait`] says how it ended and what it used.
//!
//! ```no_run
//! # fn example(job: sandbox::Job) -> Result<(), Box<dyn std::error::Error>> {
//! use sandbox::{Container, Ended, Sandbox, SandboxOptions};
//!
//! let contain = vec![std::env::current_exe()?.into(), "contain".into()];
//! let container = Container::Bubblewrap;
//! let sandbox = Sandbox::detect(SandboxOptions { container, contain, first_uid: 700_000, accept_lacks: Vec::new() });
//! let mut running = sandbox.start(job)?;
//! let output = std::io::read_to_string(std::fs::File::from(running.stdout.take().ok_or("taken")?))?;
//! let (ended, usage) = running.wait();
//! assert!(ended != Ended::OutOfMemory, "it took {} bytes and said {output}", usage.peak_memory_bytes);
//! # Ok(()) }
//! ```
//!
//! *How it is contained.* A small process of ours (`contain`, which the caller's program must offer as a hidden command, see [`contain()`])
//! is moved to a control group, takes an unprivileged user id, makes a network namespace of its own that leads nowhere, and becomes `bwrap`
//! (bubblewrap), which makes the other namespaces and a minimal read-only tree and loads a filter of system calls. The job comes to it over a
//! socket and goes on in files without a name: nothing but the command shows in a list of processes.
//!
//! *Or by a container engine* ([`Container::Engine`]): the engine makes namespaces, limits and mounts, and `contain` is the first process in the container: it
//! makes the same network, loads the same filter, counts what the job uses, and ends the container when its worker is gone. What follows is of bubblewrap, where it names bwrap.
//!
//! *How it ends.* The kernel ends a job with the thread that watches it, and everything in it with its first process. What the kernel does not
//! do by itself (control groups; a job whose parent is killed just while bwrap sets itself up) is done by a second process of ours, the
//! reaper, which lives a moment longer than a killed worker; and what killed both, by the next [`Sandbox::detect`].
//!
//! *The network* of a job with [`Network::Gateway`] has no interface but `lo`. Every address is local there and every TCP connection, but those to 127.0.0.0/8, is redirected (nftables) to one
//! listener; UDP and TCP port 53 go to a second and third socket. These sockets are made inside that namespace and handed to the caller, who
//! answers them from outside: [`Gateway`]. So no address of the machine is used, no root is needed, and all of it is gone with the job.
//!
//! *As root or not.* A worker that is root gives each job a user id of its own, and control groups limit it. Another user's jobs run as that user, in a
//! user namespace; where no control group was delegated to him, memory and processes are limited less well, which [`Sandbox::lacks`] says.

mod backend;
mod bubblewrap;
mod contain;
mod engine;
mod folder;
mod groups;
mod handshake;
mod held;
mod job;
mod members;
mod owner;
mod sandbox;
mod supervise;
mod trial;
mod uids;
mod view;
mod wire;

pub use crate::contain::contain;
pub use crate::job::{Ended, Gateway, Job, JobLimits, Mount, Network, Running, SandboxError, Stopper, Usage};
pub use crate::sandbox::{Ability, Container, Lack, Sandbox, SandboxOptions};
