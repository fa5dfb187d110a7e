/* principals.js - who may act here, by which roles, and at which address somebody is told of requests that he may decide; the address is changed here. */
import { post } from './api.js';
import { usePages } from './data.js';
import { html, useState } from './lib.js';
import { Ask, CopyAs, LongList, ProblemBox, State } from './parts.js';
import { t, word } from './text.js';

const PATH = 'principals';
const pathOf = (p) => `${PATH}/${encodeURIComponent(p.name)}`;
const bodyOf = (f) => ({ mail: (f.mail || '').trim() || null });
const rolesOf = (p) => p.roles.map((r) => word('role_', r)).join(', ');

/* Nobody changes what is his own, and two principals of one person are one person. */
const own = (p, me) => p.name === me.principal || (p.person || p.name) === (me.person || me.principal);

function Mail({ p, close }) {
  return html`<${Ask} title=${t('principal_mail_ask', { name: p.name })} about=${t('principal_mail_about')} yes=${t('principal_mail_put')} done=${t('principal_mail_done', { name: p.name })} onClose=${close}
    act=${(f) => post(pathOf(p), bodyOf(f))} shell=${(f) => ({ vccctl: ['principal', 'set-role', p.name, '--mail', bodyOf(f).mail || 'none'], path: pathOf(p), body: bodyOf(f) })}>
    <label>${t('principal_mail')}<input type="text" inputmode="email" name="mail" maxlength="127" autocomplete="off" spellcheck=${false} defaultValue=${p.mail || ''} aria-describedby="mail-hint" autofocus /></label>
    <p id="mail-hint" class="small muted">${t('principal_mail_none')}</p><//>`;
}

const Address = ({ p, me, ask }) => html`<span class="mail"><span title=${p.mail}>${p.mail || html`<span class="muted">–</span>`}</span>
  ${own(p, me) ? html`<span class="muted small">${t('principal_own')}</span>`
    : html`<button type="button" class="small" aria-label=${t('principal_mail_ask', { name: p.name })} onClick=${() => ask(p)}>${t('principal_mail_change')}</button>`}</span>`;

const row = (me, ask) => (p) => [
  [html`<b>${p.name}</b>${p.person !== p.name && html`<span class="muted small"> ${p.person || t('principal_machine')}</span>`}`],
  [rolesOf(p), false, p.roles.join(', ')], [p.services ? p.services.join(', ') : t('principal_everywhere'), true, true],
  [p.disabled ? html`<${State} kind="off">${t('principal_disabled')}<//>` : html`<${State} kind="ok">${t('principal_may')}<//>`, true],
  [html`<${Address} p=${p} me=${me} ask=${ask} />`],
];

export function Principals({ me }) {
  const [asked, ask] = useState(null);
  const found = usePages(PATH, ({ event }) => event.startsWith('principal') || event === 'person_forgotten');
  const close = (did) => { ask(null); if (did) found.reload(); };
  return html`<div class="head"><h1>${t('principals')}</h1></div><p class="muted">${t('principals_about')}</p>
    <${ProblemBox} problem=${found.problem} />
    <${LongList} label=${t('principals')} kind="people" top=${[t('name'), t('principal_roles'), t('services'), t('status'), t('principal_mail')]} rows=${found.rows} row=${row(me, ask)} more=${found.more} busy=${found.busy} />
    ${asked && html`<${Mail} key=${asked.name} p=${asked} close=${close} />`}
    <${CopyAs} vccctl=${['principal', 'list']} path=${PATH} />`;
}
