/* emergency.js - an emergency in two steps: its plan, as the controller makes it, then exactly this plan by its hash. */
import { get, post } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { Ask } from './parts.js';
import { go } from './route.js';
import { number, t } from './text.js';

const PATH = 'certificates/lifecycle/emergency-recertification';
const TYPES = ['other', 'key_compromise', 'host_compromise', 'algorithm', 'misissuance', 'exercise'];
const SELECTORS = ['service', 'agent', 'template', 'pattern', 'all'];
const SHOWN = 20;

const some = (list) => list.slice(0, SHOWN).join(', ') + (list.length > SHOWN ? ' …' : '');

/* What has to be known before anybody agrees: how many, how long, who loses service. */
function Plan({ p }) {
  const { plan } = p;
  return html`<div class="card"><p><b>${t('plan_total', { n: number(plan.renewed), all: number(plan.all_certificates) })}</b>
      ${plan.prediction.duration_seconds !== null && html` ${t('plan_takes', { n: number(plan.prediction.duration_seconds, 1) })}`}</p>
    <p class="small">${some(p.certificate_list)}</p>
    ${plan.loses_service.length > 0 && html`<p class="clear bad">✗ ${t('plan_loses', { what: some(plan.loses_service) })}</p>`}
    ${plan.offline.length > 0 && html`<p class="clear due">▲ ${t('plan_offline', { what: some(plan.offline) })}</p>`}
    ${plan.skipped.length > 0 && html`<p>${t('plan_skipped', { what: some(plan.skipped) })}</p>`}
    ${plan.warnings.map((text) => html`<p class="clear due">▲ ${text}</p>`)}
    ${plan.approval !== 'none' && html`<p>▲ ${t('plan_approval_' + plan.approval)}</p>`}<p class="mono small">${p.plan_hash}</p></div>`;
}

export function Emergency({ close }) {
  const [kind, setKind] = useState('service');
  const [wish, setWish] = useState(null);
  const [plan, setPlan] = useState(null);
  const { data: services } = useData((o) => get('services?limit=500', o), 'services', () => false);
  const changed = () => { setPlan(null); setWish(null); };
  const act = async (f) => {
    if (plan) {
      const begun = await post(PATH, { ...wish, plan_hash: plan.plan_hash }, { accept: { Prefer: 'wait=0' } });
      return go(begun.campaign_id ? ['campaigns', begun.campaign_id] : ['approvals', begun.approval_id]);
    }
    const next = { incident_id: f.incident, reason: f.why, incident_type: f.type, selector: { [kind]: kind === 'all' ? true : f.which } };
    setPlan(await post(PATH, { ...next, dry_run: true }));
    setWish(next);
    throw null; /* the dialog stays, with the plan in it */
  };
  return html`<${Ask} title=${t('emergency')} about=${t('emergency_about')} yes=${t(plan ? 'emergency_begin' : 'emergency_plan')} danger=${Boolean(plan)} done=${t('emergency_begun')} act=${act} onClose=${close}>
    <div class="gap" onInput=${changed}>
      <label>${t('incident')}<input type="text" name="incident" required maxlength="60" autofocus /></label>
      <label>${t('reason')}<input type="text" name="why" required maxlength="150" /></label>
      <label>${t('incident_type')}<select name="type">${TYPES.map((name) => html`<option value=${name}>${t('incident_' + name)}</option>`)}</select></label>
      <label>${t('selection')}<select name="kind" value=${kind} onChange=${(e) => setKind(e.target.value)}>${SELECTORS.map((name) => html`<option value=${name}>${t('select_' + name)}</option>`)}</select></label>
      ${kind === 'service' && html`<label>${t('service')}<select name="which" key="service">${(services ? services.items : []).map((s) => html`<option value=${s.name}>${s.name}</option>`)}</select></label>`}
      ${kind !== 'service' && kind !== 'all' && html`<label>${t('select_' + kind)}<input type="text" name="which" key=${kind} required maxlength="120" /></label>`}</div>
    ${plan && html`<${Plan} p=${plan} />`}<//>`;
}
