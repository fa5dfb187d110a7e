-- 029_deliveries.sql: notices on their way to channels, who has taken one over, and when somebody is reminded. The rules of 001_initial.sql hold.

-- what was queued before is told to nobody any more
ALTER TABLE notices ADD COLUMN channels TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN escalation TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN acked_at INTEGER;
ALTER TABLE notices ADD COLUMN snoozed_until_at INTEGER;
ALTER TABLE notices ADD COLUMN remind_at INTEGER;
ALTER TABLE notices ADD COLUMN reminders INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notices ADD COLUMN escalations INTEGER NOT NULL DEFAULT 0;
CREATE INDEX notices_remind ON notices (remind_at, notice_id) WHERE remind_at IS NOT NULL;

-- message_id: of the message it goes with, the same in every attempt
CREATE TABLE deliveries (
	seq        INTEGER NOT NULL PRIMARY KEY,
	channel    TEXT    NOT NULL,
	notice_id  BLOB    NOT NULL,
	kind       TEXT    NOT NULL,
	level      TEXT    NOT NULL,
	topic      TEXT    NOT NULL,
	state      TEXT    NOT NULL,
	held       INTEGER NOT NULL,
	message_id BLOB,
	attempts   INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	due_at     INTEGER,
	ended_at   INTEGER,
	code       INTEGER NOT NULL,
	cause      TEXT    NOT NULL
) STRICT;
CREATE INDEX deliveries_due ON deliveries (channel, due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_notice ON deliveries (notice_id, seq);
CREATE INDEX deliveries_message ON deliveries (message_id, seq) WHERE message_id IS NOT NULL;
CREATE INDEX deliveries_state ON deliveries (state, seq);
