//! What a user's code may see and decide on the way.
//!
//! A [`StatefulHook`] sits in the serial stages and may keep state; a [`FunctionalHook`] sits in the parallel ones and is
//! called by many threads at once; an [`OrderedHook`] sees, and may replace, the bytes of one file in their order; an
//! [`Observer`] gets [`Event`]s on a thread of its own. [`Hooks`] registers them; they are called in that order.
//!
//! Contract: a panic ends the file that it was about and nothing else; each hook's calls and time are in the report; a
//! kind of which none is registered costs one comparison; a slow observer loses events, which are counted, and does not
//! slow the run.
//!
//! ```
//! use retrieve::hooks::{Attempt, FunctionalHook, Hooks, RequestHead, Verdict};
//! use retrieve::ErrorKind;
//!
//! /// Adds a header, and does not wait for servers that are not there.
//! struct Impatient;
//!
//! impl FunctionalHook for Impatient {
//!     fn name(&self) -> &str {
//!         "impatient"
//!     }
//!
//!     fn on_request(&self, request: &mut RequestHead<'_>) {
//!         request.headers.insert("x-team", http::HeaderValue::from_static("search"));
//!     }
//!
//!     fn on_attempt_failed(&self, attempt: &Attempt<'_>) -> Verdict {
//!         match attempt.error.kind() {
//!             ErrorKind::Unreachable => Verdict::GiveUp,
//!             _ => Verdict::Default,
//!         }
//!     }
//! }
//!
//! let hooks = Hooks::default().functional(Impatient);
//! # assert_eq!(format!("{hooks:?}"), r#"["impatient"]"#);
//! ```

mod account;
mod builtin;
mod events;
mod observers;
mod ordered;
mod registry;
#[cfg(test)]
mod tests;
mod traits;

pub use builtin::*;
pub use events::Event;
pub(crate) use ordered::Ordered;
pub use registry::Hooks;
pub(crate) use registry::Registry;
pub use traits::*;
