-- The outbox. A mail that waits or is in hand is due at some moment: the next attempt, or the end of its holder's lease.
CREATE TABLE mails (
    id         BLOB    NOT NULL PRIMARY KEY,
    account    BLOB    NOT NULL,
    user       BLOB    NOT NULL,
    address    TEXT    NOT NULL,
    to_fold    TEXT    NOT NULL,
    language   TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    content    TEXT    NOT NULL, -- JSON
    key        TEXT,
    state      TEXT    NOT NULL,
    attempts   INTEGER NOT NULL,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    due_at     INTEGER,
    sent_at    INTEGER,
    holder     BLOB
) STRICT;
CREATE UNIQUE INDEX mails_key ON mails (account, key) WHERE key IS NOT NULL;
CREATE INDEX mails_due ON mails (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX mails_user ON mails (account, user);
-- The lists of operators.
CREATE INDEX mails_created_at ON mails (created_at, id);
CREATE INDEX mails_state ON mails (state, created_at, id);
CREATE INDEX mails_to ON mails (to_fold, created_at, id);

-- Links that set a password, by the SHA-256 of their secrets.
CREATE TABLE links (
    hash                BLOB    NOT NULL PRIMARY KEY,
    account             BLOB    NOT NULL,
    user                BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mail                BLOB    NOT NULL,
    to_fold             TEXT    NOT NULL,
    kind                TEXT    NOT NULL,
    created_at          INTEGER NOT NULL,
    expires_at          INTEGER NOT NULL,
    password_changed_at INTEGER,
    used_at             INTEGER,
    superseded_at       INTEGER
) STRICT;
CREATE INDEX links_user ON links (user, mail);
CREATE INDEX links_expires_at ON links (expires_at);

-- The last report of each kind that was filed.
CREATE TABLE report_marks (
    account   BLOB NOT NULL,
    kind      TEXT NOT NULL,
    first_day TEXT NOT NULL,
    PRIMARY KEY (account, kind)
) STRICT;

-- Who asked for what, and has an address that it goes to.
CREATE INDEX users_want_limits_exhausted ON users (account, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.limits_exhausted');
CREATE INDEX users_want_subscriber_complaints ON users (account, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.subscriber_complaints');
CREATE INDEX users_want_hard_bounces ON users (account, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.hard_bounces');
CREATE INDEX users_want_soft_bounces ON users (account, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.soft_bounces');
CREATE INDEX users_want_daily_reports ON users (account, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.daily_reports');
CREATE INDEX users_want_weekly_reports ON users (account, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.weekly_reports');
CREATE INDEX users_want_security_notices ON users (account, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.security_notices');
-- The moment comes first of those that follow the account: few passwords expire within some days.
CREATE INDEX users_expiring ON users (account, password_expires_at, id)
    WHERE status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL
    AND json_extract(notifications, '$.security_notices') AND is_ldap AND password_expires_at IS NOT NULL;

-- From which countries people signed in.
CREATE INDEX login_events_country ON login_events (account, json_extract(location, '$.country_code'), at)
    WHERE outcome = 'SUCCESS' AND method <> 'IMPERSONATION' AND location IS NOT NULL;
