/* campaign.js - one campaign while it runs: how far it is, its waves, what failed, and what may be done about it. */
import { get, post } from './api.js';
import { EACH, Key, Members, Wave, wavesOf } from './campaign_squares.js';
import { Chart } from './chart.js';
import { useData } from './data.js';
import { DrillFacts } from './drill.js';
import { selectorWords } from './german.js';
import { html, useEffect, useState } from './lib.js';
import { Ask, CampaignState, Code, CopyAs, ProblemBox, State, Told } from './parts.js';
import { EvidenceButton, readsReports } from './reports.js';
import { refine, to } from './route.js';
import { say } from './say.js';
import { moment, number, span, t, word } from './text.js';

const PROGRESS_MS = 10000;

/* verb: shown while the campaign is in one of these states */
const VERBS = [
  ['halt', ['processing'], 'halt', true], ['resume', ['halted'], 'campaign_resume', false], ['cancel', ['processing', 'halted', 'awaiting_approval'], 'campaign_cancel', true],
  ['rollback', ['processing', 'halted', 'completed', 'completed_with_failures'], 'rollback', true],
];
const goesBack = (c) => VERBS.find(([verb]) => verb === 'rollback')[1].includes(c.status) && c.kind !== 'drill';

/* `wave`: of this one alone. */
function Word({ c, verb, wave, close }) {
  const [, , text, danger] = VERBS.find(([name]) => name === verb);
  const body = (f) => ({ ...(wave ? { wave } : {}), ...(f.comment ? { comment: f.comment } : {}) });
  const shell = (f) => ({ vccctl: ['campaign', verb, c.campaign_id, ...(wave ? ['--wave', String(wave)] : []), ...(f.comment ? ['--reason', f.comment] : [])], path: `campaigns/${c.campaign_id}/${verb}`, body: body(f) });
  return html`<${Ask} title=${wave ? t('wave_rollback_ask', { n: wave }) : t(text + '_ask')} about=${t(text + '_about')} yes=${t(text)} danger=${danger} done=${t('action_done')} onClose=${close} shell=${shell}
    act=${(f) => post(`campaigns/${c.campaign_id}/${verb}`, body(f))}>
    <label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`;
}

function Verbs({ c, reload }) {
  const [open, setOpen] = useState(null);
  const shown = VERBS.filter(([verb, states]) => states.includes(c.status) && c.kind !== 'drill' && (verb !== 'rollback' || c.successful_count > 0));
  return html`<div class="row push">${shown.map(([name, , words, bad]) => html`<button class=${bad ? 'danger' : 'first'} onClick=${() => setOpen(name)}>${t(words)}</button>`)}
    ${open && html`<${Word} c=${c} verb=${open} close=${(did) => { setOpen(null); if (did) reload(); }} />`}</div>`;
}

