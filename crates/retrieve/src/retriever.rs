use std::path::PathBuf;
use std::sync::Arc;

use crate::buffers::Buffers;
use crate::control::Control;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::hooks::Hooks;
use crate::landing::Destination;
use crate::options::Options;
use crate::outcome::Report;
use crate::request::DownloadRequest;
use crate::run::{Delivery, Engine, Files, Run};
use crate::sources;
use crate::stats::Stats;
use crate::wire::{Connector, Pool};

/// Retrieves. It has threads of its own, so it works in and outside of async code, and what holds up its disk or its hooks
/// holds up nobody else. Make one and keep it: it remembers connections.
///
/// Dropping it ends its runs; what is fetched by then stays for the next run to resume.
pub struct Retriever {
    engine: Arc<Engine>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// A run that saves files.
pub struct Saving {
    run: Arc<Run>,
}

impl Retriever {
    /// Starts the engine.
    ///
    /// # Errors
    ///
    /// When there are no threads or no TLS on this machine, and for options that cannot work.
    pub fn new(options: Options) -> Result<Self, Error> {
        check(&options)?;
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.unwrap_or(cores.min(4)).max(1))
            .thread_name("retrieve")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Disk, "the engine's threads cannot be started").caused_by(error)
            })?;
        let keep = usize::try_from(options.memory_bytes).unwrap_or(usize::MAX);
        let engine = Engine {
            runtime: runtime.handle().clone(),
            pool: Pool::new(Connector::new()?, options.max_connections),
            buffers: Buffers::new(keep / 2),
            options,
            stores: Arc::default(),
        };
        Ok(Self {
            engine: Arc::new(engine),
            runtime: Some(runtime),
        })
    }

    /// Saves what is asked for below `folder`, which is made where it is missing. It begins at once.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or opened.
    pub fn save(
        &self,
        request: DownloadRequest,
        folder: impl Into<PathBuf>,
        hooks: Hooks,
    ) -> Result<Saving, Error> {
        self.saving(request, Destination::Folder(folder.into()), hooks)
    }

    /// Saves the one object that is asked for as `file`; a second one fails with [`ErrorKind::Collision`].
    ///
    /// # Errors
    ///
    /// When the folder of the file cannot be made or opened.
    pub fn save_as(
        &self,
        request: DownloadRequest,
        file: impl Into<PathBuf>,
        hooks: Hooks,
    ) -> Result<Saving, Error> {
        self.saving(request, Destination::File(file.into()), hooks)
    }

    fn saving(
        &self,
        request: DownloadRequest,
        destination: Destination,
        hooks: Hooks,
    ) -> Result<Saving, Error> {
        let delivery = Delivery {
            destination: Some(destination),
            is_read: false,
        };
        let run = Run::start(&self.engine, request, hooks, &delivery)?;
        Ok(Saving { run })
    }

    /// Hands out what is asked for, file by file and piece by piece. It begins at once, as far as the byte budget lets it.
    ///
    /// # Errors
    ///
    /// None so far; those of the run come with its files.
    pub fn read(&self, request: DownloadRequest, hooks: Hooks) -> Result<Files, Error> {
        let delivery = Delivery {
            destination: None,
            is_read: true,
        };
        Ok(Files::new(Run::start(&self.engine, request, hooks, &delivery)?))
    }

    /// Hands out what is asked for and saves it below `folder`, too. Such a run does not resume: what is read begins at
    /// its beginning.
    ///
    /// # Errors
    ///
    /// As [`Retriever::save`].
    pub fn read_and_save(
        &self,
        request: DownloadRequest,
        folder: impl Into<PathBuf>,
        hooks: Hooks,
    ) -> Result<Files, Error> {
        let delivery = Delivery {
            destination: Some(Destination::Folder(folder.into())),
            is_read: true,
        };
        Ok(Files::new(Run::start(&self.engine, request, hooks, &delivery)?))
    }

    /// Lists what is asked for, without retrieving any of it.
    pub fn list(&self, request: DownloadRequest) -> Entries {
        let (sender, entries) = tokio::sync::mpsc::channel(16);
        let engine = Arc::clone(&self.engine);
        let listing = self.engine.runtime.spawn(async move {
            let listed = sources::list_all(&engine, &request, &sender).await;
            if let Err(error) = listed {
                // Nobody waits for it any more, then.
                let _ = sender.send(Err(error)).await;
            }
        });
        Entries {
            pages: entries,
            page: Vec::new().into_iter(),
            listing: Some(listing),
        }
    }
}

impl Drop for Retriever {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Saving {
    /// Steers the run.
    pub fn control(&self) -> Control {
        self.run.control.clone()
    }

    /// The figures of this moment.
    pub fn stats(&self) -> Stats {
        self.run.stats()
    }

    /// Waits for the end, in async code.
    pub async fn finished(&self) -> Arc<Report> {
        self.run.finished().await
    }

    /// Waits for the end, in a thread.
    pub fn wait(&self) -> Arc<Report> {
        futures::executor::block_on(self.finished())
    }
}

impl Drop for Saving {
    /// A run that nobody waits for ends.
    fn drop(&mut self) {
        self.run.control.cancel();
    }
}

/// Entries in key order, as they are listed, as long as the [`Retriever`] lives. An iterator for threads and ([`Entries::next_entry`]) for tasks.
pub struct Entries {
    pages: tokio::sync::mpsc::Receiver<Result<Vec<Entry>, Error>>,
    page: std::vec::IntoIter<Entry>,
    /// None when it has ended.
    listing: Option<tokio::task::JoinHandle<()>>,
}

impl Entries {
    /// The next entry; none when there are no more. After an error nothing follows.
    ///
    /// # Errors
    ///
    /// Why the listing broke off.
    pub async fn next_entry(&mut self) -> Option<Result<Entry, Error>> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            match self.pages.recv().await {
                Some(Ok(page)) => self.page = page.into_iter(),
                Some(Err(error)) => return Some(Err(error)),
                None => return self.end().await.map(Err),
            }
        }
    }

    /// A listing that was cut off must not look like one that came to its end.
    async fn end(&mut self) -> Option<Error> {
        self.listing.take()?.await.err().map(|cut| {
            let text = "the listing was cut off: keep the retriever until it has come to its end";
            Error::new(ErrorKind::Cancelled, text).caused_by(cut)
        })
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        futures::executor::block_on(self.next_entry())
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        if let Some(listing) = &self.listing {
            listing.abort();
        }
    }
}

fn check(options: &Options) -> Result<(), Error> {
    let wrong = |text: &str| Err(Error::new(ErrorKind::Invalid, text));
    if options.memory_bytes < 1 << 20 {
        return wrong("memory_bytes is less than 1 MiB: give the budget at least that");
    }
    if options.max_connections == 0 || options.max_connections > 10_000 {
        return wrong("max_connections must be from 1 to 10000");
    }
    if options.chunk_bytes == Some(0) {
        return wrong("chunk_bytes must not be 0");
    }
    if options.attempts == 0 {
        return wrong("attempts must be 1 or more");
    }
    Ok(())
}
