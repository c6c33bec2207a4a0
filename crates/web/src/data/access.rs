use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::{OwnerName, ScraperId, ScraperName};
use registry::{RegistryError, Scope, Scraper};

use crate::clock::now;
use crate::data::cross::Public;
use crate::data::desk::Asker;
use crate::data::params::Sent;
use crate::problem::Problem;
use crate::state::App;

/// Why nothing is read. The first three speak in morph's words.
#[derive(Clone, Debug)]
pub(crate) enum Denied {
    /// There is no such scraper.
    Unknown(String),
    /// A key is needed.
    Missing,
    /// This is none, or not one for data.
    Invalid,
    /// The registry failed.
    Failed(Problem),
}

impl Denied {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Missing | Self::Invalid => StatusCode::UNAUTHORIZED,
            Self::Failed(problem) => problem.status(),
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Unknown(name) => format!("can't find scraper {name}"),
            Self::Missing => "API key is missing".into(),
            Self::Invalid => "API key is not valid".into(),
            Self::Failed(problem) => problem.detail().to_owned(),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Failed(problem) => problem,
            Denied::Unknown(_) => Self::not_found(denied.message()),
            Denied::Missing | Denied::Invalid => {
                let detail = format!("{}; send one that may read data as X-Api-Key", denied.message());
                Self::new(StatusCode::UNAUTHORIZED, detail)
            }
        }
    }
}

/// Somebody who may read the data of a scraper.
pub(crate) struct Granted {
    pub(crate) scraper: Scraper,
    pub(crate) asker: Asker,
}

impl Granted {
    /// As morph decides, in its order: the scraper, whether there is a key, whether it is right. What is public needs a key, too.
    pub(crate) async fn with_key(app: &App, owner: &str, name: &str, sent: &Sent) -> Result<Self, Denied> {
        let scraper = scraper(app, owner, name).await?;
        let token = sent.key().ok_or(Denied::Missing)?;
        let asker = asker(app, token).await?;
        Ok(Self { scraper, asker })
    }

    /// On our own paths: whoever has a key or is signed in, whoever asks for what is public, and everybody where nobody signs in.
    pub(crate) async fn of(app: &App, owner: &str, name: &str, sent: &Sent) -> Result<Self, Problem> {
        let scraper = scraper(app, owner, name).await?;
        let asker = match (sent.key(), sent.person()) {
            (Some(token), _) => asker(app, token).await?,
            (None, Some(person)) => person.clone(),
            (None, None) if scraper.settings.public => Asker::Anyone,
            (None, None) => return Err(Denied::Missing.into()),
        };
        Ok(Self { scraper, asker })
    }

    /// Tells browsers whether anybody may have the answer.
    pub(crate) fn mark(&self, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        if self.scraper.settings.public {
            response.extensions_mut().insert(Public);
        }
        response
    }
}

async fn scraper(app: &App, owner: &str, name: &str) -> Result<Scraper, Denied> {
    let unknown = || Denied::Unknown(format!("{owner}/{name}"));
    let (Ok(owner_name), Ok(scraper_name)) = (OwnerName::new(owner), ScraperName::new(name)) else {
        return Err(unknown());
    };
    let id = ScraperId {
        owner: owner_name,
        name: scraper_name,
    };
    match app.runner.registry().scraper(&id).await {
        Ok(scraper) => Ok(scraper),
        Err(RegistryError::NotFound { .. }) => Err(unknown()),
        Err(error) => Err(failed(&error)),
    }
}

async fn asker(app: &App, token: &str) -> Result<Asker, Denied> {
    let key = app.runner.registry().key(token, now()).await;
    let key = key.map_err(|error| failed(&error))?;
    let key = key.filter(|key| key.scopes.contains(&Scope::Data));
    key.map(|key| Asker::Key(key.id)).ok_or(Denied::Invalid)
}

fn failed(error: &RegistryError) -> Denied {
    Denied::Failed(Problem::failed("the registry", true, error))
}
