-- 021_drills.sql: rehearsals of an emergency, and what they showed. The rules of 001_initial.sql hold.

-- reported_at: when the report was made; until then the numbers are those of its campaign. A drill stays when its campaign is archived.
CREATE TABLE drills (
	campaign_id BLOB    NOT NULL PRIMARY KEY,
	selector    TEXT    NOT NULL,
	services    TEXT    NOT NULL,
	actor       TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	state       TEXT    NOT NULL,
	cause       TEXT    NOT NULL,
	total       INTEGER NOT NULL,
	tested      INTEGER NOT NULL,
	failed      INTEGER NOT NULL,
	skipped     INTEGER NOT NULL,
	not_reached INTEGER NOT NULL,
	created_at  INTEGER NOT NULL,
	ended_at    INTEGER,
	reported_at INTEGER,
	report_hash BLOB,
	report_size INTEGER NOT NULL
) STRICT;
CREATE INDEX drills_unreported ON drills (campaign_id) WHERE reported_at IS NULL;

-- as it was made; its hash is in drills and in the audit trail
CREATE TABLE drill_reports (
	campaign_id BLOB NOT NULL PRIMARY KEY,
	report      BLOB NOT NULL
) STRICT;

-- made for a drill, never used
ALTER TABLE issuances ADD COLUMN drill INTEGER NOT NULL DEFAULT 0;
