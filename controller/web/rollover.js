/* rollover.js - a CA that gives way: its phases, what is left below it, and the step that a person may take now. Every one asks who it is once more. */
import { post } from './api.js';
import { html, useState } from './lib.js';
import { Ask, Code, CopyAs, State, Told, When, Wide, shape } from './parts.js';
import { go, to } from './route.js';
import { has, moment, number, t } from './text.js';

const PHASES = ['preparing', 'trust', 'issuing', 'draining', 'retiring', 'retired'];
const LEFT = ['reissuable', 'suspended', 'external', 'signing', 'ending', 'identities', 'gateways', 'agents', 'agents_away', 'agents_unseen'];
const ITEMS = 100;

const isRoot = (c) => c.parent_id === null;

/* Of a root the same step does something else, and has words of its own. */
function said(root, key, values) {
  const own = 'rollover_root_' + key.replace('rollover_', '');
  return t(root && has(own) ? own : key, values);
}

/* verb: [when it is offered, fields of its dialog]; a root has no emergency */
const STEPS = {
  begin: [(r) => !r || r.phase === 'rolled_back', ['emergency']],
  advance: [(r) => r && (r.phase === 'trust' || (['issuing', 'draining'].includes(r.phase) && !r.campaign_open)), []],
  rollback: [(r) => r && ['trust', 'issuing', 'draining'].includes(r.phase) && !r.emergency, []],
  turn: [(r, root) => !root && r && ['preparing', 'trust', 'issuing', 'draining'].includes(r.phase) && !r.emergency, []],
  retire: [(r) => r && (r.phase === 'draining' || (r.phase === 'issuing' && r.emergency)), ['consumers', 'override']],
};
const PATHS = { begin: '', turn: '', advance: '/advance', rollback: '/rollback', retire: '/retire' };

const lines = (text) => (text || '').split('\n').map((line) => line.trim()).filter(Boolean);

const bodyOf = (verb, f) => ({
  ...(verb === 'turn' || f.emergency === 'on' ? { emergency: true } : {}), ...(verb === 'retire' ? { consumers: lines(f.consumers) } : {}), ...(f.override === 'on' ? { override: true } : {}),
  ...(f.comment ? { comment: f.comment } : {}),
});

function wordsOf(verb, id, f) {
  const consumers = lines(f.consumers).length > 0 ? ['--consumers-file', 'consumers.txt'] : ['--no-consumers'];
  const words = { begin: ['--begin', ...(f.emergency === 'on' ? ['--emergency'] : [])], turn: ['--emergency'], advance: ['--advance'], rollback: ['--rollback'], retire: ['--retire', ...consumers, ...(f.override === 'on' ? ['--emergency'] : [])] };
  return ['ca', 'rollover', id, ...words[verb], ...(f.comment ? ['--reason', f.comment] : [])];
}

function Step({ c, r, verb, close }) {
  const root = isRoot(c), fields = STEPS[verb][1], path = `ca/${encodeURIComponent(c.issuer_id)}/rollover${PATHS[verb]}`;
  const act = async (f) => {
    const answer = await post(path, bodyOf(verb, f));
    if (!answer.approval_id) return null;
    go(['approvals', answer.approval_id]);
    return t('waits_for_second');
  };
  return html`<${Ask} title=${said(root, `rollover_${verb}_ask`, { id: c.issuer_id })} about=${said(root, `rollover_${verb}_about`)} yes=${t(`rollover_${verb}`)} danger=${verb !== 'advance'} type=${verb === 'advance' ? undefined : c.issuer_id} done=${t('action_done')}
    act=${act} onClose=${close} shell=${(f) => ({ vccctl: wordsOf(verb, c.issuer_id, f), path, body: bodyOf(verb, f) })}>
    ${fields.includes('emergency') && !root && html`<label class="line"><input type="checkbox" name="emergency" />${t('rollover_emergency')}</label>`}
    ${fields.includes('consumers') && html`<label>${t('rollover_consumers')}<textarea name="consumers" rows="4"></textarea></label>`}
    ${fields.includes('override') && r.emergency && html`<label class="line"><input type="checkbox" name="override" />${t('rollover_override')}</label>`}
    <label>${t('reason')}<input type="text" name="comment" required maxlength="150" /></label><//>`;
}

