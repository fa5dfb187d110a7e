/* certificate.js - one certificate: what is wanted, issued, on the host and served; its last renewals; what can be done with it. */
import { get, post } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { Ask, CertState, Code, CopyAs, OrderState, ProblemBox, Served, State, Told, When, Wide } from './parts.js';
import { Steps } from './renewal.js';
import { EvidenceButton, readsReports } from './reports.js';
import { to } from './route.js';
import { day, moment, number, t, word } from './text.js';

const REASONS = ['unspecified', 'keyCompromise', 'superseded', 'cessationOfOperation', 'affiliationChanged', 'privilegeWithdrawn'];

const key = (p) => (p ? `${p.key_type} ${p.key_size || ''}` : '');

/* The four truths side by side: where two differ, the difference is the news. */
function Truths({ c }) {
  const other = c.targets.filter((x) => c.serial && x.served_serial && x.served_serial !== c.serial).length;
  const on = c.targets.length === 0 ? '' : c.targets.some((x) => x.error) ? 'bad' : 'ok';
  return html`<ul class="four">
    <li class=${c.approved ? 'ok' : 'due'}><h3>${t('wanted')}</h3><p>${c.names.map((n) => html`<span>${n}<br /></span>`)}</p>
      <p class="small muted"><a href=${to(['templates', c.template_id])}>${c.template_id}</a>, ${key(c.policy)}</p>${!c.approved && html`<p><${State} kind="due">${t('not_approved')}<//></p>`}</li>
    <li class=${c.serial ? 'ok' : 'due'}><h3>${t('issued')}</h3>${c.serial ? html`<p class="mono small">${c.serial}</p><p>${t('valid_until', { at: day(c.expires_at) })}</p>` : t('none')}</li>
    <li class=${on}><h3>${t('on_disk')}</h3>${c.targets.length === 0 ? html`<p>${t('no_target')}</p>` : c.targets.map((x) =>
      html`<p>${x.agent}: ${x.error ? html`<${State} kind="bad">${t('target_trouble')}<//> <${Code} code=${x.error} />` : html`<${State} kind="ok">${t('target_ok')}<//>`}
        <br /><span class="small muted">${x.reported_at ? t('reported', { at: moment(x.reported_at) }) : ''} ${x.changed_at ? t('changed_files_at', { at: moment(x.changed_at) }) : ''}</span></p>`)}</li>
    <li class=${c.served === true ? 'ok' : c.served === false ? 'bad' : ''}><h3>${t('is_served')}</h3><p><${Served} served=${c.served} /></p>
      ${c.targets.map((x) => html`<p class="small">${x.listeners.join(', ')}<br /><span class="muted">${x.proved_at ? t('proved', { at: moment(x.proved_at) }) : t('not_proved')}</span></p>`)}
      ${c.served !== null && html`<p class="small">${t(other > 0 ? 'proved_other' : 'proved_serial')}</p>`}</li></ul>`;
}

function Renew({ c, close }) {
  const path = 'certificates/lifecycle/renew/' + encodeURIComponent(c.cert_id);
  const body = (f) => ({ force: f.force === 'on', now: f.now === 'on', ...(f.comment ? { comment: f.comment } : {}) });
  const words = (f) => ['cert', 'renew', c.cert_id, ...(f.force === 'on' ? ['--force'] : []), ...(f.now === 'on' ? ['--now'] : []), ...(f.comment ? ['--reason', f.comment] : [])];
  return html`<${Ask} title=${t('renew_ask', { id: c.cert_id })} about=${t('renew_about')} yes=${t('renew')} done=${t('renew_done', { id: c.cert_id })} onClose=${close}
    act=${(f) => post(path, body(f))} shell=${(f) => ({ vccctl: words(f), path, body: body(f) })}>
    <label class="line"><input type="checkbox" name="force" />${t('renew_force')}</label>
    <label class="line"><input type="checkbox" name="now" />${t('renew_now')}</label>
    <label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`;
}

/* vccctl has one --reason, and here it is the list's: a comment goes with curl alone. */
function Revoke({ c, close }) {
  const path = `certificates/${encodeURIComponent(c.cert_id)}/revoke`;
  const body = (f) => ({ reason: f.reason, replace: f.replace === 'on', confirm: f.confirm === 'on', ...(f.comment ? { comment: f.comment } : {}) });
  const words = (f) => ['cert', 'revoke', c.cert_id, '--reason', f.reason, ...(f.replace === 'on' ? ['--replace'] : []), ...(f.confirm === 'on' ? ['--yes'] : [])];
  return html`<${Ask} title=${t('revoke_ask', { id: c.cert_id })} about=${t('revoke_about')} yes=${t('revoke')} danger type=${c.cert_id} done=${t('revoke_done', { id: c.cert_id })} onClose=${close}
    act=${(f) => post(path, body(f))} shell=${(f) => ({ vccctl: words(f), path, body: body(f) })}>
    <label>${t('reason')}<select name="reason">${REASONS.map((r) => html`<option value=${r}>${t('reason_' + r)}</option>`)}</select></label>
    <label class="line"><input type="checkbox" name="replace" />${t('revoke_replace')}</label>
    <label class="line"><input type="checkbox" name="confirm" />${t('revoke_confirm')}</label>
    <label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`;
}

function Simple({ c, verb, close }) {
  const path = `certificates/${encodeURIComponent(c.cert_id)}/${verb}`;
  return html`<${Ask} title=${t(verb) + ': ' + c.cert_id} yes=${t(verb)} done=${t(verb + '_done', { id: c.cert_id })} onClose=${close} act=${() => post(path)}
    shell=${() => ({ vccctl: ['cert', verb, c.cert_id], path, body: {} })} />`;
}

function Actions({ c, me, reload }) {
  const [open, setOpen] = useState(null);
  const close = (did) => { setOpen(null); if (did) reload(); };
  const may = (p) => me.permissions.includes(p);
  const ended = c.revoked_at !== null;
  return html`<div class="row push">
    ${may('certificate:renew') && !ended && html`<button class="first" onClick=${() => setOpen('renew')} disabled=${Boolean(c.suspended_at)}>${t('renew')}</button>`}
    ${may('certificate:revoke') && !ended && c.serial && (c.suspended_at ? html`<button onClick=${() => setOpen('resume')}>${t('resume')}</button>` : html`<button onClick=${() => setOpen('suspend')}>${t('suspend')}</button>`)}
    ${may('certificate:revoke') && !ended && c.serial && html`<button class="danger" onClick=${() => setOpen('revoke')}>${t('revoke')}</button>`}
    ${open === 'renew' && html`<${Renew} c=${c} close=${close} />`}${open === 'revoke' && html`<${Revoke} c=${c} close=${close} />`}
    ${(open === 'suspend' || open === 'resume') && html`<${Simple} c=${c} verb=${open} close=${close} />`}</div>`;
}

function Orders({ rows }) {
  if (rows.length === 0) return html`<p class="muted">${t('no_renewals')}</p>`;
  return html`<${Wide} label=${t('renewals')}><table><thead><tr><th>${t('when')}</th><th>${t('trigger')}</th><th>${t('actor')}</th><th>${t('status')}</th><th class="right">${t('took')}</th><th>${t('error')}</th></tr></thead>
    <tbody>${rows.map((o) => html`<tr><td><a href=${to(['renewals', o.renewal_id])}>${moment(o.created_at)}</a></td><td>${word('trigger_', o.renewal_trigger)}</td><td>${o.requested_by}</td>
      <td><${OrderState} status=${o.status} /></td><td class="right">${o.completed_at ? t('seconds', { n: number((new Date(o.completed_at) - new Date(o.created_at)) / 1000, 1) }) : ''}</td>
      <td>${o.error && html`<${Code} code=${o.error.code} /> <${Told} code=${o.error.code} text=${o.error.message} />`}</td></tr>`)}</tbody></table><//>`;
}

function History({ id }) {
  const [open, setOpen] = useState(false);
  const { data, problem } = useData((o) => (open ? get(`certificates/${encodeURIComponent(id)}/issuances?limit=100`, o) : null), id + open, () => false);
  return html`<details class="card" onToggle=${(e) => setOpen(e.target.open)}><summary><b>${t('history')}</b></summary><${ProblemBox} problem=${problem} />
    ${data && html`<${Wide} label=${t('history')}><table><thead><tr><th>${t('serial')}</th><th>${t('status')}</th><th>${t('validity')}</th><th>${t('proved_at')}</th><th>${t('reason')}</th></tr></thead>
      <tbody>${data.items.toReversed().map((i) => html`<tr><td class="mono small">${i.serial}</td><td><${CertState} status=${i.status} /></td>
        <td>${i.not_before && day(i.not_before)} – ${i.expires_at && day(i.expires_at)}</td><td>${i.proved_at && moment(i.proved_at)}</td><td>${i.revoke_reason ? word('reason_', i.revoke_reason) : ''}</td></tr>`)}</tbody></table><//>`}</details>`;
}

/* The steps of the order that is under way, or of the last one. */
function LastSteps({ order }) {
  const { data } = useData((o) => get('renewals/' + order.renewal_id, o), order.renewal_id, (e) => !e.record || e.record.renewal_id === order.renewal_id);
  return data && data.steps.length > 0 ? html`<section class="card"><div class="row"><h2>${t('steps')}</h2><${OrderState} status=${data.status} /></div><${Steps} steps=${data.steps} /></section>` : null;
}

export function Certificate({ id, me }) {
  const path = 'certificates/' + encodeURIComponent(id);
  const { data: c, problem, reload } = useData((o) => get(path, o), id, (e) => !e.record || e.record.object === id || (e.record.object || '').startsWith(id));
  return html`<div class="head"><h1>${id}</h1>${c && html`<${CertState} status=${c.status} /><${Actions} c=${c} me=${me} reload=${reload} />`}</div>
    <${ProblemBox} problem=${problem} />
    ${!c && !problem && html`<p class="muted">${t('loading')}</p>`}
    ${c && html`<div class="gap"><${Truths} c=${c} />
      <section class="card"><dl class="facts">
        <dt>${t('service')}</dt><dd><a href=${to(['services', c.service])}>${c.service}</a></dd>
        <dt>${t('host')}</dt><dd>${c.agent ? html`<a href=${to(['agents', c.agent])}>${c.agent}</a>` : '–'}</dd>
        <dt>${t('expires')}</dt><dd>${c.expires_at ? html`${moment(c.expires_at)} (<${When} at=${c.expires_at} />)` : '–'}</dd>
        <dt>${t('next')}</dt><dd>${c.open_order ? html`<a href=${to(['renewals', c.open_order])}>◐ ${t('open_order_hint')}</a>` : c.renew_at ? t('renews_at', { at: moment(c.renew_at) }) : t('no_plan')}, ${t('unattended', { n: c.unattended_renewals })}</dd>
        <dt>${t('fingerprint')}</dt><dd class="mono small">${c.fingerprint || '–'}</dd></dl></section>
      ${c.renewals.length > 0 && html`<${LastSteps} key=${c.renewals[0].renewal_id} order=${c.renewals[0]} />`}
      <section class="card"><h2>${t('renewals')}</h2><${Orders} rows=${c.renewals} /></section>
      <${History} id=${id} />${readsReports(me) && html`<section class="card"><${EvidenceButton} kind="certificate" id=${id} /></section>`}</div>`}
    ${c && html`<${CopyAs} vccctl=${['cert', 'show', id]} path=${path} />`}`;
}
