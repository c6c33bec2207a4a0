use crawldb::ItemErrorKind;
use model::PageUrl;
use retrieve::hooks::{FileStart, StatefulHook};
use retrieve::{Entry, Error, ErrorKind, FileMeta, Hooks, Source};

use super::{Bucket, BucketAccess, Store};
use crate::fetch::{FetchError, Probed};

impl Bucket {
    /// Whether there is an object with this URL; nothing of it is read.
    pub(crate) async fn probe(&self, url: &PageUrl) -> Result<Probed, FetchError> {
        let Some(key) = self.address.key(url) else {
            return Ok(Probed::Gone(format!(
                "no object of {} has this URL",
                self.address
            )));
        };
        let access = match &self.store {
            Store::Remote(access) => access,
            Store::Disk(disk) => return disk.probe(key).await,
        };
        match tokio::time::timeout(self.timeout, self.look(access, &key)).await {
            Ok(Ok(())) => Ok(Probed::There),
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                Ok(Probed::Gone("there is no such object".to_owned()))
            }
            Ok(Err(error)) => Err(FetchError::passing(
                ItemErrorKind::Server,
                crate::patience::with_causes(&error),
            )),
            Err(_) => Err(FetchError::passing(ItemErrorKind::Timeout, "no answer in time")),
        }
    }

    /// Asks for the object's metadata.
    async fn look(&self, access: &BucketAccess, key: &str) -> Result<(), Error> {
        let object = Source::Object(Entry::new(self.address.folder().with_key(key)));
        let hooks = Hooks::default().stateful(NotRead);
        let mut files = access.retriever.read(access.request(object), hooks)?;
        match files.next_file().await {
            Some(Err((_, error))) => return Err(error),
            Some(Ok(_)) => return Ok(()),
            None => {}
        }
        let report = files.report().await;
        report.error.clone().map_or(Ok(()), Err)
    }
}

/// Lets every object be.
struct NotRead;

impl StatefulHook for NotRead {
    fn name(&self) -> &str {
        "not read"
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn on_file_start(&mut self, _: &FileMeta) -> FileStart {
        FileStart::Skip
    }
}
