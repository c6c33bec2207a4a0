use std::path::Path;

use rusqlite::ErrorCode;

use crate::port::LogError;

/// Says in words what SQLite could not do, and what helps.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> LogError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space and try again".into(),
        Some(ErrorCode::ReadOnly) => {
            "the file or its folder is read-only; allow this user to write there".into()
        }
        Some(ErrorCode::CannotOpen) => {
            "the file cannot be opened; check the folder and its permissions".into()
        }
        Some(ErrorCode::PermissionDenied) => "access was denied; allow this user to write there".into(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has kept the file locked for too long; try again".into()
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "the file is damaged or no update log; restore it, or move it away and crawl again".into()
        }
        _ => format!("SQLite failed: {error}"),
    };
    store(path, advice, Some(Box::new(error)))
}

pub(super) fn store(
    path: &Path,
    reason: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
) -> LogError {
    LogError::Store {
        place: path.display().to_string(),
        reason,
        source,
    }
}
