/* live.js - what changed: the audit trail as it grows where one may read it, else a look every ten seconds. Nobody is told while the page is
 * hidden, and a session is not kept alive by it. */
import { answeredAt, knock, open } from './api.js';
import { useEffect, useRef } from './lib.js';

/* BEAT_MS: so often the controller says something (docs/api.md); SILENT_MS: then nobody is there any more, whatever the connection says. */
const BEAT_MS = 10000, SILENT_MS = 2.5 * BEAT_MS;
const LOOK_MS = 10000, FIRST_PAUSE_MS = 1000, LONGEST_PAUSE_MS = 30000;
const heard = new Set();
let state = 'off', stop = null, me = null, place = { id: null }, heardAt = null;

export const liveState = () => state;

/* How long ago the controller said something, in whole seconds; null = it has not yet. */
const lastHeard = () => Math.max(heardAt || 0, answeredAt() || 0);
export const silentSeconds = () => (lastHeard() === 0 ? null : Math.round((Date.now() - lastHeard()) / 1000));

function tell(what) {
  if (document.visibilityState === 'visible') for (const fn of [...heard]) fn(what);
}

function become(next) {
  if (state === next) return;
  state = next;
  tell({ event: 'live_state' });
}

/* "id: 7\nevent: x\ndata: {...}" */
function parse(block) {
  const fields = {};
  for (const line of block.split('\n')) {
    const at = line.indexOf(': ');
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
  }
  return fields;
}

/* The next piece; what stays silent is given up. */
async function piece(reader) {
  let timer;
  const silent = new Promise((_, no) => { timer = setTimeout(() => no(new Error('silent')), SILENT_MS); });
  try {
    return await Promise.race([reader.read(), silent]);
  } finally {
    clearTimeout(timer);
  }
}

async function follow(signal, at) {
  const stream = await open('events', { signal, accept: at.id ? { 'Last-Event-ID': at.id } : {} });
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  try {
    await read(reader, at);
  } finally {
    reader.cancel().catch(() => {}); /* the connection ends as well */
  }
}

async function read(reader, at) {
  heardAt = Date.now();
  become('stream');
  for (let text = ''; ;) {
    const { value, done } = await piece(reader);
    if (done) return;
    heardAt = Date.now();
    text += value;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const fields = parse(text.slice(0, end));
      if (!fields.id) continue;
      at.id = fields.id;
      let record = {};
      try {
        record = JSON.parse(fields.data);
      } catch { /* the next look tells the same */ }
      tell({ event: fields.event, record });
    }
  }
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function stay(signal) {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      await follow(signal, place);
      pause = FIRST_PAUSE_MS;
    } catch (e) {
      if (signal.aborted) return;
      if (e.status === 401) tell({ event: 'look' }); /* whoever looks learns that the session is over */
      if (e.status === 401 || e.status === 403) return look(signal);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
    become('away');
    await wait(pause);
    if (!signal.aborted) tell({ event: 'look' });
  }
}

/* A view may have had nothing to ask: silence counts only after a question. */
async function look(signal) {
  become('look');
  while (!signal.aborted) {
    const before = answeredAt();
    await wait(LOOK_MS);
    if (!signal.aborted && answeredAt() === before) await knock(signal).catch(() => {}); /* what came of it is judged here */
    if (signal.aborted) return;
    become(Date.now() - lastHeard() > SILENT_MS ? 'away' : 'look');
    tell({ event: 'look' });
  }
}

/* A browser has six connections for one server, whatever the number of its windows: only one that is seen holds a stream. */
function run() {
  if (stop) stop();
  stop = null;
  if (!me || document.visibilityState !== 'visible') return;
  const abort = new AbortController();
  stop = () => abort.abort();
  const mayRead = me.permissions.includes('audit:read') && !me.limited_to_services;
  (mayRead ? stay : look)(abort.signal);
}

export function begin(who) {
  me = who;
  place = { id: null };
  run();
}

export function end() {
  me = null;
  run();
  state = 'off';
  heardAt = null;
}

document.addEventListener('visibilitychange', () => {
  run();
  tell({ event: 'look' });
});

/* Calls fn at most once a second while something happens that concerns it. */
export function useLive(fn, concerns = () => true) {
  const now = useRef(fn);
  now.current = fn;
  useEffect(() => {
    let timer = null;
    const hear = (what) => {
      if (timer === null && (what.event === 'look' || what.event === 'live_state' || concerns(what)))
        timer = setTimeout(() => { timer = null; now.current(what); }, 1000);
    };
    heard.add(hear);
    return () => { heard.delete(hear); clearTimeout(timer); };
  }, []);
}
