-- 020_rollovers.sql: authorities give way to others. The rules of 001_initial.sql hold.

-- standing: issues, stands_by (made, signs nothing yet or any more), drains (gives way to successor_id)
ALTER TABLE issuers ADD COLUMN standing     TEXT NOT NULL DEFAULT 'issues';
ALTER TABLE issuers ADD COLUMN successor_id TEXT NOT NULL DEFAULT '';

CREATE TABLE rollovers (
	issuer_id      TEXT    NOT NULL PRIMARY KEY,
	successor_id   TEXT    NOT NULL,
	phase          TEXT    NOT NULL,
	emergency      INTEGER NOT NULL,
	closed         INTEGER NOT NULL,
	campaign_id    BLOB,
	campaigns      INTEGER NOT NULL,
	code           INTEGER NOT NULL,
	cause          TEXT    NOT NULL,
	actor          TEXT    NOT NULL,
	reason         TEXT    NOT NULL,
	created_at     INTEGER NOT NULL,
	prepared_at    INTEGER,
	issuing_at     INTEGER,
	draining_at    INTEGER,
	ended_at       INTEGER,
	next_at        INTEGER,
	overridden     INTEGER NOT NULL,
	consumers      INTEGER NOT NULL,
	consumers_hash BLOB
) STRICT;
