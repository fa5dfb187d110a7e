-- 002_hosts.sql: what is known of hosts beside their certificates. The rules of 001_initial.sql hold.

-- a certificate may be served at several places of its host
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

-- the newest inventory of each agent: what its host serves by TLS, whoever manages it
CREATE TABLE inventories (
	agent       TEXT    NOT NULL PRIMARY KEY,
	host_hash   BLOB,
	digest      BLOB,
	observed_at INTEGER NOT NULL,
	reported_at INTEGER NOT NULL,
	found       INTEGER NOT NULL
) STRICT;

CREATE TABLE listeners (
	agent         TEXT    NOT NULL,
	address       TEXT    NOT NULL,
	program       TEXT    NOT NULL,
	user          TEXT    NOT NULL,
	unit          TEXT    NOT NULL,
	starttls      INTEGER NOT NULL,
	fingerprint   BLOB,
	subject       TEXT    NOT NULL,
	issuer        TEXT    NOT NULL,
	names         TEXT    NOT NULL,
	n_names       INTEGER NOT NULL,
	not_before_at INTEGER NOT NULL,
	not_after_at  INTEGER NOT NULL,
	self_signed   INTEGER NOT NULL,
	chain         INTEGER NOT NULL,
	PRIMARY KEY (agent, address)
) STRICT;

-- runs of the keeper, and whether two hosts seem to have one identity
ALTER TABLE agents ADD COLUMN run_id BLOB;
ALTER TABLE agents ADD COLUMN run_generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN run_before_id BLOB;
ALTER TABLE agents ADD COLUMN copy TEXT NOT NULL DEFAULT 'none';
ALTER TABLE agents ADD COLUMN copy_at INTEGER;
ALTER TABLE agents ADD COLUMN copy_address TEXT NOT NULL DEFAULT '';
