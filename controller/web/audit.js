/* audit.js - the audit trail as a time line with the state of its proof. */
import { get } from './api.js';
import { useData, usePages } from './data.js';
import { eventWord, givenReason } from './german.js';
import { html, useLayoutEffect, useRef, useState } from './lib.js';
import { CopyAs, ProblemBox, State, Told } from './parts.js';
import { refine, to } from './route.js';
import { moment, number, t } from './text.js';

/* The newest head that the signer signed: everything below its size is proved to be unchanged since. */
function Head({ head }) {
  if (!head) return html`<p class="clear due">▲ ${t('head_none')}</p>`;
  return html`<p class="clear">● ${t('head_signed', { n: number(head.size), at: moment(head.at) })}${head.witness ? ', ' + t('head_witnessed', { who: head.witness }) : ''}</p>`;
}

/* Record and proof, asked for when somebody opens it. */
function Detail({ r }) {
  const { data, problem } = useData((o) => get('audit/' + r.seq, o), r.seq, () => false);
  return html`<${ProblemBox} problem=${problem} />${data && html`<dl class="facts"><dt>${t('event')}</dt><dd><code>${r.event}</code></dd><dt>${t('approval_about')}</dt><dd><span lang="en">${data.about}</span></dd><dt>${t('leaf')}</dt><dd class="mono small">${data.leaf}</dd>
    <dt>${t('details')}</dt><dd><pre>${JSON.stringify(data.detail, null, 2)}</pre></dd>${r.request_id && html`<dt>${t('request')}</dt><dd class="mono small">${r.request_id}</dd>`}</dl>`}`;
}

/* Where the object of a record is seen: by the beginning of its event. */
const PLACES = [[/^certificate_/, 'certificates'], [/^agent_/, 'agents'], [/^ca_/, 'ca'], [/^(template_|compliance_exception)/, 'templates'], [/^service_/, 'services'], [/^(campaign|emergency)_/, 'campaigns']];
/* These name the owner of a certificate: a certificate where it came of a renewal, else a host, a gateway or the controller. */
const OF_OWNER = /^certificate_(revoked|intent|intent_voided)$/;

function Of({ r }) {
  const [, area] = OF_OWNER.test(r.event) && !r.renewal_id ? [] : PLACES.find(([start]) => start.test(r.event)) || [];
  return area && r.object ? html`<a href=${to([area, r.object])}>${r.object}</a>` : html`<span>${r.object}</span>`;
}

/* What a person wrote stays as it is. */
const why = (r) => (givenReason(r.reason) ? html`<span title=${r.reason}>${givenReason(r.reason)}</span>` : /^(controller$|agent:|$)/.test(r.actor || '') ? html`<${Told} text=${r.reason} />` : r.reason);

function Record({ r, covered }) {
  const [open, setOpen] = useState(false);
  return html`<li class="card"><div class="row"><b title=${r.event}>${eventWord(r.event)}</b><${Of} r=${r} />
      <${State} kind=${covered ? 'ok' : 'off'}>${t(covered ? 'covered' : 'not_covered')}<//><span class="push muted small">#${r.seq} ${moment(r.at)}</span></div>
    <p class="small">${r.actor || '–'}${r.reason ? html`: ${why(r)}` : ''}</p>
    <details onToggle=${(e) => setOpen(e.target.open)}><summary>${t('details')}</summary>${open && html`<${Detail} r=${r} />`}</details></li>`;
}

const FILTERS = ['event', 'object', 'actor'];

export function Audit({ args }) {
  const form = useRef();
  const asked = new URLSearchParams(FILTERS.filter((n) => args[n]).map((n) => [n, args[n]])).toString();
  const path = 'audit' + (asked ? '?' + asked : '');
  const list = usePages(path, () => true);
  const { data: heads } = useData((o) => get('audit/heads?limit=1', o), 'heads', ({ event }) => event.startsWith('audit') || event === 'look');
  const head = heads && heads.items[0];
  useLayoutEffect(() => { for (const name of FILTERS) form.current.elements[name].value = args[name] || ''; }, [asked]); /* what is typed stays while records come */
  const submit = (e) => { e.preventDefault(); refine('audit', Object.fromEntries(new FormData(e.target))); };
  return html`<div class="head"><h1>${t('audit')}</h1></div>
    <form ref=${form} class="filters" onSubmit=${submit}><label>${t('event')}<input type="text" name="event" maxlength="60" /></label>
      <label>${t('object')}<input type="text" name="object" maxlength="60" /></label><label>${t('actor')}<input type="text" name="actor" maxlength="60" /></label>
      <button type="submit">${t('calendar_show')}</button></form>
    <${ProblemBox} problem=${list.problem} />
    <div class="gap">${heads && html`<${Head} head=${head} />`}
      <ol class="gap trail" role="list">${list.rows.map((r) => html`<${Record} key=${r.seq} r=${r} covered=${Boolean(head) && r.seq < head.size} />`)}</ol>
      ${list.more && html`<p><button onClick=${list.more} disabled=${list.busy}>${t('older')}</button></p>`}</div>
    <${CopyAs} vccctl=${['audit', 'list', ...(args.object ? ['--object', args.object] : [])]} path=${path} />`;
}
