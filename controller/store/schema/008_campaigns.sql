-- 008_campaigns.sql: campaigns and their members. The rules of 001_initial.sql hold.

-- the counts are those of the members' states
CREATE TABLE campaigns (
	campaign_id    BLOB    NOT NULL PRIMARY KEY,
	kind           TEXT    NOT NULL,
	state          TEXT    NOT NULL,
	"trigger"      TEXT    NOT NULL,
	selector       TEXT    NOT NULL,
	services       TEXT    NOT NULL,
	actor          TEXT    NOT NULL,
	reason         TEXT    NOT NULL,
	plan_hash      BLOB,
	incident_id    TEXT    NOT NULL,
	incident       TEXT    NOT NULL,
	fresh_keys     INTEGER NOT NULL,
	revoke_old     TEXT    NOT NULL,
	revoke_by_at   INTEGER,
	invalidity_at  INTEGER,
	total          INTEGER NOT NULL,
	waiting        INTEGER NOT NULL,
	held           INTEGER NOT NULL,
	following      INTEGER NOT NULL,
	ordered        INTEGER NOT NULL,
	done           INTEGER NOT NULL,
	failed         INTEGER NOT NULL,
	skipped        INTEGER NOT NULL,
	dropped        INTEGER NOT NULL,
	batch          INTEGER NOT NULL,
	pause_ms       INTEGER NOT NULL,
	halt_share     INTEGER NOT NULL,
	batch_sent     INTEGER NOT NULL,
	batch_failed   INTEGER NOT NULL,
	batch_full     INTEGER NOT NULL,
	approved       INTEGER NOT NULL,
	confirmation   TEXT    NOT NULL,
	remind_at      INTEGER,
	cause          TEXT    NOT NULL,
	created_at     INTEGER NOT NULL,
	started_at     INTEGER,
	next_at        INTEGER,
	completed_at   INTEGER
) STRICT;
-- not closed, or still to be confirmed
CREATE INDEX campaigns_open ON campaigns (campaign_id) WHERE completed_at IS NULL;
CREATE INDEX campaigns_unconfirmed ON campaigns (campaign_id) WHERE confirmation = 'asked';

CREATE TABLE campaign_members (
	campaign_id BLOB    NOT NULL,
	position    INTEGER NOT NULL,
	cert_id     TEXT    NOT NULL,
	service     TEXT    NOT NULL,
	agent       TEXT    NOT NULL,
	stage       INTEGER NOT NULL,
	state       TEXT    NOT NULL,
	renewal_id  BLOB,
	code        INTEGER NOT NULL,
	cause       TEXT    NOT NULL,
	changed_at  INTEGER NOT NULL,
	PRIMARY KEY (campaign_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaign_members_state ON campaign_members (campaign_id, state, position);
