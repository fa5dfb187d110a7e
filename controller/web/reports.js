/* reports.js - the compliance report of a period: its figures, risks and rules with their exceptions. Each figure leads to the rows that it counts. */
import { get, text } from './api.js';
import { useData } from './data.js';
import { ExceptionAsk, Exceptions, makesExceptions } from './exceptions.js';
import { html, useState } from './lib.js';
import { CopyAs, ProblemBox, State, When, Wide, Words } from './parts.js';
import { REVOCATION_FIGURES, SERVICE_FIGURES, csv, paper, save } from './report_file.js';
import { refine, to } from './route.js';
import { say } from './say.js';
import { duration, lang, moment, number, percent, t, word } from './text.js';

const PERIODS = ['daily', 'weekly', 'monthly', 'quarterly', 'yearly'];
const RESULTS = { pass: 'ok', fail: 'bad', not_assessable: 'off', exception: 'due' };

/* The arguments of the API for what the address says: days are days of UTC. */
export function periodOf(args) {
  const span = args.from && args.to;
  return span ? { from: args.from, to: args.to } : { period: PERIODS.includes(args.period) ? args.period : 'monthly' };
}

/* The same as options of vccctl. */
export const periodWords = (args) => Object.entries(periodOf(args)).flatMap(([name, value]) => ['--' + name, value]);

/* A report is of the whole. */
export const readsReports = (me) => me.permissions.includes('report:read') && !me.limited_to_services;

/* ---- choose ---- */

const dayOf = (time) => (time || '').slice(0, 10);
const startOf = (day) => day + 'T00:00:00Z';

function Choose({ args }) {
  const span = Boolean(args.from && args.to);
  const [range, setRange] = useState(span);
  const submit = (e) => {
    e.preventDefault();
    const f = e.target.elements;
    if (f.from.value && f.to.value) refine('reports', { from: startOf(f.from.value), to: startOf(f.to.value) });
  };
  const choose = (e) => {
    setRange(e.target.value === 'range');
    if (e.target.value !== 'range') refine('reports', { period: e.target.value });
  };
  const chosen = range ? 'range' : periodOf(args).period;
  return html`<form class="filters" onSubmit=${submit}>
    <label>${t('report_period')}<select name="period" value=${chosen} onChange=${choose}>${[...PERIODS, 'range'].map((name) => html`<option value=${name} selected=${name === chosen}>${t('period_' + name)}</option>`)}</select></label>
    ${range && html`<label>${t('from')}<input type="date" name="from" required defaultValue=${dayOf(args.from)} /></label><label>${t('to')}<input type="date" name="to" required defaultValue=${dayOf(args.to)} /></label>
      <button type="submit">${t('calendar_show')}</button>`}</form>`;
}

function Files({ r }) {
  const name = `vcc-report-${dayOf(r.from)}-${dayOf(r.to)}`;
  return html`<div class="row push" role="group" aria-label=${t('report_files')}>
    <button onClick=${() => save(name + '.json', 'application/json', JSON.stringify(r, null, 2) + '\n')}>JSON</button>
    <button onClick=${() => save(name + '.csv', 'text/csv;charset=utf-8', csv(r))}>CSV</button>
    <button onClick=${() => save(name + '.html', 'text/html;charset=utf-8', paper(r))}>${t('file_html')}</button></div>`;
}

/* ---- figures ---- */

/* Where a figure is listed: the address that the report names, as a view. A count of now is no other one in another period. */
const rowsOf = (r, figure, more = {}) => to(['reports', 'rows'], { ...Object.fromEntries(new URLSearchParams(r.sources[figure].rows.split('?')[1])), ...more });

const Figure = ({ r, figure, name, children }) => html`<div><dt>${name || t('report_count_' + figure)}</dt><dd><a href=${rowsOf(r, figure)} title=${t('means_' + figure)}>${children}</a></dd></div>`;

