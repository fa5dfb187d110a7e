-- 012_bans.sql: invites that replace a host, and host keys that stay out when their name goes on. The rules of 001_initial.sql hold.

ALTER TABLE invites ADD COLUMN replaces INTEGER NOT NULL DEFAULT 0;

CREATE TABLE bans (
	host_hash BLOB    NOT NULL PRIMARY KEY,
	name      TEXT    NOT NULL,
	since_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
