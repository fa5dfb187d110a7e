/* crypto.js - authorities and algorithms, held against BSI TR-02102 as far as a key's length can be. */
import { get } from './api.js';
import { useData } from './data.js';
import { html } from './lib.js';
import { CopyAs, ProblemBox, State, When, Wide } from './parts.js';
import { to } from './route.js';
import { t, word } from './text.js';

const CA = { active: 'ok', standing_by: 'off', draining: 'due', retired: 'off', expired: 'bad', revoked: 'bad' };
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

export function Crypto() {
  const { data, problem } = useData(async (o) => {
    const [ca, x] = await Promise.all([get('ca?limit=100', o), get('certificates/lifecycle/templates', o)]);
    return { ca: ca.items, templates: x.templates };
  }, 'crypto', ({ event }) => /^ca_|template/.test(event));
  return html`<div class="head"><h1>${t('crypto')}</h1></div><${ProblemBox} problem=${problem} />
    ${data && html`<div class="gap"><section class="card"><h2>${t('authorities')}</h2><${Wide} label=${t('authorities')}><table><thead><tr><th>${t('authority')}</th><th>${t('status')}</th><th>${t('key')}</th><th>${t('expires')}</th></tr></thead>
      <tbody>${data.ca.map((c) => html`<tr><td><b>${c.issuer_id}</b><br /><span class="small muted">${c.subject || ''}</span></td><td><${State} kind=${CA[c.state] || 'off'}>${word('ca_', c.state)}<//></td><td>${c.key_type}</td><td><${When} at=${c.expires_at} /></td></tr>`)}</tbody></table><//></section>
      <${Algorithms} templates=${data.templates} /></div>`}
    <${CopyAs} vccctl=${['ca', 'list']} path="ca" />`;
}
