-- 002_hosts.sql: a certificate may be served at several places of its host.

CREATE TABLE targets_2 (
	target_id   TEXT    NOT NULL PRIMARY KEY,
	cert_id     TEXT    NOT NULL,
	agent       TEXT    NOT NULL,
	stem        TEXT    NOT NULL,
	reload_kind TEXT    NOT NULL,
	verify_kind TEXT    NOT NULL,
	listeners   TEXT    NOT NULL,
	digest      BLOB,
	served      BLOB,
	proved_at   INTEGER,
	reported_at INTEGER NOT NULL,
	last_code   INTEGER NOT NULL,
	state_code     INTEGER NOT NULL DEFAULT 0,
	stale_since_at INTEGER,
	rehearsed_at   INTEGER,
	drifted_at     INTEGER,
	drifts         INTEGER NOT NULL DEFAULT 0,
	trust_epoch    INTEGER NOT NULL DEFAULT 0,
	trust_proof    INTEGER NOT NULL DEFAULT 0,
	crl_hash       BLOB,
	cared_at       INTEGER
) STRICT;
INSERT INTO targets_2 (target_id, cert_id, agent, stem, reload_kind, verify_kind, listeners, digest, served, proved_at, reported_at, last_code)
	SELECT CASE cert_id WHEN agent || '-' || stem THEN cert_id ELSE cert_id || ':' || stem END,
	       cert_id, agent, stem, reload_kind, verify_kind, listeners, digest, served, proved_at, reported_at, last_code
	FROM targets;
DROP TABLE targets;
ALTER TABLE targets_2 RENAME TO targets;
CREATE INDEX targets_agent ON targets (agent, target_id);
CREATE INDEX targets_cert ON targets (cert_id, target_id);
