/* notices.js - what people had to be told: how it stands, who has it, and what became of its messages; somebody takes a matter over or keeps it quiet. */
import { post } from './api.js';
import { usePages } from './data.js';
import { eventWord } from './german.js';
import { html, useState } from './lib.js';
import { Ask, CopyAs, LongList, ProblemBox, State, When, toldCell } from './parts.js';
import { refine, to } from './route.js';
import { moment, number, t, word } from './text.js';

const LEVELS = { success: 'ok', info: 'off', error: 'due', critical: 'bad' };
const STANDINGS = { open: 'bad', acknowledged: 'busy', snoozed: 'off', closed: 'ok' };
const PAUSES = ['4h', '1d', '7d', '30d'];
const HEIGHTS = [72, 196], NARROW = 940; /* of a row in style.css, wide and narrow; the width of the list up to which it is narrow */

/* Where what it is about is seen. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function placeOf(n) {
  if (n.renewal_id) return to(['renewals', n.renewal_id]);
  if (n.detail && n.detail.approval_id) return to(['approvals', n.detail.approval_id]);
  if (/^(campaign|emergency)_/.test(n.event) && ID.test(n.object)) return to(['campaigns', n.object]);
  return /^(emergency_threshold|max_renewals|renewal|rollback|trouble)_/.test(n.event) && n.object ? to(['certificates', n.object]) : null;
}

function About({ n }) {
  const place = placeOf(n), named = html`<b title=${n.event}>${eventWord(n.event)}</b>`;
  return html`${place ? html`<a href=${place}>${named}</a>` : named} ${n.object}`;
}

/* Since when, by whom or until when, below the word. */
function since(n) {
  if (n.standing === 'acknowledged') return n.acknowledged_by ? t('notice_taken_by', { who: n.acknowledged_by, at: moment(n.acknowledged_at) }) : t('notice_taken_at', { at: moment(n.acknowledged_at) });
  if (n.standing === 'snoozed') return t('notice_quiet_until', { at: moment(n.snoozed_until) });
  return n.standing === 'closed' ? t('notice_over_since', { at: moment(n.closed_at) }) : '';
}

const Standing = ({ n }) => html`<${State} kind=${STANDINGS[n.standing]}>${word('standing_', n.standing)}<//><span class="sub small">${since(n)}</span>`;

const delivered = (n) => (n.messages === 0 ? t('notice_no_messages') : t('notice_of', { n: number(n.delivered), all: number(n.messages) }));

/* Offered where it changes something, to whoever may. */
function Acts({ n, ask }) {
  if (n.standing === 'closed') return null;
  const what = `${eventWord(n.event)} ${n.object}`;
  return html`<span class="row acts">${n.standing !== 'acknowledged' && html`<button class="small" aria-label=${t('notice_ack_of', { what })} onClick=${() => ask({ verb: 'ack', n })}>${t('notice_ack')}</button>
    <button class="small" aria-label=${t('notice_snooze_of', { what })} onClick=${() => ask({ verb: 'snooze', n })}>${t('notice_snooze')}</button>`}</span>`;
}

const rowOf = (ask) => (n) => [
  [html`<${About} n=${n} />`, false, `${eventWord(n.event)} ${n.object}`], [html`<${State} kind=${LEVELS[n.level]}>${word('level_', n.level)}<//>`], toldCell(n.code, n.error || '', false),
  [html`<${Standing} n=${n} />`, false, true], [delivered(n), false, true],
  [html`<${When} at=${n.last_at} />${n.count > 1 && html`<span class="sub small">${t('times_n', { n: number(n.count) })}</span>`}`], ...(ask ? [[html`<${Acts} n=${n} ask=${ask} />`]] : []),
];

function Act({ verb, n, close }) {
  const path = `notifications/${n.notification_id}/${verb}`, snooze = verb === 'snooze';
  const body = (f) => ({ ...(snooze ? { for: f.for } : {}), ...(f.reason ? { reason: f.reason } : {}) });
  const words = (f) => ['notify', verb, n.notification_id, ...(snooze ? ['--for', f.for || PAUSES[0]] : f.reason ? ['--reason', f.reason] : [])];
  return html`<${Ask} title=${t(`notice_${verb}_of`, { what: `${eventWord(n.event)} ${n.object}` })} about=${t(`notice_${verb}_about`)} yes=${t('notice_' + verb)} done=${t(`notice_${verb}_done`)} onClose=${close}
    act=${(f) => post(path, body(f))} shell=${(f) => ({ vccctl: words(f), path, body: body(f) })}>
    ${snooze ? html`<label>${t('notice_pause')}<select name="for" autofocus>${PAUSES.map((p) => html`<option value=${p}>${t('pause_' + p)}</option>`)}</select></label>`
      : html`<label>${t('notice_reason')}<input type="text" name="reason" maxlength="150" autofocus /></label>`}<//>`;
}

export function Notices({ args, me }) {
  const all = args.state === 'all', path = 'notifications' + (all ? '' : '?state=queued'), may = me.permissions.includes('certificate:renew');
  const list = usePages(path);
  const [asked, ask] = useState(null);
  const close = (did) => { ask(null); if (did) list.reload(); };
  const top = [t('event'), t('level'), t('error'), t('status'), t('notice_delivered'), t('when'), ...(may ? [t('notice_acts')] : [])];
  return html`<div class="head"><h1>${t('notices')}</h1></div>
    <div class="filters"><label class="line"><input type="checkbox" checked=${all} onChange=${(e) => refine('notices', { state: e.target.checked ? 'all' : '' })} />${t('notices_all')}</label></div>
    <${ProblemBox} problem=${list.problem} />
    ${!list.busy && list.rows.length === 0 && !list.problem ? html`<p class="clear">● ${t(all ? 'no_notices' : 'no_open_notices')}</p>`
      : html`<${LongList} label=${t('notices')} kind=${may ? 'notes acted' : 'notes'} heights=${HEIGHTS} narrow=${NARROW} top=${top} rows=${list.rows} row=${rowOf(may ? ask : null)} more=${list.more} busy=${list.busy} problem=${list.problem} />`}
    ${asked && html`<${Act} verb=${asked.verb} n=${asked.n} close=${close} />`}
    <${CopyAs} vccctl=${['notify', 'list', ...(all ? ['--all'] : [])]} path=${path} />`;
}
