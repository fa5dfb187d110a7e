/* exceptions.js - exceptions to compliance rules: who answers for each, why and until when; one is made, replaced or ended here. Those that stand in a
 * file of rules are shown, and are changed there. */
import { get, post } from './api.js';
import { useData } from './data.js';
import { html, useState } from './lib.js';
import { Ask, State, Wide } from './parts.js';
import { to } from './route.js';
import { moment, t } from './text.js';

const PATH = 'reports/exceptions';
const DAY_MS = 86400000, DEFAULT_DAYS = 90, MOST_DAYS = 730;

/* Made by whoever may change templates, and of the whole. */
export const makesExceptions = (me) => me.permissions.includes('certificate:template:update') && !me.limited_to_services;

/* A day of UTC, so many from now; an exception holds until that day begins. */
const dayAhead = (n) => new Date(Date.now() + n * DAY_MS).toISOString().slice(0, 10);
const among = (ids, id) => (id && !ids.includes(id) ? [id, ...ids] : ids);
const untilOf = (f) => (f.until || '') + 'T00:00:00Z';

/* ---- dialogs ---- */

function Make({ rules, given, close }) {
  const { data } = useData((o) => get('certificates/lifecycle/templates', o), 'templates', () => false);
  const body = (f) => ({ rule: f.rule, template_id: f.template_id, owner: f.owner, reason: f.reason, until: untilOf(f) });
  const words = (f) => ['report', 'except', f.rule || '', f.template_id || '', '--owner', f.owner || '', '--until', untilOf(f), '--reason', f.reason || ''];
  /* what it is about may be a rule of another file, or a template that is gone: it is chosen all the same, and never another one in its place */
  const listed = among(rules.map((x) => x.id), given.rule).map((id) => rules.find((x) => x.id === id) || { id });
  const ids = among(data ? data.templates.map((x) => x.template_id) : [], given.template_id);
  return html`<${Ask} title=${t(given.template_id ? 'exception_change' : 'exception_make')} about=${t('exception_make_about')} yes=${t('exception_put')} done=${t('exception_put_done')} onClose=${close}
    act=${(f) => post(PATH, body(f))} shell=${(f) => ({ vccctl: words(f), path: PATH, body: body(f) })}>
    <label>${t('rule')}<select name="rule">${listed.map((x) => html`<option value=${x.id} selected=${x.id === given.rule}>${x.id}${x.text ? ': ' + x.text : ''}</option>`)}</select></label>
    <label>${t('template')}<select name="template_id" key=${ids.length}>${ids.map((id) => html`<option value=${id} selected=${id === given.template_id}>${id}</option>`)}</select></label>
    <label>${t('reason')}<input type="text" name="reason" required maxlength="150" defaultValue=${given.reason || ''} autofocus /></label>
    <label>${t('owner')}<input type="text" name="owner" required maxlength="60" pattern="[^@]+" title=${t('exception_owner_hint')} defaultValue=${given.owner || ''} aria-describedby="owner-hint" /></label>
    <p id="owner-hint" class="small muted">${t('exception_owner_hint')}</p>
    <label>${t('exception_until_utc')}<input type="date" name="until" required min=${dayAhead(1)} max=${dayAhead(MOST_DAYS - 1)} defaultValue=${given.until ? given.until.slice(0, 10) : dayAhead(DEFAULT_DAYS)} /></label><//>`;
}

function End({ e, close }) {
  const body = (f) => ({ rule: e.rule, template_id: e.template_id, reason: f.reason });
  return html`<${Ask} title=${t('exception_end_ask', { rule: e.rule, template: e.template_id })} about=${t('exception_end_about')} yes=${t('exception_end')} danger done=${t('exception_end_done')} onClose=${close}
    act=${(f) => post(PATH, body(f))} shell=${(f) => ({ vccctl: ['report', 'except', e.rule, e.template_id, '--end', '--reason', f.reason || ''], path: PATH, body: body(f) })}>
    <label>${t('reason')}<input type="text" name="reason" required maxlength="150" autofocus /></label><//>`;
}

/* The open dialog of `asked`, or none: {verb: 'make' | 'end', rules, of: the exception or what is known of it}. `close(did)`. */
export function ExceptionAsk({ asked, close }) {
  if (!asked) return null;
  return asked.verb === 'end' ? html`<${End} e=${asked.of} close=${close} />` : html`<${Make} rules=${asked.rules} given=${asked.of} close=${close} />`;
}

/* ---- the list ---- */

function Row({ e, may, rules, ask }) {
  const own = may && e.source === 'own', named = { rule: e.rule, template: e.template_id };
  return html`<tr><th scope="row">${e.rule}</th><td><a href=${to(['templates', e.template_id])}>${e.template_id}</a></td>
    <td><${State} kind=${e.in_force ? 'due' : 'off'}>${t(e.in_force ? 'exception_in_force' : 'exception_over')}<//></td><td class="wrote">${e.reason}</td><td class="wrote">${e.owner}</td><td>${e.until ? moment(e.until) : '–'}</td>
    ${may && html`<td>${own ? html`<div class="row"><button class="small" aria-label=${t('exception_change_of', named)} onClick=${() => ask({ verb: 'make', rules, of: e })}>${t('exception_change_short')}</button>
      <button class="small danger" aria-label=${t('exception_end_of', named)} onClick=${() => ask({ verb: 'end', of: e })}>${t('exception_end')}</button></div>` : html`<span class="muted small">${t('exception_of_file')}</span>`}</td>`}</tr>`;
}

/* Where a rule is not kept, and somebody answers for it. `rules`: those about certificates; none = nothing new is made here. */
export function Exceptions({ rows, me, rules = [], changed }) {
  const [asked, ask] = useState(null);
  const may = makesExceptions(me);
  const close = (did) => { ask(null); if (did) changed(); };
  return html`<section class="card"><div class="row"><h2>${t('exceptions')}</h2>
      ${may && rules.length > 0 && html`<button class="push" onClick=${() => ask({ verb: 'make', rules, of: {} })}>${t('exception_new')}</button>`}</div>
    ${rows.length === 0 ? html`<p class="muted">${t('no_exceptions')}</p>` : html`<${Wide} label=${t('exceptions')}>
      <table><thead><tr><th>${t('rule')}</th><th>${t('template')}</th><th>${t('status')}</th><th>${t('why')}</th><th>${t('owner')}</th><th>${t('exception_until')}</th>${may && html`<th><span class="unseen">${t('exception_acts')}</span></th>`}</tr></thead>
        <tbody>${rows.map((e) => html`<${Row} key=${e.source + e.rule + e.template_id} e=${e} may=${may} rules=${rules} ask=${ask} />`)}</tbody></table><//>`}
    <${ExceptionAsk} asked=${asked} close=${close} /></section>`;
}
