use registry::{Account, ApiKey, IssuedKey, Owner, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::display::rfc3339;

/// A key for programs, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyBody {
    /// Its number.
    id: u64,
    /// Whose.
    owner: String,
    /// What it is for.
    label: String,
    /// `data`: read data; `run`: start and stop runs; `manage`: everything else.
    #[schema(value_type = Vec<String>, example = json!(["data"]))]
    scopes: Vec<Scope>,
    /// Its first letters, to tell keys apart.
    prefix: String,
    /// RFC 3339.
    created_at: String,
    /// When it was used last, to the hour, RFC 3339.
    used_at: Option<String>,
    /// When it ends, RFC 3339.
    expires_at: Option<String>,
}

impl From<&ApiKey> for KeyBody {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.0,
            owner: key.owner.to_string(),
            label: key.label.clone(),
            scopes: key.scopes.clone(),
            prefix: key.prefix.clone(),
            created_at: rfc3339(key.created_at),
            used_at: key.used_at.map(rfc3339),
            expires_at: key.expires_at.map(rfc3339),
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedKey)]
pub(crate) struct IssuedKeyBody {
    key: KeyBody,
    /// The key itself. It is shown only now.
    token: String,
}

impl From<&IssuedKey> for IssuedKeyBody {
    fn from(issued: &IssuedKey) -> Self {
        Self {
            key: KeyBody::from(&issued.key),
            token: issued.token.reveal().to_owned(),
        }
    }
}

/// Somebody who may sign in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountBody {
    /// What they sign in with, and the owner of their scrapers.
    name: String,
    /// Where mail goes.
    email: Option<String>,
    /// Whether they may do everything.
    is_operator: bool,
    /// Whether they may not sign in any more.
    is_disabled: bool,
    /// Whether there is a password; who has none signs in at a provider.
    has_password: bool,
    /// Whether they want mail about their scrapers.
    wants_mail: bool,
    /// RFC 3339.
    created_at: String,
}

impl From<&Account> for AccountBody {
    fn from(account: &Account) -> Self {
        Self {
            name: account.name.to_string(),
            email: account.email.clone(),
            is_operator: account.is_operator,
            is_disabled: account.is_disabled,
            has_password: account.has_password,
            wants_mail: account.wants_mail,
            created_at: rfc3339(account.created_at),
        }
    }
}

/// Several people who own scrapers together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organisation)]
pub(crate) struct OrganisationBody {
    name: String,
    /// The accounts that may do everything with what belongs to it.
    members: Vec<String>,
    /// RFC 3339.
    created_at: String,
}

impl From<&Owner> for OrganisationBody {
    fn from(owner: &Owner) -> Self {
        Self {
            name: owner.name.to_string(),
            members: owner.members.iter().map(ToString::to_string).collect(),
            created_at: rfc3339(owner.created_at),
        }
    }
}
