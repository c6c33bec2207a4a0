mod operators;
mod reader;
mod serve;

pub use reader::{PdfError, PdfLimits, PdfReader};
pub use serve::{ServeError, serve_pdf};

use serde::{Deserialize, Serialize};

use crate::Extract;

/// The first line that the reader sends to the child, before the PDF: the limits that the child sets on itself.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    memory_bytes: u64,
    cpu_seconds: u64,
}

/// What the child answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Extract(Extract),
    Broken(String),
    Encrypted,
}
