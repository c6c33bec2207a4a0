//! A package index to ask: a running server, or a store that is opened here.

use anyhow::{Context, Result, bail};
use pkgindex::{Index, Options};
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::assembly::{PackageStoreOptions, open_package_index};
use crate::cli::pkgindex::IndexPlace;

/// Where the index is.
pub(crate) enum Place {
    Server(Server),
    Here(Index),
}

impl Place {
    pub(crate) fn open(place: &IndexPlace) -> Result<Self> {
        let Some(store) = &place.store else {
            return Ok(Self::Server(Server::new(&place.at)?));
        };
        let index = open_package_index(store, &PackageStoreOptions::default(), Options::default())?;
        Ok(Self::Here(index))
    }
}

/// The second port of a running server.
pub(crate) struct Server {
    client: Client,
    address: String,
}

/// What the server says when it does not do what was asked (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Server {
    fn new(address: &str) -> Result<Self> {
        Ok(Self {
            client: Client::builder().no_proxy().build()?,
            address: address.trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn get(&self, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.address)).query(query)
    }

    pub(crate) fn post(&self, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.address)).query(query)
    }

    /// Sends a request; its answer when that is a good one.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> Result<Response> {
        let sent = request.send().await;
        let response = sent.with_context(|| {
            format!(
                "no package index answers at {}; start one with `haul pkgindex serve`, name another with --at, \
                 or ask a store without a server with --store",
                self.address
            )
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        match response.json::<Problem>().await {
            Ok(problem) => bail!(problem.detail),
            Err(_) => bail!("{} answered {status}, which no package index does", self.address),
        }
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        Ok(self.answer(self.get(path, query)).await?.json().await?)
    }
}
