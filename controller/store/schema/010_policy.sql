-- 010_policy.sql: what services say about the policy of their certificates, and changes of policy on their way through them. The rules of
-- 001_initial.sql hold.

-- policy: JSON object of overridden template fields, '' = none; windows: as in a target file, '' = any time
ALTER TABLE services ADD COLUMN windows TEXT NOT NULL DEFAULT '';
ALTER TABLE services ADD COLUMN policy TEXT NOT NULL DEFAULT '';
ALTER TABLE services ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- object: 'template:ID' or 'service:NAME'; gone when every certificate was looked at. after: the last one that was
CREATE TABLE policy_walks (
	object     TEXT    NOT NULL PRIMARY KEY,
	version    INTEGER NOT NULL,
	after      TEXT    NOT NULL,
	busy       INTEGER NOT NULL,
	next_at    INTEGER NOT NULL,
	ordered    INTEGER NOT NULL,
	skipped    INTEGER NOT NULL,
	actor      TEXT    NOT NULL,
	request_id BLOB,
	reason     TEXT    NOT NULL,
	started_at INTEGER NOT NULL
) STRICT;

CREATE INDEX certificates_template ON certificates (template_id, cert_id);
CREATE INDEX orders_paused ON orders (renewal_id) WHERE phase = 'paused';
