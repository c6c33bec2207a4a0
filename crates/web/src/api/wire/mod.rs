//! What JSON looks like outside. Nothing here decides anything: records in, records out.

mod access;
mod crawl;
mod document;
mod item;
mod run;
mod scraper;
mod source;
mod webhook;

pub(crate) use self::access::{AccountBody, IssuedKeyBody, KeyBody, OrganisationBody};
pub(crate) use self::crawl::{CrawlBody, ScopeBody, TotalsBody};
pub(crate) use self::document::DocumentBody;
pub(crate) use self::item::{ItemBody, STATES, disposition, is_waiting, state_name};
pub(crate) use self::run::{AskedBody, RunBody, VersionBody};
pub(crate) use self::scraper::{ChangedScraper, NewScraperBody, ScraperBody};
pub(crate) use self::source::{ChangedSource, ConfigurationBody, NewSource, SettingsBody, SourceBody};
pub(crate) use self::webhook::{AddedWebhook, DeliveryBody, NewWebhook, WebhookBody};

/// A body with the fields of a record, and the way in both directions.
macro_rules! mirrored {
    ($(#[$meta:meta])* $body:ident of $record:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)* }) => {
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        $(#[$meta])*
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $body {
            $($(#[$about])* $field: $kind,)*
        }

        impl Default for $body {
            fn default() -> Self {
                Self::from(&$record::default())
            }
        }

        impl From<&$record> for $body {
            fn from(record: &$record) -> Self {
                Self { $($field: record.$field.clone(),)* }
            }
        }

        impl From<$body> for $record {
            fn from(body: $body) -> Self {
                Self { $($field: body.$field,)* }
            }
        }
    };
}
use mirrored;
