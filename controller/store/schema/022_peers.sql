-- 022_peers.sql: relying parties, and what they saw. The rules of 001_initial.sql hold.

CREATE TABLE peers (
	cert_id     TEXT    NOT NULL,
	agent       TEXT    NOT NULL,
	address     TEXT    NOT NULL,
	name        TEXT    NOT NULL,
	host_hash   BLOB,
	declared_at INTEGER NOT NULL,
	judged_at   INTEGER,
	renewal_id  BLOB,
	attempt     INTEGER NOT NULL,
	fingerprint BLOB,
	seen        BLOB,
	code        INTEGER NOT NULL,
	cause       TEXT    NOT NULL,
	handshakes  INTEGER NOT NULL,
	others      INTEGER NOT NULL,
	trust_epoch INTEGER NOT NULL,
	PRIMARY KEY (cert_id, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX peers_agent ON peers (agent, cert_id);

ALTER TABLE campaigns ADD COLUMN peer_proof    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN peer_unproved INTEGER NOT NULL DEFAULT 0;
