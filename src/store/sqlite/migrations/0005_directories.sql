-- One entry of a directory is linked to at most one user of an account.
CREATE UNIQUE INDEX users_directory_link ON users
    (account, json_extract(directory_link, '$.directory'), json_extract(directory_link, '$.external_id'))
    WHERE directory_link IS NOT NULL;
CREATE INDEX users_directory ON users (account, json_extract(directory_link, '$.directory'), id)
    WHERE directory_link IS NOT NULL AND is_ldap;
-- Who is signed in, user by user.
CREATE INDEX sessions_user_expires_at ON sessions (user, expires_at);

-- Who is at work that one process at a time does.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     BLOB    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_expires_at ON leases (expires_at);
