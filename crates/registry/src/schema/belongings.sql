-- What belongs to a scraper and goes with it. Values are sealed: they are text that only the keyring opens.
CREATE TABLE secrets (
    scraper TEXT NOT NULL REFERENCES scrapers (key) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scraper, name)
);

CREATE TABLE webhooks (
    id BIGINT PRIMARY KEY,
    scraper TEXT NOT NULL REFERENCES scrapers (key) ON DELETE CASCADE,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    key TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhooks_of_scraper ON webhooks (scraper, id);

-- Calls of webhooks: those that wait, and the newest ones that do not.
CREATE TABLE deliveries (
    id BIGINT PRIMARY KEY,
    webhook BIGINT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    run BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    answer TEXT,
    took_ms BIGINT
);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook, id);
CREATE INDEX deliveries_of_run ON deliveries (run);
CREATE INDEX due_deliveries ON deliveries (tries, due_at, id) WHERE state = 'waiting';

-- Letters that are to be written; a row goes when somebody takes the letter. A digest is about no run.
CREATE TABLE letters (
    id BIGINT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (owner) ON DELETE CASCADE,
    run BIGINT REFERENCES runs (id) ON DELETE CASCADE,
    news TEXT NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE INDEX letters_of_run ON letters (run);
CREATE INDEX due_letters ON letters (due_at);
