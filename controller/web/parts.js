/* parts.js - what every view is made of: states, times, problems, dialogs, long lists, "copy as". Values from the API become text nodes, never
 * markup. Never: asking the API. */
import { codeWords, sentence } from './german.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from './lib.js';
import { dialogOpen } from './once.js';
import { say } from './say.js';
import { moment, number, relative, t, word } from './text.js';

const SHAPES = { ok: '●', due: '▲', bad: '✗', busy: '◐', off: '○', back: '↩' };

export const shape = (kind) => SHAPES[kind] || SHAPES.off;

/* Shape and word; colour only repeats them. */
export const State = ({ kind, children }) =>
  html`<span class=${'state ' + kind}><span class="shape" aria-hidden="true">${shape(kind)}</span>${children}</span>`;

const CERT = { active: 'ok', issued: 'busy', requested: 'busy', expiring: 'due', expired: 'bad', suspended: 'off', revoked: 'off', renewed: 'off' };
const ORDER = { completed: 'ok', pending: 'busy', in_progress: 'busy', awaiting_approval: 'due', failed: 'bad', paused: 'bad', cancelled: 'off', rolled_back: 'off' };
const CAMPAIGN = { processing: 'busy', awaiting_approval: 'due', completed: 'ok', completed_with_failures: 'bad', halted: 'due', cancelled: 'off' };

export const CertState = ({ status }) => html`<${State} kind=${CERT[status] || 'off'}>${word('status_', status)}<//>`;
export const OrderState = ({ status }) => html`<${State} kind=${ORDER[status] || 'off'}>${word('order_', status)}<//>`;
export const CampaignState = ({ status }) => html`<${State} kind=${CAMPAIGN[status] || 'off'}>${word('campaign_', status)}<//>`;
export const Served = ({ served }) =>
  served === true ? html`<${State} kind="ok">${t('served_yes')}<//>`
    : served === false ? html`<${State} kind="bad">${t('served_no')}<//>` : html`<span class="muted">${t('served_unknown')}</span>`;

/* "in 9 days", with the whole date for whoever points at it. */
export const When = ({ at }) => (at ? html`<time datetime=${at} title=${moment(at)}>${relative(at)}</time>` : html`<span class="muted">–</span>`);

export const Count = ({ n }) => html`<span>${number(n)}</span>`;

/* ---- what the controller says ---- */

/* Commands stand between backquotes. */
export const Words = ({ text }) => String(text).split('`').map((part, i, all) => (i % 2 === 1 && i < all.length - 1 ? html`<code>${part}</code>` : i % 2 === 1 ? '`' + part : part));

/* The English stays: it is told to whoever points at it. */
const InGerman = ({ text, same, bare }) => html`<span title=${bare ? undefined : same}><${Words} text=${text} /></span>`;
const InEnglish = ({ text }) => html`<span lang="en"><${Words} text=${text} /></span>`;

/* A sentence of the controller in the language of the page, in one part or two; `same`: the English of what is German. With `code`: where the sentence is no more
 * than the code's own words, and before one that has no German, stand the words of the code. */
function toldParts(code, text) {
  const de = sentence(text), of = codeWords(code);
  if (de) return [{ text: de, same: text }];
  return [...(of ? [{ text: of.what, same: of.same }] : []), ...(text && !(of && of.same === text) ? [{ text }] : [])];
}

/* `bare`: what it stands in tells the English. */
export const Told = ({ code, text, bare }) => toldParts(code, text).map((p, i) =>
  html`${i > 0 ? ': ' : ''}<${p.same ? InGerman : InEnglish} text=${p.text} same=${p.same} bare=${bare} />`);

/* A cell of a long list, which may be cut short: whoever points at it is told the whole, and below it the English. */
export function toldCell(code, text, less) {
  const parts = toldParts(code, text), shown = parts.map((p) => p.text).join(': '), same = parts.map((p) => p.same || p.text).join(': ');
  return [html`<${Code} code=${code} /> <${Told} code=${code} text=${text} bare />`, less, shown === same ? shown : `${shown}\n${same}`];
}

/* What to do about a code. */
export function NextStep({ code, text }) {
  const of = codeWords(code);
  return of ? html`<${InGerman} text=${of.next} same=${text} />` : html`<${InEnglish} text=${text} />`;
}

/* "VCC-3804 a revocation list is not renewed" */
export function ToldWithCode({ text }) {
  const [, code, rest] = /^(VCC-\d{4}) (.*)$/s.exec(text) || [null, '', text];
  return html`${code && html`<${Code} code=${code} /> `}<${Told} code=${code} text=${rest} />`;
}

