use std::path::Path;

use rusqlite::ErrorCode;

use crate::port::StoreError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Says in words what SQLite could not do, and what helps.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    let code = error.sqlite_error_code();
    let advice = match code {
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
            "the file is damaged or no crawl database; restore it, or move it away and crawl again".into()
        }
        _ => format!("SQLite failed: {error}"),
    };
    let passing = [
        ErrorCode::DiskFull,
        ErrorCode::DatabaseBusy,
        ErrorCode::DatabaseLocked,
    ];
    let retryable = code.is_some_and(|code| passing.contains(&code));
    StoreError {
        retryable,
        ..failed(path, advice, Some(Box::new(error)))
    }
}

pub(super) fn failed(path: &Path, reason: String, source: Option<Cause>) -> StoreError {
    StoreError {
        place: path.display().to_string(),
        reason,
        retryable: false,
        source,
    }
}
