-- SPDX-License-Identifier: Apache-2.0
-- Words in braces differ between the databases; see service/store/migration.h.

CREATE TABLE token (
    hash {bytes} NOT NULL,               -- SHA-256 of the secret
    kind {int} NOT NULL,                 -- 0 USER, 1 SERVICE
    owner {text} NOT NULL,
    name {text} NOT NULL,
    description {text} NOT NULL,
    roles {text} NOT NULL,               -- JSON array of names
    expires_day {int} NOT NULL,          -- days since 1970-01-01; valid until 00:00 UTC of it
    created_us {int} NOT NULL,           -- microseconds since 1970-01-01
    last_used_us {int} NOT NULL          -- 0: not used yet
) {strict};
CREATE UNIQUE INDEX token_by_hash ON token (hash);
CREATE UNIQUE INDEX token_by_owner ON token (kind, owner, name);
-- Pages of everybody's tokens; with the day, so that a page by state skips rows without reading them.
CREATE INDEX token_by_name ON token (kind, name, owner, expires_day);

-- A Set that may be sent again, for 24 hours.
CREATE TABLE request (
    principal {text} NOT NULL,
    id {text} NOT NULL,
    fingerprint {bytes} NOT NULL,        -- of the request's content
    salt {bytes} NOT NULL,               -- the secret derives from it
    token_hash {bytes} NOT NULL,         -- what was made
    expires_us {int} NOT NULL,
    PRIMARY KEY (principal, id)
) {strict};
CREATE INDEX request_by_expiry ON request (expires_us);

CREATE TABLE profile (
    user_name {text} NOT NULL PRIMARY KEY,
    email_notification {int} NOT NULL,
    slack_notification {int} NOT NULL,
    bucket {text},                       -- NULL: not chosen
    pool {text}
) {strict};

CREATE TABLE role (
    name {text} NOT NULL PRIMARY KEY,
    description {text} NOT NULL,
    policies {text} NOT NULL,            -- JSON: [{"actions":["http:/path:Method"]}]
    immutable {int} NOT NULL
) {strict};

CREATE TABLE setting (
    name {text} NOT NULL PRIMARY KEY,
    value {bytes} NOT NULL
) {strict};

-- What would be a COUNT(*) otherwise; kept by the writes, in their transaction.
CREATE TABLE counter (
    name {text} NOT NULL PRIMARY KEY,
    value {int} NOT NULL
) {strict};
INSERT INTO counter (name, value) VALUES ('user_tokens', 0);
INSERT INTO counter (name, value) VALUES ('service_tokens', 0);
-- Raised to find out whether the database can be written again (a row that stays the same would not
-- reach the disk).
INSERT INTO counter (name, value) VALUES ('write_probes', 0);
