-- 014_policy_campaigns.sql: a change of policy renews by a campaign. The rules of 001_initial.sql hold.

-- campaign_id: whose members the walk adds; none in rows that are older than this, which get one with their next page
ALTER TABLE policy_walks ADD COLUMN campaign_id BLOB;
-- collecting: members are still being added
ALTER TABLE campaigns ADD COLUMN collecting INTEGER NOT NULL DEFAULT 0;
-- template_id: as it was when the member was added, '' = not known
ALTER TABLE campaign_members ADD COLUMN template_id TEXT NOT NULL DEFAULT '';

CREATE INDEX campaign_members_cert ON campaign_members (cert_id, campaign_id);
