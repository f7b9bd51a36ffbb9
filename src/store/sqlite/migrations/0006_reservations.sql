-- Attempts to sign in that are under way take a place among the wrong passwords before they are tried.
ALTER TABLE failures ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE failures ADD COLUMN reserved_at INTEGER;