/* A refusal: code, object, cause, next step. In German it is also there as it came. */
export function ProblemBox({ problem }) {
  if (!problem) return null;
  const b = problem.body || { title: problem.message };
  if (b.unreachable)
    return html`<div class="problem" role="alert"><strong>${b.seconds ? t('unanswered', { n: number(b.seconds) }) : t('unreachable')}</strong>
      <p><b>${t('next_step')}:</b> ${t(b.seconds ? 'unanswered_next' : 'unreachable_next')} ${b.next && t(b.next)}</p></div>`;
  const of = codeWords(b.code), says = b.detail && b.detail !== b.title;
  return html`<div class="problem" role="alert">
    <strong>${b.code ? b.code + ' ' : ''}${of ? of.what : b.title}</strong>
    <p>${b.object ? html`<code>${b.object}</code>${says ? ': ' : ''}` : ''}${says ? html`<${Told} text=${b.detail} />` : ''}</p>
    ${b.next && html`<p><b>${t('next_step')}:</b> <${NextStep} code=${b.code} text=${b.next} /></p>`}
    ${of && html`<details class="small"><summary>${t('as_it_came')}</summary><p lang="en"><b>${b.title}</b><br />${b.detail}<br />${b.next}</p></details>`}
    <p class="small">${b.code && html`<a href=${'#/explain/' + b.code}>${t('show_code', { code: b.code })}</a> `}
      ${b.request_id && html`<span class="muted">${t('request')} <code>${b.request_id}</code></span>`}</p>
  </div>`;
}

export const Code = ({ code }) => (code ? html`<a href=${'#/explain/' + code}>${code}</a>` : null);

/* ---- dialogs ---- */

export function Dialog({ title, wide, onClose, children }) {
  const ref = useRef();
  useLayoutEffect(dialogOpen, []);
  useLayoutEffect(() => {
    const before = document.activeElement, dialog = ref.current;
    dialog.showModal();
    return () => { /* while it is open nothing else can have the focus */
      dialog.close();
      if (before && before.isConnected) before.focus();
    };
  }, []);
  return html`<dialog ref=${ref} class=${wide ? 'broad' : ''} aria-labelledby="dialog-title" onCancel=${(e) => { e.preventDefault(); onClose(); }}>
    <h2 id="dialog-title">${title}</h2>${children}</dialog>`;
}

/* Asks before something is done; `act` may be refused, and then the dialog says why; a text that it gives is said instead of `done`. `type`: a text that has to be typed. `shell`: the same act
 * for a shell, of the fields as they are now: {vccctl, path, body}. */
export function Ask({ title, about, type, yes, danger, act, done, onClose, shell, wide, children }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [typed, setTyped] = useState('');
  const [fields, setFields] = useState(null);
  const form = useRef();
  const look = () => shell && setFields(Object.fromEntries(new FormData(form.current)));
  useEffect(() => {
    look();
    const lists = new MutationObserver(look); /* a choice may bring other fields, and what is chosen from may come later */
    lists.observe(form.current, { childList: true, subtree: true });
    return () => lists.disconnect();
  }, []);
  const submit = async (e) => {
    e.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const told = await act(Object.fromEntries(new FormData(form.current)));
      say(typeof told === 'string' ? told : done, true);
      onClose(true);
    } catch (p) { /* null: one step is done, and another one follows */
      setProblem(p);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} wide=${wide} onClose=${() => onClose(false)}>
    <form ref=${form} onSubmit=${submit} onInput=${look}>
      ${about && html`<p>${about}</p>`}
      ${children}
      ${type && html`<label>${t('revoke_type', { id: type })}<input type="text" autocomplete="off" value=${typed} onInput=${(e) => setTyped(e.target.value)} /></label>`}
      <${ProblemBox} problem=${problem} />
      <div class="row">
        <button type="submit" class=${danger ? 'danger' : 'first'} disabled=${busy || (type && typed !== type)}>${yes}</button>
        <button type="button" onClick=${() => onClose(false)}>${t('cancel')}</button>
      </div>
      ${fields && html`<${CopyAs} ...${shell(fields)} />`}
    </form>
  <//>`;
}

/* ---- copy as ---- */

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say(t('copied'), true);
  } catch {
    prompt(t('copy_as'), text); /* a browser that forbids it still shows it */
  }
}

/* One word of a command, whatever is in it: parts of it may be from an address that somebody else wrote. */
const shellWord = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/* What this view shows, or with `body` what a dialog does, for a shell: `vccctl` is a list of words, `path` is encoded. A terminal acts on control
 * characters before any shell sees a quote: there is no command then. */
