-- 003_rights.sql: persons behind principals, what a token may at most, approvals. The rules of 001_initial.sql hold.

CREATE TABLE principals_3 (
	name       TEXT    NOT NULL PRIMARY KEY,
	roles      INTEGER NOT NULL,
	services   TEXT    NOT NULL,
	person     TEXT    NOT NULL,
	disabled   INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	maker      TEXT    NOT NULL
) STRICT;
INSERT INTO principals_3 (name, roles, services, person, disabled, created_at, maker)
	SELECT name, roles, services, CASE person WHEN 0 THEN '' ELSE name END, disabled, created_at, 'init' FROM principals;
DROP TABLE principals;
ALTER TABLE principals_3 RENAME TO principals;

ALTER TABLE tokens ADD COLUMN roles INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN services TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN maker TEXT NOT NULL DEFAULT 'init';
CREATE INDEX tokens_principal ON tokens (principal, token_id);

-- hash: of `what`, the text that was shown to whoever decides
CREATE TABLE approvals (
	approval_id        BLOB    NOT NULL PRIMARY KEY,
	kind               TEXT    NOT NULL,
	object             TEXT    NOT NULL,
	service            TEXT    NOT NULL,
	what               TEXT    NOT NULL,
	hash               BLOB,
	requester          TEXT    NOT NULL,
	person             TEXT    NOT NULL,
	maker_of_principal TEXT    NOT NULL,
	maker_of_token     TEXT    NOT NULL,
	state              TEXT    NOT NULL,
	created_at         INTEGER NOT NULL,
	expires_at         INTEGER NOT NULL,
	decided_at         INTEGER,
	decider            TEXT    NOT NULL,
	comment            TEXT    NOT NULL
) STRICT;
CREATE INDEX approvals_waiting ON approvals (approval_id) WHERE state = 'waiting';
CREATE INDEX approvals_object ON approvals (object, approval_id);
