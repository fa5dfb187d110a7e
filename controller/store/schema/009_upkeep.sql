-- 009_upkeep.sql: what has ended long ago, found by its end, and how much of it went to the archive. The rules of 001_initial.sql hold.

CREATE INDEX issuances_ended ON issuances (not_after_at, serial);
CREATE INDEX orders_ended ON orders (completed_at, renewal_id) WHERE completed_at IS NOT NULL;

-- of each certificate; a file is named by its number
CREATE TABLE archived (
	cert_id    TEXT    NOT NULL PRIMARY KEY,
	issuances  INTEGER NOT NULL,
	orders     INTEGER NOT NULL,
	first_file INTEGER NOT NULL,
	last_file  INTEGER NOT NULL,
	last_at    INTEGER NOT NULL
) STRICT;
