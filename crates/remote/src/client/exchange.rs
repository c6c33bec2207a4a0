use std::time::Duration;

use bytes::Bytes;
use crawldb::{StoreError, Written};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::MAX_BATCH;
use crate::client::RemoteOptions;
use crate::client::failure::Failure;
use crate::wire::{ROOT, Verdict};

/// Bytes of an answer at most: a full batch of the largest items.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Sends requests and reads answers; knows what may be sent twice.
pub(super) struct Exchange {
    client: Client,
    place: String,
    options: RemoteOptions,
}

/// One request, as often as it takes.
struct Call {
    method: Method,
    url: String,
    body: Option<Bytes>,
    effect: Effect,
    timeout: Duration,
}

/// What a call does to the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing: it may be sent twice.
    Reads,
    /// It changes something, or already has when its answer is lost.
    Writes,
}

impl Exchange {
    pub(super) fn new(client: Client, place: String, options: RemoteOptions) -> Self {
        Self {
            client,
            place,
            options,
        }
    }

    /// The address of the service; holds no secrets.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Reads what is at `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, StoreError> {
        self.get_within(self.options.timeout, path).await
    }

    /// Reads what is at `path` and takes this long to be made.
    pub(super) async fn get_within<T: DeserializeOwned>(
        &self,
        timeout: Duration,
        path: &str,
    ) -> Result<T, StoreError> {
        let call = self.call(Method::GET, path, None, Effect::Reads);
        self.send(&Call { timeout, ..call }).await
    }

    /// Puts a question to `path`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &(impl Serialize + ?Sized + Sync),
    ) -> Result<T, StoreError> {
        let body = self.written(question)?;
        self.send(&self.call(Method::POST, path, Some(body), Effect::Reads))
            .await
    }

    /// Writes something by way of `path`.
    pub(super) async fn tell<T: DeserializeOwned>(
        &self,
        path: &str,
        record: &(impl Serialize + ?Sized + Sync),
    ) -> Result<T, StoreError> {
        let body = self.written(record)?;
        self.send(&self.call(Method::POST, path, Some(body), Effect::Writes))
            .await
    }

    /// Removes what is at `path`.
    pub(super) async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.send(&self.call(Method::DELETE, path, None, Effect::Writes))
            .await
    }

    /// Reads the record with each of these keys, in as many requests as it takes.
    pub(super) async fn ask_each<K: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        keys: &[K],
    ) -> Result<Vec<Option<T>>, StoreError> {
        self.each(path, keys, Effect::Reads).await
    }

    /// Writes or removes each of these records, in as many requests as it takes.
    pub(super) async fn tell_each<R: Serialize + Sync>(
        &self,
        path: &str,
        records: &[R],
    ) -> Result<Vec<Written>, StoreError> {
        let verdicts: Vec<Verdict> = self.each(path, records, Effect::Writes).await?;
        Ok(verdicts.into_iter().map(Written::from).collect())
    }

    async fn each<R: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        records: &[R],
        effect: Effect,
    ) -> Result<Vec<T>, StoreError> {
        let mut answers = Vec::with_capacity(records.len());
        let mut parts: Vec<&[R]> = records.rchunks(MAX_BATCH).collect();
        while let Some(part) = parts.pop() {
            let body = self.written(part)?;
            if body.len() > self.options.max_body_bytes && part.len() > 1 {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
                continue;
            }
            let answered: Vec<T> = self
                .send(&self.call(Method::POST, path, Some(body), effect))
                .await?;
            if answered.len() != part.len() {
                let (given, answered) = (part.len(), answered.len());
                let what = format!("it answered {answered} times to {given} records");
                return Err(self.explain(Failure::Strange(what)));
            }
            answers.extend(answered);
        }
        Ok(answers)
    }

    fn written(&self, record: &(impl Serialize + ?Sized)) -> Result<Bytes, StoreError> {
        let body = serde_json::to_vec(record);
        body.map(Bytes::from)
            .map_err(|error| self.explain(Failure::Unwritable(error)))
    }

    fn explain(&self, failure: Failure) -> StoreError {
        failure.explain(&self.place, self.options.timeout)
    }

    fn call(&self, method: Method, path: &str, body: Option<Bytes>, effect: Effect) -> Call {
        Call {
            method,
            url: format!("{}{ROOT}/{path}", self.place),
            body,
            effect,
            timeout: self.options.timeout,
        }
    }

    /// Sends the call until it is answered, is not worth sending again, or was sent too often.
    async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T, StoreError> {
        let explain = |failure: Failure| failure.explain(&self.place, call.timeout);
        let mut pause = self.options.pause;
        for _ in 0..self.options.retries {
            match self.send_once(call).await {
                Err(failure) if may_be_sent_again(call, &failure) => {
                    tracing::debug!(%failure, place = self.place, ?pause, "asking the crawl database again");
                }
                answer => return answer.map_err(explain),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.send_once(call).await.map_err(explain)
    }

    async fn send_once<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let mut request = self.client.request(call.method.clone(), &call.url);
        if let Some(token) = &self.options.token {
            request = request.bearer_auth(token.secret());
        }
        if let Some(body) = &call.body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body.clone());
        }
        let response = request.timeout(call.timeout).send().await?;
        let status = response.status();
        let body = whole_body(response).await?;
        if !status.is_success() {
            let refusal = serde_json::from_slice(&body).ok();
            return Err(Failure::Refused { status, refusal });
        }
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Strange(format!("its answer cannot be read ({error})")))
    }
}

fn may_be_sent_again(call: &Call, failure: &Failure) -> bool {
    failure.was_not_sent() || (call.effect == Effect::Reads && failure.is_retryable())
}

async fn whole_body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let mebibytes = MAX_ANSWER_BYTES >> 20;
            return Err(Failure::Strange(format!(
                "its answer has more than {mebibytes} MiB"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
