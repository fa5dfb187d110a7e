/* live.js - what changed: the audit trail as it grows where one may read it, else a look every ten seconds. Nobody is told while the page is
 * hidden, and a session is not kept alive by it. */
import { open } from './api.js';
import { useEffect, useRef } from './lib.js';

const LOOK_MS = 10000, FIRST_PAUSE_MS = 1000, LONGEST_PAUSE_MS = 30000;
const heard = new Set();
let state = 'off', stop = null, me = null, place = { id: null };

export const liveState = () => state;

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

async function follow(signal, at) {
  const stream = await open('events', { signal, accept: at.id ? { 'Last-Event-ID': at.id } : {} });
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  become('stream');
  for (let text = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
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

async function look(signal) {
  become('look');
  while (!signal.aborted) {
    await wait(LOOK_MS);
    if (!signal.aborted) tell({ event: 'look' });
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
