/* report_rows.js - what one figure of the report counts: certificates, renewals or campaigns, each with its own view, or
 * revocations by their serial numbers. */
import { usePages } from './data.js';
import { html } from './lib.js';
import { CampaignState, CertState, CopyAs, LongList, OrderState, ProblemBox, When } from './parts.js';
import { periodOf, periodWords } from './reports.js';
import { to } from './route.js';
import { lang, t, word } from './text.js';

const AREAS = { certificate: 'certificates', renewal: 'renewals', campaign: 'campaigns' };
const STATES = { certificate: CertState, renewal: OrderState, campaign: CampaignState };

const why = (r) => [...r.reasons.map((x) => word('risk_', x)), ...r.rules.map((x) => `${x.rule}: ${x.reason}`)].join('; ');

function row(r) {
  const Shown = STATES[r.kind];
  return [
    [AREAS[r.kind] ? html`<a href=${to([AREAS[r.kind], r.id])}><b>${r.id}</b></a>` : html`<b>${r.kind === 'installation' ? t('kind_installation') : r.id}</b>`],
    [r.kind === 'revocation' ? word('reason_', r.status) : Shown && html`<${Shown} status=${r.status} />`],
    [r.service_name || '–', true], [html`<span title=${why(r)}>${why(r) || '–'}</span>`, true], [html`<${When} at=${r.at} />`],
  ];
}

export function ReportRows({ id, args }) {
  if (id !== 'rows') return html`<div class="card"><h1>${t('not_found')}</h1><p><a href="#/reports">${t('report_back')}</a></p></div>`;
  const given = { figure: args.figure || 'total_certificates', ...(args.service ? { service: args.service } : {}), ...(args.rule ? { rule: args.rule } : {}) };
  const path = 'reports/rows?' + new URLSearchParams({ ...given, ...periodOf(args), lang: lang() }).toString();
  const list = usePages(path, () => false);
  const what = [word('report_count_', given.figure), args.service, args.rule].filter(Boolean).join(', ');
  return html`<div class="head"><h1>${t('report_rows', { what })}</h1></div><p class="muted">${word('means_', given.figure)}. <a href=${to('reports', periodOf(args))}>${t('report_back')}</a></p>
    <${ProblemBox} problem=${list.problem} />
    <${LongList} label=${t('rows')} kind="figures-rows" top=${[t('object'), t('status'), t('service'), t('why'), t('when')]} rows=${list.rows} row=${row} more=${list.more} busy=${list.busy} />
    <${CopyAs} vccctl=${['report', 'rows', ...Object.entries(given).flatMap(([name, value]) => ['--' + name, value]), ...periodWords(args), '--lang', lang()]} path=${path} />`;
}
