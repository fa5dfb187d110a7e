/* approvals.js - what waits for a second person, and the decision: of exactly what is shown here, by its hash. */
import { get, post } from './api.js';
import { useData, usePages } from './data.js';
import { fieldWord, selectorWords } from './german.js';
import { html, useState } from './lib.js';
import { Ask, CopyAs, LongList, ProblemBox, State, Told, When } from './parts.js';
import { refine, to } from './route.js';
import { moment, number, t, word } from './text.js';

const KINDS = { waiting: 'due', approved: 'ok', rejected: 'bad', cancelled: 'off' };
const Decision = ({ status }) => html`<${State} kind=${KINDS[status]}>${t('approval_' + status)}<//>`;
const about = (a) => `${word('ask_of_', a.kind)} ${a.object}`;

const row = (a) => [
  [html`<a href=${to(['approvals', a.approval_id])}><b>${about(a)}</b></a>`], [html`<${Decision} status=${a.status} />`], [a.service || '–', true], [a.requester, true], [html`<${When} at=${a.created_at} />`],
];

function List({ args }) {
  const path = 'approvals' + (args.state === 'all' ? '?state=all' : '');
  const list = usePages(path, ({ event }) => event.startsWith('approval'));
  return html`<div class="head"><h1>${t('approvals')}</h1></div>
    <div class="filters"><label class="line"><input type="checkbox" checked=${args.state === 'all'} onChange=${(e) => refine('approvals', { state: e.target.checked ? 'all' : '' })} />${t('approvals_all')}</label></div>
    <${ProblemBox} problem=${list.problem} />
    ${!list.busy && list.rows.length === 0 && !list.problem ? html`<p class="clear">● ${t('no_approvals')}</p>`
      : html`<${LongList} label=${t('approvals')} kind="runs" top=${[t('approval_about'), t('status'), t('service'), t('requester'), t('asked_at')]} rows=${list.rows} row=${row} more=${list.more} busy=${list.busy} />`}
    <${CopyAs} vccctl=${['approval', 'list', ...(args.state === 'all' ? ['--all'] : [])]} path=${path} />`;
}

/* fields whose values are words of ours: where these stand */
const WORDS = { purpose: 'purpose_', trigger: 'trigger_', renewal_trigger: 'trigger_', incident_type: 'incident_', when: 'plan_approval_' };
const LISTED = 500;
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

function Value({ name, kind, value }) {
  if (value === null) return html`<span class="muted">–</span>`;
  if (typeof value === 'boolean') return html`<span>${t(value ? 'yes' : 'no')}</span>`;
  const text = String(value), prefix = name === 'kind' ? 'kind_of_' : name === 'reason' && kind === 'ca_revocation' ? 'reason_' : WORDS[name];
  if (prefix) return html`<span title=${text}>${word(prefix, text)}</span>`;
  if (MOMENT.test(text)) return html`<time datetime=${text} title=${text}>${moment(text)}</time>`;
  return name === 'does' || name === 'warnings' ? html`<${Told} text=${text} />` : html`<span>${name === 'selector' ? selectorWords(text) : text}</span>`;
}

/* What is agreed to, as far down as it goes. */
function What({ value, name, kind }) {
  if (value === null || typeof value !== 'object') return html`<${Value} name=${name} kind=${kind} value=${value} />`;
  if (Array.isArray(value)) return value.length === 0 ? html`<span class="muted">${t('none')}</span>` : html`<ul>${value.slice(0, LISTED).map((v) => html`<li><${What} value=${v} name=${name} kind=${kind} /></li>`)}
    ${value.length > LISTED && html`<li><b>▲ ${t('squares_some', { n: number(LISTED), total: number(value.length) })}</b></li>`}</ul>`;
  return html`<dl class="facts">${Object.entries(value).map(([of, v]) => html`<dt title=${of}>${fieldWord(of)}</dt><dd><${What} value=${v} name=${of} kind=${kind} /></dd>`)}</dl>`;
}

function Decide({ a, verb, close }) {
  const path = `approvals/${a.approval_id}/${verb}`, body = (f) => ({ hash: a.hash, comment: f.comment });
  const words = (f) => ['approval', verb, a.approval_id, '--hash', a.hash, ...(f.comment ? ['--comment', f.comment] : [])];
  return html`<${Ask} title=${t(verb + '_ask', { what: about(a) })} about=${t('approve_about')} yes=${t(verb)} danger=${verb === 'reject'} done=${t(verb + '_done')} onClose=${close}
    act=${(f) => post(path, body(f))} shell=${(f) => ({ vccctl: words(f), path, body: body(f) })}>
    <p class="mono small">${a.hash}</p><label>${t('reason_needed')}<input type="text" name="comment" required maxlength="150" autofocus /></label><//>`;
}

/* Two principals of one person are one person. */
const own = (a, me) => a.requester === me.principal || Boolean(a.person && a.person === me.person);

function One({ id, me }) {
  const path = 'approvals/' + encodeURIComponent(id);
  const { data: a, problem, reload } = useData((o) => get(path, o), id, ({ event }) => event.startsWith('approval'));
  const [verb, setVerb] = useState(null);
  const close = (did) => { setVerb(null); if (did) reload(); };
  return html`<div class="head"><h1>${a ? about(a) : t('approvals')}</h1>${a && html`<${Decision} status=${a.status} />`}
      ${a && a.you_may_decide && html`<div class="row push"><button class="first" onClick=${() => setVerb('approve')}>${t('approve')}</button><button class="danger" onClick=${() => setVerb('reject')}>${t('reject')}</button></div>`}</div>
    <${ProblemBox} problem=${problem} />
    ${a && verb && html`<${Decide} a=${a} verb=${verb} close=${close} />`}
    ${a && html`<div class="gap">${a.status === 'waiting' && !a.you_may_decide && html`<p class="clear due">▲ ${t(own(a, me) ? 'may_not_decide_own' : 'may_not_decide')}</p>`}
      <section class="card"><dl class="facts"><dt>${t('requester')}</dt><dd>${a.requester}${a.person && a.person !== a.requester ? ` (${a.person})` : ''}</dd><dt>${t('asked_at')}</dt><dd>${moment(a.created_at)}</dd>
        ${a.service && html`<dt>${t('service')}</dt><dd>${a.service}</dd>`}${a.expires_at && a.status === 'waiting' && html`<dt>${t('until')}</dt><dd>${moment(a.expires_at)}</dd>`}
        ${a.decider && html`<dt>${t('decided_by')}</dt><dd>${a.decider}, ${moment(a.decided_at)}</dd>`}${a.comment && html`<dt>${t('reason')}</dt><dd>${a.comment}</dd>`}
        <dt>Hash</dt><dd class="mono small">${a.hash}</dd></dl></section>
      <section class="card"><h2>${t('details')}</h2><${What} value=${a.what} kind=${a.kind} />
        ${a.kind === 'campaign' && html`<p><a href=${to(['campaigns', a.object])}>${t('campaign')}</a></p>`}</section></div>`}
    ${a && html`<${CopyAs} vccctl=${['approval', 'show', id]} path=${path} />`}`;
}

export const Approvals = (props) => (props.id === undefined ? html`<${List} ...${props} />` : html`<${One} ...${props} />`);
