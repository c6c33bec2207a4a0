-- `configuration` is raised by each change of settings or origin; `forgiven` are the failures after which somebody let its schedule go on.
ALTER TABLE scrapers ADD COLUMN configuration BIGINT NOT NULL DEFAULT 1;
ALTER TABLE scrapers ADD COLUMN forgiven BIGINT NOT NULL DEFAULT 0;

-- When the worker was heard first.
ALTER TABLE workers ADD COLUMN since BIGINT NOT NULL DEFAULT 0;

-- Each scraper has files of its own; its few versions are looked through.
DROP INDEX versions_by_checksum;

-- Until when a delivery belongs to the process that makes the call; null where nobody does.
ALTER TABLE deliveries ADD COLUMN reserved_until BIGINT;
CREATE INDEX reserved_deliveries ON deliveries (reserved_until) WHERE reserved_until IS NOT NULL;
DROP INDEX due_deliveries;
CREATE INDEX due_deliveries ON deliveries (due_at, tries, id) WHERE state = 'waiting';
