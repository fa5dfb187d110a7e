/* bulk.js - a bulk renewal: what a pattern means, in waves or batches. */
import { get } from './api.js';
import { useData } from './data.js';
import { html } from './lib.js';
import { Planned } from './plan.js';
import { t } from './text.js';

const list = (text) => (text || '').split(',').map((part) => part.trim()).filter(Boolean);

/* Only what is filled in: the controller has a default for everything. */
const bodyOf = (f) => ({
  ...(f.pattern ? { service_pattern: f.pattern } : {}), ...(f.template ? { cert_type_filter: f.template } : {}), ...(f.canary ? { canary: f.canary } : {}),
  ...(f.waves ? { waves: list(f.waves) } : {}), ...(f.share ? { halt_share: f.share } : {}), ...(f.back === 'on' ? { rollback_on_halt: true } : {}), ...(f.comment ? { comment: f.comment } : {}),
});

const option = (name, value) => (value ? ['--' + name, value] : []);

const wordsOf = (f, plan) => ['bulk', plan ? 'apply' : 'plan', ...option('pattern', f.pattern), ...option('type', f.template), ...option('canary', f.canary),
  ...option('waves', f.waves && list(f.waves).join(',')), ...option('halt-share', f.share), ...(f.back === 'on' ? ['--rollback-on-halt'] : []), ...option('reason', f.comment), ...(plan ? ['--plan-hash', plan.plan_hash] : [])];

export function Bulk({ close }) {
  const { data } = useData((o) => get('certificates/lifecycle/templates', o), 'templates', () => false);
  return html`<${Planned} name="bulk" path="certificates/lifecycle/bulk-renewal" bodyOf=${bodyOf} wordsOf=${wordsOf} close=${close}>
    <label>${t('bulk_pattern')}<input type="text" name="pattern" maxlength="120" placeholder="*.clara.vcc.internal" autofocus /></label>
    <label>${t('template')}<select name="template"><option value="">${t('any')}</option>${(data ? data.templates : []).map((x) => html`<option value=${x.template_id}>${x.template_id}</option>`)}</select></label>
    <label>${t('bulk_canary')}<input type="text" name="canary" maxlength="60" placeholder="1%" /></label>
    <label>${t('bulk_waves')}<input type="text" name="waves" maxlength="120" placeholder="10%, 30%, rest" /></label>
    <label>${t('bulk_share')}<input type="text" name="share" maxlength="5" placeholder="3%" /></label>
    <label class="line"><input type="checkbox" name="back" />${t('bulk_back')}</label>
    <label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`;
}
