//! Keys of scrapers: how they run, who signs in, how people are told.

use serde::{Deserialize, Serialize};

/// How scrapers run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// Runs at a time.
    pub(crate) slots: u32,
    /// Memory for all of them, in MiB; 0: half of the machine's.
    pub(crate) memory_mib: u64,
    /// Let scrapers and webhooks reach private and loopback addresses.
    pub(crate) allow_private: bool,
    /// Where hosts are found, as curl's --resolve, separated by commas: HOST:PORT:ADDRESS.
    pub(crate) resolve: String,
    /// Hosts, separated by commas, that scrapers may not reach, with everything below them.
    pub(crate) deny: String,
    /// Between two new connections to one site, of all runs together, on the average; 0: none.
    pub(crate) gap_ms: u64,
    /// Connections at a time to one site, of all runs together; 0: any number.
    pub(crate) site_connections: u32,
    /// The Unix socket of a container engine (Docker, Podman) that contains runs; empty: bubblewrap does.
    pub(crate) engine: String,
    /// What the sandbox may lack on this machine, separated by commas: memory, processes, cpu, gateway, seccomp.
    pub(crate) accept_lacks: String,
    /// From SIGTERM to SIGKILL.
    pub(crate) grace_ms: u64,
    /// Bytes of one data.sqlite.
    pub(crate) max_data_bytes: u64,
    /// Days after which logs and runs are forgotten.
    pub(crate) keep_days: u32,
    /// How often the queue is looked at.
    pub(crate) interval_ms: u64,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            slots: 4,
            memory_mib: 0,
            allow_private: false,
            resolve: String::new(),
            deny: String::new(),
            gap_ms: 100,
            site_connections: 32,
            engine: String::new(),
            accept_lacks: String::new(),
            grace_ms: 10_000,
            max_data_bytes: 4 << 30,
            keep_days: 90,
            interval_ms: 1_000,
        }
    }
}

/// Who may do what on pages and API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessConfig {
    /// Whether people sign in. If not, whoever reaches the listener may do everything.
    pub(crate) accounts: bool,
    /// Whether somebody whom a provider knows gets an account.
    pub(crate) register: bool,
    /// Where the pages are reached from outside, such as `https://haul.example.gov`; empty: `http://` and `listen`.
    pub(crate) base: String,
    /// This server's id at GitHub; empty: nobody signs in there.
    pub(crate) github_client_id: String,
    /// A file that holds the secret that belongs to it.
    pub(crate) github_secret_file: String,
    /// An issuer of OpenID Connect, such as `https://login.example.gov`; empty: none.
    pub(crate) oidc_issuer: String,
    /// What it is called on the page.
    pub(crate) oidc_name: String,
    /// This server's id there.
    pub(crate) oidc_client_id: String,
    /// A file that holds the secret that belongs to it.
    pub(crate) oidc_secret_file: String,
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailConfig {
    /// The SMTP server; empty: no mail is sent.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// implicit, starttls or none.
    pub(crate) tls: String,
    /// The name to sign in with; empty: none.
    pub(crate) user: String,
    /// A file that holds the password.
    pub(crate) password_file: String,
    /// Who writes, such as `Haul <haul@example.gov>`.
    pub(crate) from: String,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: "starttls".into(),
            user: String::new(),
            password_file: String::new(),
            from: String::new(),
        }
    }
}
