-- 017_waves.sql: campaigns in waves, and their way back. The rules of 001_initial.sql hold.

ALTER TABLE campaigns ADD COLUMN going_back       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN rolled_back      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN kept             INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN waves            TEXT    NOT NULL DEFAULT '';
ALTER TABLE campaigns ADD COLUMN canary           INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN wave             INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN wave_sent        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN wave_done        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN wave_failed      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN wave_full        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN halt_count       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN rollback_on_halt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN back_first       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN back_last        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN back_at          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN rested_at        INTEGER;

-- the grace of those that were closed before this began with each order
UPDATE campaigns SET rested_at = completed_at;
