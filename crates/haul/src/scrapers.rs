//! What scrapers need: the registry, a runner, and whoever tells people.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use archive::Archive;
use egress::{Policy, Resolve};
use notify::{MailOptions, MailTls, Notifier, NotifyOptions};
use registry::{Capacity, Keyring, Registry, Secret};
use runner::{Runner, RunnerDeps, RunnerOptions};
use sandbox::{Ability, Container};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use web::{Access, Provider, ProviderKind};

use crate::assembly;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Usage;

/// A runner at work, and whoever tells people of it.
pub(crate) struct Working {
    runner: JoinHandle<Result<(), runner::RunnerError>>,
    notifier: AbortOnDropHandle<()>,
}

/// Whether this process runs scrapers, or only speaks of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It runs them.
    Works,
    /// Others do.
    Looks,
}

/// The file of the registry.
pub(crate) fn registry_file(config: &Config, folder: &DataFolder) -> PathBuf {
    configured(&config.registry).unwrap_or_else(|| folder.path().join("registry.sqlite"))
}

/// The file of the keys that secrets are sealed with.
pub(crate) fn keyring_file(config: &Config, folder: &DataFolder) -> PathBuf {
    configured(&config.keyring).unwrap_or_else(|| folder.path().join("keyring"))
}

fn configured(path: &str) -> Option<PathBuf> {
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// Opens the registry.
pub(crate) fn open_registry(config: &Config, folder: &DataFolder) -> Result<Registry> {
    let keyring = Keyring::open(&keyring_file(config, folder))?;
    Ok(Registry::open(&registry_file(config, folder), keyring)?)
}

/// A runner on the registry of `folder`.
pub(crate) fn open_runner(
    config: &Config,
    folder: &DataFolder,
    archive: Archive,
    part: Part,
) -> Result<Runner> {
    let deps = RunnerDeps {
        registry: open_registry(config, folder)?,
        archive,
    };
    let mut options = runner_options(config, &folder.path().join("run"))?;
    if part == Part::Looks {
        options.capacity.slots = 0;
    }
    Ok(Runner::new(deps, options)?)
}

/// How runs are made, in `folder`.
pub(crate) fn runner_options(config: &Config, folder: &Path) -> Result<RunnerOptions> {
    let run = &config.run;
    let memory_mib = match run.memory_mib {
        0 => machine_memory_mib() / 2,
        given => given,
    };
    Ok(RunnerOptions {
        folder: std::path::absolute(folder)?,
        builds: std::path::absolute(folder.join("builds"))?,
        container: container(&run.engine)?,
        contain: vec![assembly::own_program()?.into(), "contain".into()],
        capacity: Capacity {
            memory_mib,
            slots: run.slots,
        },
        policy: policy(config)?,
        replay: None,
        accept_lacks: lacks(&run.accept_lacks)?,
        interval: Duration::from_millis(run.interval_ms.clamp(10, 60_000)),
        grace: Duration::from_millis(run.grace_ms),
        max_data_bytes: run.max_data_bytes,
        compare_time: Duration::from_secs(600),
        keep_days: run.keep_days,
    })
}

/// Empty: bubblewrap. A socket may be named as container engines name theirs: `unix:///run/podman/podman.sock`.
fn container(engine: &str) -> Result<Container> {
    if engine.is_empty() {
        return Ok(Container::Bubblewrap);
    }
    let socket = Path::new(engine.strip_prefix("unix://").unwrap_or(engine));
    if !socket.is_absolute() {
        return Err(Usage(format!(
            "run.engine: {engine:?} is not the path of a Unix socket, such as /var/run/docker.sock"
        ))
        .into());
    }
    let socket = socket.to_owned();
    Ok(Container::Engine { socket })
}

fn policy(config: &Config) -> Result<Policy> {
    let run = &config.run;
    let resolve = words(&run.resolve).map(resolved).collect::<Result<_>>()?;
    let policy = Policy {
        allow_private: run.allow_private,
        resolve,
        deny: words(&run.deny).map(ToOwned::to_owned).collect(),
        gap: Duration::from_millis(run.gap_ms),
        max_connections_per_site: match run.site_connections {
            0 => usize::MAX,
            most => usize::try_from(most).unwrap_or(usize::MAX),
        },
        ..Policy::default()
    };
    Ok(policy.for_each_of(run.slots))
}

/// `HOST:PORT:ADDRESS`; the address may have a port of its own.
fn resolved(text: &str) -> Result<Resolve> {
    let wrong = || Usage(format!("run.resolve: {text:?} is not HOST:PORT:ADDRESS"));
    let (host, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (port, address) = rest.split_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let address = address
        .parse()
        .or_else(|_| address.parse().map(|ip| std::net::SocketAddr::new(ip, port)));
    Ok(Resolve {
        host: host.to_ascii_lowercase(),
        port,
        address: address.map_err(|_| wrong())?,
    })
}

fn lacks(text: &str) -> Result<Vec<Ability>> {
    let ability = |word: &str| match word {
        "memory" => Ok(Ability::Memory),
        "processes" => Ok(Ability::Processes),
        "cpu" => Ok(Ability::Cpu),
        "gateway" => Ok(Ability::Gateway),
        "seccomp" => Ok(Ability::Seccomp),
        _ => Err(Usage(format!(
            "run.accept_lacks: {word:?} is none of memory, processes, cpu, gateway, seccomp"
        ))
        .into()),
    };
    words(text).map(ability).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// What this machine has; 4 GiB where it does not say.
fn machine_memory_mib() -> u64 {
    let said = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = said.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    kib.map_or(4096, |kib| kib / 1024)
}

/// Starts the runner, and whoever tells people where runs are made here.
pub(crate) fn start(
    config: &Config,
    runner: &Runner,
    part: Part,
    stop: CancellationToken,
) -> Result<Working> {
    let notifier = Notifier::new(runner.registry().clone(), notify_options(config)?)?;
    let (worker, token) = (runner.clone(), stop.clone());
    let working = async move {
        // A server that cannot run scrapers must not look as if it did.
        let _stop = token.clone().drop_guard();
        worker.run(token).await
    };
    let telling = async move {
        if part == Part::Works {
            notifier.run(stop).await;
        }
    };
    Ok(Working {
        runner: tokio::spawn(working),
        notifier: AbortOnDropHandle::new(tokio::spawn(telling)),
    })
}

impl Working {
    /// Waits until the runner has ended its runs, and until what people are being told is told (a minute at most), after both were told to stop.
    pub(crate) async fn stopped(self) -> Result<()> {
        let (worked, told) = tokio::join!(self.runner, self.notifier);
        told?;
        Ok(worked??)
    }
}

fn notify_options(config: &Config) -> Result<NotifyOptions> {
    Ok(NotifyOptions {
        base: base(config),
        mail: mail(config)?,
        allow_private: config.run.allow_private,
        concurrency: 8,
    })
}

fn base(config: &Config) -> String {
    match config.access.base.trim_end_matches('/') {
        "" => format!("http://{}", config.listen),
        base => base.to_owned(),
    }
}

fn mail(config: &Config) -> Result<Option<MailOptions>> {
    let mail = &config.mail;
    if mail.host.is_empty() {
        return Ok(None);
    }
    let tls = match mail.tls.as_str() {
        "implicit" => MailTls::Implicit,
        "starttls" => MailTls::StartTls,
        "none" => MailTls::None,
        other => {
            return Err(Usage(format!("mail.tls: {other:?} is none of implicit, starttls, none")).into());
        }
    };
    if mail.from.is_empty() {
        return Err(Usage("mail.from: say who writes, such as Haul <haul@example.gov>".to_owned()).into());
    }
    let credentials = match mail.user.as_str() {
        "" => None,
        user => Some((
            user.to_owned(),
            secret_in("mail.password_file", &mail.password_file)?,
        )),
    };
    Ok(Some(MailOptions {
        host: mail.host.clone(),
        port: mail.port,
        tls,
        credentials,
        from: mail.from.clone(),
    }))
}

fn secret_in(key: &str, file: &str) -> Result<Secret> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{key}: {file} cannot be read"))?;
    Ok(Secret::new(text.trim()))
}

/// Who may do what on pages and API.
pub(crate) fn access(config: &Config) -> Result<Access> {
    let access = &config.access;
    let mut providers = Vec::new();
    if !access.github_client_id.is_empty() {
        providers.push(Provider {
            name: "github".to_owned(),
            kind: ProviderKind::github(),
            client_id: access.github_client_id.clone(),
            client_secret: secret_in("access.github_secret_file", &access.github_secret_file)?,
        });
    }
    if !access.oidc_issuer.is_empty() {
        let name = match access.oidc_name.as_str() {
            "" => "oidc".to_owned(),
            name => name.to_owned(),
        };
        providers.push(Provider {
            name,
            kind: ProviderKind::OpenId {
                issuer: access.oidc_issuer.clone(),
            },
            client_id: access.oidc_client_id.clone(),
            client_secret: secret_in("access.oidc_secret_file", &access.oidc_secret_file)?,
        });
    }
    Ok(Access {
        accounts: access.accounts,
        may_register: access.register,
        providers,
        base: base(config),
    })
}
