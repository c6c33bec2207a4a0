use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;
use crate::store::service::with_causes;

/// Why a call did not succeed, before it is said where.
pub(super) enum Failure {
    Sql(Error),
    TimedOut(Duration),
    Store(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    /// With the place, and with what to do.
    pub(super) fn at(self, place: &str) -> StoreError {
        let error = match self {
            Self::Store(error) => return error,
            Self::TimedOut(limit) => {
                return StoreError::Unreachable(format!(
                    "{place} has not answered for {:.1} s; see whether it is up and who holds locks there",
                    limit.as_secs_f64()
                ));
            }
            Self::Sql(error) => error,
        };
        let text = format!("{place}: {}", with_causes(&error));
        match error.code() {
            None => StoreError::Unreachable(format!(
                "{text}; see whether it is up and the url has the right host, port and sslmode"
            )),
            Some(code) if is_damage(code) => StoreError::Damaged(format!("{text}; run `check`")),
            Some(code) if is_refusal(code) => StoreError::Unsuited(format!(
                "{text}; see whether the user, its password, its rights and the database are as they should be"
            )),
            Some(_) => StoreError::Unreachable(format!("{text}; its own log may say more")),
        }
    }
}

/// Classes 22 (data), 23 (constraints), 42 without rights (tables are not as they were made), XX (corruption).
fn is_damage(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    matches!(class, "22" | "23" | "42" | "XX") && *code != SqlState::INSUFFICIENT_PRIVILEGE
}

/// Classes 28 (who are you), 3D (no such database), and rights.
fn is_refusal(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    matches!(class, "28" | "3D" | "3F") || *code == SqlState::INSUFFICIENT_PRIVILEGE
}
