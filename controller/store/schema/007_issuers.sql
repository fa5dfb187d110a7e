-- 007_issuers.sql: authorities that were revoked by their root. The rules of 001_initial.sql hold.

ALTER TABLE issuers ADD COLUMN revoked_at INTEGER;
ALTER TABLE issuers ADD COLUMN revoke_reason INTEGER NOT NULL DEFAULT 0;
