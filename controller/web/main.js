/* main.js - who is here, which view is open, and the frame around it. */
import { get, listen, logout, resume } from './api.js';
import { GOES, listenKeys } from './keys.js';
import { html, render, useEffect, useLayoutEffect, useState } from './lib.js';
import { begin, end, liveState, silentSeconds, useLive } from './live.js';
import { Dialog, ProblemBox } from './parts.js';
import { go, refine, useRoute } from './route.js';
import { say } from './say.js';
import { Confirm, Login } from './session.js';
import { lang, number, setLang, t } from './text.js';
import { Agents, Targets } from './hosts.js';
import { Approvals } from './approvals.js';
import { Audit } from './audit.js';
import { Authorities } from './authorities.js';
import { Campaign } from './campaign.js';
import { Campaigns } from './campaigns.js';
import { Certificate } from './certificate.js';
import { Certificates } from './certificates.js';
import { Crypto } from './crypto.js';
import { Explain } from './explain.js';
import { Notices } from './notices.js';
import { Overview } from './overview.js';
import { Principals } from './principals.js';
import { Renewal, Renewals } from './renewal.js';
import { ReportRows } from './report_rows.js';
import { Report } from './reports.js';
import { Services } from './services.js';
import { Templates } from './templates.js';

/* path, view of the list, view of one, permission, of the whole: not for who is limited to services */
const AREAS = {
  overview: [Overview, null, 'certificate:read'],
  certificates: [Certificates, Certificate, 'certificate:read'],
  campaigns: [Campaigns, Campaign, 'certificate:read'],
  approvals: [Approvals, Approvals, 'approval:read'],
  agents: [Agents, Agents, 'agent:read'],
  targets: [Targets, null, 'certificate:read'],
  services: [Services, Services, 'certificate:read'],
  templates: [Templates, Templates, 'certificate:read'],
  crypto: [Crypto, null, 'certificate:read'],
  ca: [Authorities, Authorities, 'certificate:read', true],
  reports: [Report, ReportRows, 'report:read', true],
  audit: [Audit, null, 'audit:read', true],
  notices: [Notices, null, 'certificate:read'],
  principals: [Principals, null, 'principal:manage', true],
  renewals: [Renewals, Renewal, null],
  explain: [null, Explain, null],
};

/* ---- light and dark ---- */

const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = () => localStorage.getItem('vcc-theme') || 'auto';

function paint() {
  document.documentElement.dataset.theme = theme() === 'auto' ? (dark.matches ? 'dark' : 'light') : theme();
}

dark.addEventListener('change', paint);
paint();

function Theme({ changed }) {
  const set = (e) => { localStorage.setItem('vcc-theme', e.target.value); paint(); changed(); };
  return html`<select aria-label=${t('theme')} value=${theme()} onChange=${set}>
    ${['auto', 'light', 'dark'].map((name) => html`<option value=${name} selected=${theme() === name}>${t('theme_' + name)}</option>`)}</select>`;
}

/* ---- frame ---- */

const Keys = ({ close }) => html`<${Dialog} title=${t('keys')} onClose=${close}>
  <dl class="facts"><dt><kbd>/</kbd></dt><dd>${t('keys_search')}</dd><dt><kbd>?</kbd></dt><dd>${t('keys_help')}</dd>
    ${GOES.map(([key, [area]]) => html`<dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${t(area)}</dd>`)}</dl>
  <p><button class="first" onClick=${close} autofocus>${t('close')}</button></p><//>`;

