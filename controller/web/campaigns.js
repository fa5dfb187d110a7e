/* campaigns.js - campaigns, and one while it runs: waves, one square for each certificate, and what may be done about it. */
import { get, post } from './api.js';
import { useData, usePages } from './data.js';
import { Emergency } from './emergency.js';
import { html, useEffect, useState } from './lib.js';
import { Ask, CampaignState, Code, CopyAs, LongList, ProblemBox, State, When } from './parts.js';
import { to } from './route.js';
import { say } from './say.js';
import { moment, number, t, word } from './text.js';

const row = (c) => [
  [html`<a href=${to(['campaigns', c.campaign_id])}><b>${word('kind_of_', c.kind)}</b></a> <span class="muted small">${c.selector}</span>`],
  [html`<${CampaignState} status=${c.status} />`], [t('progress_of', { done: number(c.successful_count), total: number(c.total_certificates) })],
  [c.requester, true], [html`<${When} at=${c.created_at} />`],
];

export function Campaigns({ me }) {
  const [emergency, setEmergency] = useState(false);
  const list = usePages('campaigns', ({ event }) => /campaign|emergency|drill/.test(event));
  return html`<div class="head"><h1>${t('campaigns')}</h1>
      ${me.permissions.includes('certificate:emergency') && html`<button class="danger push" onClick=${() => setEmergency(true)}>${t('emergency_new')}</button>`}</div>
    ${emergency && html`<${Emergency} close=${() => setEmergency(false)} />`}<${ProblemBox} problem=${list.problem} />
    ${!list.busy && list.rows.length === 0 && !list.problem ? html`<p class="card">${t('no_campaigns')}</p>`
      : html`<${LongList} label=${t('campaigns')} kind="runs" top=${[t('campaign'), t('status'), t('served'), t('by'), t('begun')]} rows=${list.rows} row=${row} more=${list.more} busy=${list.busy} />`}
    <${CopyAs} vccctl=${['campaign', 'list']} path="campaigns" />`;
}

/* ---- one ---- */

/* A square: its shape and its name tell the state, its colour repeats it. */
const SQUARES = {
  waiting: ['', '·'], held: ['', '‖'], following: ['busy', '◐'], ordered: ['busy', '◐'], done: ['ok', '✓'], failed: ['bad', '✗'],
  skipped: ['', '–'], dropped: ['', '∅'], going_back: ['back', '↩'], rolled_back: ['back', '↩'], kept: ['bad', '!'],
};
const SHOWN = 500;

const Square = ({ m }) => {
  const [kind, sign] = SQUARES[m.state] || ['', '?'];
  const name = `${m.cert_id}: ${word('member_', m.state)}${m.code ? ' ' + m.code : ''}`;
  return html`<a class=${'square ' + kind} href=${to(['certificates', m.cert_id])} title=${name} aria-label=${name}>${sign}</a>`;
};

/* Members have positions that follow each other, wave by wave. */
function wavesOf(c, members) {
  if (c.waves.length === 0) return [{ wave: 0, total: c.total_certificates, members, status: '', canary: false }];
  let first = 1;
  return c.waves.map((w) => {
    const mine = members.filter((m) => m.position >= first && m.position < first + w.total);
    first += w.total;
    return { ...w, members: mine };
  });
}

function Wave({ w }) {
  return html`<div class="wave"><div><b>${w.wave ? t('wave_n', { n: w.wave }) : t('wave_all')}</b>${w.canary ? ' ' + t('wave_canary') : ''}<br />
      ${w.status && html`<span class="small">${t('wave_' + w.status)}</span><br />`}
      ${w.wave ? html`<span class="muted small">${t('wave_counts', { done: number(w.done), failed: number(w.failed), left: number(w.waiting + w.in_progress) })}</span>` : ''}</div>
    <div><div class="squares">${w.members.map((m) => html`<${Square} key=${m.position} m=${m} />`)}</div>
      ${w.members.length < w.total && html`<p class="muted small">${t('squares_some', { n: number(w.members.length), total: number(w.total) })}</p>`}</div></div>`;
}

const Key = () => html`<div class="key">${['waiting', 'ordered', 'done', 'failed', 'skipped', 'rolled_back'].map((s) =>
  html`<span class="row"><span class=${'square ' + SQUARES[s][0]} aria-hidden="true">${SQUARES[s][1]}</span>${t('member_' + s)}</span>`)}</div>`;

/* verb: shown while the campaign is in one of these states */
const VERBS = [
  ['halt', ['processing'], 'halt', true], ['resume', ['halted'], 'campaign_resume', false], ['cancel', ['processing', 'halted', 'awaiting_approval'], 'campaign_cancel', true],
  ['rollback', ['processing', 'halted', 'completed', 'completed_with_failures'], 'rollback', true],
];

