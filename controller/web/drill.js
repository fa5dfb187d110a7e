/* drill.js - a drill: certificates are made and tested on their hosts and never used; and what one showed. */
import { get, post } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { Ask, ProblemBox } from './parts.js';
import { Planned, Selection, selectorOf, selectorWords } from './plan.js';
import { save } from './report_file.js';
import { moment, number, t } from './text.js';

const bodyOf = (f) => ({ selector: selectorOf(f), ...(f.comment ? { comment: f.comment } : {}) });
/* vccctl plans and begins a drill in one step */
const wordsOf = (f) => ['drill', ...selectorWords(f), ...(f.comment ? ['--reason', f.comment] : [])];

export const Drill = ({ close }) => html`<${Planned} name="drill" path="drills" bodyOf=${bodyOf} wordsOf=${wordsOf} close=${close}>
  <${Selection} /><label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`;

/* ---- of one ---- */

function Cancel({ id, close }) {
  const body = (f) => (f.comment ? { comment: f.comment } : {});
  return html`<${Ask} title=${t('drill_cancel_ask')} about=${t('drill_cancel_about')} yes=${t('drill_cancel')} danger done=${t('action_done')} onClose=${close} act=${(f) => post(`drills/${id}/cancel`, body(f))}
    shell=${(f) => ({ vccctl: ['drill', 'cancel', id, ...(f.comment ? ['--reason', f.comment] : [])], path: `drills/${id}/cancel`, body: body(f) })}>
    <label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`;
}

const Figure = ({ name, n }) => html`<div><dt>${t(name)}</dt><dd>${n === null ? '–' : number(n)}</dd></div>`;

/* The report is saved as the text whose hash stands in the trail. */
export function DrillFacts({ id, me, running }) {
  const { data: d, problem, reload } = useData((o) => get('drills/' + id, o), id, ({ event }) => /drill|campaign/.test(event));
  const [asks, setAsks] = useState(false);
  const [refused, setRefused] = useState(null);
  const fetchIt = () => get(`drills/${id}/report`).then((r) => save(`vcc-drill-${id}.json`, 'application/json', r.report)).then(() => setRefused(null), setRefused);
  return html`<section class="card"><h2>${t('drill')}</h2><${ProblemBox} problem=${problem || refused} />
    ${d && html`<dl class="figures">${[['drill_tested', d.tested_count], ['drill_failed', d.failed_count], ['drill_not_reached', d.not_reached_count]].map(([name, n]) => html`<${Figure} name=${name} n=${n} />`)}</dl>
      <div class="row">${d.reported_at && html`<button onClick=${fetchIt}>${t('drill_report')}</button><span class="small muted">${moment(d.reported_at)}, SHA-256 <span class="mono">${d.report_sha256}</span></span>`}
        ${running && me.permissions.includes('certificate:emergency') && html`<button class="danger" onClick=${() => setAsks(true)}>${t('drill_cancel')}</button>`}</div>`}
    ${asks && html`<${Cancel} id=${id} close=${(did) => { setAsks(false); if (did) reload(); }} />`}</section>`;
}
