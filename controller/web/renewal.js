/* renewal.js - renewals: the list of those that rest, and one with the times of its steps and what the host proved. */
import { get } from './api.js';
import { useData, usePages } from './data.js';
import { html } from './lib.js';
import { Code, CopyAs, LongList, NextStep, OrderState, ProblemBox, Told, When, shape, toldCell } from './parts.js';
import { to } from './route.js';
import { has, moment, number, t, word } from './text.js';

const KINDS = { done: 'ok', failed: 'bad', pending: 'busy' };

export const Steps = ({ steps }) => html`<ol class="steps">${steps.map((s) => html`<li>
  <span class=${'shape ' + KINDS[s.status]} role="img" aria-label=${t('step_' + s.status)}>${shape(KINDS[s.status])}</span>
  <span>${word('step_', s.step)}${s.attempt > 1 ? html` <span class="muted small">${t('attempt_n', { n: s.attempt })}</span>` : ''}</span>
  <span class="right">${s.seconds === null ? '' : t('seconds', { n: number(s.seconds, 3) })}</span>
  <span class="small muted">${moment(s.at)} ${s.code && html`<${Code} code=${s.code} /> `}${s.step === 'revoke_old' && has('reason_' + s.detail) ? word('reason_', s.detail) : html`<${Told} code=${s.code} text=${s.detail} />`}</span></li>`)}</ol>`;

const Proof = ({ r }) => html`<tr><td>${word('outcome_', r.outcome)}</td><td>${r.agent}</td><td>${t('handshakes_of', { n: number(r.handshakes), failed: number(r.handshakes_failed) })}</td>
  <td><${When} at=${r.made_at} /> <${Code} code=${r.code} /></td></tr>`;

export function Renewal({ id }) {
  const path = 'renewals/' + encodeURIComponent(id);
  const { data: r, problem } = useData((o) => get(path, o), id, (e) => !e.record || e.record.renewal_id === id);
  return html`<div class="head"><h1>${r ? t('renewal_of', { id: r.cert_id }) : t('renewal')}</h1>${r && html`<${OrderState} status=${r.status} />`}</div>
    <${ProblemBox} problem=${problem} />
    ${r && html`<div class="gap">
      <section class="card"><dl class="facts">
        <dt>${t('certificate')}</dt><dd><a href=${to(['certificates', r.cert_id])}>${r.cert_id}</a></dd>
        <dt>${t('trigger')}</dt><dd>${word('trigger_', r.renewal_trigger)}, ${t('by')} ${r.requested_by}</dd>
        <dt>${t('begun')}</dt><dd>${moment(r.created_at)}</dd>
        ${r.completed_at && html`<dt>${t('took')}</dt><dd>${t('seconds', { n: number((new Date(r.completed_at) - new Date(r.created_at)) / 1000, 1) })}</dd>`}
        ${r.error && html`<dt>${t('error')}</dt><dd><${Code} code=${r.error.code} /> <${Told} code=${r.error.code} text=${r.error.message} /><br /><b>${t('next_step')}:</b> <${NextStep} code=${r.error.code} text=${r.error.next} /></dd>`}
        ${r.campaign_id && html`<dt>${t('campaign')}</dt><dd><a href=${to(['campaigns', r.campaign_id])}>${r.campaign_id}</a></dd>`}</dl></section>
      <section class="card"><h2>${t('steps')}</h2><${Steps} steps=${r.steps} /></section>
      ${r.receipts.length > 0 && html`<section class="card"><h2>${t('proof')}</h2><div class="wide" tabindex="0" role="region" aria-label=${t('proof')}><table><tbody>
        ${r.receipts.map((p) => html`<${Proof} r=${p} />`)}</tbody></table></div></section>`}</div>`}
    ${r && html`<${CopyAs} vccctl=${['cert', 'show', r.cert_id]} path=${path} />`}`;
}

const row = (o) => [
  [html`<a href=${to(['renewals', o.renewal_id])}><b>${o.cert_id}</b></a>`], [html`<${OrderState} status=${o.status} />`], [word('trigger_', o.renewal_trigger), true],
  [html`<${When} at=${o.created_at} />`], o.error ? toldCell(o.error.code, o.error.message, false) : [''],
];

export function Renewals({ args }) {
  const path = 'renewals' + (args.status === 'paused' ? '?status=paused' : '');
  const list = usePages(path, ({ event }) => event.startsWith('certificate_renewal'));
  return html`<div class="head"><h1>${t(args.status === 'paused' ? 'need_renewals_paused' : 'renewals')}</h1></div><${ProblemBox} problem=${list.problem} />
    <${LongList} label=${t('renewals')} kind="runs" top=${[t('certificate'), t('status'), t('trigger'), t('begun'), t('error')]} rows=${list.rows} row=${row} more=${list.more} busy=${list.busy} none=${args.status !== 'paused' && t('no_renewals')} problem=${list.problem} />
    <${CopyAs} vccctl=${['cert', 'list']} path=${path} />`;
}
