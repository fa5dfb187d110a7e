-- 032_causes.sql: whether the cause of a campaign's halt or early end is in somebody's own words. The rules of 001_initial.sql hold.

ALTER TABLE campaigns ADD COLUMN cause_by_person INTEGER NOT NULL DEFAULT 0;
