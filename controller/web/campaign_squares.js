/* campaign_squares.js - the certificates of a campaign by their state: a square for each of a few, a square for some of many, and all of them as a list. */
import { usePages } from './data.js';
import { html } from './lib.js';
import { LongList, ProblemBox, State, When, toldCell } from './parts.js';
import { refine, to } from './route.js';
import { number, t, word } from './text.js';

/* A square: its shape and its name tell the state, its colour repeats it. */
const SQUARES = {
  waiting: ['', '·'], held: ['', '‖'], following: ['busy', '◐'], ordered: ['busy', '◐'], done: ['ok', '✓'], failed: ['bad', '✗'],
  skipped: ['', '–'], dropped: ['', '∅'], going_back: ['back', '↩'], rolled_back: ['back', '↩'], kept: ['bad', '!'],
};
/* More than these are shown together. */
export const EACH = 500;
const TOGETHER = 200;

const Square = ({ m }) => {
  const [kind, sign] = SQUARES[m.state] || ['', '?'];
  const name = `${m.cert_id}: ${word('member_', m.state)}${m.code ? ' ' + m.code : ''}`;
  return html`<a class=${'square ' + kind} href=${to(['certificates', m.cert_id])} title=${name} aria-label=${name}>${sign}</a>`;
};

/* A wave counts these states together; the first names them. */
const COUNTED = [['done', 'done'], ['failed', 'failed'], ['in_progress', 'ordered'], ['waiting', 'waiting'], ['skipped', 'skipped'], ['rolled_back', 'rolled_back'], ['kept', 'kept']];

/* A campaign without waves, counted as a wave is. */
const whole = (c) => ({ wave: 0, total: c.total_certificates, status: '', canary: false, done: c.successful_count, failed: c.failed_count, in_progress: c.in_progress_count,
  waiting: c.waiting_count + c.held_count, skipped: c.skipped_count + c.dropped_count, rolled_back: c.rolled_back_count, kept: c.kept_count });

/* Members have positions that follow each other, wave by wave. */
export function wavesOf(c, members) {
  let first = 1;
  return (c.waves.length === 0 ? [whole(c)] : c.waves).map((w) => {
    const mine = members && members.filter((m) => m.position >= first && m.position < first + w.total);
    first += w.total;
    return { ...w, members: mine };
  });
}

/* One square for up to `per`: so that a single failure among ten thousand is a square, too. The numbers beside it are exact. */
function Together({ w, per, id }) {
  return html`<div class="squares" aria-hidden="true">${COUNTED.flatMap(([count, state]) => Array.from({ length: Math.ceil(w[count] / per) }, () =>
      html`<span class=${'square ' + SQUARES[state][0]}>${SQUARES[state][1]}</span>`))}</div>
    <p class="small counts">${COUNTED.filter(([count]) => w[count] > 0).map(([count, state], i) => html`${i > 0 ? ', ' : ''}<a href=${to(['campaigns', id], { state })}>${number(w[count])} ${t('member_' + state)}</a>`)}</p>
    <p class="muted small">${t('squares_together', { per: number(per), total: number(w.total) })}</p>`;
}

export function Wave({ w, c, children }) {
  return html`<div class="wave"><div><b>${w.wave ? t('wave_n', { n: w.wave }) : t('wave_all')}</b>${w.canary ? ' ' + t('wave_canary') : ''}<br />
      ${w.status && html`<span class="small">${t('wave_' + w.status)}</span><br />`}
      ${w.wave ? html`<span class="muted small">${t('wave_counts', { done: number(w.done), failed: number(w.failed), left: number(w.waiting + w.in_progress) })}</span>` : ''}${children}</div>
    <div>${w.members ? html`<div class="squares">${w.members.map((m) => html`<${Square} key=${m.position} m=${m} />`)}</div>` : html`<${Together} w=${w} id=${c.campaign_id} per=${Math.ceil(c.total_certificates / TOGETHER)} />`}</div></div>`;
}

export const Key = () => html`<div class="key">${['waiting', 'ordered', 'done', 'failed', 'skipped', 'rolled_back'].map((s) =>
  html`<span class="row"><span class=${'square ' + SQUARES[s][0]} aria-hidden="true">${SQUARES[s][1]}</span>${t('member_' + s)}</span>`)}</div>`;

/* ---- all of them ---- */

const KINDS = { ok: 'ok', bad: 'bad', busy: 'busy', back: 'back', '': 'off' };

const row = (m) => [
  [html`<a href=${to(['certificates', m.cert_id])}><b>${m.cert_id}</b></a>`], [html`<${State} kind=${KINDS[SQUARES[m.state]?.[0] || '']}>${word('member_', m.state)}<//>`],
  [m.agent || '–', true], toldCell(m.code, m.error || '', true), [html`<${When} at=${m.changed_at} />`],
];

export function Members({ id, args }) {
  const state = Object.hasOwn(SQUARES, args.state || '') ? args.state : '';
  const list = usePages(`campaigns/${encodeURIComponent(id)}/members${state ? '?state=' + state : ''}`, ({ event }) => /campaign|emergency|drill/.test(event));
  return html`<div class="filters"><label>${t('filter_status')}<select value=${state} onChange=${(e) => refine(['campaigns', id], { list: 'yes', state: e.target.value })}><option value="">${t('any')}</option>
      ${Object.keys(SQUARES).map((name) => html`<option value=${name} selected=${name === state}>${t('member_' + name)}</option>`)}</select></label></div>
    <${ProblemBox} problem=${list.problem} />
    <${LongList} label=${t('members')} kind="runs" top=${[t('certificate'), t('status'), t('host'), t('error'), t('when')]} rows=${list.rows} row=${row} more=${list.more} busy=${list.busy} />`;
}
