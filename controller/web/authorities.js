/* authorities.js - CAs: what lives below each, how far one has given way to its successor, and the next step that a person may take. */
import { get, post } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { Ask, CopyAs, ProblemBox, State, When, Wide } from './parts.js';
import { Rollover } from './rollover.js';
import { go, to } from './route.js';
import { moment, number, t, word } from './text.js';

export const CA_STATES = { active: 'ok', standing_by: 'off', draining: 'due', retired: 'off', expired: 'bad', revoked: 'bad' };

const REASONS = ['keyCompromise', 'superseded', 'cessationOfOperation', 'affiliationChanged', 'privilegeWithdrawn', 'unspecified'];

export const AuthorityTable = ({ rows, links }) => html`<${Wide} label=${t('authorities')}><table><thead><tr><th>${t('authority')}</th><th>${t('status')}</th><th>${t('key')}</th><th>${t('expires')}</th><th>${t('ca_parent')}</th><th>${t('ca_successor')}</th></tr></thead>
  <tbody>${rows.map((c) => html`<tr><td>${links ? html`<a href=${to(['ca', c.issuer_id])}><b>${c.issuer_id}</b></a>` : html`<b>${c.issuer_id}</b>`}<br /><span class="small muted">${c.subject || ''}</span></td><td><${State} kind=${CA_STATES[c.state] || 'off'}>${word('ca_', c.state)}<//></td>
    <td>${c.key_type}</td><td><${When} at=${c.expires_at} /></td><td>${c.parent_id || '–'}</td><td>${c.successor_id || '–'}</td></tr>`)}</tbody></table><//>`;

function List() {
  const { data, problem } = useData((o) => get('ca?limit=100', o), 'ca', ({ event }) => event.startsWith('ca_'));
  return html`<div class="head"><h1>${t('ca')}</h1></div><${ProblemBox} problem=${problem} />
    ${data && html`<section class="card"><${AuthorityTable} links rows=${data.items} /></section>`}
    <${CopyAs} vccctl=${['ca', 'list']} path="ca" />`;
}

function Live({ live }) {
  return html`<section class="card"><h2>${t('ca_live')}</h2><dl class="figures"><div><dt>${t('certificates')}</dt><dd>${live.complete ? '' : '≥ '}${number(live.certificates)}</dd></div>
      <div><dt>${t('ca_identities')}</dt><dd>${number(live.identities)}</dd></div></dl>
    ${live.services.length > 0 && html`<p>${live.services.map((s, i) => html`${i > 0 ? ', ' : ''}<a href=${to('certificates', { service: s.service })}>${s.service}: ${number(s.certificates)}</a>`)}</p>`}</section>`;
}

/* ---- revoke ---- */

/* A root is not revoked by a list, and what was asked for already waits for its second person. */
const revocable = (c, asked) => c.parent_id !== null && !c.revoked_at && !asked.some((a) => a.kind === 'ca_revocation');

/* What ends with it stands in the dialog; where something does, that has to be said as well. vccctl has one --reason, and here it is the list's: a comment
 * goes with curl alone. */
function Revoke({ c, close }) {
  const path = `ca/${encodeURIComponent(c.issuer_id)}/revoke`, ends = c.live.certificates + c.live.identities > 0;
  const body = (f) => ({ reason: f.reason, force: f.force === 'on', ...(f.comment ? { comment: f.comment } : {}) });
  const words = (f) => ['ca', 'revoke', c.issuer_id, '--reason', f.reason || REASONS[0], ...(f.force === 'on' ? ['--force'] : [])];
  const act = async (f) => {
    go(['approvals', (await post(path, body(f))).approval_id]);
    return t('waits_for_second');
  };
  return html`<${Ask} title=${t('ca_revoke_ask', { id: c.issuer_id })} about=${t('ca_revoke_about')} yes=${t('ca_revoke')} danger type=${c.issuer_id} done=${t('action_done')} onClose=${close} act=${act}
    shell=${(f) => ({ vccctl: words(f), path, body: body(f) })}>
    ${ends ? html`<div class="clear bad"><p>✗ ${t(c.live.complete ? 'ca_revoke_ends' : 'ca_revoke_ends_least', { certificates: number(c.live.certificates), identities: number(c.live.identities) })}</p>
        ${c.live.services.length > 0 && html`<ul>${c.live.services.map((s) => html`<li>${s.service}: ${number(s.certificates)}</li>`)}</ul>`}</div>
      <label class="line"><input type="checkbox" name="force" required />${t('ca_revoke_force')}</label>` : html`<p class="clear">● ${t('ca_revoke_nothing')}</p>`}
    <label>${t('reason')}<select name="reason">${REASONS.map((r) => html`<option value=${r}>${t('reason_' + r)}</option>`)}</select></label>
    <label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label><//>`;
}

