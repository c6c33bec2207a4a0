//! A matrix of ways to retrieve, run interleaved, measured and reported.
//!
//! Which chunk size, how many connections, which sink? That depends on the server, the network and the machine, so it is
//! measured there. A [`Plan`] names addresses and [`Configuration`]s (every combination of some [`Axes`]); [`conduct`]
//! makes the runs; [`Results`] holds all figures, and [`html`] makes a page of them.
//!
//! # What holds
//!
//! * *Each run has a process of its own* ([`Workplace`] says which program, [`serve_trial`] is what that program does), so
//!   memory and CPU time belong to one run and no connection outlives it.
//! * *Configurations are compared within rounds.* Each round has every configuration once, in an order drawn from the
//!   plan's seed. A network that changes during the sweep changes all of them, and a [`Ratio`] is one of rounds.
//! * *A run that did not bring all bytes measures nothing.* It is kept with its reason and left out of every [`Spread`].
//! * *Stopping keeps what was measured*: whoever watches may break a sweep off, and gets its results, marked incomplete.
//! * *Nothing secret is shown.* Addresses go to the processes over their standard input and appear without their queries.
//!
//! # Several machines
//!
//! [`lead`] has machines [`follow`] one plan at the same time, over ssh; [`Merged`] puts their results on one time line.
//! A machine that fails is named, the others' results are kept.
//!
//! # Example
//!
//! ```
//! use sweep::{Axes, Plan, Ratio, Sink};
//!
//! let axes = Axes {
//!     chunks: vec![Some(4 << 20), Some(8 << 20), None],
//!     connections: vec![Some(8), None],
//!     files: vec![None],
//!     sinks: vec![Sink::Null],
//!     memories: vec![64 << 20],
//! };
//! let plan = Plan {
//!     addresses: vec!["s3://bucket/large".to_owned()],
//!     configurations: axes.configurations(),
//!     rounds: 5,
//!     warm_up: true,
//!     limit_ms: 300_000,
//!     seed: 1,
//!     scratch: None,
//! };
//! plan.check()?;
//! assert_eq!(plan.runs(), 6 * (5 + 1));
//!
//! // In five rounds of five, the second way was faster: the interval does not hold 1.
//! let rounds = [(210.0, 100.0), (190.0, 101.0), (150.0, 75.0), (205.0, 99.0), (201.0, 98.0)];
//! let ratio = Ratio::paired(rounds).expect("there are rounds");
//! assert!(ratio.median > 2.0 && !ratio.may_be_one());
//! # Ok::<(), sweep::PlanError>(())
//! ```

mod conduct;
mod machine;
mod matrix;
mod merge;
mod plan;
mod remote;
mod report;
mod results;
mod series;
mod shuffle;
mod statistics;
mod trial;

pub use crate::conduct::{Progress, Watch, Workplace, conduct, serve_trial};
pub use crate::machine::Machine;
pub use crate::matrix::{Axes, Configuration, Sink};
pub use crate::merge::{Merged, OnMachine, Timeline, Together};
pub use crate::plan::{Plan, PlanError};
pub use crate::remote::{Ssh, follow, lead};
pub use crate::report::{html, merged_html};
pub use crate::results::{Measured, Results, Run, Summary, WrongResults};
pub use crate::series::Series;
pub use crate::statistics::{Ratio, Spread};
pub use crate::trial::{Measurement, Outcome, Trial};
