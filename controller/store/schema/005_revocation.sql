-- 005_revocation.sql: issuances on hold, and those that a person wants revoked once they are replaced. The rules of 001_initial.sql hold.

-- since when it is on the lists as certificateHold; NULL = not on hold. Never together with state 'revoked'
ALTER TABLE issuances ADD COLUMN held_at INTEGER;
-- when a person asked to revoke it (with revoke_reason) as soon as its successor is proved; NULL = nobody did
ALTER TABLE issuances ADD COLUMN revoke_asked_at INTEGER;
CREATE INDEX issuances_held ON issuances (issuer_id, crl_shard, serial) WHERE held_at IS NOT NULL;