function Verbs({ c, reload }) {
  const [open, setOpen] = useState(null);
  const close = (did) => { setOpen(null); if (did) reload(); };
  const shown = VERBS.filter(([verb, states]) => states.includes(c.status) && c.kind !== 'drill' && (verb !== 'rollback' || c.successful_count > 0));
  const [verb, , text, danger] = VERBS.find(([name]) => name === open) || [];
  return html`<div class="row push">${shown.map(([name, , words, bad]) => html`<button class=${bad ? 'danger' : 'first'} onClick=${() => setOpen(name)}>${t(words)}</button>`)}
    ${verb && html`<${Ask} title=${t(text + '_ask')} about=${t(text + '_about')} yes=${t(text)} danger=${danger} done=${t('action_done')} onClose=${close}
      act=${(f) => post(`campaigns/${c.campaign_id}/${verb}`, f.comment ? { comment: f.comment } : {})}>
      <label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`}</div>`;
}

const seconds = (n) => (n === null ? '–' : t('seconds', { n: number(n, 2) }));

function Figures({ c }) {
  const f = c.figures;
  return html`<dl class="figures"><div><dt>${t('p50')}</dt><dd>${seconds(f.order_seconds_p50)}</dd></div><div><dt>${t('p99')}</dt><dd>${seconds(f.order_seconds_p99)}</dd></div>
    <div><dt>${t('rate')}</dt><dd>${f.certificates_per_second === null ? '–' : number(f.certificates_per_second, 1)}</dd></div>
    <div><dt>${t('rest')}</dt><dd>${seconds(f.seconds_left)}</dd></div><div><dt>${t('offline')}</dt><dd>${number(c.offline_count)}</dd></div></dl>`;
}

async function load(id, o) {
  const path = 'campaigns/' + encodeURIComponent(id);
  const [c, page] = await Promise.all([get(path + '?members=no', o), get(`${path}/members?limit=${SHOWN}`, o)]);
  const failed = c.failed_count > 0 ? (await get(`${path}/members?state=failed&limit=50`, o)).items : [];
  return { c, members: page.items, failed };
}

const over = (c) => c.completed_at !== null;

export function Campaign({ id, me }) {
  const { data, problem, reload } = useData((o) => load(id, o), id);
  const c = data && data.c;
  const told = c && t('progress_of', { done: number(c.successful_count), total: number(c.total_certificates) });
  useEffect(() => { if (told) say(told); }, [told]);
  useEffect(() => { /* orders of others are in the trail too late for a look each second: while it runs it is looked at */
    if (!c || over(c)) return undefined;
    const timer = setTimeout(() => document.visibilityState === 'visible' && reload(false), 2000);
    return () => clearTimeout(timer);
  }, [data]);
  return html`<div class="head"><h1>${c ? `${word('kind_of_', c.kind)} ${c.incident_id || ''}` : t('campaign')}</h1>
      ${c && html`<${CampaignState} status=${c.status} />`}${c && me.permissions.includes('certificate:bulk') && html`<${Verbs} c=${c} reload=${reload} />`}</div>
    <${ProblemBox} problem=${problem} />
    ${c && html`<div class="gap">
      ${c.cause && html`<p class="clear due">▲ ${c.cause}</p>`}
      <section class="card"><h2 id="how-far">${told}</h2><progress max=${Math.max(1, c.total_certificates)} value=${c.successful_count} aria-labelledby="how-far"></progress><${Figures} c=${c} /></section>
      <section class="card"><h2>${t('waves')}</h2><${Key} />${wavesOf(c, data.members).map((w) => html`<${Wave} key=${w.wave} w=${w} />`)}</section>
      ${data.failed.length > 0 && html`<section class="card"><h2>${t('failures')}</h2><ul>${data.failed.map((m) =>
        html`<li><a href=${to(['certificates', m.cert_id])}>${m.cert_id}</a> <${Code} code=${m.code} /> ${m.error}</li>`)}</ul></section>`}
      <section class="card"><dl class="facts"><dt>${t('selection')}</dt><dd>${c.selector}</dd><dt>${t('trigger')}</dt><dd>${word('trigger_', c.trigger)}, ${t('by')} ${c.requester}</dd>
        ${c.reason && html`<dt>${t('reason')}</dt><dd>${c.reason}</dd>`}${c.incident_id && html`<dt>${t('incident')}</dt><dd>${c.incident_id}</dd>`}
        <dt>${t('begun')}</dt><dd>${moment(c.created_at)}</dd>${c.completed_at && html`<dt>${t('took')}</dt><dd>${t('seconds', { n: number((new Date(c.completed_at) - new Date(c.started_at || c.created_at)) / 1000, 1) })}</dd>`}
        ${c.confirmation === 'asked' && html`<dt>${t('approvals')}</dt><dd><${State} kind="due">${t('approval_waiting')}<//></dd>`}</dl></section></div>`}
    ${c && html`<${CopyAs} vccctl=${['campaign', 'show', id]} path=${'campaigns/' + encodeURIComponent(id)} />`}`;
}
