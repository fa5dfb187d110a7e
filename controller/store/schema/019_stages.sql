-- 019_stages.sql: the next key of a certificate, made and checked before it is needed. The rules of 001_initial.sql hold.

CREATE TABLE stages (
	cert_id    TEXT    NOT NULL PRIMARY KEY,
	spki_hash  BLOB,
	host_hash  BLOB,
	key_type   TEXT    NOT NULL,
	spki       BLOB,
	issuer_id  TEXT    NOT NULL,
	renewal_id BLOB,
	made_at    INTEGER NOT NULL,
	ready_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX stages_host ON stages (host_hash, cert_id);
