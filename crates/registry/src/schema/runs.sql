-- Scrapers. `id` is the name as it was written, `key` the same in small letters; `words` are name and description in small letters;
-- `follows` is the key of the scraper after which it runs.
-- `next_cause` is why there is another run as soon as the one that is not over is; `hosts` are those that the last run talked to.
CREATE TABLE scrapers (
    key TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    owner TEXT NOT NULL REFERENCES owners (key),
    origin TEXT NOT NULL,
    settings TEXT NOT NULL,
    words TEXT NOT NULL,
    follows TEXT,
    is_upload BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT,
    paused TEXT,
    failures BIGINT NOT NULL DEFAULT 0,
    next_cause TEXT,
    language TEXT,
    hosts TEXT NOT NULL DEFAULT ''
);
CREATE INDEX scrapers_of_owner ON scrapers (owner, key);
CREATE INDEX due_scrapers ON scrapers (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX followers ON scrapers (follows) WHERE follows IS NOT NULL;

-- Runs. What choosing needs (`owner`, `memory_mib`, `hosts`) is copied when the run is queued, so that choosing reads one index.
-- `epoch` is the number of the last lease and null while the run waits; `lease_until` is null unless a worker has it.
-- `chain` names the scrapers that this run follows from, `aftermath` what its end changed.
CREATE TABLE runs (
    id BIGINT PRIMARY KEY,
    scraper TEXT NOT NULL REFERENCES scrapers (key) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    cause TEXT NOT NULL,
    chain TEXT NOT NULL,
    is_awaited BIGINT NOT NULL,
    phase TEXT NOT NULL,
    queued_at BIGINT NOT NULL,
    leased_at BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    worker TEXT,
    epoch BIGINT,
    lease_until BIGINT,
    reserved_by TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT,
    memory_mib BIGINT NOT NULL,
    hosts TEXT NOT NULL,
    stop TEXT,
    outcome TEXT,
    peak_mib BIGINT,
    ending TEXT,
    aftermath TEXT
);
-- A scraper has one unfinished run at most, whatever anybody does.
CREATE UNIQUE INDEX unfinished_run ON runs (scraper) WHERE finished_at IS NULL;
CREATE INDEX unfinished_runs ON runs (id) WHERE finished_at IS NULL;
CREATE INDEX runs_of_scraper ON runs (scraper, id);
CREATE INDEX runs_of_owner ON runs (owner, id);
CREATE INDEX finished_runs ON runs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX leased_runs ON runs (lease_until) WHERE lease_until IS NOT NULL;
-- All that choosing wants to know, in the order in which it wants it.
CREATE INDEX waiting_runs
    ON runs (queued_at, id, owner, is_awaited, memory_mib, hosts, not_before, reserved_by, phase) WHERE phase = 'queued';
CREATE INDEX reserved_runs ON runs (reserved_by) WHERE reserved_by IS NOT NULL;
CREATE INDEX waiting_by_memory ON runs (memory_mib) WHERE phase = 'queued';

CREATE TABLE versions (
    scraper TEXT NOT NULL REFERENCES scrapers (key) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    checksum TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    run BIGINT,
    at BIGINT NOT NULL,
    PRIMARY KEY (scraper, number)
);
CREATE INDEX versions_by_checksum ON versions (checksum);

-- Whom the runs of a scraper talked to, all of them together.
CREATE TABLE domains (
    scraper TEXT NOT NULL REFERENCES scrapers (key) ON DELETE CASCADE,
    host TEXT NOT NULL,
    connections BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (scraper, host)
);

-- When a run that talks to a host got its place last.
CREATE TABLE host_starts (
    host TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);

CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    seen_at BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    slots BIGINT NOT NULL
);
