/* template_edit.js - a new version of a template: its fields, what that would do as the controller tells it, and then exactly this on exactly the
 * version that was shown. */
import { post } from './api.js';
import { html, useRef, useState } from './lib.js';
import { Ask, Told, Wide } from './parts.js';
import { go } from './route.js';
import { number, t } from './text.js';

const LIFE = 'certificates/lifecycle/templates';
/* what follows from other fields, or is the store's */
const DERIVED = ['version', 'created_at', 'update', 'validity_period_days', 'validity_seconds'];
/* the same twice: the text says it more exactly */
const TWICE = [['renewal_threshold', 'renewal_threshold_days'], ['emergency_threshold', 'emergency_threshold_days']];
const WORDS = {
  key_type: ['RSA', 'ECDSA', 'Ed25519'], hash_algorithm: ['SHA256', 'SHA384', 'SHA512'], audit_level: ['minimal', 'standard', 'enhanced'],
};

/* What is sent when nothing is changed. */
function wholeOf(template) {
  const whole = Object.fromEntries(Object.entries(template).filter(([name]) => !DERIVED.includes(name)));
  for (const [exact, days] of TWICE) if (whole[exact] !== undefined && whole[exact] !== null) delete whole[days];
  return whole;
}

const kindOf = (name, value) => (WORDS[name] ? 'word' : typeof value === 'boolean' ? 'bool' : typeof value === 'number' ? 'number' : Array.isArray(value) ? 'list' : 'text');
const READ = { word: (s) => s, bool: (s) => s === 'yes', number: (s) => Number(s), list: (s) => s.split(',').map((part) => part.trim()).filter(Boolean), text: (s) => s };

/* The template as the form has it. A text that was null and is still empty stays null. */
function bodyOf(whole, f) {
  const next = Object.fromEntries(Object.entries(whole).map(([name, value]) => [name, f[name] === undefined || (value === null && f[name] === '') ? value : READ[kindOf(name, value)](f[name])]));
  return { ...next, ...(f.comment ? { comment: f.comment } : {}), ...(f.force === 'on' ? { force: true } : {}) };
}

function Field({ name, value }) {
  const kind = kindOf(name, value), shown = value === null ? '' : kind === 'list' ? value.join(', ') : String(value);
  if (kind === 'word') return html`<label><code>${name}</code><select name=${name}>${WORDS[name].map((x) => html`<option value=${x} selected=${x === value}>${x}</option>`)}</select></label>`;
  if (kind === 'bool') return html`<label><code>${name}</code><select name=${name}><option value="yes" selected=${value}>${t('yes')}</option><option value="no" selected=${!value}>${t('no')}</option></select></label>`;
  return html`<label><code>${name}</code><input type=${kind === 'number' ? 'number' : 'text'} name=${name} defaultValue=${shown} step="any" maxlength="500" spellcheck=${false} /></label>`;
}

const shown = (v) => (v === null || v === undefined ? '–' : typeof v === 'object' ? JSON.stringify(v) : String(v));

/* Old and new beside each other, what it does, and what stands in the way. */
function Effect({ e }) {
  return html`<div class="card plan"><${Wide} label=${t('template_changes')}><table class="diff"><thead><tr><th>${t('field')}</th><th>${t('before')}</th><th>${t('value')}</th></tr></thead>
      <tbody>${e.changes.map((c) => html`<tr><th scope="row">${c.field}</th><td><del>− ${shown(c.from)}</del></td><td><ins>+ ${shown(c.to)}</ins></td></tr>`)}
        ${e.changes.length === 0 && html`<tr><td colspan="3">${t('template_same')}</td></tr>`}</tbody></table><//>
    <p><b>${t('template_effect', { n: number(e.certificates_affected), renewals: number(e.renewals), blocked: number(e.blocked) })}</b></p>
    ${e.violations.map((v) => html`<p class="clear bad">✗ ${v.cert_id}: <${Told} text=${v.reason} /></p>`)}
    ${e.compliance.map((v) => html`<p class="clear due">▲ ${v.profile}: ${v.field}: <${Told} text=${v.reason} /></p>`)}
    ${e.approval_required && html`<p>▲ ${t('plan_approval_before')}</p>`}</div>`;
}

/* `template`: one version, the same as long as the dialog is open. */
export function TemplateEdit({ template, close, done }) {
  const [step, setStep] = useState(null); /* {body, effect} */
  const turn = useRef(0); /* of the fields: what changes while an effect is on its way makes it void as well */
  const id = template.template_id, whole = wholeOf(template), path = `${LIFE}/${encodeURIComponent(id)}`, base = { accept: { 'If-Match': `"${template.version}"` } };
  const wanted = (f) => (step ? step.body : { ...bodyOf(whole, f), dry_run: true });
  const act = async (f) => {
    if (!step) {
      const body = bodyOf(whole, f), mine = turn.current, effect = await post(path, { ...body, dry_run: true }, base);
      if (mine === turn.current) setStep({ body, effect });
      throw null; /* the dialog stays, with the effect in it */
    }
    const made = await post(path, step.body, base);
    if (!made.approval_id) return done();
    go(['approvals', made.approval_id]);
    return t('waits_for_second');
  };
  const shell = (f) => ({ vccctl: ['template', 'apply', `${id}.json`, '--if-version', String(template.version), ...(step ? [] : ['--dry-run'])], path, body: wanted(f) });
  return html`<${Ask} wide title=${t('template_edit_ask', { id })} about=${t('template_edit_about')} yes=${t(step ? 'template_apply' : 'template_dry_run')} done=${t('action_done')} act=${act} onClose=${close} shell=${shell}>
    <div class="fields" onInput=${() => { turn.current++; setStep(null); }}>${Object.entries(whole).filter(([name]) => name !== 'template_id').map(([name, value]) => html`<${Field} key=${name} name=${name} value=${value} />`)}
      <label class="line"><input type="checkbox" name="force" />${t('template_force')}</label><label>${t('comment')}<input type="text" name="comment" maxlength="150" /></label></div>
    ${step && html`<${Effect} e=${step.effect} />`}<//>`;
}
