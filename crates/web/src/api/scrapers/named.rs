use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use model::{OwnerName, ScraperId, ScraperName};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::params::Segments;
use crate::problem::Problem;

/// The scraper that the path names.
pub(crate) struct Of(pub(crate) ScraperId);

/// How paths name a scraper.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OwnerAndName {
    /// Whose scraper.
    #[param(value_type = String)]
    owner: OwnerName,
    /// Its name.
    #[param(value_type = String)]
    name: ScraperName,
}

impl<S: Send + Sync> FromRequestParts<S> for Of {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segments(OwnerAndName { owner, name }) = Segments::from_request_parts(parts, state).await?;
        Ok(Self(ScraperId { owner, name }))
    }
}
