/* overview.js - does anything need somebody, and what ends when? */
import { get } from './api.js';
import { Chart } from './chart.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { CopyAs, ProblemBox, ToldWithCode, Wide } from './parts.js';
import { to } from './route.js';
import { has, moment, number, t, utcDay, word } from './text.js';

/* of the answer's `attention`, worst first: how bad, and where it is listed */
const NEEDS = [
  ['not_served', 'bad', to('certificates', { served: 'no' })], ['expired', 'bad', to('certificates', { status: 'expired' })],
  ['changed_files', 'bad', to('targets', { show: 'changed' })], ['renewals_paused', 'bad', to('renewals', { status: 'paused' })], ['targets_failing', 'bad', to('targets', { show: 'trouble' })],
  ['overdue', 'due', to('certificates', { status: 'expiring' })], ['campaigns_halted', 'due', to('campaigns')],
  ['approvals_waiting', 'due', to('approvals')], ['agents_away', 'due', to('agents', { show: 'away' })],
];

const needOf = (name, n) => (n === 1 && has('need_one_' + name) ? t('need_one_' + name) : t('need_' + name));

function Needs({ o }) {
  const counts = { ...o.attention, agents_away: o.agents_connected === null ? 0 : Math.max(0, o.agents - o.agents_connected) };
  const open = NEEDS.filter(([name]) => counts[name] > 0);
  const at = o.proved_at && moment(o.proved_at);
  if (open.length === 0) return html`<p class="clear" role="status">● ${at ? t('needs_nobody', { at }) : t('needs_nobody_yet')}</p>`;
  return html`<section aria-label=${t('needs')}><ul class="needs">${open.map(([name, kind, href]) =>
    html`<li><a class=${kind} href=${href}><strong>${number(counts[name])}</strong><span>${kind === 'bad' ? '✗' : '▲'} ${needOf(name, counts[name])}</span></a></li>`)}</ul>
    ${at && html`<p class="muted">● ${t('last_proof', { at })}</p>`}</section>`;
}

function Ready({ status }) {
  if (!status) return null;
  const failed = Object.entries(status.checks).filter(([, v]) => v !== 'ok').map(([name]) => name);
  return html`${failed.length > 0 && html`<p class="clear bad" role="alert">✗ ${t('not_ready', { what: failed.map((name) => word('check_', name)).join(', ') })}</p>`}
    ${status.warnings.map((text) => html`<p class="clear due">▲ <${ToldWithCode} text=${text} /></p>`)}`;
}

const Figure = ({ name, children }) => html`<div><dt>${t('figure_' + name)}</dt><dd>${children}</dd></div>`;

/* How much of one week's load is this? Three steps, as the words in each cell say the number anyway. */
const heat = (n, most) => (n === 0 ? '' : n > most * 2 / 3 ? 'n3' : n > most / 3 ? 'n2' : 'n1');
const weekName = (i, last) => (i === 0 ? t('week_this') : i === last ? t('week_later') : t('week_n', { n: i }));

/* Weeks by services: a table, so that it needs no twin. */
function Calendar({ services }) {
  const [plan, setPlan] = useState(false);
  if (services.length === 0) return html`<div class="card"><p>${t('no_certificates')}</p></div>`;
  const of = (s) => (plan ? s.renews : s.ends), last = of(services[0]).length - 1;
  const most = Math.max(1, ...services.flatMap((s) => of(s).slice(0, last)));
  return html`<section class="card">
    <div class="row"><h2>${t(plan ? 'calendar_plan' : 'calendar')}</h2>
      <label class="line push">${t('calendar_show')} <select value=${plan ? 'plan' : 'ends'} onChange=${(e) => setPlan(e.target.value === 'plan')}>
        <option value="ends">${t('calendar')}</option><option value="plan">${t('calendar_plan')}</option></select></label></div>
    <${Wide} label=${t(plan ? 'calendar_plan' : 'calendar')}>
      <table class=${'heat' + (plan ? ' plan' : '')}><caption>${t(plan ? 'calendar_plan_about' : 'calendar_about')}</caption>
        <thead><tr><th scope="col">${t('service')}</th>${of(services[0]).map((_, i) => html`<th scope="col">${weekName(i, last)}</th>`)}</tr></thead>
        <tbody>${services.map((s) => html`<tr><th scope="row"><a href=${to(['services', s.service])}>${s.service}</a></th>${of(s).map((n, i) =>
          html`<td class=${i === last ? '' : heat(n, most)}>${n > 0
            ? html`<a href=${to('certificates', { service: s.service })} aria-label=${t('week_label', { service: s.service, week: weekName(i, last), n })}>${number(n)}</a>` : '·'}</td>`)}</tr>`)}</tbody></table>
    <//></section>`;
}

/* What ends and what is renewed on which day, of UTC. */
function Days({ days }) {
  const first = new Date(days.first).getTime(), x = days.ends.map((_, i) => i), at = (i) => new Date(first + i * 86400000);
  const series = [{ name: t('day_ends'), values: days.ends, kind: 'bars', colour: '--due' }, { name: t('day_renews'), values: days.renews, kind: 'steps', colour: '--accent' }];
  if (days.ends.every((n) => n === 0) && days.renews.every((n) => n === 0)) return html`<section class="card"><h2>${t('day_chart')}</h2><p class="muted">${t('day_chart_none')}</p></section>`;
  return html`<section class="card"><h2>${t('day_chart')}</h2><${Chart} label=${t('day_chart_about')} x=${x} series=${series} rows=${x.filter((i) => days.ends[i] + days.renews[i] > 0)} top=${t('day')}
    xText=${(i) => (Number.isInteger(i) ? utcDay(at(i), true) : '')} nameOf=${(i) => utcDay(at(i), false)} /></section>`;
}

export function Overview() {
  const { data, problem } = useData(async (o) => {
    const [overview, status] = await Promise.all([get('overview', o), get('status', o)]);
    return { overview, status };
  }, 'overview');
  const o = data && data.overview;
  return html`<div class="head"><h1>${t('overview')}</h1></div><${ProblemBox} problem=${problem} />
    ${!data && !problem && html`<p class="muted">${t('loading')}</p>`}
    ${o && html`<div class="gap"><${Ready} status=${data.status} /><${Needs} o=${o} />
      <section class="card"><dl class="figures">
        <${Figure} name="certificates">${number(o.certificates)}<//><${Figure} name="active">${number(o.by_status.active)}<//>
        <${Figure} name="expiring">${number(o.by_status.expiring)}<//><${Figure} name="targets">${number(o.targets)}<//>
        <${Figure} name="agents">${o.agents_connected === null ? '–' : number(o.agents_connected)} / ${number(o.agents)}<//>
        <${Figure} name="campaigns">${number(o.attention.campaigns_open)}<//></dl></section>
      ${o.certificates > 0 && html`<${Days} days=${o.days} />`}<${Calendar} services=${o.services} /></div>`}
    <${CopyAs} vccctl=${['status']} path="overview" />`;
}
