/* data.js - what a view shows: asked for by a person's step, refreshed when something happened. */
import { get } from './api.js';
import { useCallback, useEffect, useRef, useState } from './lib.js';
import { useLive } from './live.js';

/* {data, problem, reload(byHand)}. `load({byHand, signal})` is asked again when `key` changes; `concerns` says of which events. What is there stays while the
 * next is on its way. */
export function useData(load, key, concerns) {
  const [state, set] = useState({ key: null, data: null, problem: null });
  const latest = useRef(null);
  const run = useCallback(async (byHand) => {
    if (latest.current) latest.current.abort();
    const abort = latest.current = new AbortController();
    try {
      const data = await load({ byHand, signal: abort.signal });
      set({ key, data, problem: null });
    } catch (problem) {
      if (problem.name !== 'AbortError') set((before) => ({ key, data: before.key === key ? before.data : null, problem }));
    }
  }, [key]);
  useEffect(() => {
    run(true);
    return () => latest.current && latest.current.abort();
  }, [run]);
  useLive(() => run(false), concerns);
  useRetry(state.problem, () => run(false));
  const fits = state.key === key;
  return { data: fits ? state.data : null, problem: fits ? state.problem : null, reload: (byHand = true) => run(byHand) };
}

/* What nobody answered is asked for again, whatever happens meanwhile. */
const RETRY_MS = 10000;

function useRetry(problem, again) {
  const latest = useRef();
  latest.current = again;
  useEffect(() => {
    if (!problem || !problem.body || !problem.body.unreachable) return undefined;
    const timer = setTimeout(() => latest.current(), RETRY_MS);
    return () => clearTimeout(timer);
  }, [problem]);
}

const PAGE = 200;

/* A list that grows by pages: {rows, more, busy, problem, reload}. `path`: without limit and cursor. A refresh asks for as many rows as are there,
 * at most one page, so that a list somebody reads further down stays where it is. */
export function usePages(path, concerns) {
  const [state, set] = useState({ path: null, rows: [], cursor: null, busy: true, problem: null });
  const running = useRef(null);
  const ask = (cursor, byHand, signal) =>
    get(`${path}${path.includes('?') ? '&' : '?'}limit=${PAGE}${cursor ? '&cursor=' + encodeURIComponent(cursor) : ''}`, { byHand, signal });
  const start = async (byHand) => {
    if (running.current) running.current.abort();
    const abort = running.current = new AbortController();
    set((s) => (s.path === path ? s : { path, rows: [], cursor: null, busy: true, problem: null }));
    try {
      const page = await ask(null, byHand, abort.signal);
      set({ path, rows: page.items, cursor: page.next_cursor, busy: false, problem: null });
    } catch (problem) {
      if (problem.name !== 'AbortError') set((s) => ({ ...s, path, busy: false, problem }));
    }
  };
  const more = async () => {
    if (state.busy || !state.cursor) return;
    const abort = running.current = new AbortController();
    set((s) => ({ ...s, busy: true }));
    try {
      const page = await ask(state.cursor, true, abort.signal);
      set((s) => (s.path === path ? { ...s, rows: s.rows.concat(page.items), cursor: page.next_cursor, busy: false } : s));
    } catch (problem) {
      if (problem.name !== 'AbortError') set((s) => ({ ...s, busy: false, problem }));
    }
  };
  useEffect(() => {
    start(true);
    return () => running.current && running.current.abort();
  }, [path]);
  useLive(() => state.rows.length <= PAGE && start(false), concerns);
  useRetry(state.problem, () => start(false));
  /* a page may be empty although there is more: what was looked at did not fit */
  useEffect(() => { if (!state.busy && state.path === path && state.rows.length < 20 && state.cursor && !state.problem) more(); }, [state.busy, state.cursor]);
  const fits = state.path === path;
  return { rows: fits ? state.rows : [], more: fits && state.cursor ? more : null, busy: !fits || state.busy, problem: fits ? state.problem : null,
    reload: () => start(true) };
}
