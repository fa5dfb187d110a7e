/* report_file.js - a report as a file: for sheets (CSV, a line for each value, as `vccctl report compliance -o csv` writes it) and for paper (one HTML
 * page that needs nothing else). Never: asking the API. */
import { html, render } from './lib.js';
import { duration, lang, moment, number, percent, t, word } from './text.js';

/* Gives the browser's user a file. */
export function save(name, type, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/* ---- CSV ---- */

/* A sheet takes what begins with one of these for a formula; for some a semicolon ends a cell, whatever the quotes say. */
const cell = (text) => `"${text.replace(/(^|;)(?=[=+\-@\t\r])/g, "$1'").replaceAll('"', '""')}"`;

function lines(place, value, to) {
  if (value !== null && typeof value === 'object')
    for (const [name, part] of Object.entries(value)) lines(place ? `${place}.${name}` : name, part, to);
  else
    to.push(`${cell(place)},${value === null ? '' : typeof value === 'string' ? cell(value) : String(value)}`);
  return to;
}

export const csv = (report) => ['"key","value"', ...lines('', report, [])].map((line) => line + '\r\n').join('');

/* ---- paper ---- */

const STYLE = 'body{font:11pt/1.4 sans-serif;color:#111;background:#fff;max-width:60em;margin:2em auto;padding:0 1em}h1{font-size:1.5em}'
  + 'h2{font-size:1.15em;margin:1.6em 0 .4em}table{border-collapse:collapse;width:100%}th,td{border:1px solid #999;padding:.25em .5em;text-align:left;'
  + 'vertical-align:top;overflow-wrap:anywhere}thead th{background:#eee}thead{display:table-header-group}tr{break-inside:avoid}h2{break-after:avoid}'
  + '.statement{border:2px solid #111;padding:.5em 1em;font-weight:bold}@page{size:A4;margin:15mm}@media print{body{max-width:none;margin:0;padding:0;font-size:9pt}}';

const Table = ({ top, rows }) => html`<table><thead><tr>${top.map((text) => html`<th>${text}</th>`)}</tr></thead>
  <tbody>${rows.map((row) => html`<tr>${row.map((text) => html`<td>${text}</td>`)}</tr>`)}</tbody></table>`;

const shown = (value, write) => (value === null ? '–' : write(value));

function figures(r) {
  const p = r.renewal_performance, counts = { ...r.summary, expiring_soon: r.risk_assessment.expiring_soon, high_risk_certificates: r.risk_assessment.high_risk_count,
    ...Object.fromEntries(REVOCATION_FIGURES.map(([key, figure]) => [figure, r.revocations[key]])) };
  return [...Object.entries(counts).map(([name, n]) => [t('report_count_' + name), number(n)]), [t('report_success'), shown(p.success_rate, percent)],
    [t('report_duration'), shown(p.average_duration_minutes, duration)], [t('report_automated'), shown(p.automated_renewals_percentage, (n) => percent(n / 100))]];
}

const exceptionText = (e) => t('exception_of', { template: e.template_id, reason: e.reason.replace(/[^.!?]$/, '$&.'), owner: e.owner, until: moment(e.until) });

const Profile = ({ p }) => html`<h2>${t('rules_of', { profile: p.profile, law: p.law })}</h2>
  <${Table} top=${[t('rule'), t('demand'), t('level'), t('result'), t('why')]} rows=${p.rules.map((x) => [x.id, `${x.text} (${x.source})`, t('severity_' + x.severity), t('result_' + x.result), x.reason])} />
  ${p.rules.flatMap((x) => x.exceptions.map((e) => html`<p>${x.id}: ${exceptionText(e)}</p>`))}`;

const Paper = ({ r }) => html`<h1>${t('report_title')}</h1><p class="statement">${r.statement}</p><p>${t('report_span', { from: moment(r.from), to: moment(r.to), at: moment(r.generated_at) })}</p>
  <h2>${t('report_figures')}</h2><${Table} top=${[t('figure'), t('value')]} rows=${figures(r)} />
  <h2>${t('services')}</h2><${Table} top=${[t('service'), ...SERVICE_FIGURES.map(([key, figure]) => t(key === 'total' ? 'report_total' : 'report_count_' + figure))]}
    rows=${Object.entries(r.vcc_service_breakdown).map(([name, s]) => [name, ...SERVICE_FIGURES.map(([key]) => number(s[key]))])} />
  <h2>${t('report_risks')}</h2>${r.risk_assessment.high_risk_certificates.length === 0 ? html`<p>${t('report_no_risk')}</p>` : html`<${Table} top=${[t('certificate'), t('service'), t('expires'), t('why'), t('rules')]}
    rows=${r.risk_assessment.high_risk_certificates.map((c) => [c.cert_id, c.service_name, c.expires_at && moment(c.expires_at), c.reasons.map((x) => word('risk_', x)).join(', '), c.rules.join(', ')])} />`}
  ${r.compliance.map((p) => html`<${Profile} p=${p} />`)}
  <h2>${t('report_sources')}</h2><${Table} top=${[t('figure'), t('means'), t('rows')]} rows=${Object.entries(r.sources).map(([name, s]) => [word('report_count_', name), word('means_', name), s.rows])} />
  ${r.notes.length > 0 && html`<h2>${t('notes')}</h2><ul>${r.notes.map((text) => html`<li>${text}</li>`)}</ul>`}`;

/* Values are text nodes of a tree that is then written out: a name cannot become markup on paper either. */
export function paper(report) {
  const body = document.createElement('div');
  render(html`<${Paper} r=${report} />`, body);
  const text = new XMLSerializer().serializeToString(body);
  render(null, body);
  return `<!doctype html><html lang="${lang()}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${t('report_title')}</title><style>${STYLE}</style></head><body>${text}</body></html>`;
}

/* of revocations: key, and the figure that lists it */
export const REVOCATION_FIGURES = [['total', 'revocations'], ['superseded', 'revocations_superseded'], ['other', 'revocations_other']];

/* of a service: key, and the figure that lists it */
export const SERVICE_FIGURES = [['total', 'total_certificates'], ['active', 'active_certificates'], ['expiring', 'expiring'], ['expired', 'expired'],
  ['renewals_completed', 'renewals_completed'], ['renewals_failed', 'renewals_failed']];
