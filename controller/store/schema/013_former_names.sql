-- 013_former_names.sql: names that hosts once had: they lead to the host, and nobody else gets them. The rules of 001_initial.sql hold.

CREATE TABLE former_names (
	name     TEXT    NOT NULL PRIMARY KEY,
	agent    TEXT    NOT NULL,
	since_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX former_names_agent ON former_names (agent, name);
