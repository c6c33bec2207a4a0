use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, TagImageOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker, body_full};
use futures::TryStreamExt;

use crate::groups::Controls;

/// How long one answer may take, in seconds.
const PATIENCE: u64 = 60;
/// How long it may take until a container that is being removed is gone.
const GONE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What containers of ours are labelled with.
pub(super) const LABEL: &str = "haul.job";
/// The HTTP status that says that there is no such container.
const NOT_FOUND: u16 = 404;

/// A container engine. Every question is asked on a thread of its own, so it can be asked from everywhere.
pub(super) struct Api {
    socket: String,
    version: ClientVersion,
}

/// What an engine says of itself.
pub(super) struct Information {
    pub(super) controls: Controls,
    /// Its containers' root is an ordinary user of the machine.
    pub(super) is_rootless: bool,
    /// User ids mean something else in its containers, unless it is told otherwise.
    pub(super) maps_users: bool,
}

impl Api {
    /// Agrees on a version of the API.
    pub(super) fn connect(socket: &Path) -> io::Result<Self> {
        let socket = socket.to_str().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let mut api = Self {
            socket,
            version: *API_DEFAULT_VERSION,
        };
        api.version = api.ask(async |docker| Ok(docker.negotiate_version().await?.client_version()))?;
        Ok(api)
    }

    fn ask<T: Send>(&self, question: impl AsyncFnOnce(Docker) -> Result<T, Error> + Send) -> io::Result<T> {
        let answer = || {
            let docker =
                Docker::connect_with_unix(&self.socket, PATIENCE, &self.version).map_err(io::Error::other)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(question(docker)).map_err(io::Error::other)
        };
        let joined = thread::scope(|scope| scope.spawn(answer).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    pub(super) fn information(&self) -> io::Result<Information> {
        let said = self.ask(async |docker| docker.info().await)?;
        let options = said.security_options.unwrap_or_default();
        let has = |name: &str| {
            options
                .iter()
                .any(|option| option.split(',').any(|part| part == name))
        };
        Ok(Information {
            controls: Controls {
                memory: said.memory_limit.unwrap_or(false),
                processes: said.pids_limit.unwrap_or(false),
                cpu: said.cpu_shares.unwrap_or(false),
            },
            is_rootless: has("name=rootless"),
            maps_users: has("name=userns"),
        })
    }

    /// The names of our containers, whatever became of them.
    pub(super) fn containers(&self) -> io::Result<Vec<String>> {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let containers = self.ask(async |docker| docker.list_containers(Some(options)).await)?;
        let names = containers
            .into_iter()
            .flat_map(|container| container.names.unwrap_or_default());
        Ok(names
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect())
    }

    pub(super) fn create(&self, name: &str, container: ContainerCreateBody) -> io::Result<()> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        self.ask(async |docker| docker.create_container(Some(options), container).await.map(drop))
    }

    pub(super) fn start(&self, name: &str) -> io::Result<()> {
        self.ask(async |docker| docker.start_container(name, None).await)
    }

    /// Whether a container runs, or is about to.
    pub(super) fn is_alive(&self, name: &str) -> io::Result<bool> {
        let state = self.ask(async |docker| {
            docker
                .inspect_container(name, None)
                .await
                .map(|container| container.state)
        })?;
        Ok(state.is_some_and(|state| state.running.unwrap_or(false)))
    }

    /// Kills a container, if it runs, and waits until it is gone. One that is just removing itself makes engines fail in several ways, so only time
    /// tells that it cannot be removed.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let give_up = Instant::now() + GONE;
        loop {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let removed = self.ask(
                async |docker| match docker.remove_container(name, Some(options)).await {
                    Err(Error::DockerResponseServerError {
                        status_code: NOT_FOUND,
                        ..
                    }) => Ok(true),
                    removed => removed.map(|()| false),
                },
            );
            match removed {
                Ok(true) => return Ok(()),
                Err(error) if Instant::now() > give_up => return Err(error),
                _ if Instant::now() > give_up => return Err(io::ErrorKind::TimedOut.into()),
                _ => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Fails where the engine does not have it.
    pub(super) fn find_image(&self, name: &str) -> io::Result<()> {
        self.ask(async |docker| docker.inspect_image(name).await.map(drop))
    }

    /// Makes an image of a tar archive.
    pub(super) fn import(&self, tar: Vec<u8>, repository: &str, tag: &str) -> io::Result<()> {
        let options = CreateImageOptionsBuilder::new().from_src("-").build();
        let name = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.ask(async |docker| {
            let said = docker.create_image(Some(options), Some(body_full(tar.into())), None);
            let said: Vec<_> = said.try_collect().await?;
            let id = said.into_iter().filter_map(|said| said.status).next_back();
            docker.tag_image(&id.unwrap_or_default(), Some(name)).await
        })
    }
}
