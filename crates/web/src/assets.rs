use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::Checksum;

use crate::problem::Problem;

struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// All that pages load; small enough to live in the program.
const ASSETS: [Asset; 4] = [
    Asset {
        name: "haul.css",
        media_type: "text/css; charset=utf-8",
        text: include_str!("assets/haul.css"),
    },
    Asset {
        name: "live.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("assets/live.js"),
    },
    Asset {
        name: "log.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("assets/log.js"),
    },
    Asset {
        name: "icon.svg",
        media_type: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

/// Part of every asset's address, so that browsers may keep them for good and still get new ones.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let all: String = ASSETS.iter().map(|asset| asset.text).collect();
    Checksum::of(all.as_bytes())
        .to_string()
        .chars()
        .take(12)
        .collect()
});

/// Where the asset of that name is.
pub(crate) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *EDITION)
}

/// Assets of other editions are gone: their names would be kept with the wrong text.
pub(crate) async fn serve(Path((edition, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name && edition == *EDITION);
    let asset = asset.ok_or_else(|| Problem::not_found("there is no such file; reload the page"))?;
    let kept = "public, max-age=31536000, immutable";
    Ok((
        [
            (header::CONTENT_TYPE, asset.media_type),
            (header::CACHE_CONTROL, kept),
        ],
        asset.text,
    )
        .into_response())
}
