/* emergency.js - an emergency: who and what it touches. A CA that is not to be trusted is named alone: all that it signed is meant. */
import { get } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { Planned, Selection, selectorOf, selectorWords } from './plan.js';
import { t } from './text.js';

const TYPES = ['other', 'key_compromise', 'host_compromise', 'ca_compromise', 'algorithm', 'misissuance', 'exercise'];
const SIGNS = ['active', 'draining', 'standing_by'];

const ofCa = (f) => f.type === 'ca_compromise';
const bodyOf = (f) => ({ incident_id: f.incident, reason: f.why, incident_type: f.type, ...(ofCa(f) ? { issuer_id: f.issuer } : { selector: selectorOf(f) }) });
const wordsOf = (f, plan) => ['emergency', plan ? 'apply' : 'plan', '--incident', f.incident, '--reason', f.why, '--type', f.type, ...(ofCa(f) ? ['--issuer', f.issuer || ''] : selectorWords(f)),
  ...(plan ? ['--plan-hash', plan.plan_hash] : [])];

function Issuer() {
  const { data } = useData((o) => get('ca?limit=100', o), 'ca', () => false);
  return html`<label>${t('authority')}<select name="issuer">${(data ? data.items : []).filter((c) => SIGNS.includes(c.state)).map((c) => html`<option value=${c.issuer_id}>${c.issuer_id}</option>`)}</select></label>
    <p class="clear due">▲ ${t('ca_compromise_about')}</p>`;
}

export function Emergency({ me, close }) {
  const [type, setType] = useState('other');
  const types = TYPES.filter((name) => name !== 'ca_compromise' || (me.permissions.includes('ca:manage') && !me.limited_to_services));
  return html`<${Planned} name="emergency" path="certificates/lifecycle/emergency-recertification" bodyOf=${bodyOf} wordsOf=${wordsOf} close=${close}>
    <label>${t('incident')}<input type="text" name="incident" required maxlength="60" autofocus /></label>
    <label>${t('reason')}<input type="text" name="why" required maxlength="150" /></label>
    <label>${t('incident_type')}<select name="type" value=${type} onChange=${(e) => setType(e.target.value)}>${types.map((name) => html`<option value=${name}>${t('incident_' + name)}</option>`)}</select></label>
    ${type === 'ca_compromise' ? html`<${Issuer} />` : html`<${Selection} />`}<//>`;
}
