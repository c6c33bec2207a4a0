//! Tells people how runs ended: webhooks and mail.
//!
//! [`Notifier::run`] takes what is due from the registry and sends it; what fails is tried again later, with a cap.
//!
//! # Webhooks
//!
//! A call is a `POST` with a JSON body ([`payload`] says what is in it) and these headers:
//!
//! | header | what |
//! |---|---|
//! | `X-Haul-Delivery` | the delivery's number; the same for every try of one call |
//! | `X-Haul-Signature-256` | `sha256=` and the HMAC-SHA-256 of the body with the webhook's key, in hexadecimal digits, as GitHub's |
//!
//! An answer of 2xx within 20 seconds is success; its body is not read, and redirects are not followed. Anything else is tried again after 1 minute, 5 minutes, 30 minutes, 2 hours and
//! 8 hours (each up to a tenth longer), then given up. Two calls for one scraper are made at a time, so that addresses that answer slowly hold up nobody else. A call comes *at least once*: when this process dies between the call and the note of it, the call is made again, under the same
//! number; whoever is called can tell by it.
//!
//! Words in the path and query of the address are replaced as morph replaces them ([`expand`]). Addresses are judged like those of scrapers: private ones are refused unless
//! the operator allows them, those where clouds serve a machine's credentials always, after names were resolved, and the connection is made to the very
//! address that was judged. Proxies in the environment are not used: they would resolve names themselves.
//!
//! # Mail
//!
//! Letters are plain text. One is sent *at most once*, and not sent again after a crash: two letters about one failure annoy more than none, and the next digest names the
//! failure anyway. What the mail server refuses is tried again as often as a call.

mod body;
mod calls;
mod letter;
mod mail;
mod notifier;
mod patience;
mod words;

pub use crate::body::{payload, signature};
pub use crate::mail::{MailOptions, MailTls};
pub use crate::notifier::{Notifier, NotifyError, NotifyOptions};
pub use crate::words::expand;