function Search({ route }) {
  const [text, setText] = useState(route.path[0] === 'certificates' ? route.args.q || '' : '');
  const list = route.path[0] === 'certificates' && !route.path[1];
  useLayoutEffect(() => setText(list ? route.args.q || '' : ''), [route.args.q, list]); /* at once: what is typed a moment later stays */
  const submit = (e) => {
    e.preventDefault();
    const q = e.target.elements.search.value.trim();
    if (list) refine(['certificates'], { ...route.args, q });
    else go(['certificates'], { q });
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <input id="search" type="search" maxlength="120" aria-label=${t('search')} placeholder=${t('search')} value=${text} onInput=${(e) => setText(e.target.value)}
      onKeyDown=${(e) => e.key === 'Escape' && e.target.blur()} /></form>`;
}

function Live() {
  const [, again] = useState(0);
  useLive(() => again((n) => n + 1), () => false);
  const s = liveState();
  useEffect(() => { if (liveState() !== s) again((n) => n + 1); }); /* it may have changed before anybody listened */
  useEffect(() => { /* while nobody answers, what is seen grows old */
    const timer = s === 'away' ? setInterval(() => again((n) => n + 1), 1000) : null;
    return () => clearInterval(timer);
  }, [s]);
  return s === 'off' ? null : html`<span class="muted small">${s === 'stream' ? '●' : s === 'away' ? '✗' : '○'} ${t('live_' + s)}${s === 'away' && silentSeconds() !== null ? ', ' + t('heard_ago', { n: number(silentSeconds()) }) : ''}</span>`;
}

function Side({ me, area, open }) {
  return html`<nav id="side" class=${'side' + (open ? ' open' : '')} aria-label=${t('navigation')}><ul>
    ${Object.entries(AREAS).filter(([, [list, , permission, whole]]) => list && permission && me.permissions.includes(permission) && !(whole && me.limited_to_services)).map(([name]) =>
      html`<li><a href=${'#/' + name} aria-current=${area === name ? 'page' : null}>${t(name)}</a></li>`)}</ul></nav>`;
}

function View({ route, me }) {
  const [area = 'overview', id] = route.path;
  const row = Object.hasOwn(AREAS, area) ? AREAS[area] : null;
  const Shown = row && (id === undefined ? row[0] : row[1]);
  if (!Shown) return html`<div class="card"><h1>${t('not_found')}</h1><p><a href="#/overview">${t('to_overview')}</a></p></div>`;
  return html`<${Shown} key=${area + '/' + (id || '')} id=${id} args=${route.args} me=${me} />`;
}

function Frame({ me, leave, again }) {
  const route = useRoute();
  const [help, setHelp] = useState(false);
  const [open, setOpen] = useState(false);
  const area = route.path[0] || 'overview';
  useEffect(() => listenKeys(() => setHelp(true)), []);
  useEffect(() => {
    setOpen(false);
    document.title = `${t(AREAS[area] && AREAS[area][0] ? area : 'title')}${route.path[1] ? ' ' + route.path[1] : ''} – ${t('title')}`;
  }, [route.path.join('/'), lang()]);
  return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>${t('skip')}</a>
    <header class="top">
      <button class="menu" aria-expanded=${open} aria-controls="side" onClick=${() => setOpen(!open)}>☰ ${t('menu')}</button>
      <a class="brand" href="#/overview"><img src=${new URL('icon.svg', import.meta.url).pathname} alt="" />${t('title')}</a>
      <${Search} route=${route} />
      <div class="tools push"><${Live} /><${Theme} changed=${again} />
        <button class="plain" title=${t('language_hint')} lang=${lang() === 'de' ? 'en' : 'de'} onClick=${() => { setLang(lang() === 'de' ? 'en' : 'de'); again(); }}>${t('language')}</button>
        <button class="plain" title=${t('keys')} aria-label=${t('keys')} onClick=${() => setHelp(true)}>?</button>
        <span class="small who" title=${me.person || me.principal}>${me.person || me.principal}</span>
        <button class="plain" onClick=${leave}>${t('log_out')}</button></div>
    </header>
    <div class="body"><${Side} me=${me} area=${area} open=${open} />
      <main id="main" tabindex="-1"><${View} route=${route} me=${me} /></main></div>
    ${help && html`<${Keys} close=${() => setHelp(false)} />`}`;
}

/* ---- who is here ---- */

function App() {
  const [who, setWho] = useState({ state: 'asking' });
  const [asked, setAsked] = useState(null);
  const [, again] = useState(0);
  const enter = async (session) => {
    try {
      const me = await get('whoami');
      setWho({ state: 'in', me, session });
      begin(me);
    } catch (problem) {
      setWho({ state: 'out', problem });
    }
  };
  useEffect(() => {
    listen(() => { end(); setAsked(null); setWho({ state: 'out', note: 'session_over' }); say(t('session_over'), true); },
      () => new Promise((answer) => setAsked({ answer: (ok) => { setAsked(null); answer(ok); } })));
    resume().then((session) => (session ? enter(session) : setWho({ state: 'out' })), (problem) => setWho({ state: 'out', problem }));
  }, []);
  const leave = async () => {
    end();
    try {
      await logout();
    } catch { /* then it ends by itself */ }
    setWho({ state: 'out', note: 'logged_out' });
  };
  if (who.state === 'asking') return html`<p class="login muted">${t('loading')}</p>`;
  if (who.state === 'out')
    return html`${who.problem && html`<div class="login"><${ProblemBox} problem=${who.problem} /></div>`}<${Login} note=${who.note && t(who.note)} done=${enter} />`;
  return html`<${Frame} me=${who.me} leave=${leave} again=${() => again((n) => n + 1)} />${asked && html`<${Confirm} by=${who.session.by} answer=${asked.answer} />`}`;
}

render(html`<${App} />`, document.getElementById('app'));
