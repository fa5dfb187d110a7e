-- 001_initial.sql: every noun of the store. Times are milliseconds since 1970 (UTC), enums are kept by name,
-- NULL means none or never. Columns come in the order of controller/store/store_columns.c.

CREATE TABLE counters (
	name  TEXT    NOT NULL PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
	name  TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) STRICT;

CREATE TABLE issuers (
	issuer_id     TEXT    NOT NULL PRIMARY KEY,
	parent_id     TEXT    NOT NULL,
	role          TEXT    NOT NULL,
	key_type      TEXT    NOT NULL,
	not_before_at INTEGER NOT NULL,
	not_after_at  INTEGER NOT NULL,
	der           BLOB    NOT NULL,
	crl_number    INTEGER NOT NULL,
	retired       INTEGER NOT NULL
) STRICT;

CREATE TABLE crls (
	issuer_id      TEXT    NOT NULL,
	shard          INTEGER NOT NULL,
	number         INTEGER NOT NULL,
	this_update_at INTEGER NOT NULL,
	next_update_at INTEGER NOT NULL,
	der            BLOB    NOT NULL,
	PRIMARY KEY (issuer_id, shard)
) STRICT;

CREATE TABLE services (
	name       TEXT    NOT NULL PRIMARY KEY,
	depends_on TEXT    NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE principals (
	name       TEXT    NOT NULL PRIMARY KEY,
	roles      INTEGER NOT NULL,
	services   TEXT    NOT NULL,
	person     INTEGER NOT NULL,
	disabled   INTEGER NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;

-- hash: of the whole token text; the token itself is kept nowhere
CREATE TABLE tokens (
	token_id   BLOB    NOT NULL PRIMARY KEY,
	hash       BLOB    NOT NULL UNIQUE,
	principal  TEXT    NOT NULL,
	label      TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER,
	used_at    INTEGER,
	revoked_at INTEGER
) STRICT;

-- every version stays; the highest is the current one
CREATE TABLE templates (
	template_id            TEXT    NOT NULL,
	version                INTEGER NOT NULL,
	name                   TEXT    NOT NULL,
	description            TEXT    NOT NULL,
	validity_ms            INTEGER NOT NULL,
	key_type               TEXT    NOT NULL,
	hash_alg               TEXT    NOT NULL,
	key_usage              INTEGER NOT NULL,
	ext_key_usage          INTEGER NOT NULL,
	patterns               TEXT    NOT NULL,
	service                TEXT    NOT NULL,
	purpose                TEXT    NOT NULL,
	auto_renewal           INTEGER NOT NULL,
	renewal_threshold_ms   INTEGER NOT NULL,
	emergency_threshold_ms INTEGER NOT NULL,
	max_renewals           INTEGER NOT NULL,
	max_attempts           INTEGER NOT NULL,
	retry_ms               INTEGER NOT NULL,
	pre_validation         INTEGER NOT NULL,
	post_validation        INTEGER NOT NULL,
	profiles               INTEGER NOT NULL,
	audit_level            TEXT    NOT NULL,
	notify                 TEXT    NOT NULL,
	escalation             TEXT    NOT NULL,
	issuer                 TEXT    NOT NULL,
	created_at             INTEGER NOT NULL,
	PRIMARY KEY (template_id, version)
) STRICT;

CREATE TABLE agents (
	name                  TEXT    NOT NULL PRIMARY KEY,
	service               TEXT    NOT NULL,
	patterns              TEXT    NOT NULL,
	state                 TEXT    NOT NULL,
	host_hash             BLOB,
	host_spki             BLOB    NOT NULL,
	identity              BLOB,
	identity_not_after_at INTEGER NOT NULL,
	receipt_seq           INTEGER NOT NULL,
	version               TEXT    NOT NULL,
	address               TEXT    NOT NULL,
	joined_at             INTEGER NOT NULL,
	seen_at               INTEGER NOT NULL,
	skew_ms               INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_host ON agents (host_hash, name);

-- token_key: the public half of a one-time token
CREATE TABLE invites (
	invite_id  BLOB    NOT NULL PRIMARY KEY,
	token_key  BLOB    NOT NULL UNIQUE,
	name       TEXT    NOT NULL,
	service    TEXT    NOT NULL,
	patterns   TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at    INTEGER,
	used_by    BLOB,
	actor      TEXT    NOT NULL
) STRICT;

CREATE TABLE targets (
	cert_id     TEXT    NOT NULL PRIMARY KEY,
	agent       TEXT    NOT NULL,
	stem        TEXT    NOT NULL,
	reload_kind TEXT    NOT NULL,
	verify_kind TEXT    NOT NULL,
	listeners   TEXT    NOT NULL,
	digest      BLOB,
	served      BLOB,
	proved_at   INTEGER,
	reported_at INTEGER NOT NULL,
	last_code   INTEGER NOT NULL
) STRICT;
CREATE INDEX targets_agent ON targets (agent, cert_id);

CREATE TABLE certificates (
	cert_id          TEXT    NOT NULL PRIMARY KEY,
	template_id      TEXT    NOT NULL,
	template_version INTEGER NOT NULL,
	service          TEXT    NOT NULL,
	agent            TEXT    NOT NULL,
	names            TEXT    NOT NULL,
	approved         INTEGER NOT NULL,
	serial           BLOB,
	fingerprint      BLOB,
	not_before_at    INTEGER NOT NULL,
	not_after_at     INTEGER NOT NULL,
	proved           INTEGER NOT NULL,
	renew_at         INTEGER,
	open_order       BLOB,
	unattended       INTEGER NOT NULL,
	suspended_at     INTEGER,
	revoked_at       INTEGER,
	retired_at       INTEGER,
	created_at       INTEGER NOT NULL,
	version          INTEGER NOT NULL
) STRICT;
CREATE INDEX certificates_due ON certificates (renew_at, cert_id) WHERE open_order IS NULL AND renew_at IS NOT NULL;
CREATE INDEX certificates_agent ON certificates (agent, cert_id);
CREATE INDEX certificates_service ON certificates (service, cert_id);
CREATE INDEX certificates_retired ON certificates (cert_id) WHERE retired_at IS NOT NULL;

-- Serials grow, so both the rows and the unique index are written at their ends.
CREATE TABLE issuances (
	serial        BLOB    NOT NULL PRIMARY KEY,
	issuer_id     TEXT    NOT NULL,
	owner         TEXT    NOT NULL,
	owner_id      TEXT    NOT NULL,
	renewal_id    BLOB,
	state         TEXT    NOT NULL,
	tbs_hash      BLOB,
	fingerprint   BLOB,
	spki_hash     BLOB,
	not_before_at INTEGER NOT NULL,
	not_after_at  INTEGER NOT NULL,
	crl_shard     INTEGER NOT NULL,
	created_at    INTEGER NOT NULL,
	proved_at     INTEGER,
	supersede_at  INTEGER,
	revoked_at    INTEGER,
	revoke_reason INTEGER NOT NULL,
	subject       TEXT    NOT NULL,
	der           BLOB    NOT NULL
) STRICT;
CREATE INDEX issuances_owner ON issuances (owner_id, owner, serial);
CREATE INDEX issuances_intent ON issuances (serial) WHERE state = 'intent';
CREATE INDEX issuances_supersede ON issuances (supersede_at, serial) WHERE supersede_at IS NOT NULL;
CREATE INDEX issuances_revoked ON issuances (issuer_id, crl_shard, serial) WHERE state = 'revoked';
CREATE INDEX issuances_shard ON issuances (issuer_id, crl_shard, serial, not_after_at);

CREATE TABLE orders (
	renewal_id       BLOB    NOT NULL PRIMARY KEY,
	cert_id          TEXT    NOT NULL,
	agent            TEXT    NOT NULL,
	service          TEXT    NOT NULL,
	"trigger"        TEXT    NOT NULL,
	phase            TEXT    NOT NULL,
	attempt          INTEGER NOT NULL,
	failures         INTEGER NOT NULL,
	flags            INTEGER NOT NULL,
	old_serial       BLOB,
	serial           BLOB,
	tbs_hash         BLOB,
	fingerprint      BLOB,
	spki_hash        BLOB,
	template_version INTEGER NOT NULL,
	code             INTEGER NOT NULL,
	cause            TEXT    NOT NULL,
	actor            TEXT    NOT NULL,
	campaign_id      BLOB,
	created_at       INTEGER NOT NULL,
	deadline_at      INTEGER NOT NULL,
	next_at          INTEGER,
	verified_at      INTEGER,
	completed_at     INTEGER
) STRICT;
CREATE INDEX orders_cert ON orders (cert_id, renewal_id);
CREATE INDEX orders_open ON orders (renewal_id)
	WHERE phase <> 'completed' AND phase <> 'failed' AND phase <> 'rolled_back' AND phase <> 'cancelled';

CREATE TABLE order_steps (
	seq        INTEGER NOT NULL PRIMARY KEY,
	renewal_id BLOB    NOT NULL,
	attempt    INTEGER NOT NULL,
	step       TEXT    NOT NULL,
	code       INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	took_ms    INTEGER NOT NULL,
	detail     TEXT    NOT NULL
) STRICT;
CREATE INDEX order_steps_order ON order_steps (renewal_id, seq);

-- receipts as they came: evidence; outcome is the number of the wire
CREATE TABLE receipts (
	host_hash     BLOB    NOT NULL,
	seq           INTEGER NOT NULL,
	agent         TEXT    NOT NULL,
	renewal_id    BLOB,
	attempt       INTEGER NOT NULL,
	cert_id       TEXT    NOT NULL,
	outcome       INTEGER NOT NULL,
	code          INTEGER NOT NULL,
	fingerprint   BLOB,
	probes        INTEGER NOT NULL,
	probes_failed INTEGER NOT NULL,
	listeners     INTEGER NOT NULL,
	flipped_at    INTEGER,
	first_new_at  INTEGER,
	last_old_at   INTEGER,
	made_at       INTEGER NOT NULL,
	stored_at     INTEGER NOT NULL,
	signature     BLOB    NOT NULL,
	body          BLOB    NOT NULL,
	PRIMARY KEY (host_hash, seq)
) STRICT;
CREATE INDEX receipts_order ON receipts (renewal_id, stored_at, host_hash, seq);

-- one message per (agent, order), kept until it is answered
CREATE TABLE outbox (
	agent      TEXT    NOT NULL,
	renewal_id BLOB    NOT NULL,
	message_id INTEGER NOT NULL,
	type       INTEGER NOT NULL,
	frame      BLOB    NOT NULL,
	PRIMARY KEY (agent, renewal_id)
) STRICT;
CREATE INDEX outbox_next ON outbox (agent, message_id, renewal_id);

CREATE TABLE audit (
	seq        INTEGER NOT NULL PRIMARY KEY,
	at         INTEGER NOT NULL,
	event      TEXT    NOT NULL,
	actor      TEXT    NOT NULL,
	object     TEXT    NOT NULL,
	renewal_id BLOB,
	request_id BLOB,
	detail     TEXT    NOT NULL
) STRICT;

-- complete nodes of every fourth level of the tree over the audit records, in the order in which they came to be
CREATE TABLE audit_nodes (
	position INTEGER NOT NULL PRIMARY KEY,
	hash     BLOB    NOT NULL
) STRICT;
