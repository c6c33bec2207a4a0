use std::sync::Arc;

use http::{Method, StatusCode};

use super::Run;
use super::file::File;
use super::span::Shape;
use crate::checksum::{self, Ranges};
use crate::entry::{Declared, FileMeta};
use crate::error::{Error, ErrorKind};
use crate::location::Scheme;

impl Run {
    /// S3 does not say the checksum of an object with a part of it, so it is asked for beside the first part.
    pub(super) fn ask_checksum(self: &Arc<Self>, file: &Arc<File>) {
        let mut state = file.state();
        let is_wanted = self.options().verify
            && state.meta.location.scheme() == Scheme::S3
            && state.meta.checksum.is_none()
            && state.meta.is_whole()
            && !state.is_whole
            && state.checksum.is_none();
        if !is_wanted {
            return;
        }
        let (asked, told) = tokio::sync::watch::channel(());
        state.checksum = Some(told);
        let generation = state.generation;
        drop(state);
        let (run, file) = (Arc::clone(self), Arc::clone(file));
        self.engine.runtime.spawn(async move {
            let declared = run.asked_checksum(&file).await;
            run.told(&file, generation, declared);
            // Whoever waits goes on when this is gone.
            drop(asked);
        });
    }

    /// What is streamed has waited for this, so what is computed of it will be of the same kind.
    fn told(&self, file: &File, generation: u32, declared: Result<Option<Declared>, Error>) {
        let mut state = file.state();
        if state.generation != generation {
            return;
        }
        match declared {
            Ok(declared) => state.learn(declared),
            Err(error) => state.untold = Some(error),
        }
        if file.is_streamed() {
            state.crcs = Some(Ranges::new(self.algorithm(&state.meta)));
        }
    }

    /// None where the server declares none, or does not say; an error where no answer could be had, because what might be
    /// damaged must not count as done.
    async fn asked_checksum(&self, file: &File) -> Result<Option<Declared>, Error> {
        let (meta, store, target) = file.state().address();
        let mut last = Error::new(ErrorKind::Cancelled, "cancelled");
        for failed in 1..=self.options().attempts {
            let headers = self.headers(&meta, None, Shape::Part);
            let asked = self.exchange(&store, &target, &Method::HEAD, headers, &meta.location, false);
            let answer = tokio::time::timeout(self.options().stall, asked).await;
            match answer {
                Ok(Ok(answer)) if answer.head.status.is_server_error() => {
                    last = self.unasked(&meta, &format!("the server answers {}", answer.head.status));
                }
                Ok(Ok(answer)) => match self.refuse_change(file, &answer.head, None) {
                    Ok(()) => {
                        let declared = checksum::declared(&answer.head.headers);
                        self.engine.pool.put(&answer.endpoint, answer.connection);
                        return Ok(declared.filter(|_| answer.head.status == StatusCode::OK));
                    }
                    Err(failure) => last = failure.error,
                },
                Ok(Err(failure)) => last = self.unasked(&meta, &failure.error.to_string()),
                Err(_) => last = self.unasked(&meta, "no answer came"),
            }
            if self.control.is_cancelled() || file.state().has_ended() {
                break;
            }
            tokio::time::sleep(self.pause(failed)).await;
        }
        Err(last)
    }

    fn unasked(&self, meta: &FileMeta, why: &str) -> Error {
        let text = format!(
            "{}: its checksum could not be asked for ({why}); run again, or without verification",
            meta.location
        );
        Error::new(ErrorKind::Server, text)
    }

    /// Waits until it is known what checksum the server declares, where that was asked.
    pub(super) async fn checksum_told(&self, file: &File) {
        let told = file.state().checksum.clone();
        if let Some(mut told) = told {
            while told.changed().await.is_ok() {}
        }
    }
}
