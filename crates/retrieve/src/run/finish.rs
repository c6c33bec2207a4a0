use std::sync::Arc;

use bytes::Bytes;

use super::Run;
use super::file::File;
use crate::checksum::Ranges;
use crate::entry::{Declared, FileMeta};
use crate::error::{Error, ErrorKind};
use crate::outcome::{Done, Outcome};

impl Run {
    /// All wanted bytes of a file are there: checks them, asks the hooks, gives the file its name. `whole` has the bytes
    /// of a file that was taken in one buffer.
    pub(super) async fn finish(self: &Arc<Self>, file: &Arc<File>, whole: Option<Bytes>) {
        self.checksum_told(file).await;
        if self.is_left_to_reader(file) {
            return;
        }
        // Hooks may take long; without such, what remains is a few calls of the file system.
        match self.hooks.is_quick() {
            true => self.conclude(file, whole),
            false => tokio::task::block_in_place(|| self.conclude(file, whole)),
        }
    }

    fn conclude(self: &Arc<Self>, file: &Arc<File>, whole: Option<Bytes>) {
        match self.computed(file).and_then(|()| self.checked(file)) {
            Ok(done) => match self.saved(file, done, whole) {
                Ok(done) => self.end(file, &Outcome::Done(done)),
                Err(error) => self.end(file, &Outcome::Failed(error)),
            },
            Err(error) if error.kind() == ErrorKind::Cancelled => self.end(file, &Outcome::Cancelled),
            Err(error) => self.begin_anew(file, &error),
        }
    }

    /// Where the server turned out to declare a checksum of another kind than was computed, the file is read again.
    fn computed(&self, file: &File) -> Result<(), Error> {
        let mut state = file.state();
        let declared = state.meta.checksum.filter(|_| state.meta.is_whole());
        let used = state.crcs.as_ref().and_then(Ranges::algorithm);
        let (Some(declared), Some(used), Some(landing)) = (declared, used, state.landing.clone()) else {
            return Ok(());
        };
        if declared.algorithm == used {
            return Ok(());
        }
        let range = 0..state.arrived;
        drop(state);
        let read = || landing.checksum(declared.algorithm, range.clone());
        let mut crcs = Ranges::new(Some(declared.algorithm));
        if let Some(value) = tokio::task::block_in_place(read)? {
            crcs.insert(range, value);
        }
        state = file.state();
        state.crcs = Some(crcs);
        Ok(())
    }

    /// A transformed file is finished by whoever reads it to its end.
    fn is_left_to_reader(&self, file: &File) -> bool {
        let mut state = file.state();
        state.is_left_to_reader = state.is_transformed;
        File::wake(&mut state);
        state.has_ended() || state.is_transformed
    }

    /// Compares the checksum with the one that the server declares.
    pub(super) fn checked(&self, file: &File) -> Result<Done, Error> {
        let state = file.state();
        if let Some(error) = &state.untold {
            return Err(error.clone());
        }
        let meta = &state.meta;
        let mut done = Done {
            bytes: state.arrived,
            resumed_bytes: state.resumed,
            ..Done::default()
        };
        let algorithm = state.crcs.as_ref().and_then(Ranges::algorithm);
        let (true, Some(algorithm)) = (meta.is_whole(), algorithm) else {
            return Ok(done);
        };
        let value = state.crcs.as_ref().and_then(|crcs| crcs.whole(state.arrived));
        done.checksum = value.map(|value| Declared { algorithm, value });
        let Some((declared, computed)) = meta.checksum.zip(done.checksum) else {
            return Ok(done);
        };
        if declared.algorithm != computed.algorithm {
            return Ok(done);
        }
        done.verified = declared.value == computed.value;
        match done.verified {
            true => Ok(done),
            false => Err(Error::new(
                ErrorKind::Damaged,
                format!(
                    "{}: its bytes do not have the checksum that the server declares",
                    meta.location
                ),
            )),
        }
    }

    fn saved(&self, file: &File, mut done: Done, whole: Option<Bytes>) -> Result<Done, Error> {
        let meta = file.meta();
        match (&self.folder, self.place(file), whole) {
            (Some(folder), Some(place), Some(bytes)) => {
                let mut stream = folder.stream(&place)?;
                stream.append(&bytes)?;
                self.approve(&meta, &done, Some((stream.temporary(), stream.path())))?;
                done.path = Some(stream.commit(meta.last_modified)?);
            }
            (Some(folder), Some(place), None) => {
                let landing = file.state().landing.clone();
                let Some(landing) = landing else {
                    // An empty file was never opened.
                    let stream = folder.stream(&place)?;
                    self.approve(&meta, &done, Some((stream.temporary(), stream.path())))?;
                    done.path = Some(stream.commit(meta.last_modified)?);
                    return Ok(done);
                };
                let approved = self.approve(&meta, &done, Some((landing.temporary(), landing.path())));
                if let Err(error) = approved {
                    landing.discard();
                    return Err(error);
                }
                done.path = Some(landing.commit(meta.last_modified)?);
            }
            _ => self.approve(&meta, &done, None)?,
        }
        Ok(done)
    }

    /// The hooks have the last word.
    pub(super) fn approve(
        &self,
        meta: &FileMeta,
        done: &Done,
        paths: Option<(&std::path::Path, &std::path::Path)>,
    ) -> Result<(), Error> {
        self.hooks
            .verify(meta, done, paths.map(|(temporary, _)| temporary))?;
        match paths {
            Some((temporary, path)) => self.hooks.commit(meta, temporary, path),
            None => Ok(()),
        }
    }
}
