-- 031_mail.sql: where a principal is told that a request waits for it. The rules of 001_initial.sql hold.

ALTER TABLE principals ADD COLUMN mail TEXT NOT NULL DEFAULT '';
