-- SPDX-License-Identifier: Apache-2.0
-- SQLite only: tokens lie in the order of their owner's list, and the index of everybody's list holds
-- the whole row. A page is read from one place then, however many tokens there are; row by row each
-- would come from a page of its own.

DROP INDEX token_by_hash;
DROP INDEX token_by_owner;
DROP INDEX token_by_name;
DROP INDEX token_by_old_hash;
DROP INDEX token_by_expiry;
ALTER TABLE token RENAME TO token_before;

CREATE TABLE token (
    kind {int} NOT NULL,                 -- 0 USER, 1 SERVICE
    owner {text} NOT NULL,
    name {text} NOT NULL,
    hash {bytes} NOT NULL,               -- SHA-256 of the secret
    description {text} NOT NULL,
    roles {text} NOT NULL,               -- JSON array of names
    expires_day {int} NOT NULL,          -- days since 1970-01-01; valid until 00:00 UTC of it
    created_us {int} NOT NULL,           -- microseconds since 1970-01-01
    last_used_us {int} NOT NULL,         -- 0: not used yet
    last_used_from {text} NOT NULL DEFAULT '',  -- an address
    old_hash {bytes},                    -- of the secret before the last rotation
    old_until_us {int} NOT NULL DEFAULT 0,      -- until when that is good
    PRIMARY KEY (kind, owner, name)
) WITHOUT ROWID, {strict};
-- Sorted by value: row by row, along an index, would read the file in no order at all.
INSERT INTO token (kind, owner, name, hash, description, roles, expires_day, created_us, last_used_us,
                   last_used_from, old_hash, old_until_us)
SELECT kind, owner, name, hash, description, roles, expires_day, created_us, last_used_us,
       last_used_from, old_hash, old_until_us
FROM token_before ORDER BY kind, owner, name;
DROP TABLE token_before;

CREATE UNIQUE INDEX token_by_hash ON token (hash);
-- The first four columns find a page and say by state what to skip; the others are the rest of the row.
CREATE INDEX token_by_name ON token (kind, name, owner, expires_day, hash, description, roles, created_us,
                                     last_used_us, last_used_from, old_hash, old_until_us);
CREATE INDEX token_by_old_hash ON token (old_hash) WHERE old_hash IS NOT NULL;
CREATE INDEX token_by_expiry ON token (expires_day);
