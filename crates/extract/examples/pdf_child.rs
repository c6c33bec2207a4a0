//! The least program that a `PdfReader` can start.

use std::io;

use extract::{ServeError, serve_pdf};

fn main() -> Result<(), ServeError> {
    serve_pdf(io::stdin().lock(), io::stdout().lock())
}
