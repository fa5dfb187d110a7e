-- 004_audit.sql: signed heads of the audit tree, and the persons behind its pseudonyms. The rules of 001_initial.sql hold.

-- records of an earlier form would not fit their leaves: there are none
ALTER TABLE audit ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN behind_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX audit_object ON audit (object, seq);

CREATE TABLE audit_heads (
	size          INTEGER NOT NULL PRIMARY KEY,
	root          BLOB    NOT NULL,
	at            INTEGER NOT NULL,
	issuer_id     TEXT    NOT NULL,
	signature     BLOB    NOT NULL,
	witness       TEXT    NOT NULL,
	witnessed_at  INTEGER
) STRICT;

-- a row deleted here is a person deleted from every record
CREATE TABLE audit_persons (
	name     TEXT    NOT NULL PRIMARY KEY,
	alias    TEXT    NOT NULL UNIQUE,
	salt     BLOB    NOT NULL,
	since_at INTEGER NOT NULL
) STRICT;
