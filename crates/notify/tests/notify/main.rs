//! People are told: by calls of webhooks to a local server, by letters to a local mail server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod http;
mod letters;
mod smtp;
mod tls;
mod words;
mod world;
