-- 025_histories.sql: the history of an order in fewer rows. The rules of 001_initial.sql hold.

-- what came at once, a line for each step: attempt, step, code, at, took_ms, detail. order_steps holds what came before
CREATE TABLE order_histories (
	seq        INTEGER NOT NULL PRIMARY KEY,
	renewal_id BLOB    NOT NULL,
	steps      BLOB    NOT NULL
) STRICT;
CREATE INDEX order_histories_order ON order_histories (renewal_id, seq);
