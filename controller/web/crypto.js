/* crypto.js - authorities and algorithms, held against BSI TR-02102 as far as a key's length can be. */
import { get } from './api.js';
import { AuthorityTable } from './authorities.js';
import { useData } from './data.js';
import { Exceptions } from './exceptions.js';
import { html } from './lib.js';
import { CopyAs, ProblemBox, State, Wide } from './parts.js';
import { readsReports } from './reports.js';
import { to } from './route.js';
import { t } from './text.js';

const RSA_LEAST = 3000;

function Algorithms({ templates }) {
  const by = new Map();
  for (const x of templates) {
    const name = `${x.key_type} ${x.key_size || ''} / ${x.hash_algorithm}`;
    by.set(name, { short: x.key_type === 'RSA' && x.key_size < RSA_LEAST, templates: [...(by.get(name)?.templates || []), x.template_id] });
  }
  return html`<section class="card"><h2>${t('algorithms')}</h2><${Wide} label=${t('algorithms')}><table><thead><tr><th>${t('algorithm')}</th><th>${t('status')}</th><th>${t('templates')}</th></tr></thead>
    <tbody>${[...by].map(([name, a]) => html`<tr><td><b>${name}</b></td><td><${State} kind=${a.short ? 'bad' : 'ok'}>${t(a.short ? 'profile_short' : 'profile_fits')}<//></td>
      <td>${a.templates.map((id, i) => html`${i > 0 ? ', ' : ''}<a href=${to(['templates', id])}>${id}</a>`)}</td></tr>`)}</tbody></table><//></section>`;
}

export function Crypto({ me }) {
  const { data, problem, reload } = useData(async (o) => {
    const [ca, x, own] = await Promise.all([get('ca?limit=100', o), get('certificates/lifecycle/templates', o), readsReports(me) ? get('reports/exceptions', o) : null]);
    return { ca: ca.items, templates: x.templates, exceptions: own && own.exceptions };
  }, 'crypto', ({ event }) => /^ca_|template|exception/.test(event));
  return html`<div class="head"><h1>${t('crypto')}</h1></div><${ProblemBox} problem=${problem} />
    ${data && html`<div class="gap"><section class="card"><h2>${t('authorities')}</h2><${AuthorityTable} links=${!me.limited_to_services} rows=${data.ca} /></section>
      <${Algorithms} templates=${data.templates} />${data.exceptions && html`<${Exceptions} rows=${data.exceptions} me=${me} changed=${reload} />`}</div>`}
    <${CopyAs} vccctl=${['ca', 'list']} path="ca" />`;
}
