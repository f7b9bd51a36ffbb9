CREATE TABLE api_tokens (
    id           BLOB    NOT NULL PRIMARY KEY,
    token_hash   BLOB    NOT NULL UNIQUE,
    account      BLOB    NOT NULL REFERENCES accounts (id),
    name         TEXT    NOT NULL,
    name_fold    TEXT    NOT NULL,
    roles        TEXT    NOT NULL, -- JSON
    groups       TEXT    NOT NULL, -- JSON
    created_by   BLOB,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT;
-- A revoked token's name is free again.
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (account, name_fold) WHERE revoked_at IS NULL;
CREATE INDEX api_tokens_account ON api_tokens (account, created_at DESC, id DESC);