/* Where it is on its way, by shape and word. */
function Phases({ r, root }) {
  const at = PHASES.indexOf(r.phase), kind = (i) => (i < at || r.phase === 'retired' ? 'ok' : i === at ? 'busy' : 'off');
  const times = { preparing: r.prepared_at, trust: r.issuing_at, issuing: r.draining_at, retiring: r.ended_at };
  return html`<ol class="steps phases">${PHASES.map((name, i) => html`<li aria-current=${i === at ? 'step' : null}><span class=${'shape ' + kind(i)} role="img" aria-label=${t('phase_is_' + kind(i))}>${shape(kind(i))}</span>
    <span>${said(root, 'phase_' + name)}</span><span></span><span class="small muted">${i < at && times[name] ? moment(times[name]) : ''}</span></li>`)}</ol>`;
}

const nextOf = (r, root) => said(root, `rollover_next_${r.phase}${r.phase === 'draining' && r.left && r.left.agents > 0 ? '_hosts' : ''}`);

function Items({ rows }) {
  if (rows.length === 0) return null;
  return html`<details><summary>${t('rollover_items')} (${number(rows.length)})</summary><${Wide} label=${t('rollover_items')}><table><thead><tr><th>${t('object')}</th><th>${t('status')}</th><th>${t('host')}</th><th>${t('service')}</th><th>${t('expires')}</th></tr></thead>
    <tbody>${rows.slice(0, ITEMS).map((i) => html`<tr><td>${i.id}</td><td>${t('left_of_' + i.state)}</td><td>${i.agent || '–'}</td><td>${i.service || '–'}</td><td><${When} at=${i.expires_at} /></td></tr>`)}</tbody></table><//>
    ${rows.length > ITEMS && html`<p class="muted small">${t('squares_some', { n: number(ITEMS), total: number(rows.length) })}</p>`}</details>`;
}

function Under({ r, root }) {
  return html`<p>${t('rollover_of', { by: r.actor, at: moment(r.created_at) })}${r.reason ? ': ' + r.reason : ''} ${r.successor_id && html`→ <a href=${to(['ca', r.successor_id])}>${r.successor_id}</a>`} ${r.emergency && html`<${State} kind="bad">${t('emergency')}<//>`}</p>
    ${r.phase === 'rolled_back' ? html`<p class="clear due">↩ ${t('phase_rolled_back')}</p>` : html`<${Phases} r=${r} root=${root} />`}
    <p><b>${t('next')}:</b> ${nextOf(r, root)}</p>${r.code && html`<p class="clear bad">✗ <${Code} code=${r.code} /> <${Told} code=${r.code} text=${r.cause} /></p>`}
    ${r.waiting && html`<p class="clear due">▲ <a href=${to(['approvals', r.waiting])}>${t('plan_approval_before')}</a></p>`}
    ${r.campaign_id && html`<p><a href=${to(['campaigns', r.campaign_id])}>${t('campaign')}</a></p>`}
    ${r.trust.missing > 0 && html`<p class="clear due">▲ ${t('rollover_distrust', { n: number(r.trust.missing), unproved: number(r.trust.unproved || 0) })}</p>`}
    ${r.left && html`<h3>${t('rollover_left')}</h3><dl class="figures">${LEFT.filter((name) => r.left[name] > 0).map((name) => html`<div><dt>${t('left_' + name)}</dt><dd>${number(r.left[name])}</dd></div>`)}</dl>
      ${LEFT.every((name) => r.left[name] === 0) && html`<p>● ${t('none')}</p>`}`}
    <${Items} rows=${r.items} />`;
}

export function Rollover({ c, r, may, reload }) {
  const [verb, setVerb] = useState(null);
  const signs = c.state === 'active' || Boolean(r), root = isRoot(c);
  const offered = may && signs ? Object.keys(STEPS).filter((name) => STEPS[name][0](r, root)) : [];
  const close = (did) => { setVerb(null); if (did) reload(); };
  return html`<section class="card"><div class="row"><h2>${t('rollover')}</h2><div class="row push">${offered.map((name) => html`<button class=${name === 'advance' ? 'first' : 'danger'} onClick=${() => setVerb(name)}>${t('rollover_' + name)}</button>`)}</div></div>
    ${r ? html`<${Under} r=${r} root=${root} />` : html`<p class="muted">${t('rollover_none')}</p>`}
    ${r && html`<${CopyAs} vccctl=${['ca', 'rollover', c.issuer_id]} path=${`ca/${encodeURIComponent(c.issuer_id)}/rollover`} />`}
    ${verb && html`<${Step} c=${c} r=${r} verb=${verb} close=${close} />`}</section>`;
}