/* ---- one ---- */

/* A CA that never gave way has no rollover: that is no problem. */
async function load(id, me, o) {
  const path = 'ca/' + encodeURIComponent(id);
  const c = await get(path, o);
  const rollover = await get(path + '/rollover', o).catch((p) => { if (p.status === 404) return null; throw p; });
  const asked = me.permissions.includes('approval:read') ? (await get('approvals', o)).items.filter((a) => a.object === id && a.kind.startsWith('ca_')) : [];
  return { c, rollover, asked };
}

function One({ id, me }) {
  const { data, problem, reload } = useData((o) => load(id, me, o), id, ({ event }) => /^ca_|approval|campaign|rollover/.test(event));
  const [revoking, setRevoking] = useState(null); /* the CA as it was shown */
  const c = data && data.c, may = me.permissions.includes('ca:manage') && !me.limited_to_services;
  return html`<div class="head"><h1>${id}</h1>${c && html`<${State} kind=${CA_STATES[c.state] || 'off'}>${word('ca_', c.state)}<//>`}
      ${c && may && revocable(c, data.asked) && html`<button class="danger push" onClick=${() => setRevoking(c)}>${t('ca_revoke')}</button>`}</div><${ProblemBox} problem=${problem} />
    ${revoking && html`<${Revoke} c=${revoking} close=${(did) => { setRevoking(null); if (did) reload(); }} />`}
    ${c && html`<div class="gap">${data.asked.map((a) => html`<p class="clear due">▲ <a href=${to(['approvals', a.approval_id])}>${t('ca_asked', { what: word('ask_of_', a.kind) })}</a></p>`)}
      <section class="card"><dl class="facts"><dt>${t('ca_subject')}</dt><dd>${c.subject || '–'}</dd><dt>${t('key')}</dt><dd>${c.key_type}</dd><dt>${t('serial')}</dt><dd class="mono small">${c.serial || '–'}</dd>
        <dt>${t('fingerprint')}</dt><dd class="mono small">${c.fingerprint || '–'}</dd><dt>${t('validity')}</dt><dd>${moment(c.not_before)} – ${c.expires_at ? moment(c.expires_at) : '–'}</dd>
        <dt>${t('ca_parent')}</dt><dd>${c.parent_id ? html`<a href=${to(['ca', c.parent_id])}>${c.parent_id}</a>` : '–'}</dd><dt>${t('ca_successor')}</dt><dd>${c.successor_id ? html`<a href=${to(['ca', c.successor_id])}>${c.successor_id}</a>` : '–'}</dd>
        <dt>${t('ca_permitted')}</dt><dd>${(c.permitted || []).join(', ') || '–'}</dd>${c.revoked_at && html`<dt>${t('ca_revoked')}</dt><dd>${moment(c.revoked_at)} ${word('reason_', c.revocation_reason)}</dd>`}</dl></section>
      <${Live} live=${c.live} /><${Rollover} c=${c} r=${data.rollover} may=${may} reload=${reload} /></div>`}
    ${c && html`<${CopyAs} vccctl=${['ca', 'show', id]} path=${'ca/' + encodeURIComponent(id)} />`}`;
}

export const Authorities = (props) => (props.id === undefined ? html`<${List} />` : html`<${One} ...${props} />`);
