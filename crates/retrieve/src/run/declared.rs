use std::sync::Arc;

use http::{Method, StatusCode};

use super::Run;
use super::file::File;
use super::span::Shape;
use crate::checksum::{self, Ranges};
use crate::entry::Declared;
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
    fn told(&self, file: &File, generation: u32, declared: Option<Declared>) {
        let mut state = file.state();
        if state.generation != generation {
            return;
        }
        state.learn(declared);
        if file.is_streamed() {
            state.crcs = Some(Ranges::new(self.algorithm(&state.meta)));
        }
    }

    async fn asked_checksum(&self, file: &File) -> Option<Declared> {
        let (meta, store, target) = file.state().address();
        for failed in 1..=self.options().attempts {
            let headers = self.headers(&meta, None, Shape::Part);
            let asked = self.exchange(&store, &target, &Method::HEAD, headers, &meta.location, false);
            let answer = tokio::time::timeout(self.options().stall, asked).await;
            if let Ok(Ok(answer)) = answer
                && !answer.head.status.is_server_error()
                && self.refuse_change(file, &answer.head, None).is_ok()
            {
                let declared = checksum::declared(&answer.head.headers);
                self.engine.pool.put(&answer.endpoint, answer.connection);
                return declared.filter(|_| answer.head.status == StatusCode::OK);
            }
            if self.control.is_cancelled() || file.state().has_ended() {
                break;
            }
            tokio::time::sleep(self.pause(failed)).await;
        }
        None
    }

    /// Waits until it is known what checksum the server declares, where that was asked.
    pub(super) async fn checksum_told(&self, file: &File) {
        let told = file.state().checksum.clone();
        if let Some(mut told) = told {
            while told.changed().await.is_ok() {}
        }
    }
}
