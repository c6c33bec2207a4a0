-- The format of these tables: one row.
CREATE TABLE format (
    version INTEGER NOT NULL
);

-- The last number that was given, of each kind of numbered thing.
CREATE TABLE counters (
    kind TEXT PRIMARY KEY,
    last BIGINT NOT NULL
);

-- Whoever scrapers belong to. `key` is the name in small letters.
CREATE TABLE owners (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Those among the owners who may sign in. `password` is a PHC string; `digest_day` the last day on which a digest was made.
CREATE TABLE accounts (
    owner TEXT PRIMARY KEY REFERENCES owners (key) ON DELETE CASCADE,
    email TEXT,
    password TEXT,
    is_operator BIGINT NOT NULL,
    is_disabled BIGINT NOT NULL,
    wants_mail BIGINT NOT NULL,
    digest_day BIGINT NOT NULL
);

-- Tries to sign in that were wrong, in a row, by the name that was tried, whether or not there is such an account.
CREATE TABLE tries (
    name TEXT PRIMARY KEY,
    wrong BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX tries_by_time ON tries (last_at);

-- Who belongs to an organisation.
CREATE TABLE members (
    organisation TEXT NOT NULL REFERENCES owners (key) ON DELETE CASCADE,
    member TEXT NOT NULL REFERENCES owners (key) ON DELETE CASCADE,
    PRIMARY KEY (organisation, member)
);
CREATE INDEX organisations_of_member ON members (member);

CREATE TABLE identities (
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (owner) ON DELETE CASCADE,
    PRIMARY KEY (provider, subject)
);

-- `token` is the SHA-256 of what the cookie holds.
CREATE TABLE sessions (
    token TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (owner) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_account ON sessions (account);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- `token` is the SHA-256 of the key.
CREATE TABLE keys (
    id BIGINT PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL REFERENCES owners (key) ON DELETE CASCADE,
    label TEXT NOT NULL,
    scopes TEXT NOT NULL,
    prefix TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    expires_at BIGINT
);
CREATE INDEX keys_of_owner ON keys (owner, id);
