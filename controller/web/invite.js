/* invite.js - a new host: a one-time token, shown once, and the line to type on the host. */
import { get, post } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { Ask, Dialog } from './parts.js';
import { moment, t } from './text.js';

const patterns = (text) => (text || '').split(',').map((part) => part.trim()).filter(Boolean);
const bodyOf = (f) => ({ name: f.name, service: f.service || '', ...(patterns(f.names).length > 0 ? { names: patterns(f.names) } : {}), ...(f.ttl ? { ttl: f.ttl } : {}) });
const shell = (f) => ({
  vccctl: ['agent', 'invite', f.name, '--service', f.service || '', ...(patterns(f.names).length > 0 ? ['--names', patterns(f.names).join(',')] : []), ...(f.ttl ? ['--ttl', f.ttl] : [])], path: 'invites', body: bodyOf(f),
});

/* The token stands in this dialog alone: who closes it without it makes another one. */
function Made({ made, close }) {
  const [copied, setCopied] = useState('');
  const copy = (name, text) => navigator.clipboard.writeText(text).then(() => setCopied(name), () => setCopied(''));
  return html`<${Dialog} wide title=${t('invite_made', { name: made.name })} onClose=${close}>
    <p class="clear due">▲ ${t('invite_once', { at: moment(made.expires_at) })}</p>
    <h3>${t('invite_line')}</h3><pre class="line">${made.command}</pre><button onClick=${() => copy('line', made.command)}>${t(copied === 'line' ? 'copied' : 'copy')}</button>
    <h3>${t('invite_token')}</h3><pre class="token">${made.token}</pre><button onClick=${() => copy('token', made.token)}>${t(copied === 'token' ? 'copied' : 'copy')}</button>
    <p class="muted small">${t('invite_how')}</p><p><button class="first" onClick=${close}>${t('close')}</button></p><//>`;
}

export function Invite({ close }) {
  const [made, setMade] = useState(null);
  const { data: services } = useData((o) => get('services?limit=500', o), 'services', () => false);
  if (made) return html`<${Made} made=${made} close=${close} />`;
  return html`<${Ask} title=${t('invite')} about=${t('invite_about')} yes=${t('invite_make')} done=${t('invite_done')} shell=${shell} act=${async (f) => setMade(await post('invites', bodyOf(f)))} onClose=${(did) => did || close()}>
    <label>${t('host')}<input type="text" name="name" required maxlength="32" autofocus spellcheck=${false} /></label>
    <label>${t('service')}<input type="text" name="service" required maxlength="32" list="invite-services" spellcheck=${false} /></label>
    <datalist id="invite-services">${(services ? services.items : []).map((s) => html`<option value=${s.name}></option>`)}</datalist>
    <label>${t('invite_names')}<input type="text" name="names" maxlength="500" placeholder=${t('invite_names_default')} spellcheck=${false} /></label>
    <label>${t('invite_ttl')}<input type="text" name="ttl" maxlength="8" placeholder="15m" /></label><//>`;
}
