/* services.js - services, what each depends on as a picture with its list, and their rules. */
import { get } from './api.js';
import { useData } from './data.js';
import { html } from './lib.js';
import { CopyAs, ProblemBox, Wide } from './parts.js';
import { to } from './route.js';
import { t } from './text.js';

const BOX = { width: 130, height: 34, gapX: 70, gapY: 18 };

/* Rank 0 depends on nothing; every other stands right of all that it needs. Cycles are refused by the controller; a wrong answer must not hang. */
function ranks(services) {
  const rank = new Map(services.map((s) => [s.name, 0]));
  for (let round = 0; round < services.length; round++)
    for (const s of services)
      for (const need of s.depends_on)
        if (rank.has(need) && rank.get(s.name) <= rank.get(need)) rank.set(s.name, Math.min(services.length, rank.get(need) + 1));
  return rank;
}

function Picture({ services }) {
  const linked = services.filter((s) => s.depends_on.length > 0 || s.needed_by.length > 0);
  if (linked.length === 0) return null;
  const rank = ranks(linked), columns = [];
  for (const s of linked) (columns[rank.get(s.name)] ||= []).push(s.name);
  const at = new Map();
  columns.forEach((names, x) => names.forEach((name, y) => at.set(name, { x: 8 + x * (BOX.width + BOX.gapX), y: 8 + y * (BOX.height + BOX.gapY) })));
  const width = 16 + columns.length * (BOX.width + BOX.gapX) - BOX.gapX, height = 16 + Math.max(...columns.filter(Boolean).map((c) => c.length)) * (BOX.height + BOX.gapY) - BOX.gapY;
  const lines = linked.flatMap((s) => s.depends_on.filter((d) => at.has(d)).map((d) => [at.get(s.name), at.get(d)]));
  return html`<section class="card"><h2>${t('picture')}</h2><p class="muted small">${t('picture_about')}</p><${Wide} label=${t('picture')}>
    <svg class="picture" role="img" aria-label=${t('picture')} width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`}>
      <defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" /></marker></defs>
      ${lines.map(([a, b]) => html`<path d=${`M${a.x} ${a.y + BOX.height / 2}C${a.x - 35} ${a.y + BOX.height / 2} ${b.x + BOX.width + 35} ${b.y + BOX.height / 2} ${b.x + BOX.width + 2} ${b.y + BOX.height / 2}`} marker-end="url(#arrow)" />`)}
      ${[...at].map(([name, p]) => html`<g><rect x=${p.x} y=${p.y} width=${BOX.width} height=${BOX.height} rx="7" /><text x=${p.x + BOX.width / 2} y=${p.y + 22} text-anchor="middle">${name.slice(0, 17)}</text></g>`)}</svg><//></section>`;
}

const Names = ({ of }) => (of.length === 0 ? '–' : of.map((name, i) => html`${i > 0 ? ', ' : ''}<a href=${to(['services', name])}>${name}</a>`));

function List() {
  const { data, problem } = useData((o) => get('services?limit=500', o), 'services', ({ event }) => event.startsWith('service'));
  return html`<div class="head"><h1>${t('services')}</h1></div><${ProblemBox} problem=${problem} />
    ${data && data.items.length === 0 && html`<p class="card">${t('no_services')}</p>`}
    ${data && data.items.length > 0 && html`<div class="gap"><${Picture} services=${data.items} /><section class="card"><${Wide} label=${t('services')}><table><thead><tr><th>${t('service')}</th><th>${t('depends_on')}</th><th>${t('needed_by')}</th><th>${t('windows')}</th></tr></thead>
      <tbody>${data.items.map((s) => html`<tr><td><a href=${to(['services', s.name])}><b>${s.name}</b></a></td><td><${Names} of=${s.depends_on} /></td><td><${Names} of=${s.needed_by} /></td><td>${s.windows.join('; ') || '–'}</td></tr>`)}</tbody></table><//></section></div>`}
    <${CopyAs} vccctl=${['service', 'list']} path="services" />`;
}

function One({ id }) {
  const path = 'services/' + encodeURIComponent(id);
  const { data: s, problem } = useData((o) => get(path, o), id, (e) => !e.record || e.record.object === id);
  return html`<div class="head"><h1>${id}</h1></div><${ProblemBox} problem=${problem} />
    ${s && html`<section class="card"><dl class="facts"><dt>${t('depends_on')}</dt><dd><${Names} of=${s.depends_on} /></dd><dt>${t('needed_by')}</dt><dd><${Names} of=${s.needed_by} /></dd>
      <dt>${t('windows')}</dt><dd>${s.windows.join('; ') || '–'}</dd><dt>${t('overrides')}</dt><dd>${Object.entries(s.policy).map(([name, v]) => html`<code>${name} = ${JSON.stringify(v)}</code><br />`)}${Object.keys(s.policy).length === 0 ? '–' : ''}</dd></dl>
      <p><a href=${to('certificates', { service: id })}>${t('certificates')}</a></p></section>`}
    ${s && html`<${CopyAs} vccctl=${['service', 'show', id]} path=${path} />`}`;
}

export const Services = (props) => (props.id === undefined ? html`<${List} />` : html`<${One} ...${props} />`);
