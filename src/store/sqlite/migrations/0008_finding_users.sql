-- A search looks into first names too.
CREATE INDEX users_account_first_name ON users (account, first_name_fold, id);
CREATE INDEX users_first_name ON users (first_name_fold, id);

-- Few are locked or disabled.
CREATE INDEX users_locked ON users (account, locked_until) WHERE locked_until IS NOT NULL;
CREATE INDEX users_disabled ON users (account, id) WHERE status = 'DISABLED';
