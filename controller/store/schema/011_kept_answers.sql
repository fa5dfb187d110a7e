-- 011_kept_answers.sql: answers to requests that came with an Idempotency-Key, for a day. The rules of 001_initial.sql hold.

-- who: SHA-256 of the principal's name. status 0: what was asked for is done, its answer was not kept (yet, or because it holds a secret).
CREATE TABLE kept_answers (
	who        BLOB    NOT NULL,
	key        TEXT    NOT NULL,
	request    BLOB,
	request_id BLOB,
	at         INTEGER NOT NULL,
	status     INTEGER NOT NULL,
	secret     INTEGER NOT NULL,
	location   TEXT    NOT NULL,
	answer     BLOB    NOT NULL,
	PRIMARY KEY (who, key)
) STRICT;
CREATE INDEX kept_answers_at ON kept_answers (at);
