//! Scrapers of morph.io come over with their variables and their data, one call each.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::ScraperId;
use registry::{NewScraper, Origin, Scope, Scraper, ScraperSettings, Secret, SecretName};
use schedule::Schedule;
use utoipa::ToSchema;

use super::versions::MAX_DATA_BYTES;
use super::{may_be_made, origin};
use crate::api::refusals::{Full, Guarded, Taken, TooLarge, Wrong};
use crate::api::wire::ScraperBody;
use crate::clock;
use crate::problem::{Chain, Problem};
use crate::spool::{self, Spooled};
use crate::state::App;
use crate::visitor::Visitor;

/// Bytes of a field that is text at most.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// A scraper of morph.io.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it only describes the form; the fields are read one by one"
)]
pub(crate) struct MorphImport {
    /// `owner/name`.
    name: String,
    /// The address of its repository.
    git: String,
    /// A branch, tag or commit.
    reference: Option<String>,
    /// One line about it.
    description: Option<String>,
    /// When it runs by itself: `daily` is what morph.io calls auto run.
    schedule: Option<String>,
    /// A JSON object: the secret environment variables, by name.
    variables: Option<String>,
    /// Its `data.sqlite`.
    #[schema(value_type = Option<Vec<u8>>, content_media_type = "application/vnd.sqlite3")]
    data: Option<Vec<u8>>,
}

/// Takes over a scraper of morph.io: repository, secret variables, data. All of it or nothing.
#[utoipa::path(
    post, path = "/api/v1/imports/morph", tag = "scrapers", operation_id = "import_from_morph",
    request_body(content = MorphImport, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = ScraperBody),
        Wrong,
        Guarded,
        Taken,
        TooLarge,
        Full,
    )
)]
pub(crate) async fn morph(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    // Nobody sends gigabytes who may make no scraper at all.
    visitor.must(&app, Scope::Manage, &visitor.owner()?).await?;
    let parcel = Parcel::read(&app, request).await?;
    let (id, origin, settings) = parcel.described()?;
    may_be_made(&app, &visitor, &id).await?;
    let origin = origin::checked(&app, &visitor, origin, None).await?;
    let variables = parcel.secrets()?;
    let new = NewScraper { id, origin, settings };
    // On a task of its own: it goes on to its end, or back to its beginning, also when the client hangs up.
    let made = tokio::spawn(async move { made(&app, new, variables, parcel.data).await });
    let scraper = made
        .await
        .map_err(|error| Problem::failed("the import", false, &error))??;
    Ok((StatusCode::CREATED, Json(ScraperBody::from(&scraper))))
}

/// The scraper with all that comes with it, or nothing of it.
async fn made(
    app: &App,
    new: NewScraper,
    variables: Vec<(SecretName, Secret)>,
    data: Option<Spooled>,
) -> Result<Scraper, Problem> {
    let settings = new.settings.clone();
    let unscheduled = NewScraper {
        settings: ScraperSettings {
            schedule: None,
            ..new.settings
        },
        ..new
    };
    let added = app
        .runner
        .registry()
        .add_scraper(unscheduled, clock::now())
        .await?;
    let id = added.id.clone();
    let filled = filled(app, added, settings, variables, data).await;
    if filled.is_err()
        && let Err(error) = app.runner.remove_scraper(&id).await
    {
        tracing::error!(scraper = %id, error = %Chain(&error), "what is left of an import could not be removed");
    }
    filled
}

/// Its schedule counts from the moment when everything is there.
async fn filled(
    app: &App,
    added: Scraper,
    settings: ScraperSettings,
    variables: Vec<(SecretName, Secret)>,
    data: Option<Spooled>,
) -> Result<Scraper, Problem> {
    let registry = app.runner.registry();
    for (name, value) in variables {
        registry.set_secret(&added.id, &name, value).await?;
    }
    if let Some(file) = data {
        app.runner.import_data(&added.id, &file).await?;
    }
    let whole = registry.change_scraper(
        &added.id,
        added.origin,
        settings,
        Some(added.configuration),
        clock::now(),
    );
    Ok(whole.await?)
}

/// The fields as they were sent.
#[derive(Default)]
struct Parcel {
    texts: BTreeMap<String, String>,
    data: Option<Spooled>,
}

impl Parcel {
    async fn read(app: &App, mut request: Request) -> Result<Self, Problem> {
        let limit = usize::try_from(MAX_DATA_BYTES).unwrap_or(usize::MAX);
        DefaultBodyLimit::max(limit).apply(&mut request);
        let mut fields = Multipart::from_request(request, &())
            .await
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        let mut parcel = Self::default();
        while let Some(field) = fields.next_field().await.map_err(broken)? {
            parcel.take(app, field).await?;
        }
        Ok(parcel)
    }

    async fn take(&mut self, app: &App, field: Field<'_>) -> Result<(), Problem> {
        const TEXTS: [&str; 6] = ["name", "git", "reference", "description", "schedule", "variables"];
        let name = field.name().unwrap_or_default().to_owned();
        if name == "data" {
            self.data = Some(spool::to_file(app, field, MAX_DATA_BYTES).await?);
            return Ok(());
        }
        if !TEXTS.contains(&name.as_str()) {
            let detail = format!(
                "the field {name:?} is not known; use {} or data",
                TEXTS.join(", ")
            );
            return Err(Problem::bad_request(detail));
        }
        let value = text(field).await?;
        self.texts.insert(name, value);
        Ok(())
    }

    fn given(&self, name: &str) -> Option<String> {
        self.texts.get(name).filter(|text| !text.is_empty()).cloned()
    }

    fn needed(&self, name: &str) -> Result<String, Problem> {
        let missing = || Problem::bad_request(format!("the field {name:?} is missing"));
        self.given(name).ok_or_else(missing)
    }

    fn described(&self) -> Result<(ScraperId, Origin, ScraperSettings), Problem> {
        let id = ScraperId::try_from(self.needed("name")?)?;
        let origin = Origin::Git {
            url: self.needed("git")?,
            reference: self.given("reference"),
        };
        let schedule = self.given("schedule");
        if let Some(schedule) = &schedule {
            Schedule::parse(schedule).map_err(|error| Problem::bad_request(error.to_string()))?;
        }
        let settings = ScraperSettings {
            description: self.given("description").unwrap_or_default(),
            schedule,
            ..ScraperSettings::default()
        };
        Ok((id, origin, settings))
    }

    fn secrets(&self) -> Result<Vec<(SecretName, Secret)>, Problem> {
        let Some(text) = self.given("variables") else {
            return Ok(Vec::new());
        };
        // The cause may quote a secret, so it is not passed on.
        let variables: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|_| {
            Problem::bad_request("the field \"variables\" is a JSON object of names and texts")
        })?;
        let named = variables
            .into_iter()
            .map(|(name, value)| Ok((SecretName::new(name)?, Secret::new(value))));
        named.collect()
    }
}

async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_TEXT_BYTES {
            let detail = format!("a field has at most {MAX_TEXT_BYTES} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| Problem::bad_request("a field is not UTF-8"))?;
    Ok(text.trim().to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn broken(error: MultipartError) -> Problem {
    Problem::new(error.status(), error.body_text())
}