function Waves({ c, members, may, reload }) {
  const [wave, setWave] = useState(0);
  return html`<section class="card"><h2>${t('waves')}</h2><${Key} />${wavesOf(c, members).map((w) => html`<${Wave} key=${w.wave} w=${w} c=${c}>
      ${may && w.wave > 0 && w.done > 0 && goesBack(c) && html`<br /><button class="danger small" onClick=${() => setWave(w.wave)} aria-label=${t('wave_rollback', { n: w.wave })}>${t('rollback')}</button>`}<//>`)}
    ${wave > 0 && html`<${Word} c=${c} verb="rollback" wave=${wave} close=${(did) => { setWave(0); if (did) reload(); }} />`}</section>`;
}

/* ---- how far ---- */

const seconds = (n) => (n === null ? '–' : t('seconds', { n: number(n, 2) }));

function Figures({ c }) {
  const f = c.figures;
  return html`<dl class="figures"><div><dt>${t('p50')}</dt><dd>${seconds(f.order_seconds_p50)}</dd></div><div><dt>${t('p99')}</dt><dd>${seconds(f.order_seconds_p99)}</dd></div>
    <div><dt>${t('rate')}</dt><dd>${f.certificates_per_second === null ? '–' : number(f.certificates_per_second, 1)}</dd></div>
    <div><dt>${t('rest')}</dt><dd>${seconds(f.seconds_left)}</dd></div><div><dt>${t('offline')}</dt><dd>${number(c.offline_count)}</dd></div></dl>`;
}

const over = (c) => c.completed_at !== null;

const sinceBegin = (n) => (n < 120 ? t('seconds', { n: number(n, 2) }) : span(n));

/* Asked for seldom, as it reads every member; a refusal because many ask at once leaves out the picture alone. */
function Progress({ c }) {
  const path = `campaigns/${c.campaign_id}/progress`;
  const { data: p, reload } = useData((o) => get(path, o), path + over(c), () => false);
  useEffect(() => {
    if (over(c)) return undefined;
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(false), PROGRESS_MS);
    return () => clearInterval(timer);
  }, [over(c)]);
  if (!p) return null;
  const begin = new Date(p.from).getTime(), x = p.points.map((o) => o.seconds);
  const series = [{ name: t('member_done'), values: p.points.map((o) => o.proved), kind: 'steps', colour: '--ok' }, { name: t('member_failed'), values: p.points.map((o) => o.failed), kind: 'steps', colour: '--bad', dash: [5, 4] }];
  const moved = p.points.map((o, i) => i).filter((i) => i === 0 || i === x.length - 1 || series.some((s) => s.values[i] !== s.values[i - 1]));
  return html`<section class="card"><h2>${t('progress_chart')}</h2><${Chart} label=${t('progress_about')} x=${x} series=${series} rows=${moved} top=${t('when')} xText=${sinceBegin} nameOf=${(i) => moment(begin + 1000 * x[i])} /></section>`;
}

/* ---- the view ---- */

async function load(id, o) {
  const path = 'campaigns/' + encodeURIComponent(id);
  const c = await get(path + '?members=no', o), few = c.total_certificates <= EACH;
  const [all, failed] = await Promise.all([few ? get(`${path}/members?limit=${EACH}`, o) : null, c.failed_count > 0 ? get(`${path}/members?state=failed&limit=50`, o) : null]);
  return { c, members: all && all.items, failed: failed ? failed.items : [] };
}

function Facts({ c }) {
  return html`<section class="card"><dl class="facts"><dt>${t('selection')}</dt><dd>${selectorWords(c.selector)}</dd><dt>${t('trigger')}</dt><dd>${word('trigger_', c.trigger)}, ${t('by')} ${c.requester}</dd>
    ${c.reason && html`<dt>${t('reason')}</dt><dd>${c.reason}</dd>`}${c.incident_id && html`<dt>${t('incident')}</dt><dd>${c.incident_id}</dd>`}
    <dt>${t('begun')}</dt><dd>${moment(c.created_at)}</dd>${c.completed_at && html`<dt>${t('took')}</dt><dd>${t('seconds', { n: number((new Date(c.completed_at) - new Date(c.started_at || c.created_at)) / 1000, 1) })}</dd>`}
    ${c.confirmation === 'asked' && html`<dt>${t('approvals')}</dt><dd><${State} kind="due">${t('approval_waiting')}<//></dd>`}</dl></section>`;
}

function Failed({ c, rows }) {
  if (rows.length === 0) return null;
  return html`<section class="card"><h2>${t('failures')}</h2><ul>${rows.map((m) => html`<li><a href=${to(['certificates', m.cert_id])}>${m.cert_id}</a> <${Code} code=${m.code} /> <${Told} code=${m.code} text=${m.error} /></li>`)}</ul>
    ${rows.length < c.failed_count && html`<p><a href=${to(['campaigns', c.campaign_id], { state: 'failed' })}>${t('failures_all', { n: number(rows.length), total: number(c.failed_count) })}</a></p>`}</section>`;
}

export function Campaign({ id, args, me }) {
  const { data, problem, reload } = useData((o) => load(id, o), id);
  const c = data && data.c, may = me.permissions.includes('certificate:bulk'), listed = Boolean(args.state || args.list);
  const told = c && t('progress_of', { done: number(c.successful_count), total: number(c.total_certificates) });
  useEffect(() => { if (told) say(told); }, [told]);
  useEffect(() => { /* orders of others are in the trail too late for a look each second: while it runs it is looked at */
    if (!c || over(c)) return undefined;
    const timer = setTimeout(() => document.visibilityState === 'visible' && reload(false), 2000);
    return () => clearTimeout(timer);
  }, [data]);
  return html`<div class="head"><h1>${c ? `${word('kind_of_', c.kind)} ${c.incident_id || ''}` : t('campaign')}</h1>
      ${c && html`<${CampaignState} status=${c.status} />`}${c && may && html`<${Verbs} c=${c} reload=${reload} />`}</div>
    <${ProblemBox} problem=${problem} />
    ${c && html`<div class="gap">
      ${c.cause && html`<p class="clear due">▲ ${c.cause_by_person ? c.cause : html`<${Told} text=${c.cause} />`}</p>`}
      <section class="card"><h2 id="how-far">${told}</h2><progress max=${Math.max(1, c.total_certificates)} value=${c.successful_count} aria-labelledby="how-far"></progress><${Figures} c=${c} /></section>
      ${c.kind === 'drill' && html`<${DrillFacts} id=${id} me=${me} running=${!over(c)} />`}
      <${Progress} c=${c} /><${Waves} c=${c} members=${data.members} may=${may} reload=${reload} />
      <details class="card" open=${listed} onToggle=${(e) => e.target.open !== listed && refine(['campaigns', id], e.target.open ? { list: 'yes' } : {})}><summary><b>${t('members')}</b> (${number(c.total_certificates)})</summary>${listed && html`<${Members} id=${id} args=${args} />`}</details>
      <${Failed} c=${c} rows=${data.failed} /><${Facts} c=${c} />
      ${readsReports(me) && html`<section class="card"><${EvidenceButton} kind="campaign" id=${id} /></section>`}</div>`}
    ${c && html`<${CopyAs} vccctl=${['campaign', 'show', id]} path=${'campaigns/' + encodeURIComponent(id)} />`}`;
}
