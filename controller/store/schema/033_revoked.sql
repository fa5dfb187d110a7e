-- 033_revoked.sql: indexes of what is on a list hold the end of validity, too. Without it the planner of SQLite takes issuances_shard for them, since that
-- one has more of the columns that are asked for, and reads every certificate of a shard. The rules of 001_initial.sql hold.

DROP INDEX issuances_revoked;
CREATE INDEX issuances_revoked ON issuances (issuer_id, crl_shard, serial, not_after_at) WHERE state = 'revoked';
DROP INDEX issuances_held;
CREATE INDEX issuances_held ON issuances (issuer_id, crl_shard, serial, not_after_at) WHERE held_at IS NOT NULL;
