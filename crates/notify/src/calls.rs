//! Calls of webhooks: whom they may go to, and how they are made.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use address::{Kind, kind, own, reached};
use registry::{Delivery, Run, Secret, Webhook};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use url::{Host, Url};

use crate::body::{payload, signature};
use crate::words::expand;

/// From the first packet to the head of the answer. Less than the minute for which a delivery is reserved.
const TIME_LIMIT: Duration = Duration::from_secs(20);

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Makes calls.
pub(crate) struct Caller {
    client: reqwest::Client,
    judge: Judge,
    base: String,
}

/// How a call went.
pub(crate) struct Answer {
    /// Whether the address said that it took it.
    pub(crate) is_success: bool,
    /// The status, or why there was none.
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn failure(text: impl Into<String>) -> Self {
        Self {
            is_success: false,
            text: text.into(),
        }
    }
}

impl Caller {
    pub(crate) fn new(base: &str, allow_private: bool) -> reqwest::Result<Self> {
        let judge = Judge { allow_private };
        let client = reqwest::Client::builder()
            .dns_resolver(judge)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(TIME_LIMIT)
            .connect_timeout(CONNECT_LIMIT)
            .pool_max_idle_per_host(0)
            .user_agent(format!("Haul/{} (+{base})", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            judge,
            base: base.to_owned(),
        })
    }

    /// Calls a webhook about a run. The body of the answer is not read.
    pub(crate) async fn call(
        &self,
        delivery: &Delivery,
        webhook: &Webhook,
        key: &Secret,
        run: &Run,
    ) -> Answer {
        let Some(body) = payload(delivery.id, run, &self.base) else {
            return Answer::failure("the run is not over");
        };
        let url = match self.judge.url(&expand(&webhook.url, run)) {
            Ok(url) => url,
            Err(why) => return Answer::failure(why),
        };
        let request = self
            .client
            .post(url)
            .header("Content-Type", "application/json")
            .header("X-Haul-Delivery", delivery.id)
            .header("X-Haul-Signature-256", signature(key.reveal(), &body))
            .body(body);
        match request.send().await {
            Ok(answer) => Answer {
                is_success: answer.status().is_success(),
                text: answer.status().to_string(),
            },
            Err(error) => Answer::failure(explain(&error.without_url())),
        }
    }
}

/// Who may be called. It resolves names itself and gives on only what may be connected to, so that a name cannot change its meaning in between.
#[derive(Clone, Copy)]
struct Judge {
    allow_private: bool,
}

impl Judge {
    fn allows(self, address: IpAddr) -> bool {
        match kind(address) {
            Kind::Metadata => false,
            Kind::Public if !own().contains(&reached(address)) => true,
            Kind::Public | Kind::Private => self.allow_private,
        }
    }

    /// Addresses in digits are not resolved, so they are judged here.
    fn url(self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| "the address cannot be read".to_owned())?;
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(url),
        };
        match self.allows(address) {
            true => Ok(url),
            false => Err(refusal(&address.to_string())),
        }
    }
}

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let judge = *self;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|found| judge.allows(found.ip()))
                .collect();
            match allowed.is_empty() {
                true => Err(refusal(name.as_str()).into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

fn refusal(host: &str) -> String {
    format!("{host} is a private address, or one of this machine; the operator of this server may allow such")
}

/// An error with its causes, on one line.
fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
