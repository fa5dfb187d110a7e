/* hosts.js - hosts and their targets: who is here, what is served where, and what is the matter. */
import { get } from './api.js';
import { useData, usePages } from './data.js';
import { Invite } from './invite.js';
import { html, useState } from './lib.js';
import { Code, CopyAs, LongList, ProblemBox, State } from './parts.js';
import { refine, to } from './route.js';
import { moment, relative, t, word } from './text.js';

const DAY_MS = 86400000;

const Connected = ({ a }) => (a.state !== 'active' ? html`<${State} kind="off">${t('state_' + a.state)}<//>`
  : a.connected ? html`<${State} kind="ok">${t('connected')}<//>` : html`<${State} kind="bad">${t('away')}<//>`);

const Health = ({ a }) => (a.copy ? html`<${State} kind="bad">${t('agent_copy')}<//>` : a.healthy === null ? html`<span class="muted">–</span>`
  : a.healthy ? html`<${State} kind="ok">${t('healthy')}<//>` : html`<${State} kind="due">${a.degraded.map((d) => word('health_', d)).join(', ')}<//>`);

const agentRow = (a) => [
  [html`<a href=${to(['agents', a.name])}><b>${a.name}</b></a>`], [a.service, true], [html`<${Connected} a=${a} />`], [html`<${Health} a=${a} />`],
  [a.seen_at ? t('seen', { at: relative(a.seen_at) }) : '–'],
];

function AgentList({ args, me }) {
  const [inviting, setInviting] = useState(false);
  const away = args.show === 'away', path = 'agents' + (away ? '?connected=no' : '');
  const list = usePages(path, ({ event }) => event.startsWith('agent'));
  return html`<div class="head"><h1>${t('agents')}</h1>${me.permissions.includes('agent:invite') && html`<button class="push" onClick=${() => setInviting(true)}>${t('invite_new')}</button>`}</div>
    ${inviting && html`<${Invite} close=${() => setInviting(false)} />`}
    <div class="filters"><label class="line"><input type="checkbox" checked=${away} onChange=${(e) => refine('agents', { show: e.target.checked ? 'away' : '' })} />${t('away')}</label></div>
    <${ProblemBox} problem=${list.problem} />
    <${LongList} label=${t('agents')} kind="hosts" top=${[t('name'), t('service'), t('connection'), t('health'), t('when')]} rows=${list.rows} row=${agentRow} more=${list.more} busy=${list.busy} none=${!away && t('no_agents')} problem=${list.problem} />
    <${CopyAs} vccctl=${['agent', 'list', ...(away ? ['--away'] : [])]} path=${path} />`;
}

function Agent({ id }) {
  const path = 'agents/' + encodeURIComponent(id);
  const { data: a, problem } = useData((o) => get(path, o), id, (e) => !e.record || e.record.object === id);
  return html`<div class="head"><h1>${id}</h1>${a && html`<${Connected} a=${a} /><${Health} a=${a} />`}</div><${ProblemBox} problem=${problem} />
    ${a && html`<div class="gap"><section class="card"><dl class="facts">
      <dt>${t('service')}</dt><dd><a href=${to(['services', a.service])}>${a.service}</a></dd><dt>${t('names')}</dt><dd>${a.names.join(', ')}</dd>
      <dt>${t('version')}</dt><dd>${a.version || '–'}</dd><dt>${t('address')}</dt><dd>${a.address || '–'}</dd>
      <dt>${t('seen_at')}</dt><dd>${a.seen_at ? moment(a.seen_at) : t('never')}</dd><dt>${t('identity_until')}</dt><dd>${a.identity_expires_at ? moment(a.identity_expires_at) : '–'}</dd></dl></section>
      <section class="card"><h2>${t('targets')}</h2>${a.targets.length === 0 ? html`<p class="muted">${t('none')}</p>` : html`<ul>${a.targets.map((x) =>
        html`<li><a href=${to(['certificates', x.cert_id])}>${x.cert_id}</a> ${x.listeners.join(', ')} <${Place} x=${x} /></li>`)}</ul>`}
        <p><a href=${to('certificates', { agent: id })}>${t('certificates')}</a></p></section></div>`}
    ${a && html`<${CopyAs} vccctl=${['agent', 'show', id]} path=${path} />`}`;
}

export const Agents = (props) => (props.id === undefined ? html`<${AgentList} ...${props} />` : html`<${Agent} ...${props} />`);

/* ---- targets ---- */

const Place = ({ x }) => (x.stale_since ? html`<${State} kind="bad">${t('target_stale')}<//>` : x.error ? html`<${State} kind="bad">${t('target_trouble')}<//>`
  : html`<${State} kind="ok">${t('target_ok')}<//>`);

const changedLately = (x) => Boolean(x.changed_at) && Date.now() - new Date(x.changed_at) < DAY_MS;
const SHOWS = ['changed', 'trouble'];

const targetRow = (x) => [
  [html`<a href=${to(['certificates', x.cert_id])}><b>${x.cert_id}</b></a>`], [x.agent, true], [html`<${Place} x=${x} /> <${Code} code=${x.error} />`, false, true],
  [html`<span title=${x.listeners.join(', ')}>${x.listeners.join(', ') || '–'}</span>`, true],
  [html`${changedLately(x) ? t('changed_files_at', { at: relative(x.changed_at) }) : x.proved_at ? t('proved', { at: relative(x.proved_at) }) : t('not_proved')}`],
];

export function Targets({ args }) {
  const show = SHOWS.includes(args.show) ? args.show : '', path = 'targets' + (show ? '?show=' + show : '');
  const list = usePages(path, ({ event }) => /target|certificate_proved/.test(event));
  return html`<div class="head"><h1>${t('targets')}</h1></div>
    <div class="filters"><label>${t('status')}<select value=${show} onChange=${(e) => refine('targets', { show: e.target.value })}><option value="">${t('any')}</option>
      <option value="changed" selected=${show === 'changed'}>${t('need_changed_files')}</option><option value="trouble" selected=${show === 'trouble'}>${t('need_targets_failing')}</option></select></label></div>
    <${ProblemBox} problem=${list.problem} />
    <${LongList} label=${t('targets')} kind="places" top=${[t('certificate'), t('host'), t('status'), t('listeners'), t('when')]} rows=${list.rows} row=${targetRow} more=${list.more} busy=${list.busy} none=${!show && t('no_targets')} problem=${list.problem} />
    <${CopyAs} vccctl=${['target', 'list', ...(show ? ['--' + show] : [])]} path=${path} />`;
}
