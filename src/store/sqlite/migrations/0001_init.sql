-- Identifiers are UUIDs of 16 bytes, moments are milliseconds since 1970 in UTC, enumerations are the names that the
-- API gives them. Columns that end in _fold hold the form in which a text is compared; BINARY is by code point.

CREATE TABLE accounts (
    id               BLOB    NOT NULL PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE,
    title            TEXT    NOT NULL,
    title_fold       TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    time_zone        TEXT    NOT NULL,
    default_language TEXT    NOT NULL,
    directory        TEXT,
    directory_only   INTEGER NOT NULL,
    password_policy  TEXT    NOT NULL, -- JSON
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    revision         INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_created_at ON accounts (created_at, id);

CREATE TABLE users (
    id                   BLOB    NOT NULL PRIMARY KEY,
    account              BLOB    NOT NULL REFERENCES accounts (id),
    login                TEXT    NOT NULL,
    first_name           TEXT    NOT NULL,
    first_name_fold      TEXT    NOT NULL,
    last_name            TEXT    NOT NULL,
    last_name_fold       TEXT    NOT NULL,
    email                TEXT,
    email_fold           TEXT,
    language             TEXT    NOT NULL,
    phone                TEXT,
    status               TEXT    NOT NULL,
    disabled_by          TEXT,
    locked_until         INTEGER,
    notifications        TEXT    NOT NULL, -- JSON
    must_change_password INTEGER NOT NULL,
    password_hash        TEXT,
    password_history     TEXT    NOT NULL DEFAULT '[]', -- JSON, newest first
    password_changed_at  INTEGER,
    password_expires_at  INTEGER,
    is_ldap              INTEGER NOT NULL,
    directory_link       TEXT, -- JSON
    grants               TEXT    NOT NULL, -- JSON; user_roles, user_groups and is_master follow from it
    is_master            INTEGER NOT NULL,
    last_login           TEXT, -- JSON: the sign-in itself, because the history is purged and this is not
    last_login_at        INTEGER,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    revision             INTEGER NOT NULL,
    UNIQUE (account, login)
) STRICT;
-- Each order has its index, within one account and over all.
CREATE INDEX users_account_last_name ON users (account, last_name_fold, id);
CREATE INDEX users_account_email ON users (account, email_fold, id);
CREATE INDEX users_account_created_at ON users (account, created_at, id);
CREATE INDEX users_account_last_login ON users (account, last_login_at, id);
CREATE INDEX users_login ON users (login, id);
CREATE INDEX users_last_name ON users (last_name_fold, id);
CREATE INDEX users_email ON users (email_fold, id);
CREATE INDEX users_created_at ON users (created_at, id);
CREATE INDEX users_last_login ON users (last_login_at, id);
CREATE INDEX users_masters ON users (account, status) WHERE is_master;

-- Whether a granted role or group exists is looked after where grants are made, as on every store.
CREATE TABLE user_roles (
    role BLOB NOT NULL,
    user BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (role, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_roles_user ON user_roles (user);

CREATE TABLE user_groups (
    group_id BLOB NOT NULL,
    user     BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_groups_user ON user_groups (user);

CREATE TABLE roles (
    id          BLOB    NOT NULL PRIMARY KEY,
    account     BLOB    NOT NULL REFERENCES accounts (id),
    name        TEXT    NOT NULL,
    name_fold   TEXT    NOT NULL,
    description TEXT    NOT NULL,
    permissions TEXT    NOT NULL, -- JSON
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    UNIQUE (account, name_fold)
) STRICT;
CREATE INDEX roles_name ON roles (name_fold, id);

CREATE TABLE groups (
    id          BLOB    NOT NULL PRIMARY KEY,
    account     BLOB    NOT NULL REFERENCES accounts (id),
    name        TEXT    NOT NULL,
    name_fold   TEXT    NOT NULL,
    description TEXT    NOT NULL,
    is_main     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    UNIQUE (account, name_fold)
) STRICT;
CREATE INDEX groups_name ON groups (name_fold, id);
CREATE UNIQUE INDEX groups_main ON groups (account) WHERE is_main;

CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    token_hash   BLOB    NOT NULL UNIQUE,
    account      BLOB    NOT NULL REFERENCES accounts (id),
    user         BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    origin       TEXT    NOT NULL, -- JSON
    impersonator TEXT -- JSON
) STRICT;
CREATE INDEX sessions_user ON sessions (user, created_at, id);
CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- A sign-in outlives its user.
CREATE TABLE login_events (
    id               BLOB    NOT NULL PRIMARY KEY,
    account          BLOB    NOT NULL,
    user             BLOB,
    at               INTEGER NOT NULL,
    attempted_login  TEXT    NOT NULL,
    outcome          TEXT    NOT NULL,
    method           TEXT    NOT NULL,
    ip               TEXT    NOT NULL,
    location         TEXT, -- JSON
    browser          TEXT,
    operating_system TEXT,
    device           TEXT,
    user_agent       TEXT,
    detail           TEXT,
    attempts         INTEGER NOT NULL,
    impersonator     TEXT -- JSON
) STRICT;
CREATE INDEX login_events_account ON login_events (account, at DESC, id DESC);
CREATE INDEX login_events_user ON login_events (user, at DESC, id DESC) WHERE user IS NOT NULL;
CREATE INDEX login_events_at ON login_events (at DESC, id DESC);

CREATE TABLE audit_entries (
    id           BLOB    NOT NULL PRIMARY KEY,
    account      BLOB    NOT NULL,
    at           INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    actor_user   BLOB,
    impersonator TEXT, -- JSON
    ip           TEXT   ,
    action       TEXT    NOT NULL,
    target_type  TEXT    NOT NULL,
    target_id    BLOB    NOT NULL,
    target_name  TEXT    NOT NULL,
    changes      TEXT    NOT NULL -- JSON
) STRICT;
CREATE INDEX audit_entries_account ON audit_entries (account, at DESC, id DESC);
CREATE INDEX audit_entries_actor ON audit_entries (actor_user, at DESC, id DESC) WHERE actor_user IS NOT NULL;
CREATE INDEX audit_entries_target ON audit_entries (target_id, at DESC, id DESC);
CREATE INDEX audit_entries_at ON audit_entries (at DESC, id DESC);

-- Wrong passwords; an empty network counts those from everywhere.
CREATE TABLE failures (
    account      BLOB    NOT NULL,
    login        BLOB    NOT NULL,
    network      BLOB    NOT NULL,
    count        INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    locked_until INTEGER,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (account, login, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX failures_expires_at ON failures (expires_at);

-- Attempts in a window of time, for limits.
CREATE TABLE attempts (
    key          BLOB    NOT NULL,
    window_start INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (key, window_start)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_expires_at ON attempts (expires_at);
