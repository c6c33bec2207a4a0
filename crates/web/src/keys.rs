//! Keys for programs, whoever asks for them: a page or the API.

use axum::http::StatusCode;
use model::{OwnerName, Timestamp};
use registry::{ApiKey, IssuedKey, KeyId, Scope, Secret};
use serde::Deserialize;

use crate::clock;
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// The owner that a path names.
#[derive(Deserialize)]
pub(crate) struct Whose {
    pub(crate) owner: OwnerName,
}

/// The key that a path names.
#[derive(Deserialize)]
pub(crate) struct Which {
    pub(crate) owner: OwnerName,
    pub(crate) key: KeyId,
}

/// The keys of an owner, for somebody who may manage them.
pub(crate) struct Keys<'a> {
    app: &'a App,
    visitor: &'a Visitor,
    owner: OwnerName,
}

impl<'a> Keys<'a> {
    /// Refuses whoever may not.
    pub(crate) async fn of(app: &'a App, visitor: &'a Visitor, owner: OwnerName) -> Result<Self, Problem> {
        visitor.must(app, Scope::Manage, &owner).await?;
        Ok(Self { app, visitor, owner })
    }

    /// All of them, newest first.
    pub(crate) async fn list(&self) -> Result<Vec<ApiKey>, Problem> {
        Ok(self.app.runner.registry().keys(&self.owner).await?)
    }

    /// Makes one.
    pub(crate) async fn issue(
        &self,
        label: &str,
        scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
    ) -> Result<IssuedKey, Problem> {
        self.must_have_all(&scopes)?;
        let registry = self.app.runner.registry();
        let issued = registry.issue_key(&self.owner, label, scopes, expires_at, clock::now());
        Ok(issued.await?)
    }

    /// Takes one over that its holder has already.
    pub(crate) async fn import(
        &self,
        label: &str,
        scopes: Vec<Scope>,
        token: Secret,
    ) -> Result<ApiKey, Problem> {
        self.must_have_all(&scopes)?;
        let registry = self.app.runner.registry();
        let imported = registry.import_key(&self.owner, label, token, scopes, clock::now());
        Ok(imported.await?)
    }

    /// Makes one with the same label and scopes in the place of `key`, which goes on working for so long.
    pub(crate) async fn rotate(&self, key: KeyId, overlap_seconds: u64) -> Result<IssuedKey, Problem> {
        let known = self.list().await?;
        let scopes = known
            .iter()
            .find(|known| known.id == key)
            .map(|known| known.scopes.as_slice());
        self.must_have_all(scopes.unwrap_or_default())?;
        let registry = self.app.runner.registry();
        let issued = registry.rotate_key(&self.owner, key, overlap_seconds, clock::now());
        Ok(issued.await?)
    }

    /// Ends one at once.
    pub(crate) async fn revoke(&self, key: KeyId) -> Result<(), Problem> {
        Ok(self.app.runner.registry().revoke_key(&self.owner, key).await?)
    }

    fn must_have_all(&self, scopes: &[Scope]) -> Result<(), Problem> {
        let Visitor::Program(key) = self.visitor else {
            return Ok(());
        };
        if scopes.iter().all(|scope| key.scopes.contains(scope)) {
            return Ok(());
        }
        let detail = "a key makes no key that may do more than itself; sign in to make it";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}