function Figures({ r }) {
  const p = r.renewal_performance, risks = r.risk_assessment;
  return html`<section class="card"><h2>${t('report_figures')}</h2><dl class="figures">
    ${Object.entries(r.summary).map(([figure, n]) => html`<${Figure} r=${r} figure=${figure}>${number(n)}<//>`)}
    <${Figure} r=${r} figure="expiring_soon">${number(risks.expiring_soon)}<//><${Figure} r=${r} figure="high_risk_certificates">${number(risks.high_risk_count)}<//>
    <${Figure} r=${r} figure="renewals_ended" name=${t('report_success')}>${p.success_rate === null ? '–' : percent(p.success_rate)}<//>
    <${Figure} r=${r} figure="renewals_completed" name=${t('report_duration')}>${p.average_duration_minutes === null ? '–' : duration(p.average_duration_minutes)}<//>
    <${Figure} r=${r} figure="renewals_automated" name=${t('report_automated')}>${p.automated_renewals_percentage === null ? '–' : percent(p.automated_renewals_percentage / 100)}<//>
    ${REVOCATION_FIGURES.map(([key, figure]) => html`<${Figure} r=${r} figure=${figure}>${number(r.revocations[key])}<//>`)}</dl>
    <details><summary>${t('report_sources')}</summary><dl class="facts">${Object.keys(r.sources).map((name) => html`<dt><a href=${rowsOf(r, name)}>${word('report_count_', name)}</a></dt><dd>${word('means_', name)}</dd>`)}</dl></details></section>`;
}

function Services({ r }) {
  return html`<section class="card"><h2>${t('services')}</h2><${Wide} label=${t('services')}><table><thead><tr><th>${t('service')}</th>${SERVICE_FIGURES.map(([key, figure]) =>
    html`<th class="right">${t(key === 'total' ? 'report_total' : 'report_count_' + figure)}</th>`)}</tr></thead>
    <tbody>${Object.entries(r.vcc_service_breakdown).map(([name, s]) => html`<tr><th scope="row">${name}</th>${SERVICE_FIGURES.map(([key, figure]) =>
      html`<td class="right">${s[key] > 0 ? html`<a href=${rowsOf(r, figure, { service: name })}>${number(s[key])}</a>` : html`<span class="muted">0</span>`}</td>`)}</tr>`)}</tbody></table><//></section>`;
}

function Risks({ r }) {
  const risks = r.risk_assessment, listed = risks.high_risk_certificates;
  if (listed.length === 0) return html`<section><p class="clear">● ${t('report_no_risk')}</p></section>`;
  return html`<section class="card"><h2>${t('report_risks')}</h2><${Wide} label=${t('report_risks')}><table><thead><tr><th>${t('certificate')}</th><th>${t('service')}</th><th>${t('expires')}</th><th>${t('why')}</th><th>${t('rules')}</th></tr></thead>
    <tbody>${listed.map((c) => html`<tr><td><a href=${to(['certificates', c.cert_id])}><b>${c.cert_id}</b></a></td><td>${c.service_name}</td><td><${When} at=${c.expires_at} /></td>
      <td>${c.reasons.map((x) => word('risk_', x)).join(', ')}</td><td>${c.rules.join(', ') || '–'}</td></tr>`)}</tbody></table><//>
    ${risks.high_risk_count > listed.length && html`<p><a href=${rowsOf(r, 'high_risk_certificates')}>${t('report_all_rows', { n: number(risks.high_risk_count) })}</a></p>`}</section>`;
}

/* ---- rules ---- */

const Exception = ({ e }) => html`<p class="small tip"><${State} kind=${e.in_force ? 'due' : 'off'}>${t(e.in_force ? 'result_exception' : 'exception_over')}<//> <a href=${to(['templates', e.template_id])}>${e.template_id}</a>: ${e.reason}
  <br /><span class="muted">${t('owner')}: ${e.owner}, ${t('exception_until')} ${moment(e.until)}</span></p>`;

/* `except`: asks for an exception of the rule; null = this person makes none. */
function Rule({ x, except }) {
  const fails = x.rows && x.fail > 0 ? to(['reports', 'rows'], Object.fromEntries(new URLSearchParams(x.rows.split('?')[1]))) : null;
  const counts = t('rule_kinds', { pass: number(x.pass), fail: number(x.fail), exception: number(x.exception), not_assessable: number(x.not_assessable) });
  return html`<tr><th scope="row">${x.id}</th><td>${x.text}<br /><span class="small muted">${x.source}</span>${x.exceptions.map((e) => html`<${Exception} e=${e} />`)}
      ${except && x.about === 'certificates' && html`<br /><button class="small" aria-label=${t('exception_new_of', { rule: x.id })} onClick=${() => except(x)}>${t('exception_new')}</button>`}</td>
    <td>${t('severity_' + x.severity)}</td><td><${State} kind=${RESULTS[x.result]}>${t('result_' + x.result)}<//></td>
    <td>${x.reason && html`<${Words} text=${x.reason} /><br />`}<span class="small">${x.about === 'installation' ? html`<span class="muted">${t('of_installation')}</span>` : fails ? html`<a href=${fails}>${counts}</a>` : html`<span class="muted">${counts}</span>`}</span></td></tr>`;
}

