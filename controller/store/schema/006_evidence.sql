-- 006_evidence.sql: the key that a receipt was signed with stays beside it, whatever becomes of its host. The rules of 001_initial.sql hold.

-- SubjectPublicKeyInfo (DER) whose SHA-256 is host_hash; empty in rows from before
ALTER TABLE receipts ADD COLUMN host_spki BLOB NOT NULL DEFAULT x'';
