-- 002_hosts.sql: what hosts tell of themselves beyond the first schema.

-- runs of the keeper, and whether two hosts seem to have one identity
ALTER TABLE agents ADD COLUMN run_id BLOB;
ALTER TABLE agents ADD COLUMN run_generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN run_before_id BLOB;
ALTER TABLE agents ADD COLUMN copy TEXT NOT NULL DEFAULT 'none';
ALTER TABLE agents ADD COLUMN copy_at INTEGER;
ALTER TABLE agents ADD COLUMN copy_address TEXT NOT NULL DEFAULT '';