function Profile({ p, except }) {
  const n = Object.fromEntries(Object.keys(RESULTS).map((name) => [name, p.rules.filter((x) => x.result === name).length]));
  return html`<details class="card" open=${n.fail + n.exception > 0}><summary><b>${t('rules_of', { profile: p.profile, law: p.law })}</b> <${State} kind=${n.fail > 0 ? 'bad' : n.pass + n.exception > 0 ? 'ok' : 'off'}>${t('rule_kinds', n)}<//></summary>
    <p class="muted small">${t('rules_about', { n: number(p.certificates) })}</p>
    <${Wide} label=${p.profile}><table class="rules"><thead><tr><th>${t('rule')}</th><th>${t('demand')}</th><th>${t('level')}</th><th>${t('result')}</th><th>${t('why')}</th></tr></thead>
      <tbody>${p.rules.map((x) => html`<${Rule} x=${x} except=${except} />`)}</tbody></table><//></details>`;
}

/* ---- evidence ---- */

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/* The bytes as they came: what `vccctl audit verify` checks. */
export async function saveEvidence(kind, id) {
  save(`vcc-evidence-${id}.json`, 'application/json', await text(`reports/evidence?${kind}=${encodeURIComponent(id)}`));
  say(t('evidence_done'), true);
}

/* A campaign's id is a UUID, and no certificate's. */
function Evidence() {
  const [problem, setProblem] = useState(null);
  const submit = async (e) => {
    e.preventDefault();
    const id = e.target.elements.id.value.trim();
    setProblem(null);
    try {
      await saveEvidence(ID.test(id) ? 'campaign' : 'certificate', id);
    } catch (p) {
      setProblem(p);
    }
  };
  return html`<section class="card"><h2>${t('evidence')}</h2><p class="muted small">${t('evidence_about')}</p><${ProblemBox} problem=${problem} />
    <form class="filters evidence" onSubmit=${submit}><label class="grow">${t('evidence_id')}<input type="text" name="id" required maxlength="80" /></label><button type="submit">${t('evidence_get')}</button></form></section>`;
}

/* A button where somebody looks at one of them. */
export function EvidenceButton({ kind, id }) {
  const [problem, setProblem] = useState(null);
  const fetchIt = () => saveEvidence(kind, id).then(() => setProblem(null), setProblem);
  return html`<p><button onClick=${fetchIt}>${t('evidence')}</button> <span class="small muted">${t('evidence_about')}</span></p><${ProblemBox} problem=${problem} />`;
}

/* ---- the view ---- */

/* Every rule about certificates, once. */
const rulesOf = (r) => [...new Map(r.compliance.flatMap((p) => p.rules).filter((x) => x.about === 'certificates').map((x) => [x.id, x])).values()];

export function Report({ args, me }) {
  const [dialog, open] = useState(null);
  const period = periodOf(args), asked = new URLSearchParams({ ...period, lang: lang() }).toString(), path = 'reports/compliance?' + asked;
  const { data, problem, reload } = useData(async (o) => {
    const [report, own] = await Promise.all([get(path, { ...o, slow: true }), get('reports/exceptions', o)]);
    return { report, exceptions: own.exceptions };
  }, path, () => false);
  const r = data && data.report, rules = r ? rulesOf(r) : [];
  const except = makesExceptions(me) ? (x) => open({ verb: 'make', rules, of: { rule: x.id } }) : null;
  return html`<div class="head"><h1>${t('report_title')}</h1>${r && html`<${Files} r=${r} />`}</div>
    <${Choose} key=${args.from ? 'range' : 'period'} args=${args} /><${ProblemBox} problem=${problem} />
    ${!r && !problem && html`<p class="muted">${t('loading')}</p>`}
    ${r && html`<div class="gap"><p>${t('report_span', { from: moment(r.from), to: moment(r.to), at: moment(r.generated_at) })}<br /><b>${r.statement}</b></p>
      <${Figures} r=${r} /><${Risks} r=${r} /><${Services} r=${r} />
      ${r.compliance.map((p) => html`<${Profile} key=${p.profile} p=${p} except=${except} />`)}
      <${Exceptions} rows=${data.exceptions} me=${me} rules=${rules} changed=${reload} />
      ${r.notes.length > 0 && html`<section class="card"><h2>${t('notes')}</h2><ul>${r.notes.map((note) => html`<li><${Words} text=${note} /></li>`)}</ul></section>`}
      <${Evidence} /></div>`}
    <${ExceptionAsk} asked=${dialog} close=${(did) => { open(null); if (did) reload(); }} />
    <${CopyAs} vccctl=${['report', 'compliance', ...periodWords(args), '--lang', lang()]} path=${path} />`;
}
