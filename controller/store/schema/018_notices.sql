-- 018_notices.sql: what people have to be told, which certificates an open trouble stands for, when each certificate is looked at, since when a
-- revoked key is not to be trusted, and whose a kept answer is. The rules of 001_initial.sql hold.

-- key: one matter; of those that are open each key stands once. renewal_id, object and detail are those of the last time.
CREATE TABLE notices (
	notice_id  BLOB    NOT NULL PRIMARY KEY,
	at         INTEGER NOT NULL,
	level      TEXT    NOT NULL,
	event      TEXT    NOT NULL,
	state      TEXT    NOT NULL,
	key        TEXT    NOT NULL,
	service    TEXT    NOT NULL,
	object     TEXT    NOT NULL,
	renewal_id BLOB,
	attempt    INTEGER NOT NULL,
	code       INTEGER NOT NULL,
	recipients TEXT    NOT NULL,
	detail     TEXT    NOT NULL,
	count      INTEGER NOT NULL,
	last_at    INTEGER NOT NULL,
	closed_at  INTEGER
) STRICT;
CREATE INDEX notices_open ON notices (key, notice_id) WHERE closed_at IS NULL;
CREATE INDEX notices_last ON notices (last_at, notice_id);

CREATE TABLE notice_members (
	cert_id   TEXT    NOT NULL,
	topic     TEXT    NOT NULL,
	notice_id BLOB    NOT NULL,
	since_at  INTEGER NOT NULL,
	PRIMARY KEY (cert_id, topic)
) STRICT;
CREATE INDEX notice_members_of ON notice_members (notice_id, cert_id, topic);

ALTER TABLE certificates ADD COLUMN alert_at INTEGER;
-- of what was issued before; a service may say otherwise: looked at once, it is known
UPDATE certificates SET alert_at = not_after_at - coalesce((SELECT emergency_threshold_ms FROM templates
	WHERE templates.template_id = certificates.template_id ORDER BY version DESC LIMIT 1), 604800000)
	WHERE serial IS NOT NULL AND revoked_at IS NULL AND retired_at IS NULL;
CREATE INDEX certificates_alert ON certificates (alert_at, cert_id) WHERE alert_at IS NOT NULL;

ALTER TABLE issuances ADD COLUMN invalidity_at INTEGER;

-- of answers from before: nobody's
ALTER TABLE kept_answers ADD COLUMN credential BLOB;
