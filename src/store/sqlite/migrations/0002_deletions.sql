-- Accounts that are deleted, while what they leave behind is removed step by step.
CREATE TABLE deletions (
    account    BLOB    NOT NULL PRIMARY KEY,
    deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
