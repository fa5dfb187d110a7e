/* api.js - asks the admin API, as every other client does: same routes, same rights, same refusals.
 * The cookie goes by itself; the header token, which no other page can read, is kept in memory alone. */
import { actKey } from './once.js';

/* How long an answer may take: of what is shown less than the pause between two looks of live.js, so that no look ends the one before unheard; what is done,
 * planned or worked out over everything takes longer. */
const SHOWN_MS = 8000, DONE_MS = 60000;

let answered = null;
let headerToken = null;
let onOver = () => {};
let onConfirm = async () => false;

/* When the controller answered last, whatever it said; null = it has not. */
export const answeredAt = () => answered;

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || String(status));
    this.status = status;
    this.body = body;
  }
}

/* `over`: the session is no more. `confirm`: asks a person to prove who it is; true = it was proved. */
export function listen(over, confirm) {
  onOver = over;
  onConfirm = confirm;
}

/* By what happened, not by what was thrown: a browser has names of its own for what ends while it is read. */
function failed(until, next) {
  if (until.left()) return new DOMException('', 'AbortError');
  const seconds = until.passed();
  return new Problem(0, { code: '', title: seconds ? 'unanswered' : 'unreachable', detail: '', unreachable: true, seconds, next });
}

/* One signal of both. `passed`: seconds, where it was the deadline; `again`: it begins anew; `stop` ends it, for what goes on. */
function deadline(signal, limit) {
  const abort = new AbortController();
  let timer, over = null;
  const stop = () => clearTimeout(timer);
  const again = () => {
    stop();
    timer = setTimeout(() => { over = limit / 1000; abort.abort(); }, limit);
  };
  again();
  return { signal: signal ? AbortSignal.any([signal, abort.signal]) : abort.signal, left: () => Boolean(signal && signal.aborted), passed: () => over, again, stop };
}

/* The text of an answer of any size: whoever sends it may be slow, but not silent. */
async function pieces(answer, heard) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(), all = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return all.join('');
    heard();
    all.push(value);
  }
}

/* By hand: a person asked for it, so the session was used. What a page asks by itself does not keep a session alive. */
async function send(method, path, { body, byHand = true, bearer, signal, key, accept, raw, slow, endless, next } = {}) {
  const headers = {}, limit = method !== 'GET' || slow || raw ? DONE_MS : SHOWN_MS;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (headerToken && (byHand || method !== 'GET')) headers['X-Vcc-Session'] = headerToken;
  if (bearer) headers.Authorization = 'Bearer ' + bearer;
  if (key) headers['Idempotency-Key'] = key;
  Object.assign(headers, accept);
  const until = deadline(signal, limit);
  try {
    const answer = await fetch('/api/v1/' + path, { method, headers, signal: until.signal, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body) });
    answered = Date.now();
    if (endless && answer.ok) return answer;
    const text = raw && answer.body ? await pieces(answer, until.again) : await answer.text(); /* the whole of it by then */
    return new Response(text === '' ? null : text, { status: answer.status, headers: answer.headers });
  } catch {
    throw failed(until, next);
  } finally {
    until.stop();
  }
}

async function read(answer, raw) {
  if (raw && answer.ok) return answer.text();
  const type = answer.headers.get('content-type') || '';
  const body = type.includes('json') ? await answer.json() : {};
  if (answer.ok) return body;
  throw new Problem(answer.status, body.code ? body : { code: '', title: String(answer.status), detail: '' });
}

function over() {
  if (!headerToken) return;
  headerToken = null;
  onOver();
}

async function ask(method, path, options = {}) {
  try {
    return await read(await send(method, path, options), options.raw);
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
    if (e.status === 401 && !options.bearer) over();
    if (e.body.code === 'VCC-3168' && await onConfirm(e)) return read(await send(method, path, options), options.raw);
    throw e;
  }
}

export const get = (path, options) => ask('GET', path, { ...options, next: 'goes_on' });

/* An answer as the text that came, for a file of somebody's. */
export const text = (path) => ask('GET', path, { raw: true });

/* Does this answer say what became of it? Not one of somebody between (5xx), or that is judged before the key is (401, 403, 429), nor that it is still in work. */
const settles = (e) => !e.body.unreachable && ![401, 403, 429].includes(e.status) && e.status < 500 && e.body.code !== 'VCC-3152';

/* Repeated by the browser or by somebody in doubt it is done once. */
export async function post(path, body = {}, options = {}) {
  const act = actKey(JSON.stringify([path, body, options.accept]));
  try {
    const answer = await ask('POST', path, { ...options, body, key: act.key, next: body.dry_run ? undefined : act.repeats ? 'done_once' : 'look_first' });
    act.settled();
    return answer;
  } catch (e) {
    if (e instanceof Problem && settles(e)) act.settled();
    throw e;
  }
}

/* An endless answer, for live.js. */
export async function open(path, options) {
  const answer = await send('GET', path, { ...options, byHand: false, endless: true });
  if (!answer.ok) await read(answer);
  return answer.body;
}

/* ---- session ---- */

/* Whoever has a session is told its header token; null = nobody is logged in. */
export async function resume() {
  const session = await read(await send('GET', 'session', { byHand: false }));
  headerToken = session.header_token;
  return session.principal ? session : null;
}

/* For a page that asks nothing else: somebody answers, or answeredAt() stays as it was; and a session that is over is told as everywhere. */
export async function knock(signal) {
  const session = await ask('GET', 'session', { byHand: false, signal });
  if (!session.principal) over();
}

/* Without a token: by the client certificate that the browser shows. */
export async function login(token) {
  headerToken = null;
  await read(await send('POST', 'session', { body: {}, bearer: token }));
  return resume();
}

export async function confirm(token) {
  return read(await send('POST', 'session/confirm', { body: {}, bearer: token }));
}

export async function logout() {
  try {
    await read(await send('POST', 'session/logout', { body: {} }));
  } finally {
    headerToken = null;
  }
}
