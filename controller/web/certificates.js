/* certificates.js - the list of certificates: narrowed and paged by the controller, so that 100,000 are as quick as ten. */
import { get } from './api.js';
import { useData, usePages } from './data.js';
import { html, useLayoutEffect, useState } from './lib.js';
import { CertState, CopyAs, LongList, ProblemBox, Served, When } from './parts.js';
import { refine, to } from './route.js';
import { relative, t } from './text.js';

const STATES = ['requested', 'issued', 'active', 'expiring', 'expired', 'suspended', 'revoked'];
const ARGS = ['q', 'status', 'service', 'served', 'agent', 'template_id'];

function Filters({ args, services }) {
  const [text, setText] = useState(args.q || '');
  useLayoutEffect(() => setText(args.q || ''), [args.q]);
  const set = (name, value) => refine(['certificates'], { ...args, [name]: value });
  return html`<form class="filters" onSubmit=${(e) => { e.preventDefault(); set('q', e.target.elements.q.value.trim()); }}>
    <label class="grow">${t('filter_text')}<input type="search" name="q" maxlength="120" value=${text} onInput=${(e) => setText(e.target.value)} onChange=${(e) => set('q', e.target.value.trim())} /></label>
    <label>${t('filter_status')}<select value=${args.status || ''} onChange=${(e) => set('status', e.target.value)}>
      <option value="">${t('any')}</option>${STATES.map((s) => html`<option value=${s} selected=${args.status === s}>${t('status_' + s)}</option>`)}</select></label>
    <label>${t('filter_service')}<select value=${args.service || ''} onChange=${(e) => set('service', e.target.value)}>
      <option value="">${t('any')}</option>${services.map((s) => html`<option value=${s} selected=${args.service === s}>${s}</option>`)}</select></label>
    <label class="line"><input type="checkbox" checked=${args.served === 'no'} onChange=${(e) => set('served', e.target.checked ? 'no' : '')} />${t('filter_unserved')}</label>
  </form>`;
}

const next = (c) => (c.open_order ? html`<a href=${to(['renewals', c.open_order])}>◐ ${t('open_order_hint')}</a>` : c.renew_at ? t('renews_at', { at: relative(c.renew_at) }) : t('no_plan'));

/* [content, left out where there is little room] */
const row = (c) => [
  [html`<a href=${to(['certificates', c.cert_id])} title=${c.names.join(', ')}><b>${c.cert_id}</b></a>`],
  [c.service, true], [c.agent || '–', true], [html`<${CertState} status=${c.status} />`],
  [html`<${Served} served=${c.served} />`], [html`<${When} at=${c.expires_at} /> <span class="muted small less sub">${next(c)}</span>`],
];

export function Certificates({ args }) {
  const asked = new URLSearchParams(ARGS.filter((name) => args[name]).map((name) => [name, args[name]])).toString();
  const list = usePages('certificates' + (asked ? '?' + asked : ''), ({ event }) => /certificate|renewal|emergency|target/.test(event));
  const { data } = useData((o) => get('services?limit=500', o), 'services', () => false);
  return html`<div class="head"><h1>${t('certificates')}</h1></div>
    <${Filters} args=${args} services=${data ? data.items.map((s) => s.name) : args.service ? [args.service] : []} />
    <${ProblemBox} problem=${list.problem} />
    <${LongList} label=${t('certificates')} kind="certs" top=${[t('name'), t('service'), t('host'), t('status'), t('served'), t('expires')]}
      rows=${list.rows} row=${row} more=${list.more} busy=${list.busy} none=${!asked && t('no_certificates')} problem=${list.problem} />
    <${CopyAs} vccctl=${['cert', 'list', ...(args.service ? ['--service', args.service] : [])]} path=${'certificates' + (asked ? '?' + asked : '')} />`;
}
