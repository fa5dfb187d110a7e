-- 023_revoked_current.sql: whether the issuance that a certificate shows was revoked, and what a key was certified for. The rules of
-- 001_initial.sql hold.

-- revoked_at is the end of the certificate; this one goes with its next issuance
ALTER TABLE certificates ADD COLUMN serial_revoked_at INTEGER;
UPDATE certificates SET serial_revoked_at = (SELECT revoked_at FROM issuances WHERE issuances.serial = certificates.serial)
	WHERE serial IS NOT NULL;

CREATE INDEX issuances_key ON issuances (spki_hash, serial) WHERE spki_hash IS NOT NULL;
