/* plan.js - what a bulk renewal, an emergency or a drill has in common: the choice of certificates, the plan as the controller makes it, and then
 * exactly this plan by its hash. */
import { get, post } from './api.js';
import { useData } from './data.js';
import { html, useRef, useState } from './lib.js';
import { Ask, Told, Wide } from './parts.js';
import { go } from './route.js';
import { number, t } from './text.js';

const SELECTORS = ['service', 'agent', 'template', 'pattern', 'all'];
const SHOWN = 20;

const some = (list) => list.slice(0, SHOWN).join(', ') + (list.length > SHOWN ? ' …' : '');

/* of a dialog's fields */
export const selectorOf = (f) => ({ [f.kind]: f.kind === 'all' ? true : f.which || '' });
export const selectorWords = (f) => ['--' + f.kind, ...(f.kind === 'all' ? [] : [f.which || ''])];

export function Selection() {
  const [kind, setKind] = useState('service');
  const { data: services } = useData((o) => get('services?limit=500', o), 'services', () => false);
  return html`<label>${t('selection')}<select name="kind" value=${kind} onChange=${(e) => setKind(e.target.value)}>${SELECTORS.map((name) => html`<option value=${name}>${t('select_' + name)}</option>`)}</select></label>
    ${kind === 'service' && html`<label>${t('service')}<select name="which" key="service">${(services ? services.items : []).map((s) => html`<option value=${s.name}>${s.name}</option>`)}</select></label>`}
    ${kind !== 'service' && kind !== 'all' && html`<label>${t('select_' + kind)}<input type="text" name="which" key=${kind} required maxlength="120" /></label>`}`;
}

const Services = ({ radius }) => html`<${Wide} label=${t('services')}><table><thead><tr><th>${t('service')}</th><th class="right">${t('certificates')}</th><th class="right">${t('agents')}</th><th class="right">${t('targets')}</th><th class="right">${t('offline')}</th></tr></thead>
  <tbody>${Object.entries(radius).map(([name, s]) => html`<tr><th scope="row">${name}</th>${[s.certificates, s.hosts, s.targets, s.offline].map((n) => html`<td class="right">${number(n)}</td>`)}</tr>`)}</tbody></table><//>`;

/* What has to be known before anybody agrees: how many, where, how long, who loses service. */
function Plan({ p }) {
  const { plan } = p;
  return html`<div class="card plan"><p><b>${t('plan_total', { n: number(plan.renewed), all: number(plan.all_certificates) })}</b>
      ${plan.prediction.duration_seconds !== null && html` ${t('plan_takes', { n: number(plan.prediction.duration_seconds, 1) })}`}</p>
    <p class="small">${some(p.certificate_list)}</p>
    ${Object.keys(plan.blast_radius).length > 0 && html`<${Services} radius=${plan.blast_radius} />`}
    ${plan.waves.length > 0 && html`<p class="small">${plan.waves.map((w) => `${t('wave_n', { n: w.wave })}: ${number(w.total)}`).join(', ')}</p>`}
    ${plan.loses_service.length > 0 && html`<p class="clear bad">✗ ${t('plan_loses', { what: some(plan.loses_service) })}</p>`}
    ${plan.offline.length > 0 && html`<p class="clear due">▲ ${t('plan_offline', { what: some(plan.offline) })}</p>`}
    ${plan.skipped.length > 0 && html`<p>${t('plan_skipped', { what: some(plan.skipped) })}</p>`}
    ${plan.violations.map((v) => html`<p class="clear due">▲ ${v.template_id}: <${Told} text=${v.text} /></p>`)}
    ${plan.warnings.map((text) => html`<p class="clear due">▲ <${Told} text=${text} /></p>`)}
    ${plan.approval !== 'none' && html`<p>▲ ${t('plan_approval_' + plan.approval)}</p>`}<p class="small">${t('plan_hash')} <span class="mono">${p.plan_hash}</span></p></div>`;
}

const shownAt = (begun) => (begun.campaign_id || begun.drill_id ? ['campaigns', begun.campaign_id || begun.drill_id] : ['approvals', begun.approval_id]);

const waits = (begun) => begun.status === 'awaiting_approval' || !(begun.campaign_id || begun.drill_id);

/* Two steps in one dialog. `bodyOf(fields)`: what is wished for; `wordsOf(fields, planned)`: the same for vccctl, before and after there is a plan. What is
 * changed makes the plan void. */
export function Planned({ name, path, bodyOf, wordsOf, close, children }) {
  const [step, setStep] = useState(null); /* {wish, plan} */
  const turn = useRef(0); /* of the fields: what changes while a plan is on its way makes it void as well */
  const wanted = (f) => (step ? { ...step.wish, plan_hash: step.plan.plan_hash } : { ...bodyOf(f), dry_run: true });
  const act = async (f) => {
    if (step) {
      const begun = await post(path, wanted(f), { accept: { Prefer: 'wait=0' } });
      go(shownAt(begun));
      return t(waits(begun) ? 'waits_for_second' : name + '_begun');
    }
    const wish = bodyOf(f), mine = turn.current, plan = await post(path, { ...wish, dry_run: true });
    if (mine === turn.current) setStep({ wish, plan });
    throw null; /* the dialog stays, with the plan in it */
  };
  return html`<${Ask} wide title=${t(name)} about=${t(name + '_about')} yes=${t(step ? name + '_begin' : 'plan_show')} danger=${Boolean(step) && name === 'emergency'} act=${act} onClose=${close}
    shell=${(f) => ({ vccctl: wordsOf(f, step && step.plan), path, body: wanted(f) })}>
    <div class="gap" onInput=${() => { turn.current++; setStep(null); }}>${children}</div>
    ${step && html`<${Plan} p=${step.plan} />`}<//>`;
}
