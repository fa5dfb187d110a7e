/* templates.js - templates, and what changed between two versions of one. */
import { get } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { CopyAs, ProblemBox, Wide } from './parts.js';
import { refine, to } from './route.js';
import { TemplateEdit } from './template_edit.js';
import { t } from './text.js';

const LIFE = 'certificates/lifecycle/templates';

const shown = (v) => (v === null ? '–' : Array.isArray(v) ? v.join(', ') || '–' : String(v));
const key = (x) => `${x.key_type} ${x.key_size || ''}`;

function List() {
  const { data, problem } = useData((o) => get(LIFE, o), 'templates', ({ event }) => event.startsWith('template'));
  return html`<div class="head"><h1>${t('templates')}</h1></div><${ProblemBox} problem=${problem} />
    ${data && html`<section class="card"><${Wide} label=${t('templates')}><table><thead><tr><th>${t('template')}</th><th>${t('service')}</th><th>${t('key')}</th><th>${t('validity')}</th><th>${t('profiles')}</th><th class="right">${t('version')}</th></tr></thead>
      <tbody>${data.templates.map((x) => html`<tr><td><a href=${to(['templates', x.template_id])}><b>${x.template_id}</b></a><br /><span class="small muted">${x.name}</span></td><td>${x.vcc_service_type || '–'}</td><td>${key(x)}</td><td>${x.validity_period}</td>
        <td>${x.compliance_profiles.join(', ') || '–'}</td><td class="right">${x.version}</td></tr>`)}</tbody></table><//></section>`}
    <${CopyAs} vccctl=${['template', 'list']} path=${LIFE} />`;
}

/* Both versions field by field; what differs is marked by a word, too. */
function Fields({ now, before }) {
  const names = Object.keys(now).filter((name) => !['template_id', 'update', 'created_at', 'version'].includes(name));
  const rows = names.map((name) => [name, shown(now[name]), before ? shown(before[name]) : null]).filter(([, a, b]) => b === null || a !== b);
  return html`<${Wide} label=${t('template')}><table class="diff"><thead><tr><th>${t('field')}</th>${before && html`<th>${t('before')} (${t('version_n', { n: before.version })})</th>`}<th>${t('value')} (${t('version_n', { n: now.version })})</th></tr></thead>
    <tbody>${rows.map(([name, a, b]) => html`<tr><th scope="row">${name}</th>${before && html`<td><del>− ${b}</del></td>`}<td>${before ? html`<ins>+ ${a}</ins>` : a}</td></tr>`)}
      ${rows.length === 0 && html`<tr><td colspan="3">${t('none')}</td></tr>`}</tbody></table><//>`;
}

function One({ id, args, me }) {
  const [editing, setEditing] = useState(null); /* the version that somebody looks at stays that one, whatever others do meanwhile */
  const path = `${LIFE}/${encodeURIComponent(id)}`;
  const with_ = Number(args.with) || 0;
  const { data, problem, reload } = useData(async (o) => ({ now: await get(path, o), before: with_ > 0 ? await get(`${path}?version=${with_}`, o) : null }), id + with_, (e) => !e.record || e.record.object === id);
  const older = data ? Array.from({ length: data.now.version - 1 }, (_, i) => data.now.version - 1 - i) : [];
  return html`<div class="head"><h1>${id}</h1>${data && html`<span class="muted">${t('version_n', { n: data.now.version })}</span>`}
      ${data && me.permissions.includes('certificate:template:update') && !me.limited_to_services && html`<button class="push" onClick=${() => setEditing(data.now)}>${t('template_edit')}</button>`}</div>
    ${editing && html`<${TemplateEdit} template=${editing} done=${() => reload()} close=${() => setEditing(null)} />`}<${ProblemBox} problem=${problem} />
    ${data && html`<section class="card">${older.length > 0 && html`<div class="filters"><label>${t('compare')}<select value=${with_} onChange=${(e) => refine(['templates', id], { with: e.target.value === '0' ? '' : e.target.value })}>
      <option value="0">${t('compare_none')}</option>${older.map((n) => html`<option value=${n} selected=${n === with_}>${t('version_n', { n })}</option>`)}</select></label></div>`}
      <${Fields} now=${data.now} before=${data.before} /><p><a href=${to('certificates', { template_id: id })}>${t('certificates')}</a></p></section>`}
    ${data && html`<${CopyAs} vccctl=${['template', 'show', id]} path=${path} />`}`;
}

export const Templates = (props) => (props.id === undefined ? html`<${List} />` : html`<${One} ...${props} />`);
