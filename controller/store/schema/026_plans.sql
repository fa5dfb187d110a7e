-- 026_plans.sql: one plan becomes one campaign. The rules of 001_initial.sql hold.

-- what the plan said, without the campaign before it that the plan's hash counts in; NULL: it was made before this
ALTER TABLE campaigns ADD COLUMN content_hash BLOB;

CREATE INDEX campaigns_plan ON campaigns (plan_hash, campaign_id);
CREATE INDEX campaigns_content ON campaigns (content_hash, campaign_id);