export function CopyAs({ vccctl, path, body }) {
  const words = ['vccctl', ...vccctl];
  if (words.some((text) => /\p{C}/u.test(text))) return null;
  const line = words.map(shellWord).join(' ');
  const sent = body === undefined ? '' : `-H 'Content-Type: application/json' -d ${shellWord(JSON.stringify(body))} `;
  return html`<div class="foot"><span>${t('copy_as')}</span>
    <button type="button" onClick=${() => copy(line)}>vccctl</button>
    <button type="button" onClick=${() => copy(`curl --cacert ca.pem -H "Authorization: Bearer $VCC_TOKEN" ${sent}'${location.origin}/api/v1/${path.replaceAll("'", '%27')}'`)}>curl</button>
    <code>${line}</code></div>`;
}

/* ---- a list of any length ---- */

const AHEAD = 8;

/* Only the rows that are seen are in the page. A cell is [what it shows, whether a narrow page does without it, true or its whole text where it may take two
 * lines]. `more`: called when the end comes near; null = there is none. `none`: what an empty one says where nothing was looked for. `heights`:
 * of a row, wide and narrow; `narrow`: up to this width of the list, whatever that of the window. Both as in style.css. */
export function LongList({ label, kind, top, rows, row, more, busy, none, problem, heights = [46, 84], narrow = 756 }) {
  const ref = useRef();
  const [seen, setSeen] = useState({ from: 0, height: 600, line: heights[0] });
  const look = () => {
    const e = ref.current;
    if (!e) return;
    const line = heights[e.getBoundingClientRect().width <= narrow ? 1 : 0];
    setSeen({ from: Math.max(0, Math.floor(e.scrollTop / line) - AHEAD), height: e.clientHeight, line });
    if (more && !busy && e.scrollTop + e.clientHeight > e.scrollHeight - 20 * line) more();
  };
  useLayoutEffect(look, [rows.length, busy]);
  const looks = useRef();
  looks.current = look;
  useEffect(() => {
    const sizes = new ResizeObserver(() => looks.current());
    sizes.observe(ref.current);
    return () => sizes.disconnect();
  }, []);
  const { from, height, line } = seen;
  const shown = rows.slice(from, from + Math.ceil(height / line) + 2 * AHEAD);
  return html`<div class=${'list ' + kind}><div role="table" aria-label=${label} aria-rowcount=${more ? -1 : rows.length + 1}>
    <div role="rowgroup"><div class="line top" role="row">${top.map((text) => html`<span role="columnheader">${text}</span>`)}</div></div>
    <div class=${'scroll' + (rows.length < 12 && !more ? ' short' : '')} ref=${ref} onScroll=${look} tabindex="0" role="rowgroup" aria-label=${label}>
      <div style=${{ height: rows.length * line + 'px', position: 'relative' }} role="presentation">
        <div class="block" style=${{ top: from * line + 'px' }} role="presentation">
          ${shown.map((r, i) => html`<div class="line" role="row" key=${from + i} aria-rowindex=${from + i + 2}>${row(r).map(([text, less, long], n) =>
            html`<span role="cell" data-top=${top[n]} class=${(less ? 'less' : '') + (long ? ' long' : '')} title=${typeof long === 'string' && long ? long : undefined}>${text}</span>`)}</div>`)}
        </div>
      </div>
    </div></div>
    <div class="end small">${busy ? t('loading') : rows.length === 0 ? (!problem && none) || t('list_empty') : rows.length === 1 && !more ? t('list_one') : more ? t('list_some', { n: number(rows.length) }) : t('list_end', { n: number(rows.length) })}
      ${more && !busy && html` <button type="button" onClick=${more}>${t('more')}</button>`}</div>
  </div>`;
}

/* A region that may be wider than the window: it scrolls, the page does not. Where something of it is not seen it has an edge on that side, and says so. */
export function Wide({ label, children }) {
  const ref = useRef();
  const [hidden, setHidden] = useState('');
  const look = () => {
    const e = ref.current, left = e.scrollLeft > 1, right = e.scrollLeft + e.clientWidth < e.scrollWidth - 1;
    setHidden((left ? ' more-left' : '') + (right ? ' more-right' : ''));
  };
  useLayoutEffect(look);
  useEffect(() => {
    const sizes = new ResizeObserver(look);
    sizes.observe(ref.current);
    return () => sizes.disconnect();
  }, []);
  return html`<div class=${'edge' + hidden}><div class="wide" ref=${ref} onScroll=${look} tabindex="0" role="region" aria-label=${label}>${children}</div>
    ${hidden && html`<p class="small muted wider" aria-hidden="true">⇆ ${t('wider')}</p>`}</div>`;
}
